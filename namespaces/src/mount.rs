//! What is mounted inside a new mount namespace, and how.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::id::{Gid, IdMapping, Uid};

/// How mounts and unmounts below a mount travel to its copies in other namespaces.
///
/// Source: `mount_namespaces(7)`, "Shared subtrees".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Not at all.
    Private,
    /// From the other namespaces to this one only.
    Slave,
    /// Both ways.
    Shared,
    /// Not at all, and it cannot be bound elsewhere.
    Unbindable,
}

impl Propagation {
    pub(crate) const fn flag(self) -> u64 {
        match self {
            Self::Unbindable => 1 << 17,
            Self::Private => 1 << 18,
            Self::Slave => 1 << 19,
            Self::Shared => 1 << 20,
        }
    }
}

/// Bits of `mount_setattr(2)` and `fsmount(2)`.
pub(crate) mod attribute {
    pub(crate) const READ_ONLY: u64 = 0x1;
    pub(crate) const NO_SUID: u64 = 0x2;
    pub(crate) const NO_DEV: u64 = 0x4;
    pub(crate) const NO_EXEC: u64 = 0x8;
    pub(crate) const NO_ATIME: u64 = 0x10;
    pub(crate) const STRICT_ATIME: u64 = 0x20;
    /// The behaviour of access times is a field, not a bit: this is all of it; 0 in it is `relatime`.
    pub(crate) const ATIME: u64 = 0x70;
    pub(crate) const NO_DIR_ATIME: u64 = 0x80;
    pub(crate) const NO_SYMLINK_FOLLOW: u64 = 0x0020_0000;
    pub(crate) const EVERY: u64 = READ_ONLY | NO_SUID | NO_DEV | NO_EXEC | ATIME | NO_DIR_ATIME | NO_SYMLINK_FOLLOW;
}

/// A change of what is allowed through a mount: bits of [`attribute`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) set: u64,
    pub(crate) clear: u64,
}

impl Attributes {
    pub(crate) const fn set(set: u64) -> Self {
        Self { set, clear: 0 }
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.set == 0 && self.clear == 0
    }
}

/// How far a change of a mount reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    This,
    /// And every mount below it.
    Below,
}

/// A kind of device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A named pipe, which has no number.
    Fifo,
}

/// A device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Character or block.
    pub kind: DeviceKind,
    /// The driver's number.
    pub major: u32,
    /// The device's number at its driver.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Bind {
        source: PathBuf,
        recursive: bool,
    },
    Detached(OwnedFd),
    Filesystem {
        name: String,
        options: Vec<(String, Option<String>)>,
    },
    Proc,
    Sysfs,
    Devpts,
    Device(Device),
    Symlink(PathBuf),
    Masked,
    ReadOnlyPath,
    Cgroups(Trees),
    /// Of what is mounted at the target already; with options for its file system.
    #[cfg_attr(not(feature = "oci"), expect(dead_code, reason = "runtime configurations alone ask for it"))]
    Remount {
        options: Vec<(String, Option<String>)>,
    },
}

/// Which hierarchies of control groups a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trees {
    All,
    /// Beside v1 hierarchies not that of v2, as engines' users know it.
    #[cfg_attr(not(any(feature = "oci", test)), expect(dead_code, reason = "runtime configurations alone ask for it"))]
    OneVersion,
}

/// What owners of files show as, and the mount that shows it once it is made.
#[derive(Debug)]
pub(crate) struct IdMap {
    pub(crate) uid: Vec<IdMapping>,
    pub(crate) gid: Vec<IdMapping>,
    pub(crate) reach: Reach,
    pub(crate) made: Option<OwnedFd>,
}

/// What is in a new file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    None,
    /// Nothing, but its root has the permissions of the directory at its target, if there was one.
    PermissionsOfTarget,
    /// A copy of what was at its target.
    OfTarget,
}

/// One entry of the tree that a process in a new mount namespace sees.
///
/// Entries are made in the order given. A target is a path inside the root file system: symbolic links on the way
/// are followed inside it and never lead out. A target that does not exist is created, as a directory or, for the
/// bind of something else, as an empty file.
#[derive(Debug)]
pub struct Mount {
    pub(crate) kind: Kind,
    pub(crate) target: PathBuf,
    pub(crate) attributes: u64,
    /// Changes beside `attributes`, whose reach is that of the mount: of this mount alone.
    pub(crate) own: Attributes,
    /// And of it with all below.
    pub(crate) below: Attributes,
    pub(crate) propagation: Option<Propagation>,
    /// That of the mount when not given.
    pub(crate) propagation_reach: Option<Reach>,
    /// User and group of a device node.
    pub(crate) owner: Option<(Uid, Gid)>,
    pub(crate) id_map: Option<IdMap>,
    pub(crate) contents: Contents,
}

