//! A plan with the memory that running it takes.

use std::ffi::c_char;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::AtomicI32;

use super::sibling::SharedWord;
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
    /// Arguments and environment of each hook, ending in null.
    pub(super) hooks: Vec<Pointers>,
    /// Not zero once the caller has the descriptor of the filter.
    pub(super) listening: Option<*const AtomicI32>,
    /// What becomes the first process of a pid namespace when the program is not.
    pub(super) reaper: Option<RawFd>,
    /// The numbers that stay open through the exec, sorted.
    pub(super) inherited: Vec<RawFd>,
    /// Where the kernel writes which process an intermediate one made.
    pub(super) sibling: Option<&'a SharedWord>,
    /// What Landlock shall confine the program by.
    pub(super) ruleset: Option<RawFd>,
    /// What is open while the process waits at a gate, sorted.
    pub(super) kept_at_gate: Vec<RawFd>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        socket: &OwnedFd,
        reaper: Option<&OwnedFd>,
        ruleset: Option<&OwnedFd>,
        sibling: Option<&'a SharedWord>,
    ) -> Self {
        let socket = socket.as_raw_fd();
        let reaper = reaper.map(AsRawFd::as_raw_fd);
        let ruleset = ruleset.map(AsRawFd::as_raw_fd);
        let mut kept = plan.descriptors.clone();
        kept.push(socket);
        kept.extend(reaper);
        kept.extend(ruleset);
        kept.sort_unstable();
        let (arguments, environment) = match plan.child.last() {
            Some(Step::Exec(program)) => (pointers(&program.arguments), pointers(&program.environment)),
            _ => (vec![ptr::null()], vec![ptr::null()]),
        };
        let inherited = inherited(plan);
        let mut kept_at_gate = inherited.clone();
        kept_at_gate.push(socket);
        kept_at_gate.extend(ruleset);
        kept_at_gate.extend(plan.child.iter().filter_map(|step| match step {
            Step::Gate { descriptor, .. } => Some(*descriptor),
            _ => None,
        }));
        kept_at_gate.sort_unstable();
        Self {
            plan,
            socket,
            kept,
            arguments,
            environment,
            texts: texts(plan),
            hooks: hooks(plan),
            listening: None,
            reaper,
            inherited,
            sibling,
            ruleset,
            kept_at_gate,
        }
    }
}

impl Prepared<'_> {
    /// The same with a word that says whether the caller has the descriptor of the filter.
    pub(crate) fn with_listener(mut self, word: Option<&SharedWord>) -> Self {
        self.listening = word.map(SharedWord::address);
        self
    }
}

/// As the steps name them.
fn inherited(plan: &Plan) -> Vec<RawFd> {
    let number = |step: &Step| if let Step::Inherit { number, .. } = step { Some(*number) } else { None };
    let mut numbers: Vec<RawFd> = plan.child.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

type Pointers = (Vec<*const c_char>, Vec<*const c_char>);

/// By the place that each step has among the hooks.
fn hooks(plan: &Plan) -> Vec<Pointers> {
    let of = |step: &Step| match step {
        Step::Hook(hook) => Some((hook.index, (pointers(&hook.arguments), pointers(&hook.environment)))),
        _ => None,
    };
    let mut hooks: Vec<(usize, Pointers)> = plan.child.iter().filter_map(of).collect();
    hooks.sort_by_key(|(index, _)| *index);
    hooks.into_iter().map(|(_, pointers)| pointers).collect()
}

fn texts(plan: &Plan) -> Vec<Vec<u8>> {
    let gate = plan.child.iter().position(|step| matches!(step, Step::Gate { .. })).unwrap_or(plan.child.len());
    let text = |(index, step): (usize, &Step)| if index > gate { step.to_string().into_bytes() } else { Vec::new() };
    plan.child.iter().enumerate().map(text).collect()
}

fn pointers(strings: &[std::ffi::CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}
