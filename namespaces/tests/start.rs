//! Starting, watching and ending processes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read as _, Write as _, pipe};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use support::{descriptors, fresh, link, output, own, said, shell};
use trial::{Test, need::root};
use windlass_namespaces::{Command, Error, KillOnDrop, Mount, Namespace, Rootfs, Signal, Source, Stdio};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("every_kind_of_namespace_can_be_new", each_kind).needs(root),
        Test::new("all_kinds_can_be_new_at_once", all_kinds).needs(root),
        Test::new("a_pid_namespace_begins_at_one", pid_one).needs(root),
        Test::new("a_plan_prints_what_spawn_does", plan_prints),
        Test::new("a_status_tells_code_and_signal", statuses),
        Test::new("a_failure_names_its_step", failures).needs(root),
        Test::new("a_failed_start_leaves_no_process", no_process_left).needs(root),
        Test::new("a_killed_start_is_told_apart", killed_start).needs(root),
        Test::new("no_descriptor_reaches_the_program", descriptor_hygiene),
        Test::new("standard_descriptors_lead_where_told", stdio),
        Test::new("dropping_kills_when_asked", kill_on_drop),
        Test::new("a_timeout_ends_the_wait_and_not_the_process", timeout),
        Test::new("signals_are_as_after_an_exec", signals),
        Test::new("the_environment_and_directory_are_as_told", environment),
        Test::new("programs_are_found_in_the_path", search),
        Test::new("many_threads_start_processes_at_once", threads).needs(root),
        Test::new("a_failed_start_shows_itself_to_no_wait_of_the_caller", unseen),
        Test::new("nothing_stays_open", leaks).needs(root),
        trial::as_user(&[]),
    ])
}

fn each_kind() {
    for kind in Namespace::ALL {
        let script = format!("readlink /proc/self/ns/{}", kind.file_name());
        let mut command = fresh(&script, &[kind]);
        let seen = said(&mut command);
        assert!(seen.starts_with(kind.file_name()), "{kind}: {seen}");
        // With the host's /proc a new pid namespace shows its own link under the host's numbers.
        assert_ne!(seen, own(kind), "{kind}");
        for other in Namespace::ALL.into_iter().filter(|other| *other != kind) {
            let mut command = fresh(&format!("readlink /proc/self/ns/{}", other.file_name()), &[kind]);
            assert_eq!(said(&mut command), own(other), "{other} beside a new {kind}");
        }
    }
}

fn all_kinds() {
    let script = "for n in mnt pid net ipc uts user cgroup time; do readlink /proc/self/ns/$n; done; hostname";
    let mut command = fresh(script, &Namespace::ALL);
    command.hostname("fresh").mount(Mount::proc("/proc"));
    let text = said(&mut command);
    let lines: Vec<&str> = text.lines().collect();
    for (kind, line) in Namespace::ALL.into_iter().zip(&lines) {
        assert_ne!(*line, own(kind));
    }
    assert_eq!(lines.last(), Some(&"fresh"));
}

fn pid_one() {
    assert_eq!(said(&mut fresh("echo $$", &[Namespace::Pid])), "1");
    let mut command = fresh("ls -d /proc/[0-9]*", &[Namespace::Pid, Namespace::Mount]);
    command.mount(Mount::proc("/proc").no_suid());
    // The shell becomes `ls`, which is alone.
    assert_eq!(said(&mut command), "/proc/1");
}

fn plan_prints() {
    let mut command = Command::new("/bin/true");
    command
        .namespace(Namespace::Mount, Source::New)
        .rootfs(Rootfs::Path("/nowhere".into()))
        .mount(Mount::proc("/proc"));
    let plan = command.plan().unwrap().to_string();
    let lines: Vec<&str> = plan.lines().filter(|line| !line.contains("signals") && !line.contains("umask")).collect();
    assert_eq!(
        lines,
        [
            "caller: clone3 with new mnt",
            "process: set propagation 0x40000 on every mount",
            "process: attach root /nowhere",
            "process: mount proc on /proc",
            "process: pivot to the root and leave the old one",
            "process: change directory to /",
            "process: leave the other descriptors to the exec and announce it",
            "process: execute /bin/true",
        ]
    );
}

