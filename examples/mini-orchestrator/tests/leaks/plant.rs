//! One leak of each kind, made on purpose: the comparison must name it, and nothing of another kind than it makes.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::snapshot::{Kind, Snapshot};
use crate::{FOLDERS, settle};

/// A way of leaving something behind, and of taking it away again.
struct Leak {
    kind: Kind,
    plant: fn(),
    remove: fn(),
    /// What the report must contain.
    sign: &'static str,
}

pub(crate) fn each_kind_is_seen() {
    let folders = FOLDERS.map(Path::new);
    // Made by the program `mount` when it is missing, and left.
    fs::create_dir_all("/run/mount").unwrap();
    for leak in LEAKS {
        let before = Snapshot::take(&folders);
        (leak.plant)();
        let difference = before.difference(&Snapshot::take(&folders));
        (leak.remove)();
        let seen = difference
            .iter()
            .any(|(kind, thing)| *kind == leak.kind && thing.starts_with('+') && thing.contains(leak.sign));
        assert!(seen, "a leak of kind {:?} is not reported: {difference:#?}", leak.kind);
        let rest = settle(&before, &folders, std::collections::BTreeSet::is_empty);
        assert!(rest.is_empty(), "{:?} was not removed: {rest:#?}", leak.kind);
    }
}

const LEAKS: [Leak; 12] = [
    Leak {
        kind: Kind::Mount,
        plant: || run("mount", &["-t", "tmpfs", "windlass-planted", "/mnt"]),
        remove: || run("umount", &["/mnt"]),
        sign: "windlass-planted",
    },
    Leak {
        kind: Kind::Cgroup,
        plant: || fs::create_dir(group()).unwrap(),
        remove: || fs::remove_dir(group()).unwrap(),
        sign: "windlass-planted-",
    },
    Leak {
        kind: Kind::Link,
        plant: || run("ip", &["link", "add", "planted0", "type", "veth", "peer", "name", "planted1"]),
        remove: || run("ip", &["link", "del", "planted0"]),
        sign: "planted0",
    },
    Leak {
        kind: Kind::Address,
        plant: || run("ip", &["address", "add", "127.7.7.7/32", "dev", "lo"]),
        remove: || run("ip", &["address", "del", "127.7.7.7/32", "dev", "lo"]),
        sign: "127.7.7.7",
    },
    Leak {
        kind: Kind::Route,
        plant: || run("ip", &["route", "add", "203.0.113.0/24", "dev", "lo"]),
        remove: || run("ip", &["route", "del", "203.0.113.0/24", "dev", "lo"]),
        // 203.0.113.0 as the kernel prints it.
        sign: "007100CB",
    },
    Leak {
        kind: Kind::Ruleset,
        plant: || run("nft", &["add", "table", "ip", "planted"]),
        remove: || run("nft", &["delete", "table", "ip", "planted"]),
        sign: "planted",
    },
    Leak {
        kind: Kind::Namespace,
        plant: || run("sh", &["-c", "unshare --uts sleep 600 > /mnt/out 2>&1 & echo $! > /mnt/pid; sleep 0.3"]),
        remove: kill_planted,
        sign: "uts:[",
    },
    Leak {
        kind: Kind::LoopDevice,
        plant: || {
            fs::write("/mnt/windlass-disk", vec![0; 1 << 20]).unwrap();
            run("sh", &["-c", "losetup --find --show /mnt/windlass-disk > /mnt/loop"]);
        },
        remove: || {
            run("sh", &["-c", "losetup --detach $(cat /mnt/loop)"]);
            fs::remove_file("/mnt/windlass-disk").unwrap();
        },
        sign: "windlass-disk",
    },
    Leak {
        kind: Kind::Process,
        plant: || run("sh", &["-c", "sleep 600 > /mnt/out 2>&1 & echo $! > /mnt/pid"]),
        remove: kill_planted,
        sign: "(sleep)",
    },
    Leak {
        kind: Kind::File,
        plant: || fs::write("/run/planted", "").unwrap(),
        remove: || fs::remove_file("/run/planted").unwrap(),
        sign: "/run/planted",
    },
    Leak {
        kind: Kind::File,
        plant: || fs::create_dir("/tmp/planted").unwrap(),
        remove: || fs::remove_dir("/tmp/planted").unwrap(),
        sign: "/tmp/planted",
    },
    Leak {
        kind: Kind::File,
        plant: || fs::create_dir_all("/var/lib/windlass/demo/planted").unwrap(),
        remove: || fs::remove_dir_all("/var/lib/windlass").unwrap(),
        sign: "/var/lib/windlass/demo/planted",
    },
];

/// A group in the first hierarchy there is.
fn group() -> String {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let hierarchy =
        mounts.lines().find(|line| line.contains(" - cgroup")).and_then(|line| line.split(' ').nth(4)).unwrap();
    // The pid inside is 1 for everybody; the pid namespace's inode is not.
    let world = fs::read_link("/proc/self/ns/pid").unwrap();
    let number: String = world.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    format!("{hierarchy}/windlass-planted-{number}")
}

fn kill_planted() {
    let pid: i32 = fs::read_to_string("/mnt/pid").unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
