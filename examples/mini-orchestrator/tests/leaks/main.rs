//! Whether a demo leaves anything behind, and whether the comparison that says so can see each kind of thing.
//!
//! The judgement is about everything, so other programs must not be able to change what is compared. The test therefore
//! starts itself in mount, pid, network and ipc namespaces of its own, with `/tmp`, `/run` and `/var/lib` empty: there
//! each mount, link, address, route, rule, process, namespace and file is the demo's or nobody's, and a single
//! difference fails. Control groups and loop devices have no namespace that hides the others': a difference there that
//! goes away within the patience is somebody else's, unless `WINDLASS_STRICT` is set (as it is in CI, where nothing
//! else runs).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod plant;
mod snapshot;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use trial::{Test, need};
use windlass_namespaces::{Command, Mount, Namespace, Source};

use crate::snapshot::{Difference, Kind, Snapshot};

const DEMO: &str = env!("CARGO_BIN_EXE_mini-orchestrator");
/// The folders whose whole content is compared.
const FOLDERS: [&str; 3] = ["/run", "/tmp", "/var/lib"];
/// Where the programs are found inside, because their real place may be hidden.
const INSIDE: &str = "/mnt";
/// How long a difference may last before it counts.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, name] = arguments.as_slice()
        && flag == "--inside"
    {
        return inside(name);
    }
    trial::main(vec![
        Test::new("a_demo_leaves_nothing", || run_inside("demo")).needs(need::root),
        Test::new("an_interrupted_demo_leaves_nothing", || run_inside("interrupted")).needs(need::root),
        Test::new("a_killed_demo_is_cleaned_up_by_the_next", || run_inside("killed")).needs(need::root),
        Test::new("each_kind_of_leak_is_seen", || run_inside("planted"))
            .needs(need::root)
            .needs(need::program("losetup"))
            .needs(need::program("ip"))
            .needs(need::program("nft")),
    ])
}

/// Runs one of the cases in a world of its own, and looks at the outer one before and after.
fn run_inside(name: &str) {
    let before = Snapshot::take(&[]);
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new(format!("{INSIDE}/leaks"));
    command.args(["--inside", name]).current_dir("/");
    for kind in [Namespace::Mount, Namespace::Pid, Namespace::Net, Namespace::Ipc] {
        command.namespace(kind, Source::New);
    }
    command.mount(Mount::tmpfs(INSIDE).option("mode", "0755"));
    command.mount(Mount::bind(own, format!("{INSIDE}/leaks")));
    command.mount(Mount::bind(DEMO, format!("{INSIDE}/mini-orchestrator")));
    command.mount(Mount::proc("/proc"));
    command.mounts(FOLDERS.map(|folder| Mount::tmpfs(folder).option("mode", "1777")));
    let status = command.spawn().unwrap().wait().unwrap();
    assert!(status.success(), "{name}: {status:?}");
    let gone = |difference: &Difference| {
        difference
            .iter()
            .all(|(kind, _)| !matches!(kind, Kind::Mount | Kind::Link | Kind::Address | Kind::Route | Kind::Ruleset))
    };
    let difference = settle(&before, &[], |difference| gone(difference));
    assert!(gone(&difference), "outside of {name}: {difference:#?}");
}

/// The first process of the private world.
fn inside(name: &str) -> ExitCode {
    match name {
        "demo" => compare(&|| demo(None, Some(0))),
        "interrupted" => {
            for after in [Duration::from_millis(300), Duration::from_secs(2), Duration::from_secs(5)] {
                compare(&|| demo(Some((after, "INT")), Some(130)));
            }
        }
        "killed" => compare(&|| {
            for after in [Duration::from_millis(400), Duration::from_secs(4)] {
                demo(Some((after, "KILL")), None);
            }
            // The run that cleans up.
            demo(Some((Duration::from_secs(3), "TERM")), Some(130));
        }),
        "planted" => plant::each_kind_is_seen(),
        other => panic!("no case {other}"),
    }
    ExitCode::SUCCESS
}

/// Fails on any difference that `work` makes.
fn compare(work: &dyn Fn()) {
    let folders = FOLDERS.map(Path::new);
    let before = Snapshot::take(&folders);
    work();
    let difference = settle(&before, &folders, Difference::is_empty);
    assert!(difference.is_empty(), "left behind: {difference:#?}");
}

/// The difference once it is `enough`, or after the patience: the kernel takes namespaces and groups apart in its own
/// time. Groups and loop devices that are not ours are left out unless this machine is ours alone.
fn settle(before: &Snapshot, folders: &[&Path], enough: impl Fn(&Difference) -> bool) -> Difference {
    let start = Instant::now();
    loop {
        let mut difference = before.difference(&Snapshot::take(folders));
        if std::env::var_os("WINDLASS_STRICT").is_none() {
            difference.retain(|(kind, thing)| match kind {
                Kind::Cgroup => thing.contains("windlass-demo-") || thing.contains("windlass-planted-"),
                Kind::LoopDevice => thing.contains("windlass"),
                _ => true,
            });
        }
        if enough(&difference) || start.elapsed() >= PATIENCE {
            return difference;
        }
        reap();
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Ended processes that lost their parent are this one's, the first of its pid namespace.
fn reap() {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            return;
        }
    }
}

/// Runs the demo, sends it a signal after a while if asked, and fails unless it ends with `code`.
fn demo(signal: Option<(Duration, &str)>, code: Option<i32>) {
    let log = PathBuf::from(INSIDE).join("log");
    let out = std::fs::File::create(&log).unwrap();
    out.set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut child = std::process::Command::new(format!("{INSIDE}/mini-orchestrator"))
        .args(["demo", "--json"])
        .stdin(std::process::Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap();
    let told = || std::fs::read_to_string(&log).unwrap();
    let mut was_signalled = false;
    if let Some((after, name)) = signal {
        // Its time counts from its first word: before that it hears no signal.
        while told().is_empty() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(after);
        was_signalled = child.try_wait().unwrap().is_none();
        if was_signalled {
            let name: nix::sys::signal::Signal = format!("SIG{name}").parse().unwrap();
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), name).unwrap();
        }
    }
    let ended = child.wait().unwrap();
    // One that was quicker than its signal did all there is to do.
    let expected = if signal.is_some() && !was_signalled { Some(0) } else { code };
    assert_eq!(ended.code(), expected, "{ended:?}: {}", told());
}
