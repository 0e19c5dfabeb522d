//! The root file system and the mounts in it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsmount, fsopen, open_tree,
};
use support::{fresh, host_programs, links, output, said, sleeper};
use tempfile::TempDir;
use trial::{Test, need::root};
use windlass_namespaces::{
    Command, Error, IdMapping, KillOnDrop, Mount, Namespace, Propagation, Rootfs, Source, Stdio, enter,
};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("a_directory_becomes_the_root", by_path).needs(root),
        Test::new("a_detached_mount_becomes_the_root", detached).needs(root),
        Test::new("a_detached_mount_serves_once", detached_once).needs(root),
        Test::new("nothing_of_the_old_root_is_left", old_root).needs(root),
        Test::new("the_defaults_are_dockers", defaults).needs(root),
        Test::new("the_defaults_work_in_a_user_namespace", defaults_for_users).needs(root),
        Test::new("masked_paths_show_nothing", masked).needs(root),
        Test::new("a_swapped_null_device_masks_nothing", swapped_null).needs(root),
        Test::new("read_only_is_read_only_to_the_bottom", read_only).needs(root),
        Test::new("a_read_only_root_keeps_its_writable_mounts", read_only_root).needs(root),
        Test::new("attributes_reach_the_kernel", attributes).needs(root),
        Test::new("targets_are_made_and_never_leave_the_root", targets).needs(root),
        Test::new("proc_on_a_link_is_refused", proc_on_link).needs(root),
        Test::new("mounts_stay_inside", stay_inside).needs(root),
        Test::new("a_slave_tree_hears_of_new_mounts", slave).needs(root),
        Test::new("a_directory_outside_the_root_is_refused", outside).needs(root),
    ])
}

/// A root directory into which the host's programs are bound read-only.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary directory");
    links(folder.path());
    folder
}

fn rooted(script: &str, root: Rootfs) -> Command {
    let mut command =
        fresh(script, &[Namespace::Mount, Namespace::Pid, Namespace::Net, Namespace::Ipc, Namespace::Uts]);
    command.rootfs(root).mount(host_programs()).env_clear();
    command
}

fn by_path() {
    let folder = folder();
    fs::write(folder.path().join("marker"), "found").unwrap();
    let mut command = rooted("cat /marker; echo; pwd; echo written > /new", Rootfs::Path(folder.path().into()));
    assert_eq!(said(&mut command), "found\n/");
    assert_eq!(fs::read_to_string(folder.path().join("new")).unwrap(), "written\n");
    // A second time, by the same command.
    assert_eq!(said(&mut command), "found\n/");
}

fn memory() -> OwnedFd {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    fsconfig_create(&context).unwrap();
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap()
}

fn detached() {
    let mount = memory();
    let link = |name| rustix::fs::symlinkat(format!("usr/{name}"), &mount, name).unwrap();
    for name in ["bin", "lib", "lib64"] {
        link(name);
    }
    let kept = mount.try_clone().unwrap();
    let mut command = rooted("echo inside > /file; head -c 5 /proc/1/comm", Rootfs::Detached(mount));
    command.mount(Mount::proc("/proc"));
    assert_eq!(said(&mut command), "sh");
    let file = rustix::fs::openat(&kept, "file", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    assert_eq!(std::io::read_to_string(fs::File::from(file)).unwrap(), "inside\n");
}

fn detached_once() {
    let folder = folder();
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(rustix::fs::CWD, folder.path(), flags).unwrap();
    let mut command = rooted("true", Rootfs::Detached(tree));
    assert!(output(&mut command).0.success());
    assert!(matches!(command.spawn(), Err(Error::Invalid { field: "rootfs", .. })));
}

fn old_root() {
    let folder = folder();
    let mut command = rooted("cut -d' ' -f5 /proc/self/mountinfo; ls /", Rootfs::Path(folder.path().into()));
    command.mount(Mount::proc("/proc"));
    let text = said(&mut command);
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words, ["/", "/usr", "/proc", "bin", "lib", "lib64", "proc", "sbin", "usr"]);
}