impl Mount {
    fn new(kind: Kind, target: impl Into<PathBuf>) -> Self {
        Self {
            kind,
            target: target.into(),
            attributes: 0,
            own: Attributes::default(),
            below: Attributes::default(),
            propagation: None,
            propagation_reach: None,
            owner: None,
            id_map: None,
            contents: Contents::None,
        }
    }

    /// The file or directory `source` of the caller's tree, without the mounts below it.
    ///
    /// Kernel: in a new user namespace a directory with mounts below it can only be bound recursively (`EINVAL`).
    pub fn bind(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Bind { source: source.into(), recursive: false }, target)
    }

    /// The directory `source` of the caller's tree with the mounts below it, to which attributes apply as well.
    #[doc(alias = "rbind")]
    pub fn bind_recursive(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Bind { source: source.into(), recursive: true }, target)
    }

    /// A mount that is attached nowhere yet, from `fsmount(2)` or `open_tree(2)`; attached once.
    pub fn detached(mount: OwnedFd, target: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Detached(mount), target)
    }

    /// Any file system the kernel can make without a source, with its options from [`Mount::option`].
    pub fn filesystem(name: impl Into<String>, target: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Filesystem { name: name.into(), options: Vec::new() }, target)
    }

    /// An empty file system in memory; [`Mount::option`] takes `size` and `mode`.
    pub fn tmpfs(target: impl Into<PathBuf>) -> Self {
        Self::filesystem("tmpfs", target)
    }

    /// The processes of the process's pid namespace. The target must not be a symbolic link.
    pub fn proc(target: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Proc, target)
    }

    /// The kernel's objects as the process's network namespace sees them. The target must not be a symbolic link.
    ///
    /// Kernel: a user namespace may mount it only with a network namespace that belongs to it; with a new or joined
    /// user namespace and an inherited network namespace, the caller's `/sys` is bound recursively instead.
    pub fn sysfs(target: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Sysfs, target)
    }

    /// A private set of pseudo terminals, owned by group 5 where that group is mapped.
    pub fn devpts(target: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Devpts, target)
    }

    /// The POSIX message queues of the ipc namespace.
    pub fn mqueue(target: impl Into<PathBuf>) -> Self {
        Self::filesystem("mqueue", target)
    }

    /// The cgroup v2 tree, from the process's own group down when the cgroup namespace is new.
    pub fn cgroup2(target: impl Into<PathBuf>) -> Self {
        Self::filesystem("cgroup2", target)
    }

    /// The cgroup v1 hierarchy of these controllers (`cpu`, or `name=systemd`), as it is mounted on the host.
    pub fn cgroup(target: impl Into<PathBuf>, controllers: &[&str]) -> Self {
        controllers.iter().fold(Self::filesystem("cgroup", target), |mount, controller| {
            match controller.split_once('=') {
                Some((key, value)) => mount.option(key, value),
                None => mount.flag(*controller),
            }
        })
    }

    /// The control groups of the process as the host has them: where it has v1 hierarchies, a directory for each, with
    /// links for controllers that share one; else the cgroup v2 tree.
    ///
    /// With a new cgroup namespace the process's own groups are the roots. Without, the directories of its groups are
    /// bound where there are v1 hierarchies, so that no other group is seen. [`Mount::read_only`] holds for all of them.
    pub fn cgroups(target: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Cgroups(Trees::All), target)
    }

    #[cfg(feature = "oci")]
    pub(crate) fn remount(options: Vec<(String, Option<String>)>, target: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Remount { options }, target)
    }

    #[cfg(feature = "oci")]
    pub(crate) fn cgroups_of_one_version(target: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Cgroups(Trees::OneVersion), target)
    }

    /// A device node.
    ///
    /// Kernel: nobody may make device nodes in a user namespace; there the caller's node of the same path is bound.
    pub fn device(device: Device, target: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Device(device), target)
    }

    /// A symbolic link that says `contents`; one that exists already with the same contents is left.
    pub fn symlink(contents: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Symlink(contents.into()), target)
    }

    /// Hides what is at `target`: a file behind the null device, a directory behind an empty one. Nothing is done
    /// where nothing is there.
    pub fn masked(target: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Masked, target)
    }

    /// Makes what is at `target`, with the mounts below it, read-only. Nothing is done where nothing is there.
    pub fn read_only_path(target: impl Into<PathBuf>) -> Self {
        Self::new(Kind::ReadOnlyPath, target)
    }

    /// Where it appears.
    pub fn target(&self) -> &Path {
        &self.target
    }

    fn with(mut self, attribute: u64) -> Self {
        self.attributes |= attribute;
        self
    }

    /// Nothing can be written through it. A tmpfs, and what is at `/dev`, is so once all other mounts are made.
    #[must_use]
    pub fn read_only(self) -> Self {
        self.with(attribute::READ_ONLY)
    }

    /// Set-user-id bits and file capabilities are ignored.
    #[must_use]
    pub fn no_suid(self) -> Self {
        self.with(attribute::NO_SUID)
    }

    /// Device nodes cannot be opened.
    #[must_use]
    pub fn no_dev(self) -> Self {
        self.with(attribute::NO_DEV)
    }

    /// Programs cannot be executed.
    #[must_use]
    pub fn no_exec(self) -> Self {
        self.with(attribute::NO_EXEC)
    }

    /// Reading leaves access times alone.
    #[must_use]
    pub fn no_atime(self) -> Self {
        self.with(attribute::NO_ATIME)
    }

    /// Reading always sets access times.
    #[must_use]
    pub fn strict_atime(self) -> Self {
        self.with(attribute::STRICT_ATIME)
    }

    /// Reading a directory leaves its access time alone.
    #[must_use]
    pub fn no_dir_atime(self) -> Self {
        self.with(attribute::NO_DIR_ATIME)
    }

    /// Symbolic links in it are not followed.
    #[must_use]
    #[doc(alias = "nosymfollow")]
    pub fn no_symlink_follow(self) -> Self {
        self.with(attribute::NO_SYMLINK_FOLLOW)
    }

    /// Shows the files of a bind under other owners: what belongs on disk to `inside` of a mapping shows as `outside` of
    /// it to the caller, and the other way round for new files.
    ///
    /// So, with the mapping of the process's own user namespace, files show the owners there that they have on disk.
    ///
    /// Mounts below a recursive bind keep their owners, unless [`Mount::id_map_below`] is called as well.
    ///
    /// # Errors
    /// Only binds take it; planning the command fails for others with [`Error::Invalid`](crate::Error::Invalid).
    ///
    /// # Kernel
    /// Linux 5.12, `CAP_SYS_ADMIN` over the file system, and a file system that can: the caller makes the mount.
    #[must_use]
    #[doc(alias = "idmap")]
    pub fn id_map(mut self, uid: Vec<IdMapping>, gid: Vec<IdMapping>) -> Self {
        self.id_map = Some(IdMap { uid, gid, reach: Reach::This, made: None });
        self
    }

    /// Lets [`Mount::id_map`] reach the mounts below as well.
    #[must_use]
    #[doc(alias = "ridmap")]
    pub fn id_map_below(mut self) -> Self {
        if let Some(map) = &mut self.id_map {
            map.reach = Reach::Below;
        }
        self
    }

    /// A new file system begins with a copy of what is at its target, with its owners and modes; without what is mounted
    /// there, sockets, and extended attributes.
    ///
    /// # Errors
    /// As [`Mount::option`].
    #[must_use]
    #[doc(alias = "tmpcopyup")]
    pub fn copy_up(mut self) -> Self {
        match self.kind {
            Kind::Filesystem { .. } => self.contents = Contents::OfTarget,
            _ => self.attributes |= MISPLACED_OPTION,
        }
        self
    }

    /// Who owns a device node; root when not given. Where the caller's node is bound, that keeps its owner.
    #[must_use]
    pub fn owner(mut self, uid: Uid, gid: Gid) -> Self {
        self.owner = Some((uid, gid));
        self
    }

    /// How mounts below it travel; private when not given.
    #[must_use]
    pub fn propagation(mut self, propagation: Propagation) -> Self {
        self.propagation = Some(propagation);
        self
    }

    /// An option of the file system with a value, as in `size=64k`.
    ///
    /// # Errors
    /// Only what [`Mount::filesystem`] and the methods built on it make takes options; planning the command fails for
    /// others with [`Error::Invalid`](crate::Error::Invalid).
    #[must_use]
    pub fn option(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.any_option(key.into(), Some(value.into()))
    }

    /// An option of the file system without a value.
    ///
    /// # Errors
    /// As [`Mount::option`].
    #[must_use]
    pub fn flag(self, key: impl Into<String>) -> Self {
        self.any_option(key.into(), None)
    }

    fn any_option(mut self, key: String, value: Option<String>) -> Self {
        match &mut self.kind {
            Kind::Filesystem { options, .. } => options.push((key, value)),
            _ => self.attributes |= MISPLACED_OPTION,
        }
        self
    }
}

/// Marks a mount that was given an option it cannot take; planning it is an error.
pub(crate) const MISPLACED_OPTION: u64 = 1 << 63;
