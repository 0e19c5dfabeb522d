//! Making the new process of a plan.

use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::{io, mem, ptr};

use super::call::{Call, Word, call, int, raw};
use super::clone::describe;
use super::prepared::Prepared;
use super::stepper;

/// A process that was made.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}

/// Handlers become default actions in the new process, as after an exec, so that none of the caller's runs in it.
pub(super) const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// Makes the new process (or, for a staged plan, the intermediate one) and runs its steps there.
pub(crate) fn start(prepared: &Prepared<'_>) -> io::Result<Started> {
    let blocked = Blocked::new()?;
    let mut pidfd: RawFd = -1;
    // SAFETY: all zeroes is a value of this plain structure.
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    arguments.flags = CLONE_CLEAR_SIGHAND | libc::CLONE_PIDFD.word();
    arguments.pidfd = ptr::from_mut(&mut pidfd).word();
    // No exit signal: until the exec, which sets SIGCHLD, neither a handler nor a wait for any child of the caller meets
    // the process.
    if prepared.plan.stage.is_empty() {
        describe(prepared.plan, &mut arguments);
    }
    // SAFETY: without CLONE_VM the new process has a copy of this stack and memory. It calls only raw system calls on
    // memory prepared before, and never returns from `run`.
    let result = unsafe { call!(Clone3, ptr::from_ref(&arguments), size_of_val(&arguments)) };
    if let Ok(0) = result {
        stepper::run(prepared);
    }
    let pid = result.map(int).map_err(|failure| io::Error::from_raw_os_error(failure.errno))?;
    drop(blocked);
    // SAFETY: the kernel stored a new descriptor that nothing else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Started { pid, pidfd })
}

/// Every signal blocked in this thread, until dropped: a handler of the caller must not run in the new process before
/// the kernel has cleared it.
struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    fn new() -> io::Result<Self> {
        // SAFETY: all zeroes is a value of this plain structure.
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { (mem::zeroed(), mem::zeroed()) };
        // SAFETY: both point to live signal sets.
        let error = unsafe {
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before)
        };
        if error == 0 { Ok(Self { before }) } else { Err(io::Error::from_raw_os_error(error)) }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: restores a mask that the kernel gave; the call fails only for a bad `how`.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut()) };
    }
}
