//! Attacks of the past on container runtimes, each with what it would have reached as a canary.
//!
//! Others are beside what they concern: `terminal` (CVE-2017-5226, CVE-2025-52565), `cgroup` (CVE-2022-0492,
//! CVE-2023-25809), and the unit tests of `account` (CVE-2016-3697, CVE-2024-40635).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, File};
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use support::{contained, fresh, links, said, shell};
use trial::{Test, need::root};
use windlass_namespaces::{
    CapabilitySets, Error, Gate, IdMapping, KillOnDrop, Mount, Namespace, Rootfs, Source, Stdio,
};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("CVE-2016-9962_CVE-2024-21626_no_descriptor_of_the_caller_is_open", leaked).needs(root),
        Test::new("CVE-2024-21626_a_working_directory_outside_is_refused", directory).needs(root),
        Test::new("CVE-2016-9962_a_prepared_process_shows_nothing_to_its_container", prepared).needs(root),
        Test::new("CVE-2019-16884_CVE-2019-19921_CVE-2023-27561_proc_and_sys_are_no_links", links_to_proc).needs(root),
        Test::new("CVE-2023-28642_masks_are_of_the_real_proc", shadowed).needs(root),
        Test::new("CVE-2021-30465_CVE-2024-45310_swapped_targets_stay_inside", race).needs(root),
        Test::new("CVE-2025-31133_what_is_not_the_null_device_masks_nothing", null_device).needs(root),
        Test::new("CVE-2025-52881_settings_are_written_to_the_kernel_alone", redirected).needs(root),
        Test::new("CVE-2022-29162_nothing_is_inheritable", inheritable).needs(root),
    ])
}

/// A directory of the host that no container may see or change.
struct Canary(tempfile::TempDir);

impl Canary {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("canary"), "host").unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn is_untouched(&self) -> bool {
        let names: Vec<_> = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names == ["canary"] && fs::read(self.path().join("canary")).unwrap() == b"host"
    }
}

/// Descriptors that a careless part of the caller left open for every program: low, high, and in between.
fn careless(canary: &Canary) -> Vec<OwnedFd> {
    let folder = File::open(canary.path()).unwrap();
    let numbers = [3, 20, 64, 500];
    let open = |number| {
        let copy = rustix::io::fcntl_dupfd_cloexec(&folder, number).unwrap();
        rustix::io::fcntl_setfd(&copy, rustix::io::FdFlags::empty()).unwrap();
        copy
    };
    numbers.map(open).into_iter().collect()
}

fn leaked() {
    let canary = Canary::new();
    let open = careless(&canary);
    let folder = tempfile::tempdir().unwrap();
    let script =
        "ls /proc/self/fd; for n in $(seq 3 600); do test -e /proc/self/fd/$n/canary && echo leak $n; done; true";
    let (reader, writer) = std::io::pipe().unwrap();
    for init in [windlass_namespaces::Init::Program, windlass_namespaces::Init::Reaper] {
        let mut command = contained(script, folder.path());
        command.init(init).inherit(OwnedFd::from(writer.try_clone().unwrap()), 7);
        // 3 is the directory that `ls` reads; 7 was given.
        assert_eq!(said(&mut command), "0\n1\n2\n3\n7", "{init:?}");
        let mut command = contained("ls /proc/1/fd", folder.path());
        assert_eq!(
            said(command.init(init)).lines().filter(|number| !matches!(*number, "0" | "1" | "2" | "3")).count(),
            0
        );
    }
    drop((reader, open));
}

fn directory() {
    let canary = Canary::new();
    let open = careless(&canary);
    let folder = tempfile::tempdir().unwrap();
    let tries = (3..40).chain(open.iter().map(AsRawFd::as_raw_fd));
    for number in tries {
        for name in ["self", "thread-self", "1"] {
            let mut command = contained("cat canary ./canary ../canary; pwd", folder.path());
            command.current_dir(format!("/proc/{name}/fd/{number}")).stderr(Stdio::Null);
            match command.spawn() {
                Err(Error::Child { op: "chdir" | "getcwd", .. }) => {}
                other => panic!("{name} {number}: {other:?}"),
            }
        }
    }
    // The same of a directory that the start itself needs until the exec.
    let mut command = contained("cat canary", folder.path());
    let needed = File::open(canary.path()).unwrap();
    let number = needed.as_raw_fd();
    command.current_dir(format!("/proc/self/fd/{number}")).inherit(needed, number).stderr(Stdio::Null);
    let failed = command.spawn();
    assert!(matches!(failed, Err(Error::Child { op: "getcwd" | "chdir", .. })), "{failed:?}");
    // A link in the image to it.
    symlink(format!("/proc/self/fd/{number}"), folder.path().join("work")).unwrap();
    let failed = command.current_dir("/work").spawn();
    assert!(matches!(failed, Err(Error::Child { op: "getcwd" | "chdir", .. })), "{failed:?}");
}

