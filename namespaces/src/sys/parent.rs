//! Calls of the caller that no safe crate offers.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;

use super::call::{Failure, setns, unshare};
use crate::kind::Namespace;

fn error(failure: Failure) -> io::Error {
    io::Error::from_raw_os_error(failure.errno)
}

/// Gives the calling thread a network namespace of its own.
pub(crate) fn new_net_namespace() -> io::Result<()> {
    unshare(Namespace::Net.flag()).map_err(error)
}

/// Moves the calling thread into a mount namespace.
pub(crate) fn join_mount(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    // The kernel refuses while root and working directory are shared with the other threads.
    unshare(libc::CLONE_FS.cast_unsigned()).map_err(error)?;
    setns(descriptor.as_raw_fd(), Namespace::Mount.flag()).map_err(error)
}

/// Whether the kernel lets the caller look at its session keyring.
pub(crate) fn has_keyrings() -> bool {
    const KEYCTL_GET_KEYRING_ID: u32 = 0;
    const SESSION_KEYRING: i32 = -3;
    // SAFETY: takes numbers; nothing is created.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_GET_KEYRING_ID, SESSION_KEYRING, 0) };
    let refused = [libc::ENOSYS, libc::EPERM, libc::EACCES];
    result != -1 || !io::Error::last_os_error().raw_os_error().is_some_and(|errno| refused.contains(&errno))
}

/// Asks for explained errors without a copy of the request, and for strictly checked dumps.
pub(crate) fn set_netlink_options(socket: BorrowedFd<'_>) -> io::Result<()> {
    for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK, libc::NETLINK_GET_STRICT_CHK] {
        let on: libc::c_int = 1;
        let value = ptr::from_ref(&on).cast();
        let length = libc::socklen_t::try_from(size_of_val(&on)).map_err(io::Error::other)?;
        // SAFETY: the value is a live int of the length given.
        let result = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_NETLINK, option, value, length) };
        if result == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Sends a signal to the process of a pidfd.
pub(crate) fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let (number, information) = (libc::SYS_pidfd_send_signal, ptr::null::<libc::siginfo_t>());
    // SAFETY: a null siginfo asks the kernel to fill one in.
    let result = unsafe { libc::syscall(number, pidfd.as_raw_fd(), signal, information, 0) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
