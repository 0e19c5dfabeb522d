//! Mount namespaces of one thread, and mounts that show other owners.
#![expect(unsafe_code, reason = "rustix has no safe unshare and no mount_setattr")]

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::mount::{MountPropagationFlags, OpenTreeFlags, mount_change, open_tree};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::Named as _;
use crate::error::Result;

/// Runs a function on a thread of its own in a new mount namespace, which nobody else sees and which ends with it.
///
/// # Kernel
/// `unshare(2)`; needs `CAP_SYS_ADMIN`.
pub(crate) fn in_private_namespace<T: Send>(body: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let object = Path::new("a mount namespace for one thread");
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("overlay-mount".to_owned()).spawn_scoped(scope, || {
            // SAFETY: only the mount namespace, and with it the root and working directory, become the thread's own;
            // descriptors stay shared.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.named("unshare", object)?;
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", private).named("make mounts private", object)?;
            body()
        });
        match thread.named("start a thread", object)?.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// `struct mount_attr`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// `MOUNT_ATTR_IDMAP`.
const IDMAP: u64 = 0x0010_0000;

/// Makes a mount that is attached nowhere show its owners as a user namespace maps them.
///
/// # Kernel
/// Linux 5.12 (`mount_setattr`); which file systems take part grows with each version.
pub(crate) fn idmap(mount: BorrowedFd<'_>, user_namespace: BorrowedFd<'_>) -> std::io::Result<()> {
    let attributes = MountAttributes {
        set: IDMAP,
        clear: 0,
        propagation: 0,
        user_namespace: u64::try_from(user_namespace.as_raw_fd()).expect("a descriptor is not negative"),
    };
    // SAFETY: the path is an empty C string, and the record is read only, with its own size.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            std::ptr::from_ref(&attributes),
            size_of::<MountAttributes>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// A mount of a directory that is attached nowhere.
pub(crate) fn clone_mount(directory: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(directory, "", flags)
}
