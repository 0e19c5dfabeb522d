//! The root file system, and what every container finds in it.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::mount::{Device, DeviceKind, Mount};

/// Where the root file system of the process comes from.
#[derive(Debug)]
pub enum Rootfs {
    /// A mount that is attached nowhere, as `fsmount(2)` and `open_tree(2)` make it; it is attached only inside the
    /// new mount namespace, and only once: a second spawn needs another one.
    Detached(OwnedFd),
    /// A directory, with the mounts below it.
    Path(PathBuf),
}

/// Devices that every container may use: name, major, minor.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("pts/ptmx", "/dev/ptmx"),
];

/// What tells of the host or controls it, and has no namespace: hidden.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What programs read and must not write.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

impl Mount {
    /// What a container finds in its root file system by Docker's custom: `/proc`, a read-only `/sys`, a `/dev` of
    /// its own with the harmless devices, pseudo terminals, shared memory and message queues; and the parts of
    /// `/proc` and `/sys` that concern the whole machine hidden or read-only.
    pub fn defaults() -> Vec<Self> {
        let mut mounts = vec![
            Self::proc("/proc").no_suid().no_dev().no_exec(),
            Self::sysfs("/sys").no_suid().no_dev().no_exec().read_only(),
            Self::tmpfs("/dev").option("mode", "0755").option("size", "64m").no_suid().no_exec(),
            Self::devpts("/dev/pts").no_suid().no_exec(),
            Self::tmpfs("/dev/shm").option("mode", "1777").option("size", "64m").no_suid().no_dev().no_exec(),
            Self::mqueue("/dev/mqueue").no_suid().no_dev().no_exec(),
        ];
        mounts.extend(DEVICES.map(|(name, major, minor)| {
            let device = Device { kind: DeviceKind::Character, major, minor, mode: 0o666 };
            Self::device(device, format!("/dev/{name}"))
        }));
        mounts.extend(LINKS.map(|(contents, target)| Self::symlink(contents, target)));
        mounts.extend(MASKED.map(Self::masked));
        mounts.extend(READ_ONLY.map(Self::read_only_path));
        mounts
    }
}