fn statuses() {
    for code in [0, 1, 42, 255] {
        let mut child = shell(&format!("exit {code}")).spawn().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(code));
        assert_eq!(child.wait().unwrap(), status);
        assert_eq!(child.try_wait().unwrap(), Some(status));
        assert_eq!(child.kill(Signal::TERM).unwrap_err().errno(), Some(libc::ESRCH));
        assert_eq!(child.namespace(Namespace::Net).unwrap_err().errno(), Some(libc::ESRCH));
    }
    for signal in [Signal::KILL, Signal::TERM, Signal::USR1] {
        let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill(signal).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(signal.as_raw()));
    }
}

fn step_of(command: &mut Command) -> (String, &'static str, i32) {
    match command.spawn() {
        Err(Error::Child { step, op, source }) => (step, op, source.raw_os_error().unwrap()),
        other => panic!("{other:?}"),
    }
}

fn failures() {
    let failed = step_of(&mut Command::new("/does/not/exist"));
    assert_eq!(failed, ("execute /does/not/exist".to_owned(), "execve", libc::ENOENT));

    let failed = step_of(Command::new("/bin/true").current_dir("/does/not/exist"));
    assert_eq!(failed, ("change directory to /does/not/exist".to_owned(), "chdir", libc::ENOENT));

    let mut command = fresh("true", &[Namespace::Mount]);
    command.mount(Mount::bind("/does/not/exist", "/mnt"));
    assert_eq!(step_of(&mut command), ("bind /does/not/exist on /mnt".to_owned(), "open_tree", libc::ENOENT));

    let mut command = fresh("true", &[Namespace::Mount]);
    command.mount(Mount::filesystem("nonsense", "/mnt"));
    assert_eq!(step_of(&mut command), ("mount nonsense on /mnt".to_owned(), "fsopen", libc::ENODEV));

    let mut command = fresh("true", &[Namespace::Mount]);
    command.rootfs(Rootfs::Path("/does/not/exist".into()));
    assert_eq!(step_of(&mut command), ("attach root /does/not/exist".to_owned(), "openat2", libc::ENOENT));

    // In the intermediate process, too: the descriptor is of another kind than it is given as.
    let mut command = Command::new("/bin/true");
    let net = std::fs::File::open("/proc/self/ns/net").unwrap();
    command.namespace(Namespace::Pid, Source::Join(net.into()));
    let (step, op, errno) = step_of(&mut command);
    assert!(step.starts_with("join namespaces pid:"), "{step}");
    assert_eq!((op, errno), ("setns", libc::EINVAL));

    assert!(matches!(Command::new("/bin/true").hostname("x").spawn(), Err(Error::Invalid { field: "hostname", .. })));
    assert!(matches!(
        Command::new("/bin/true").mount(Mount::proc("/proc")).spawn(),
        Err(Error::Invalid { field: "mount", .. })
    ));
}

fn children() -> Vec<String> {
    let mut all = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path().join("children");
        all.extend(std::fs::read_to_string(path).unwrap_or_default().split_whitespace().map(str::to_owned));
    }
    all
}