fn prepared() {
    // A process stands at its gate in the container's namespaces, with the host's program still in it.
    let canary = Canary::new();
    let _open = careless(&canary);
    let folder = tempfile::tempdir().unwrap();
    let mut resident = contained("exec sleep 600", folder.path());
    let resident = resident.kill_on_drop(KillOnDrop::Yes).spawn().unwrap();
    let join = |script: &str| {
        let mut command = shell(script);
        for kind in [Namespace::Mount, Namespace::Pid, Namespace::Net, Namespace::Ipc, Namespace::Uts] {
            command.namespace(kind, Source::Join(resident.namespace(kind).unwrap()));
        }
        command.stderr(Stdio::Null);
        command
    };
    let (gate, opener) = Gate::pair().unwrap();
    let mut waiting = join("true");
    // It has no capability that the one who looks lacks.
    let mut waiting = waiting.gate(gate).capabilities(CapabilitySets::docker()).spawn().unwrap();
    // A root of the container, without the capability to trace, looks for it.
    let look = "for p in /proc/[0-9]*; do n=${p#/proc/}; test $n = 1 -o $n = $$ && continue; \
        test -r $p/mem && head -c 0 $p/mem && : < $p/mem && echo memory $n; for f in $p/fd/*; do readlink $f && echo descriptor $f; done; \
        readlink $p/exe && echo program $n; ls $p/root/ && echo root $n; ls $p/cwd/ && echo directory $n; done; echo end";
    let mut hostile = join(look);
    let text = said(hostile.capabilities(CapabilitySets::docker()));
    assert_eq!(text, "end");
    opener.open().unwrap();
    assert!(waiting.wait().unwrap().success());
}

fn links_to_proc() {
    for name in ["proc", "sys"] {
        let canary = Canary::new();
        for contents in [canary.path().to_path_buf(), "elsewhere".into(), "/".into(), "/dev".into()] {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("elsewhere")).unwrap();
            symlink(&contents, folder.path().join(name)).unwrap();
            let mut command = contained("true", folder.path());
            match command.spawn() {
                Err(Error::Child { op: "openat2", step, source }) => {
                    assert!(
                        step.ends_with(&format!(
                            " on /{name}, attributes {}",
                            if name == "proc" { "0xe" } else { "0xf" }
                        )),
                        "{step}"
                    );
                    assert_eq!(source.raw_os_error(), Some(libc::ELOOP));
                }
                other => panic!("{name} -> {}: {other:?}", contents.display()),
            }
            // A link further up is none of the target, and is no way out either.
            let folder = tempfile::tempdir().unwrap();
            links(folder.path());
            symlink(canary.path(), folder.path().join("up")).unwrap();
            let mut command = fresh("true", &[Namespace::Mount, Namespace::Pid]);
            command.rootfs(Rootfs::Path(folder.path().into()));
            command.mount(if name == "proc" { Mount::proc("/up/proc") } else { Mount::filesystem("sysfs", "/up/sys") });
            assert!(matches!(command.spawn(), Err(Error::Child { op: "openat2", .. })));
        }
        assert!(canary.is_untouched());
    }
}

fn shadowed() {
    // The image brings a tree that looks like /proc; what is masked and made read-only is the kernel's, over it.
    let folder = tempfile::tempdir().unwrap();
    for name in ["proc/sys/kernel", "sys/firmware", "proc/acpi"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("planted"), "image").unwrap();
    }
    fs::write(folder.path().join("proc/keys"), "image").unwrap();
    let script = "stat -f -c %T /proc /proc/sys /sys; ls -A /proc/acpi /sys/firmware | grep -v : | grep .; stat -c %t:%T /proc/keys; \
        echo x > /proc/sys/kernel/domainname || echo refused; \
        ls /proc/sys/kernel/planted || echo not there";
    let mut command = contained(script, folder.path());
    command.stderr(Stdio::Null);
    assert_eq!(said(&mut command), "proc\nproc\nsysfs\n1:3\nrefused\nnot there");
    assert_eq!(fs::read(folder.path().join("proc/keys")).unwrap(), b"image");
}

/// Exchanges two names of a directory until it is told to stop.
fn exchange(folder: &Path, one: &str, other: &str, stop: &AtomicBool) {
    let directory = File::open(folder).unwrap();
    let flags = rustix::fs::RenameFlags::EXCHANGE;
    while !stop.load(Ordering::Relaxed) {
        rustix::fs::renameat_with(&directory, one, &directory, other, flags).unwrap();
    }
}

