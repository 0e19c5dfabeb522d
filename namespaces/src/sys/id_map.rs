//! Mounts whose files show other owners: made by the caller, who has the right over the file system.

use std::ffi::CStr;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;

use super::call::{Call, Failure, Word, call, int, raw};
use super::start::{CLONE_CLEAR_SIGHAND, Started};
use crate::kind::Namespace;
use crate::mount::Reach;

const OPEN_TREE_CLONE: u32 = 1;
const OPEN_TREE_CLOEXEC: u32 = 0o2_000_000;
const AT_RECURSIVE: u32 = 0x8000;
const AT_EMPTY_PATH: u32 = 0x1000;
const MOUNT_ATTR_IDMAP: u64 = 0x10_0000;

fn error(failure: Failure) -> io::Error {
    io::Error::from_raw_os_error(failure.errno)
}

/// A process that does nothing, in a user namespace of its own.
pub(crate) fn holder() -> io::Result<Started> {
    let mut pidfd = -1;
    // SAFETY: all zeroes is a value of this plain structure.
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    arguments.flags = u64::from(Namespace::User.flag()) | libc::CLONE_PIDFD.word() | CLONE_CLEAR_SIGHAND;
    arguments.pidfd = ptr::from_mut(&mut pidfd).word();
    // SAFETY: without CLONE_VM the new process has a copy of this stack; it makes raw calls and never returns.
    let result = unsafe { call!(Clone3, ptr::from_ref(&arguments), size_of_val(&arguments)) };
    if let Ok(0) = result {
        idle();
    }
    let pid = result.map(int).map_err(error)?;
    // SAFETY: the kernel stored a new descriptor that nothing else owns.
    Ok(Started { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
}

/// Until it is killed, by who made it or by the end of who made it.
fn idle() -> ! {
    let orphan = super::call::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL.word(), 0);
    loop {
        // SAFETY: takes no argument that is read.
        let waited = unsafe { call!(Ppoll, ptr::null::<u8>(), 0, ptr::null::<u8>(), ptr::null::<u8>(), 8) };
        if orphan.is_err() || waited.is_ok() {
            super::call::exit(1);
        }
    }
}

/// A detached copy of the mount at `path`, its owners changed by the mapping of a user namespace, so far down as told.
pub(crate) fn mapped_tree(path: &CStr, copy: Reach, map: Reach, users: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let below = |reach: Reach| if reach == Reach::Below { AT_RECURSIVE } else { 0 };
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | below(copy);
    // SAFETY: a live C string.
    let tree = unsafe { call!(OpenTree, libc::AT_FDCWD, path.as_ptr(), flags) }.map(int).map_err(error)?;
    // SAFETY: the kernel gave a new descriptor that nothing else owns.
    let tree = unsafe { OwnedFd::from_raw_fd(tree) };
    // struct mount_attr: set, clear, propagation, user namespace.
    let attributes = [MOUNT_ATTR_IDMAP, 0, 0, users.as_raw_fd().word()];
    let (raw_tree, flags, size) = (tree.as_raw_fd(), AT_EMPTY_PATH | below(map), size_of_val(&attributes));
    // SAFETY: a live C string and a live structure of the size given.
    unsafe { call!(MountSetattr, raw_tree, c"".as_ptr(), flags, attributes.as_ptr(), size) }.map_err(error)?;
    Ok(tree)
}
