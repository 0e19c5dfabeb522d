//! Overlay mounts that are attached to nobody's tree.

mod image;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create, fsconfig_set_fd,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
};

use crate::error::{Error, Result};
use crate::limits::Limit;
use crate::options::{LowerTier, MountOptions};
use crate::plan::{Access, Directory, Step, plan};
use crate::sys::{self, Lease, Named as _};
use crate::whiteout::XattrNamespace;

pub(crate) use image::mount_image;

/// A mounted file system that no path leads to; it ends when the last descriptor of it is closed.
///
/// Files are reached with `openat` beneath the descriptor, or the mount is attached inside another mount namespace,
/// or here with [`DetachedMount::attach`]. As long as this value or its guard lives, the snapshot counts as mounted, for
/// every process; a mount that was turned into a bare descriptor is the caller's to remember.
#[derive(Debug)]
pub struct DetachedMount {
    mount: OwnedFd,
    lease: Option<Lease>,
}

impl DetachedMount {
    /// Attaches the mount to a directory of the caller's own mount namespace until the guard is dropped.
    ///
    /// # Kernel
    /// `move_mount(2)`; needs `CAP_SYS_ADMIN` over the mount namespace.
    pub fn attach(self, at: &Path) -> Result<MountGuard> {
        move_mount(&self.mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).named("move_mount", at)?;
        Ok(MountGuard { mounted: Some(at.to_owned()), _lease: self.lease })
    }

    pub(crate) fn with_lease(self, lease: Lease) -> Self {
        Self { lease: Some(lease), ..self }
    }
}

impl AsFd for DetachedMount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mount.as_fd()
    }
}

impl From<DetachedMount> for OwnedFd {
    fn from(mount: DetachedMount) -> Self {
        mount.mount
    }
}

/// Unmounts when dropped.
#[derive(Debug)]
pub struct MountGuard {
    mounted: Option<PathBuf>,
    _lease: Option<Lease>,
}

impl MountGuard {
    /// Where the mount is.
    pub fn path(&self) -> &Path {
        self.mounted.as_deref().expect("only unmounting takes the path away")
    }

    /// Unmounts and reports a failure, which dropping the guard cannot.
    pub fn unmount(mut self) -> Result<()> {
        let at = self.mounted.take().expect("only unmounting takes the path away");
        rustix::mount::unmount(&at, UnmountFlags::NOFOLLOW).named("umount", &at)
    }
}

impl Drop for MountGuard {
    fn drop(&mut self) {
        if let Some(at) = self.mounted.take() {
            // Nobody is left to tell; lazily, so that an open file does not keep the mount in the tree.
            let _: rustix::io::Result<()> = rustix::mount::unmount(&at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        }
    }
}

/// On which mounts the directories of an overlay mount are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// On those of the caller's namespace, unless there is a reason for another.
    Caller,
    /// Each on one that is attached nowhere, so that it can be attached in another namespace.
    Detached,
}

/// The directories of one mount.
#[derive(Debug)]
pub(crate) struct Directories {
    /// Topmost first, opened for reading.
    pub(crate) lowers: Vec<OwnedFd>,
    /// Mounts that are attached nowhere, of which lower and upper directories are parts.
    pub(crate) detached: Vec<OwnedFd>,
    /// Upper and work directory of a writable mount.
    pub(crate) upper: Option<(OwnedFd, OwnedFd)>,
    /// What the mount that they are on does not honour, which overlay itself would not ask.
    pub(crate) denied: MountAttrFlags,
    /// For messages.
    pub(crate) object: PathBuf,
}

/// Mounts the directories; without a wish of the caller the best way that the kernel takes.
pub(crate) fn mount(
    make: impl Fn(Standing) -> Result<Directories>,
    namespace: XattrNamespace,
    options: MountOptions,
) -> Result<DetachedMount> {
    let directories = &make(Standing::Caller)?;
    if let Some((upper, _)) = &directories.upper {
        refuse_overlay(upper.as_fd(), &directories.object)?;
    }
    let tiers = match options.lowers {
        Some(tier) => vec![tier],
        // Before Linux 6.15 a mount that is attached nowhere can be no lower directory.
        None if !directories.detached.is_empty() => vec![LowerTier::Descriptor, LowerTier::Attached],
        None => vec![LowerTier::Descriptor, LowerTier::Path, LowerTier::OptionString],
    };
    let mut first = None;
    for tier in tiers {
        let mounted = match tier {
            LowerTier::Attached => attached(&make(Standing::Detached)?, namespace, options),
            _ => mount_by(directories, namespace, options, tier),
        };
        match mounted {
            // An older kernel does not know this way of naming a directory, or says so only in the end.
            Err((error, failed))
                if error.errno() == Some(Errno::INVAL.raw_os_error())
                    && (failed == Failed::Directory || !directories.detached.is_empty()) =>
            {
                first.get_or_insert(error);
            }
            Err((error, _)) => return Err(first.unwrap_or(error)),
            Ok(mount) => return Ok(mount),
        }
    }
    Err(first.expect("at least one way was tried"))
}

/// Where a mount failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    /// At a directory, in a way that depends on how it is named.
    Directory,
    /// Elsewhere.
    Otherwise,
}

