//! Making the new process, and turning it into the program.

use std::ffi::{CStr, c_char};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::{io, mem, ptr};

use super::call::{Call, Failure, Outcome, Word, call, int, raw};
use super::stepper;
use crate::plan::Plan;
use crate::plan::step::{Program, Step};

/// A plan with all memory that the new process needs.
pub(crate) struct Prepared<'a> {
    pub(super) plan: &'a Plan,
    /// The new process's end of the socket to the caller.
    pub(super) socket: RawFd,
    /// What `begin` leaves open, sorted.
    pub(super) kept: Vec<RawFd>,
    pub(super) arguments: Vec<*const c_char>,
    pub(super) environment: Vec<*const c_char>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(plan: &'a Plan, socket: &OwnedFd) -> Self {
        let socket = socket.as_raw_fd();
        let mut kept = plan.descriptors.clone();
        kept.push(socket);
        kept.sort_unstable();
        let (arguments, environment) = match plan.child.last() {
            Some(Step::Exec(program)) => (pointers(&program.arguments), pointers(&program.environment)),
            _ => (vec![ptr::null()], vec![ptr::null()]),
        };
        Self { plan, socket, kept, arguments, environment }
    }
}

fn pointers(strings: &[std::ffi::CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// A process that was made.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}

/// Handlers become default actions in the new process, as after an exec, so that none of the caller's runs in it.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Makes the new process (or, for a staged plan, the intermediate one) and runs its steps there.
pub(crate) fn start(prepared: &Prepared<'_>) -> io::Result<Started> {
    let blocked = Blocked::new()?;
    let mut pidfd: RawFd = -1;
    // SAFETY: all zeroes is a value of this plain structure.
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    arguments.flags = CLONE_CLEAR_SIGHAND | libc::CLONE_PIDFD.word();
    arguments.pidfd = ptr::from_mut(&mut pidfd).word();
    arguments.exit_signal = libc::SIGCHLD.word();
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

/// Makes the process of a staged plan, as a child of the caller; returns 0 in it.
pub(super) fn sibling(prepared: &Prepared<'_>) -> Outcome<i32> {
    // SAFETY: all zeroes is a value of this plain structure.
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    // The signal at its end is that of the intermediate process.
    arguments.flags = libc::CLONE_PARENT.word();
    describe(prepared.plan, &mut arguments);
    // SAFETY: as in `start`.
    unsafe { call!(Clone3, ptr::from_ref(&arguments), size_of_val(&arguments)) }.map(int)
}

fn describe(plan: &Plan, arguments: &mut libc::clone_args) {
    arguments.flags |= plan.flags();
    if let Some(cgroup) = plan.cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.word();
    }
}

/// Replaces the process by the first candidate that exists; the pointers end in null.
pub(super) fn execute(program: &Program, arguments: &[*const c_char], environment: &[*const c_char]) -> Outcome<()> {
    let mut worst = Failure { call: Call::Execve, errno: libc::ENOENT };
    for candidate in &program.candidates {
        let Err(failure) = execve(candidate, arguments, environment) else { continue };
        match failure.errno {
            libc::ENOENT | libc::ENOTDIR => {}
            // Somewhere later in PATH may be one that can be executed.
            libc::EACCES => worst = failure,
            _ => return Err(failure),
        }
    }
    Err(worst)
}

fn execve(path: &CStr, arguments: &[*const c_char], environment: &[*const c_char]) -> Outcome<()> {
    // SAFETY: a live C string and two live arrays of live C strings that end in null.
    unsafe { call!(Execve, path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) }.map(drop)
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