/// What of the mounts of a process lies where the host has its canary.
fn race() {
    const STARTS: u32 = 150;
    let canary = Canary::new();
    let folder = tempfile::tempdir().unwrap();
    links(folder.path());
    let shared = folder.path().join("shared");
    fs::create_dir_all(shared.join("target/deep")).unwrap();
    symlink(canary.path(), shared.join("link")).unwrap();
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("mine"), "volume").unwrap();
    let stop = AtomicBool::new(false);
    let (mut started, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| exchange(&shared, "target", "link", &stop));
        let patience = std::time::Instant::now() + std::time::Duration::from_mins(2);
        // On a busy machine the exchanging thread may rest for a while.
        while started + refused < STARTS || (started == 0 || refused == 0) && std::time::Instant::now() < patience {
            // The mounts of the process, seen from outside it: the host's canary must be in none of their places, and a
            // file that is made on the way must not be the host's.
            let mut command = fresh("true", &[Namespace::Mount]);
            command.rootfs(Rootfs::Path(folder.path().into())).mount(support::host_programs());
            command.mount(Mount::bind(source.path(), "/shared/target/deep"));
            command.mount(Mount::tmpfs("/shared/target/made/deeper"));
            command.mount(Mount::bind(source.path().join("mine"), "/shared/target/file"));
            command.mount(Mount::symlink("x", "/shared/target/symbolic"));
            match command.spawn() {
                Ok(mut child) => {
                    assert!(child.wait().unwrap().success());
                    started += 1;
                }
                // Inside the root the link leads to a path that is not there.
                Err(Error::Child { .. }) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
            if !canary.is_untouched() {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(canary.is_untouched(), "after {started} starts");
    // Both sides of the exchange were met.
    assert!(started > 0 && refused > 0, "{started} {refused}");
}

fn null_device() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, lure) = (folder.path().join("secret"), folder.path().join("lure"));
    fs::write(&secret, "secret").unwrap();
    fs::write(&lure, "shown instead").unwrap();
    let zero = folder.path().join("zero");
    let device = rustix::fs::makedev(1, 5);
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(rustix::fs::CWD, &zero, rustix::fs::FileType::CharacterDevice, mode, device).unwrap();
    for false_null in [&lure, &zero] {
        let mut command = fresh(&format!("cat {}", secret.display()), &[Namespace::Mount]);
        command.mount(Mount::bind(false_null, "/dev/null")).mount(Mount::masked(&secret));
        match command.spawn() {
            Err(Error::Child { op: "statx", source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::ENODEV)),
            other => panic!("{other:?}"),
        }
    }
    // In a container the image's own null device is never asked: that of the caller masks.
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("secret"), "secret").unwrap();
    fs::create_dir(root.path().join("dev")).unwrap();
    symlink("/secret", root.path().join("dev/null")).unwrap();
    links(root.path());
    let mut command = fresh("stat -c %t:%T /secret; cat /secret", &[Namespace::Mount]);
    command.rootfs(Rootfs::Path(root.path().into())).mount(support::host_programs()).mount(Mount::masked("/secret"));
    assert_eq!(said(&mut command), "1:3");
}

/// Starts a process from a mount namespace in which files of `/proc` are covered, as a hostile container that shares
/// mounts would arrange it, and says what the covers hold afterwards.
fn redirected() {
    let folder = tempfile::tempdir().unwrap();
    let lure = folder.path().join("lure");
    fs::write(&lure, "untouched").unwrap();
    // Of the caller's tree: the setting's file, its folder, and all of /proc/sys.
    let lures = folder.path().join("sys/kernel");
    fs::create_dir_all(&lures).unwrap();
    fs::write(lures.join("domainname"), "untouched").unwrap();
    for cover in [
        Mount::bind(&lure, "/proc/sys/kernel/domainname"),
        Mount::bind(&lures, "/proc/sys/kernel"),
        Mount::bind(folder.path().join("sys"), "/proc/sys"),
    ] {
        let mut holder = support::sleeper(&[Namespace::Mount]);
        let holder = holder.mount(cover).spawn().unwrap();
        let mount = holder.namespace(Namespace::Mount).unwrap();
        let results = windlass_namespaces::enter::within(&[(Namespace::Mount, mount.as_fd())], || {
            let root = tempfile::tempdir().unwrap();
            let mut command = contained("cat /proc/sys/kernel/domainname", root.path());
            let private = said(command.sysctl("kernel.domainname", "hidden"));
            // Where the kernel makes no instance of procfs for it, the covered one is refused.
            let mut command = fresh("true", &[Namespace::User, Namespace::Uts, Namespace::Mount]);
            let map = || vec![IdMapping::new(0, 100_000, 10).unwrap()];
            command.id_mappings(map(), map()).sysctl("kernel.domainname", "hidden");
            (private, command.spawn().map(drop))
        });
        let (private, covered) = results.unwrap();
        assert_eq!(private, "hidden");
        match covered {
            Err(Error::Child { op: "openat2", source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::EXDEV)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fs::read(&lure).unwrap(), b"untouched");
    assert_eq!(fs::read(lures.join("domainname")).unwrap(), b"untouched");
}

fn inheritable() {
    let folder = tempfile::tempdir().unwrap();
    let script = "grep -E 'Cap(Inh|Amb)' /proc/self/status | cut -f2";
    for sets in [CapabilitySets::docker(), CapabilitySets::none()] {
        let mut command = contained(script, folder.path());
        assert_eq!(said(command.capabilities(sets)), "0000000000000000\n0000000000000000");
    }
    let sets = CapabilitySets::docker();
    assert!(sets.inheritable.is_empty() && sets.ambient.is_empty());
}
