//! The kinds of namespaces, and where a process takes each from.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A kind of namespace.
///
/// Source: `namespaces(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// The tree of mounts.
    Mount,
    /// Process numbers: the first process in a new one is its init.
    Pid,
    /// Network devices, addresses, routes and rules.
    Net,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host and domain name.
    Uts,
    /// User and group numbers, and the capabilities over the namespaces that belong to it.
    User,
    /// The root of the visible cgroup trees.
    Cgroup,
    /// The monotonic and boot-time clocks.
    Time,
}

impl Namespace {
    /// Every kind.
    pub const ALL: [Self; 8] =
        [Self::Mount, Self::Pid, Self::Net, Self::Ipc, Self::Uts, Self::User, Self::Cgroup, Self::Time];

    /// The name of its file below `/proc/PID/ns`.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Mount => "mnt",
            Self::Pid => "pid",
            Self::Net => "net",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }

    /// The `CLONE_NEW*` flag.
    pub(crate) const fn flag(self) -> u32 {
        match self {
            Self::Mount => 0x0002_0000,
            Self::Pid => 0x2000_0000,
            Self::Net => 0x4000_0000,
            Self::Ipc => 0x0800_0000,
            Self::Uts => 0x0400_0000,
            Self::User => 0x1000_0000,
            Self::Cgroup => 0x0200_0000,
            Self::Time => 0x0000_0080,
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file_name())
    }
}

/// Where a process takes a namespace from, when it does not inherit the caller's.
#[derive(Debug)]
pub enum Source {
    /// A fresh one.
    New,
    /// The one that a descriptor names: an opened `/proc/PID/ns/KIND`, or a bind mount of one.
    ///
    /// Kernel: the first process of a pid namespace takes all others along when it ends, and is itself waited for in
    /// vain until the caller has waited for those that it let join.
    Join(OwnedFd),
    /// The one that a file of the caller's tree names, opened when the process is made.
    Path(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_the_kernels() {
        let expected = [
            (Namespace::Mount, libc::CLONE_NEWNS),
            (Namespace::Pid, libc::CLONE_NEWPID),
            (Namespace::Net, libc::CLONE_NEWNET),
            (Namespace::Ipc, libc::CLONE_NEWIPC),
            (Namespace::Uts, libc::CLONE_NEWUTS),
            (Namespace::User, libc::CLONE_NEWUSER),
            (Namespace::Cgroup, libc::CLONE_NEWCGROUP),
            (Namespace::Time, libc::CLONE_NEWTIME),
        ];
        assert_eq!(expected.map(|(kind, _)| kind), Namespace::ALL);
        for (kind, flag) in expected {
            assert_eq!(i64::from(kind.flag()), i64::from(flag), "{kind}");
        }
    }
}
