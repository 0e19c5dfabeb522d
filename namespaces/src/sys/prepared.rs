//! A plan with the memory that running it takes.

use std::ffi::c_char;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::ptr;

use crate::plan::Plan;
use crate::plan::step::Step;

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
