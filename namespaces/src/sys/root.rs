//! From the caller's root to the container's.

use std::ffi::CStr;
use std::os::fd::RawFd;

use super::call::{Call, Failure, Outcome, Word, call, close, open_place, raw};
use super::filesystem::{
    AT_EMPTY_PATH, AT_RECURSIVE, MOVE_MOUNT_F_EMPTY_PATH, attach, filesystem, own_root, set_attributes,
};
use crate::mount::{Attributes, Reach, attribute};
use crate::plan::step::Old;

/// Sets the propagation of every mount.
pub(super) fn propagate(flag: u64) -> Outcome<()> {
    set_attributes(libc::AT_FDCWD, c"/", AT_RECURSIVE, Attributes::default(), flag)
}

/// Sets the propagation of the root that mounts are made in or, behind the pivot, of the one that there is.
pub(super) fn root_propagation(root: RawFd, flag: u64, reach: Reach) -> Outcome<()> {
    let flags = if reach == Reach::Below { AT_RECURSIVE } else { 0 };
    match root {
        -1 => set_attributes(libc::AT_FDCWD, c"/", flags, Attributes::default(), flag),
        root => set_attributes(root, c"", flags | AT_EMPTY_PATH, Attributes::default(), flag),
    }
}

/// As many directories as a path that the kernel takes can have.
const PARENTS_MAX: u32 = 2048;

/// Makes the mount private that `path` is in: only the root of a mount can be told, so it is looked for upwards.
pub(super) fn private_parent(path: &CStr) -> Outcome<()> {
    let mut place = open_place(libc::AT_FDCWD, path, libc::O_DIRECTORY, 0)?;
    for _ in 0..PARENTS_MAX {
        match root_propagation(place, libc::MS_PRIVATE, Reach::This) {
            Err(Failure { errno: libc::EINVAL, .. }) => {}
            other => {
                close(place)?;
                return other;
            }
        }
        let above = open_place(place, c"..", libc::O_DIRECTORY, 0)?;
        close(place)?;
        place = above;
    }
    Err(Failure { call: Call::MountSetattr, errno: libc::EINVAL })
}

/// Takes a mount of the old tree away or, where that is not allowed, covers it.
pub(super) fn hide(path: &CStr) -> Outcome<()> {
    match set_attributes(libc::AT_FDCWD, path, AT_RECURSIVE, Attributes::default(), libc::MS_SLAVE) {
        // It lay below another one that is hidden by now.
        Err(Failure { errno: libc::ENOENT | libc::EINVAL, .. }) => return Ok(()),
        other => other?,
    }
    // SAFETY: a live C string.
    match unsafe { call!(Umount, path.as_ptr(), libc::MNT_DETACH) } {
        Err(Failure { errno: libc::EINVAL | libc::EPERM, .. }) => {
            let cover = filesystem(c"tmpfs", attribute::READ_ONLY)?;
            attach(cover, libc::AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH)?;
            close(cover)
        }
        other => other.map(drop),
    }
}

/// Moves the mount `root` over the root of the process and makes it that.
pub(super) fn move_root(root: RawFd) -> Outcome<()> {
    attach(root, libc::AT_FDCWD, c"/", MOVE_MOUNT_F_EMPTY_PATH)?;
    // SAFETY: takes no pointer.
    unsafe { call!(Fchdir, root) }?;
    // SAFETY: a live C string.
    unsafe { call!(Chroot, c".".as_ptr()) }?;
    super::call::chdir(c"/")
}

/// Makes `root` the root and leaves the old one.
pub(super) fn pivot(root: RawFd, old: Old) -> Outcome<()> {
    let shared = match old {
        Old::Private => None,
        Old::Shared => Some(own_root()?),
    };
    // SAFETY: takes no pointer.
    unsafe { call!(Fchdir, root) }?;
    // SAFETY: both are live C strings. The old root is stacked over the new one, where the next call finds it.
    unsafe { call!(PivotRoot, c".".as_ptr(), c".".as_ptr()) }?;
    if let Some(old) = shared {
        // What is left here must not go where it is shared.
        root_propagation(old, libc::MS_SLAVE, Reach::Below)?;
        close(old)?;
    }
    // SAFETY: a live C string.
    unsafe { call!(Umount, c".".as_ptr(), libc::MNT_DETACH) }?;
    super::call::chdir(c"/")
}