fn no_process_left() {
    let mut command = fresh("true", &[Namespace::Mount, Namespace::Pid, Namespace::User]);
    command.mount(Mount::bind("/does/not/exist", "/mnt"));
    assert!(command.spawn().is_err());
    let file = std::fs::File::open("/proc/self/ns/pid").unwrap();
    let mut staged = Command::new("/does/not/exist");
    staged.namespace(Namespace::Pid, Source::Join(file.into()));
    assert!(matches!(staged.spawn(), Err(Error::Child { .. })));
    // A mapping that the kernel refuses: the caller's step fails while the process waits.
    let mut command = fresh("true", &[Namespace::User]);
    let overlapping = vec![
        windlass_namespaces::IdMapping::new(0, 0, 10).unwrap(),
        windlass_namespaces::IdMapping::new(5, 20, 10).unwrap(),
    ];
    command.id_mappings(overlapping.clone(), overlapping);
    match command.spawn() {
        Err(Error::Sys { op: "write", object, .. }) => assert!(object.ends_with("/gid_map"), "{object}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(children(), Vec::<String>::new());
}

fn killed_start() {
    // Whoever kills it must meet it between its clone and its exec: many mounts make that time long, and a machine
    // under load gets several tries.
    let folder = tempfile::tempdir().unwrap();
    let met = (0..20).any(|_| {
        let watcher = std::thread::spawn(kill_first_child);
        let mut command = fresh("true", &[Namespace::Mount, Namespace::Net, Namespace::Pid]);
        command.mounts((0..200).map(|number| Mount::tmpfs(folder.path().join(number.to_string()))));
        let result = command.spawn();
        assert!(watcher.join().unwrap(), "no child was seen");
        match result {
            Err(Error::Killed { signal }) => {
                assert_eq!(signal, Some(Signal::KILL));
                true
            }
            Ok(mut child) => {
                assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
                false
            }
            Err(other) => panic!("{other:?}"),
        }
    });
    assert!(met);
    assert_eq!(children(), Vec::<String>::new());
}

fn kill_first_child() -> bool {
    let until = Instant::now() + Duration::from_mins(1);
    while Instant::now() < until {
        if let Some(pid) = children().first() {
            let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            return true;
        }
    }
    false
}

fn descriptor_hygiene() {
    // Without close-on-exec, as a careless part of the caller would leave it.
    let file = std::fs::File::open("/proc/self/status").unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let seen = said(&mut shell("ls /proc/self/fd"));
    // 3 is the directory that `ls` itself reads.
    assert_eq!(seen.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    let uts = std::fs::File::open("/proc/self/ns/uts").unwrap();
    rustix::io::fcntl_setfd(&uts, rustix::io::FdFlags::empty()).unwrap();
    if root().is_ok() {
        // One that the start needs almost to the end.
        let mut command = shell("ls /proc/self/fd");
        command.namespace(Namespace::Uts, Source::Join(uts.into()));
        assert_eq!(said(&mut command).split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    }
    assert!(file.as_raw_fd() > 2);
}

fn stdio() {
    let (reader, mut writer) = pipe().unwrap();
    let mut command = shell("cat; echo problem >&2; test -t 0 || readlink /proc/self/fd/0");
    let (mut error, error_writer) = pipe().unwrap();
    command.stdin(OwnedFd::from(reader)).stderr(OwnedFd::from(error_writer));
    writer.write_all(b"given\n").unwrap();
    drop(writer);
    let text = said(&mut command);
    assert!(text.starts_with("given\npipe:["), "{text}");
    command.stderr(Stdio::Inherit);
    let mut told = String::new();
    error.read_to_string(&mut told).unwrap();
    assert_eq!(told, "problem\n");
    let mut command = shell("cat; readlink /proc/self/fd/0; readlink /proc/self/fd/2");
    command.stdin(Stdio::Null).stderr(Stdio::Null);
    assert_eq!(said(&mut command), "/dev/null\n/dev/null");
}

fn exists(pid: windlass_namespaces::Pid) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

fn kill_on_drop() {
    let child = Command::new("/bin/sleep").arg("60").kill_on_drop(KillOnDrop::Yes).spawn().unwrap();
    let pid = child.pid();
    assert!(exists(pid));
    drop(child);
    assert!(!exists(pid));

    let child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
    let (pid, pidfd) = (child.pid(), child.as_fd().try_clone_to_owned().unwrap());
    drop(child);
    assert!(exists(pid));
    rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL).unwrap();
    let id = rustix::process::WaitId::PidFd(pidfd.as_fd());
    rustix::process::waitid(id, rustix::process::WaitIdOptions::EXITED).unwrap();
}

fn timeout() {
    let mut child = Command::new("/bin/sleep").arg("60").kill_on_drop(KillOnDrop::Yes).spawn().unwrap();
    let before = Instant::now();
    assert_eq!(child.wait_timeout(Duration::from_millis(50)).unwrap(), None);
    assert!(before.elapsed() >= Duration::from_millis(50));
    child.kill(Signal::KILL).unwrap();
    assert_eq!(child.wait_timeout(Duration::from_mins(1)).unwrap().unwrap().signal(), Some(9));
}

fn signals() {
    // Rust's runtime ignores SIGPIPE, which an ordinary program must not inherit.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    assert_ne!(u64::from_str_radix(mask, 16).unwrap() & (1 << (libc::SIGPIPE - 1)), 0, "{mask}");
    let text = said(&mut shell("grep -E '^Sig(Blk|Ign)' /proc/self/status"));
    assert_eq!(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000");
}

fn environment() {
    let mut command = shell("echo \"$A-$B-$HOME\"; pwd; umask");
    command.env_clear().env("A", "1").envs([("B", "2")]).current_dir("/usr").umask(0o27);
    assert_eq!(said(&mut command), "1-2-\n/usr\n0027");
    let own = std::env::current_dir().unwrap();
    assert_eq!(said(&mut shell("pwd")), own.to_string_lossy());
}

fn search() {
    let folder = tempfile::tempdir().unwrap();
    let refused = folder.path().join("true");
    std::fs::write(&refused, "").unwrap();
    let path = format!("/nowhere:{}:/usr/bin", folder.path().display());
    let status = Command::new("true").env("PATH", path).spawn().unwrap().wait().unwrap();
    assert!(status.success());
    // Found, but not executable, and nowhere else: this is what the caller has to know.
    let failed = step_of(Command::new("true").env("PATH", folder.path()));
    assert_eq!((failed.1, failed.2), ("execve", libc::EACCES));
    let failed = step_of(&mut Command::new("no-such-program"));
    assert_eq!((failed.1, failed.2), ("execve", libc::ENOENT));
}

fn threads() {
    let namespaces: Vec<String> = Namespace::ALL.into_iter().map(own).collect();
    let folder = std::env::current_dir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                for number in 0..8 {
                    let mut command =
                        fresh(&format!("exit {number}"), &[Namespace::Mount, Namespace::Uts, Namespace::Pid]);
                    command.hostname("thread").mount(Mount::proc("/proc"));
                    assert_eq!(command.spawn().unwrap().wait().unwrap().code(), Some(number));
                    // Memory and locks of other threads are in use all the while.
                    drop(vec![0_u8; 100_000]);
                }
            });
        }
    });
    assert_eq!(namespaces, Namespace::ALL.into_iter().map(own).collect::<Vec<_>>());
    assert_eq!(folder, std::env::current_dir().unwrap());
    assert_eq!(children(), Vec::<String>::new());
}