/// Mounts from a namespace in which all directories are attached somewhere.
fn attached(
    directories: &Directories,
    namespace: XattrNamespace,
    options: MountOptions,
) -> std::result::Result<DetachedMount, (Error, Failed)> {
    let mounted = sys::in_private_namespace(|| {
        for detached in &directories.detached {
            // Nobody looks there: each is reached by its descriptor, on whatever it lies.
            move_mount(detached, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
                .named("move_mount", &directories.object)?;
        }
        Ok(mount_by(directories, namespace, options, LowerTier::Attached))
    });
    mounted.map_err(|error| (error, Failed::Otherwise))?
}

fn mount_by(
    directories: &Directories,
    namespace: XattrNamespace,
    options: MountOptions,
    tier: LowerTier,
) -> std::result::Result<DetachedMount, (Error, Failed)> {
    let otherwise = |error| (error, Failed::Otherwise);
    let access = if directories.upper.is_some() { Access::ReadWrite } else { Access::ReadOnly };
    let steps = plan(directories.lowers.len(), access, namespace, &options, tier).map_err(otherwise)?;
    let context = open_context().map_err(otherwise)?;
    for step in &steps {
        let set = execute(context.as_fd(), step, directories).map_err(otherwise)?;
        set.map_err(|errno| {
            let failed = match step {
                Step::Descriptor(..) | Step::Path(..) | Step::Paths(..) => Failed::Directory,
                Step::Flag(_) | Step::Text(..) => Failed::Otherwise,
            };
            (refused(context.as_fd(), step.to_string(), errno), failed)
        })?;
    }
    fsconfig_create(&context).map_err(|errno| otherwise(refused(context.as_fd(), "create".into(), errno)))?;
    let attributes = match access {
        Access::ReadWrite => MountAttrFlags::empty(),
        Access::ReadOnly => MountAttrFlags::MOUNT_ATTR_RDONLY,
    };
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes | directories.denied)
        .map(|mount| DetachedMount { mount, lease: None })
        .map_err(|errno| otherwise(refused(context.as_fd(), "fsmount".into(), errno)))
}

fn open_context() -> Result<OwnedFd> {
    let missing = |reason: &str| Error::Unsupported { feature: "overlay", reason: reason.to_owned() };
    fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|errno| match errno {
        Errno::NOSYS => missing("the kernel is older than 5.2"),
        Errno::NODEV => missing("the kernel has no overlay file system; is the module loaded?"),
        Errno::PERM => missing("mounting needs CAP_SYS_ADMIN, or a user and mount namespace of one's own"),
        errno => Error::Mount { step: "fsopen".into(), messages: Vec::new(), source: errno.into() },
    })
}

/// The outer error is of this crate, the inner one the kernel's answer to the setting.
fn execute(context: BorrowedFd<'_>, step: &Step, directories: &Directories) -> Result<rustix::io::Result<()>> {
    Ok(match step {
        Step::Flag(key) => fsconfig_set_flag(context, *key),
        Step::Text(key, value) => fsconfig_set_string(context, *key, *value),
        Step::Descriptor(key, directory) => fsconfig_set_fd(context, *key, directories.get(*directory)),
        Step::Path(key, directory) => fsconfig_set_string(context, *key, sys::proc_path(directories.get(*directory))),
        Step::Paths(key, count) => {
            let paths = directories.lowers[..*count].iter().map(sys::proc_path);
            let paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
            let text = paths.join(":");
            // fsconfig takes 255 bytes; all these paths together are one value.
            if text.len() > 255 {
                let fitting = text[..255].matches(':').count() as u64;
                return Err(Error::LimitExceeded { limit: Limit::LowerDirectories, max: fitting });
            }
            fsconfig_set_string(context, *key, text)
        }
    })
}

impl Directories {
    fn get(&self, directory: Directory) -> BorrowedFd<'_> {
        let upper = || self.upper.as_ref().expect("a plan with upper steps has an upper directory");
        match directory {
            Directory::Lower(index) => self.lowers[index].as_fd(),
            Directory::Upper => upper().0.as_fd(),
            Directory::Work => upper().1.as_fd(),
        }
    }
}

/// The kernel's refusal with what it wrote about it.
fn refused(context: BorrowedFd<'_>, step: String, errno: Errno) -> Error {
    let mut messages = Vec::new();
    let mut buffer = [0; 1024];
    // One message a read, then ENODATA.
    while let Ok(count @ 1..) = rustix::io::read(context, &mut buffer) {
        let message = String::from_utf8_lossy(&buffer[..count]);
        messages.push(message.trim_start_matches("e ").trim_end().to_owned());
    }
    Error::Mount { step, messages, source: errno.into() }
}

/// What a mount over this directory has to deny, because the directory's own mount does: set-id bits and devices.
pub(crate) fn denied(directory: BorrowedFd<'_>, object: &Path) -> Result<MountAttrFlags> {
    let found = rustix::fs::fstatvfs(directory).named("fstatvfs", object)?.f_flag;
    let mut denied = MountAttrFlags::empty();
    denied.set(MountAttrFlags::MOUNT_ATTR_NOSUID, found.contains(StatVfsMountFlags::NOSUID));
    denied.set(MountAttrFlags::MOUNT_ATTR_NODEV, found.contains(StatVfsMountFlags::NODEV));
    Ok(denied)
}

/// `OVERLAYFS_SUPER_MAGIC`.
const OVERLAY_MAGIC: i64 = 0x794c_7630;

/// An upper directory on overlay would only fail with "invalid argument".
fn refuse_overlay(upper: BorrowedFd<'_>, object: &Path) -> Result<()> {
    let found = rustix::fs::fstatfs(upper).named("fstatfs", object)?;
    if found.f_type == OVERLAY_MAGIC {
        return Err(Error::UpperOnOverlay { path: object.to_owned() });
    }
    Ok(())
}
