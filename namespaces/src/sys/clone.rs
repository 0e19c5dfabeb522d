//! Making a process by clone3, and turning it into the program.

use std::ffi::{CStr, c_char};
use std::{mem, ptr};

use super::call::{Call, Failure, Outcome, Word, call, int, raw};
use super::prepared::Prepared;
use super::status::is_directory_at;
use crate::plan::Plan;
use crate::plan::step::{Program, Step};

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Makes the process of a staged plan, as a child of the caller; returns 0 in it.
pub(super) fn sibling(prepared: &Prepared<'_>) -> Outcome<i32> {
    // SAFETY: all zeroes is a value of this plain structure.
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    // The signal at its end is that of the intermediate process: none until the exec.
    arguments.flags = libc::CLONE_PARENT.word();
    if let Some(sibling) = prepared.sibling {
        arguments.flags |= libc::CLONE_PARENT_SETTID.word();
        arguments.parent_tid = sibling.address().word();
    }
    describe(prepared.plan, &mut arguments);
    // SAFETY: as in `start`.
    unsafe { call!(Clone3, ptr::from_ref(&arguments), size_of_val(&arguments)) }.map(int)
}

pub(super) fn describe(plan: &Plan, arguments: &mut libc::clone_args) {
    arguments.flags |= plan.flags();
    if let Some(cgroup) = plan.cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.word();
    }
}

/// Replaces the process by the first candidate that exists; the pointers end in null.
pub(super) fn execute(program: &Program, arguments: &[*const c_char], environment: &[*const c_char]) -> Outcome<()> {
    first(program, |candidate| execve(candidate, arguments, environment))
}

/// Whether there is a candidate that the process may execute.
pub(super) fn find(prepared: &Prepared<'_>) -> Outcome<()> {
    match prepared.plan.child.last() {
        Some(Step::Exec(program)) => first(program, executable),
        _ => Ok(()),
    }
}

/// Tries the candidates in turn, up to one that does not fail.
fn first(program: &Program, attempt: impl Fn(&CStr) -> Outcome<()>) -> Outcome<()> {
    let mut worst = Failure { call: Call::Execve, errno: libc::ENOENT };
    for candidate in &program.candidates {
        let Err(failure) = attempt(candidate) else { return Ok(()) };
        match failure.errno {
            libc::ENOENT | libc::ENOTDIR => {}
            // Somewhere later in PATH may be one that can be executed.
            libc::EACCES => worst = failure,
            _ => return Err(failure),
        }
    }
    Err(worst)
}

pub(super) fn executable(path: &CStr) -> Outcome<()> {
    if is_directory_at(path)? {
        return Err(Failure { call: Call::Execve, errno: libc::EACCES });
    }
    // SAFETY: a live C string.
    unsafe { call!(Faccessat2, libc::AT_FDCWD, path.as_ptr(), libc::X_OK, libc::AT_EACCESS) }.map(drop)
}

pub(super) fn execve(path: &CStr, arguments: &[*const c_char], environment: &[*const c_char]) -> Outcome<()> {
    // SAFETY: a live C string and two live arrays of live C strings that end in null.
    unsafe { call!(Execve, path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) }.map(drop)
}