const LOOK: &str = "
    for d in null zero full random urandom tty; do stat -c '%n %F %t:%T %a' /dev/$d; done
    ls -l /dev/fd /dev/ptmx | sed 's/.*-> //'
    grep -E ' (/proc/sys|/sys|/dev/shm|/dev/pts|/dev/mqueue) ' /proc/mounts | cut -d' ' -f2-4 | cut -d, -f1-4
    echo x > /proc/sys/kernel/domainname || echo 'cannot write /proc/sys'
    mkdir /sys/x || echo 'cannot write /sys'
    echo x > /dev/shm/x && cat /dev/shm/x; echo x > /dev/null";

fn defaults() {
    let folder = folder();
    let mut command = rooted(LOOK, Rootfs::Path(folder.path().into()));
    command.mounts(Mount::defaults()).stderr(Stdio::Null);
    let text = said(&mut command);
    for line in [
        "/dev/null character special file 1:3 666",
        "/dev/zero character special file 1:5 666",
        "/dev/full character special file 1:7 666",
        "/dev/random character special file 1:8 666",
        "/dev/urandom character special file 1:9 666",
        "/dev/tty character special file 5:0 666",
        "/proc/self/fd",
        "pts/ptmx",
        "/sys sysfs ro,nosuid,nodev,noexec",
        "/proc/sys proc ro,nosuid,nodev,noexec",
        "/dev/shm tmpfs rw,nosuid,nodev,noexec",
        "/dev/pts devpts rw,nosuid,noexec,relatime",
        "/dev/mqueue mqueue rw,nosuid,nodev,noexec",
        "cannot write /proc/sys",
        "cannot write /sys",
        "x",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    // What was made in memory left nothing in the directory but the places of the mounts.
    let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["bin", "dev", "lib", "lib64", "proc", "sbin", "sys", "usr"]);
    assert_eq!(fs::read_dir(folder.path().join("dev")).unwrap().count(), 0);
}

fn defaults_for_users() {
    for (net, count) in [(true, 65_536), (false, 2)] {
        let folder = folder();
        let mut command = rooted(LOOK, Rootfs::Path(folder.path().into()));
        let own = |first: u32| vec![IdMapping::new(0, first, count).unwrap()];
        command.namespace(Namespace::User, Source::New).id_mappings(own(100_000), own(100_000));
        // The directory belongs to the namespace's root, as an engine arranges it.
        std::os::unix::fs::chown(folder.path(), Some(100_000), Some(100_000)).unwrap();
        if !net {
            let current = windlass_namespaces::net::NetNamespace::current().unwrap();
            command.namespace(Namespace::Net, Source::Join(current.into()));
        }
        command.mounts(Mount::defaults()).stderr(Stdio::Null);
        let text = said(&mut command);
        for line in ["/dev/null character special file 1:3 666", "cannot write /sys", "cannot write /proc/sys", "x"] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
    }
}

fn masked() {
    let folder = folder();
    fs::create_dir(folder.path().join("secrets")).unwrap();
    fs::write(folder.path().join("secrets/one"), "1").unwrap();
    fs::write(folder.path().join("secret"), "2").unwrap();
    let script = "ls -A /secrets; cat /secret; stat -c %F /secret; cat /proc/keys /proc/timer_list /proc/interrupts; \
        ls /proc/acpi /sys/firmware | grep -v :; echo x > /secrets/two || echo refused";
    let mut command = rooted(script, Rootfs::Path(folder.path().into()));
    command.mounts(Mount::defaults()).stderr(Stdio::Null);
    command.mount(Mount::masked("/secrets")).mount(Mount::masked("/secret")).mount(Mount::masked("/not/there"));
    let words = said(&mut command).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words, "character special file refused");
}

fn swapped_null() {
    let folder = folder();
    let (secret, other) = (folder.path().join("secret"), folder.path().join("other"));
    fs::write(&secret, "2").unwrap();
    fs::write(&other, "shown instead").unwrap();
    let mut command = fresh("true", &[Namespace::Mount]);
    command.mount(Mount::bind(&other, "/dev/null")).mount(Mount::masked(&secret));
    match command.spawn() {
        Err(Error::Child { step, op: "statx", source }) => {
            assert_eq!(step, format!("mask {}", secret.display()));
            assert_eq!(source.raw_os_error(), Some(libc::ENODEV));
        }
        other => panic!("{other:?}"),
    }
}