fn unseen() {
    use std::sync::atomic::{AtomicBool, Ordering};
    // Another part of the caller that buries every child it can find, all the while.
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let thief = scope.spawn(|| {
            let mut stolen = 0;
            while !stop.load(Ordering::Relaxed) {
                let found = rustix::process::wait(rustix::process::WaitOptions::NOHANG);
                stolen += usize::from(matches!(found, Ok(Some(_))));
            }
            stolen
        });
        let results: Vec<_> = (0..50).map(|_| Command::new("/does/not/exist").spawn()).collect();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(thief.join().unwrap(), 0);
        assert!(results.iter().all(|result| matches!(result, Err(Error::Child { op: "execve", .. }))), "{results:?}");
    });
}

fn leaks() {
    let folder = tempfile::tempdir().unwrap();
    let once = || {
        let mut command = fresh("true", &[Namespace::Mount, Namespace::Pid, Namespace::Net]);
        command.mount(Mount::tmpfs(folder.path()));
        assert!(output(&mut command).0.success());
        let mut command = fresh("true", &[Namespace::Mount]);
        assert!(command.mount(Mount::bind("/does/not/exist", "/mnt")).spawn().is_err());
        let child = Command::new("/bin/sleep").arg("60").kill_on_drop(KillOnDrop::Yes).spawn().unwrap();
        let uts = child.namespace(Namespace::Uts).unwrap();
        let mut command = shell("true");
        command.namespace(Namespace::Uts, Source::Join(uts));
        assert!(output(&mut command).0.success());
        assert_eq!(link(&child.pid().to_string(), Namespace::Uts), own(Namespace::Uts));
    };
    once();
    let before = descriptors();
    for _ in 0..20 {
        once();
    }
    assert_eq!(descriptors(), before);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*folder.path().to_string_lossy()), "{mounts}");
    assert_eq!(children(), Vec::<String>::new());
}
