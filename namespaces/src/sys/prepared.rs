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
    /// What is said of the steps that are behind a gate, where no plan is at hand; by their place in the plan.
    pub(super) texts: Vec<Vec<u8>>,
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
        Self { plan, socket, kept, arguments, environment, texts: texts(plan) }
    }
}

fn texts(plan: &Plan) -> Vec<Vec<u8>> {
    let gate = plan.child.iter().position(|step| matches!(step, Step::Gate { .. })).unwrap_or(plan.child.len());
    let text = |(index, step): (usize, &Step)| if index > gate { step.to_string().into_bytes() } else { Vec::new() };
    plan.child.iter().enumerate().map(text).collect()
}

fn pointers(strings: &[std::ffi::CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}