fn read_only() {
    let (outside, folder) = (folder(), folder());
    let script = "echo x > /bound/file || echo refused; echo x > /bound/below/file || echo refused below; \
        echo x > /free/file && echo written; umount /bound/below && echo x > /bound/below/file || echo held";
    let mut command = rooted(script, Rootfs::Path(folder.path().into()));
    command.stderr(Stdio::Null);
    let source = outside.path().join("tree");
    fs::create_dir_all(source.join("below")).unwrap();
    // A mount below the source, made in a mount namespace of its own: an inner command sees it there.
    command
        .mount(Mount::bind(&source, "/prepared"))
        .mount(Mount::tmpfs("/prepared/below"))
        .mount(Mount::bind(&source, "/free"));
    let mut outer = sleeper(&[Namespace::Mount]);
    outer.mount(Mount::tmpfs(source.join("below")));
    let holder = outer.spawn().unwrap();
    let mount = holder.namespace(Namespace::Mount).unwrap();
    let tree = enter::within(&[(Namespace::Mount, mount.as_fd())], || {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        open_tree(rustix::fs::CWD, &source, flags).unwrap()
    });
    command.mount(Mount::detached(tree.unwrap(), "/bound").read_only());
    assert_eq!(said(&mut command), "refused\nrefused below\nwritten\nheld");
}

fn read_only_root() {
    let folder = folder();
    let mut command = rooted(
        "echo x > /file || echo refused; echo x > /tmp/file && echo written",
        Rootfs::Path(folder.path().into()),
    );
    command.mount(Mount::tmpfs("/tmp")).read_only_rootfs().stderr(Stdio::Null);
    assert_eq!(said(&mut command), "refused\nwritten");
    fs::write(folder.path().join("host"), "the directory itself is as before").unwrap();
}

fn attributes() {
    let folder = folder();
    let mut command = rooted("cat /proc/mounts", Rootfs::Path(folder.path().into()));
    command
        .mount(Mount::proc("/proc"))
        .mount(Mount::tmpfs("/a").option("size", "1m").option("mode", "0700").no_suid().no_dev().no_exec().read_only())
        .mount(Mount::bind(folder.path(), "/b").no_atime().no_symlink_follow());
    let text = said(&mut command);
    let options = |place: &str| {
        let line = text.lines().find(|line| line.split(' ').nth(1) == Some(place)).expect(place);
        line.split(' ').nth(3).unwrap().split(',').map(str::to_owned).collect::<Vec<_>>()
    };
    for option in ["ro", "nosuid", "nodev", "noexec", "size=1024k", "mode=700"] {
        assert!(options("/a").iter().any(|found| found == option), "{option}: {text}");
    }
    for option in ["noatime", "nosymfollow", "rw"] {
        assert!(options("/b").iter().any(|found| found == option), "{option}: {text}");
    }
}

