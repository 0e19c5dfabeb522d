//! A filter that asks a listener: its descriptor goes to the caller before any call can be held up.
//!
//! Once the filter is in, every call of the process is decided by it, and whom it asks does not listen yet. So the
//! process tells beforehand which number the descriptor will have, makes no call afterwards, and looks at a word of
//! shared memory until the caller has taken the descriptor.

use std::hint::spin_loop;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use super::call::{Call, Failure, Outcome, Word, call, close, close_on_exec_all_but, int, raw, write};
use super::credential::{FILTER_NEW_LISTENER, install};
use super::message::Message;
use super::prepared::Prepared;
use crate::seccomp::CompiledFilter;

/// How often the process looks: some seconds, after which the caller is taken for gone.
const LOOKS_MAX: u32 = 200_000_000;

/// Installs the filter and waits until the caller has its descriptor. The caller is told nothing afterwards.
pub(super) fn listen(prepared: &Prepared<'_>, socket: RawFd, filter: &CompiledFilter) -> Outcome<()> {
    close_on_exec_all_but(&prepared.inherited)?;
    // The lowest number that is free: that of the next descriptor.
    // SAFETY: takes numbers.
    let descriptor = unsafe { call!(Fcntl, socket, libc::F_DUPFD_CLOEXEC, 0) }.map(int)?;
    close(descriptor)?;
    write(socket, &Message::Listening { descriptor }.encode())?;
    let listener = install(filter, FILTER_NEW_LISTENER)?;
    if int(listener) != descriptor {
        return Err(Failure { call: Call::Seccomp, errno: libc::EBADF });
    }
    let Some(word) = prepared.listening else {
        return Err(Failure { call: Call::Seccomp, errno: libc::EFAULT });
    };
    taken(word)?;
    // The filter may hold it up like any other.
    close(socket)
}

fn taken(word: *const AtomicI32) -> Outcome<()> {
    for _ in 0..LOOKS_MAX {
        // SAFETY: the mapping is shared with the caller, live in this process whatever becomes of that, and aligned.
        if unsafe { &*word }.load(Ordering::Acquire) != 0 {
            return Ok(());
        }
        spin_loop();
    }
    Err(Failure { call: Call::Seccomp, errno: libc::ETIMEDOUT })
}

/// A copy of a descriptor of another process.
pub(crate) fn copy_descriptor(pidfd: BorrowedFd<'_>, descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers, and gives a new descriptor.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), descriptor, 0) };
    match RawFd::try_from(result) {
        // SAFETY: nothing else owns the new descriptor.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}