fn targets() {
    let (outside, folder) = (folder(), folder());
    let canary = outside.path().join("canary");
    fs::create_dir(&canary).unwrap();
    // Links that lead out: absolute, and by more parents than there are.
    std::os::unix::fs::symlink(&canary, folder.path().join("absolute")).unwrap();
    let up = format!("../../../../../../../..{}", canary.display());
    std::os::unix::fs::symlink(up, folder.path().join("relative")).unwrap();
    fs::write(outside.path().join("file"), "content").unwrap();
    let mut command = rooted("cat /x/y/z/file", Rootfs::Path(folder.path().into()));
    command
        .mount(Mount::bind(outside.path().join("file"), "/x/y/z/file"))
        .mount(Mount::tmpfs("/absolute/inside"))
        .mount(Mount::symlink("nothing", "/relative/link"))
        .mount(Mount::symlink("nothing", "/relative/link"));
    // The links dangle inside the root, so a directory cannot be made through them: an error, and nothing outside.
    match command.spawn() {
        Err(Error::Child { step, source, .. }) => {
            assert_eq!((step.as_str(), source.raw_os_error()), ("mount tmpfs on /absolute/inside", Some(libc::ENOENT)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_dir(&canary).unwrap().count(), 0);
    // Once the place exists inside, the link leads there.
    let inner = folder.path().join(canary.strip_prefix("/").unwrap());
    fs::create_dir_all(&inner).unwrap();
    let text = said(&mut command);
    assert_eq!(text, "content");
    assert!(inner.join("inside").is_dir());
    assert!(inner.join("link").is_symlink());
    assert_eq!(fs::read_dir(&canary).unwrap().count(), 0);
    let mut command = rooted("true", Rootfs::Path(folder.path().into()));
    command.mount(Mount::symlink("other", "/bin"));
    assert!(matches!(command.spawn(), Err(Error::Child { op: "symlinkat", .. })));
}

fn proc_on_link() {
    let folder = folder();
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", folder.path().join("proc")).unwrap();
    let mut command = rooted("true", Rootfs::Path(folder.path().into()));
    command.mount(Mount::proc("/proc"));
    match command.spawn() {
        Err(Error::Child { op: "openat2", source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::ELOOP)),
        other => panic!("{other:?}"),
    }
}

fn stay_inside() {
    let folder = folder();
    let mut command = rooted("exec sleep 600", Rootfs::Path(folder.path().into()));
    command.mounts(Mount::defaults()).kill_on_drop(KillOnDrop::Yes);
    let child = command.spawn().unwrap();
    let seen = |process: &str, place: &str| {
        let mounts = fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap();
        mounts.lines().any(|line| line.contains(place))
    };
    let place = folder.path().to_string_lossy();
    assert!(!seen("self", &place));
    // That is no accident of the search: the process itself has them, without the way that led there.
    assert!(seen(&child.pid().to_string(), " /dev/shm "));
}

fn slave() {
    // A mount that travels: its own peer group, in a namespace that this test made.
    let place = folder();
    let shared = place.path().join("shared");
    fs::create_dir(&shared).unwrap();
    let mut outer = sleeper(&[Namespace::Mount]);
    outer.mount(Mount::tmpfs(&shared).propagation(Propagation::Shared));
    let outer = outer.spawn().unwrap();
    let mount = outer.namespace(Namespace::Mount).unwrap();
    let seen = enter::within(&[(Namespace::Mount, mount.as_fd())], || {
        [Propagation::Slave, Propagation::Private].map(|propagation| mounts_seen_later(propagation, &shared))
    });
    assert_eq!(seen.unwrap(), ["1\n", "0\n"]);
}

/// How many mounts on a new directory a process sees that had its mount namespace before.
fn mounts_seen_later(propagation: Propagation, shared: &Path) -> String {
    let place = shared.join(support::unique("new"));
    fs::create_dir(&place).unwrap();
    let script = format!("read line; grep -c {} /proc/self/mounts; true", place.display());
    let mut command = fresh(&script, &[Namespace::Mount]);
    let (stdin, go) = std::io::pipe().unwrap();
    let (told, stdout) = std::io::pipe().unwrap();
    command.propagation(propagation).stdin(OwnedFd::from(stdin)).stdout(OwnedFd::from(stdout));
    let mut child = command.spawn().unwrap();
    drop(command);
    rustix::mount::mount("none", &place, "tmpfs", rustix::mount::MountFlags::empty(), None).unwrap();
    drop(go);
    let text = std::io::read_to_string(told).unwrap();
    assert!(child.wait().unwrap().success());
    text
}

fn outside() {
    let folder = folder();
    let mut command = rooted("pwd", Rootfs::Path(folder.path().into()));
    command.mount(Mount::proc("/proc"));
    command.current_dir("/proc/1/cwd/../../../..");
    assert_eq!(said(&mut command), "/");
    // A descriptor of a host directory, left open by a careless caller, is closed before the directory is changed.
    let host = fs::File::open("/tmp").unwrap();
    // Below and above those that the start itself needs.
    let high = rustix::io::fcntl_dupfd_cloexec(&host, 200).unwrap();
    for descriptor in [host.as_fd(), high.as_fd()] {
        rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::empty()).unwrap();
        command.current_dir(format!("/proc/self/fd/{}", descriptor.as_raw_fd()));
        let failed = command.spawn();
        assert!(matches!(failed, Err(Error::Child { op: "chdir", .. })), "{failed:?}");
    }
    // One that is needed until the exec is still there, and leads to where no path leads.
    let keeper = fs::File::open("/tmp").unwrap();
    command.current_dir(format!("/proc/self/fd/{}", keeper.as_raw_fd())).stderr(OwnedFd::from(keeper));
    match command.spawn() {
        Err(Error::Child { op: "getcwd", source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::ENOENT)),
        other => panic!("{other:?}"),
    }
}
