//! A policy becomes a program for the kernel.

use std::fmt;
use std::sync::Arc;

use super::assemble::{self, Assembly, CONDITIONS_MAX, Instruction, Width};
use super::call::X32_BIT;
use super::names::{Asked, Names};
use super::policy::{Action, Architecture, Comparison, Condition, Flag, Policy, Rule};
use crate::error::{Error, Result};

/// A policy as the kernel takes it; clones share their memory.
#[derive(Clone)]
pub struct CompiledFilter {
    instructions: Arc<[Instruction]>,
    flags: u32,
    unknown: Arc<[String]>,
    notifies: bool,
}

impl CompiledFilter {
    /// The program.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Names that no architecture of the policy has: rules about them have no effect.
    pub fn unknown_names(&self) -> &[String] {
        &self.unknown
    }

    /// `SECCOMP_FILTER_FLAG_*`.
    pub(crate) fn flags(&self) -> u32 {
        self.flags
    }

    /// Whether it waits for the answers of a listener.
    pub(crate) fn notifies(&self) -> bool {
        self.notifies
    }
}

impl fmt::Debug for CompiledFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.instructions.len();
        f.debug_struct("CompiledFilter")
            .field("instructions", &count)
            .field("flags", &self.flags)
            .finish_non_exhaustive()
    }
}

/// The kernel's `BPF_MAXINSNS`.
const INSTRUCTIONS_MAX: usize = 4096;
const ERRNO_MAX: u16 = 4095;
/// What a tracer makes of a call that shall not be made.
const SKIPPED: u32 = u32::MAX;

impl Policy {
    /// Compiles the policy; reads nothing but it.
    ///
    /// # Errors
    /// Without an architecture, with an error number beyond 4095, with more than 32 conditions in a rule, or when the
    /// program would be longer than the 4096 instructions that the kernel takes.
    pub fn compile(&self) -> Result<CompiledFilter> {
        check(self)?;
        let mut names = Names::of(&self.rules);
        let table = |architecture: &Architecture| {
            let mut asked = names.asked(*architecture);
            asked.retain(|one| one.rule.action != self.default_action);
            (*architecture, asked)
        };
        let tables: Vec<Table<'_>> = self.architectures.iter().map(table).collect();
        let mut assembly = Assembly::default();
        let mut first = assembly.give(Action::KillThread.as_raw());
        for (token, segments) in self.audited(&tables) {
            let place = search(&mut assembly, &segments);
            first = assembly.architecture(token, place, first);
        }
        let code = assembly.finish(first);
        if code.len() > INSTRUCTIONS_MAX {
            let reason = "the kernel takes no filter of more than 4096 instructions";
            return Err(Error::invalid("seccomp", format!("{} instructions", code.len()), reason));
        }
        let flag = |flag: &Flag| match flag {
            Flag::Log => 1 << 1,
            Flag::SpecAllow => 1 << 2,
            Flag::WaitKillable => 1 << 5,
        };
        Ok(CompiledFilter {
            instructions: code.into(),
            flags: self.flags.iter().fold(0, |flags, one| flags | flag(one)),
            unknown: names.unknown().into(),
            notifies: self.actions().any(|action| action == Action::Notify),
        })
    }

    fn actions(&self) -> impl Iterator<Item = Action> {
        self.rules.iter().map(|rule| rule.action).chain([self.default_action])
    }

    /// What the kernel calls an architecture, with the decisions about its numbers.
    fn audited(&self, tables: &[Table<'_>]) -> Vec<(u32, Vec<Segment>)> {
        let calls = |wanted| {
            let table = tables.iter().find(|(architecture, _)| *architecture == wanted);
            table.map(|(_, asked)| asked.as_slice())
        };
        let mut audited = Vec::new();
        let (x86_64, x32) = (calls(Architecture::X86_64), calls(Architecture::X32));
        if x86_64.is_some() || x32.is_some() {
            let mut segments = Vec::new();
            segments.extend(self.or_killed(x86_64, Width::All64, 0, X32_BIT));
            segments.extend(self.or_killed(x32, Width::Lower32, X32_BIT, SKIPPED));
            segments.push(Segment::plain(SKIPPED, self.default_action.as_raw()));
            audited.push((0xc000_003e, merged(segments)));
        }
        if let Some(calls) = calls(Architecture::X86) {
            audited.push((0x4000_0003, merged(self.segments(calls, Width::Lower32, 0))));
        }
        if let Some(calls) = calls(Architecture::Aarch64) {
            audited.push((0xc000_00b7, merged(self.segments(calls, Width::All64, 0))));
        }
        audited
    }

    fn or_killed(&self, calls: Option<&[Asked<'_>]>, width: Width, first: u32, end: u32) -> Vec<Segment> {
        match calls {
            None => vec![Segment::plain(first, Action::KillThread.as_raw())],
            Some(calls) => {
                let segments = self.segments(calls, width, first);
                segments.into_iter().filter(|segment| segment.first < end).collect()
            }
        }
    }

    /// The decisions about all numbers from `first` on.
    fn segments(&self, calls: &[Asked<'_>], width: Width, first: u32) -> Vec<Segment> {
        let default = self.default_action.as_raw();
        let mut segments = Vec::with_capacity(2 * calls.len() + 1);
        segments.push(Segment::plain(first, default));
        for same in calls.chunk_by(|one, next| one.number == next.number) {
            let number = same[0].number;
            let decision = decision(same);
            if segments.last().is_some_and(|last| last.first == number) {
                segments.pop();
            }
            segments.push(Segment { first: number, code: decision.code(width, default) });
            segments.extend(number.checked_add(1).map(|next| Segment::plain(next, default)));
        }
        segments
    }
}

type Table<'a> = (Architecture, Vec<Asked<'a>>);

fn check(policy: &Policy) -> Result<()> {
    if policy.architectures.is_empty() {
        return Err(Error::invalid("seccomp", "", "a policy needs an architecture"));
    }
    if policy.flags.contains(&Flag::WaitKillable) && policy.actions().all(|action| action != Action::Notify) {
        return Err(Error::invalid("seccomp", "WaitKillable", "takes a rule that asks a listener"));
    }
    let beyond = |action| matches!(action, Action::Errno(number) if number > ERRNO_MAX);
    if let Some(action) = policy.actions().find(|action| beyond(*action)) {
        return Err(Error::invalid("seccomp", format!("{action:?}"), "error numbers end at 4095"));
    }
    let too_long = |rule: &&Rule| rule.conditions.len() > CONDITIONS_MAX;
    if let Some(rule) = policy.rules.iter().find(too_long) {
        let value = format!("{} conditions", rule.conditions.len());
        return Err(Error::invalid("seccomp", value, "a rule has 32 conditions at most"));
    }
    Ok(())
}

/// What becomes of the number that all these rules are about.
fn decision(asked: &[Asked<'_>]) -> Decision {
    let mut decision = Decision::default();
    for one in asked {
        let conditions = one.rule.conditions.iter().copied();
        let conditions = match one.through {
            None => conditions.collect(),
            Some(first) => {
                let which = Condition { argument: 0, comparison: Comparison::Equal(first.into()) };
                [which].into_iter().chain(conditions.filter(|condition| condition.argument != 0)).collect()
            }
        };
        decision.add(conditions, one.rule.action);
    }
    decision
}

/// What becomes of one number.
#[derive(Debug, Default)]
struct Decision {
    always: Option<Action>,
    conditional: Vec<(Vec<Condition>, Action)>,
}

impl Decision {
    fn add(&mut self, conditions: Vec<Condition>, action: Action) {
        if conditions.is_empty() {
            self.always.get_or_insert(action);
        } else {
            self.conditional.push((conditions, action));
        }
    }

    fn code(&self, width: Width, default: u32) -> Code {
        if let Some(action) = self.always {
            return Code::Give(action.as_raw());
        }
        let rules = self.conditional.iter();
        let code = rules.flat_map(|(conditions, action)| assemble::when_all(conditions, width, action.as_raw()));
        Code::Block(code.chain([assemble::give(default)]).collect())
    }
}

/// What becomes of the numbers from one on, to the next segment.
#[derive(Debug)]
struct Segment {
    first: u32,
    code: Code,
}

#[derive(Debug, PartialEq, Eq)]
enum Code {
    Give(u32),
    /// Compares arguments and ends in a return.
    Block(Vec<Instruction>),
}

impl Segment {
    fn plain(first: u32, action: u32) -> Self {
        Self { first, code: Code::Give(action) }
    }
}

/// Without those that repeat their predecessor.
fn merged(mut segments: Vec<Segment>) -> Vec<Segment> {
    segments.dedup_by(|next, previous| next.code == previous.code);
    segments
}

/// Finds the segment of the number that was loaded, by halves; gives the place where that begins.
fn search(assembly: &mut Assembly, segments: &[Segment]) -> usize {
    let (below, above) = segments.split_at(segments.len() / 2);
    match (below, above) {
        ([], [Segment { code: Code::Give(action), .. }, ..]) => assembly.give(*action),
        ([], [Segment { code: Code::Block(code), .. }, ..]) => assembly.block(code),
        (_, []) => unreachable!("an architecture has a segment, and the upper half is not the smaller one"),
        (_, [first, ..]) => {
            let upper = search(assembly, above);
            let lower = search(assembly, below);
            assembly.divide(first.first, lower, upper)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(change: impl FnOnce(&mut Policy)) -> Result<CompiledFilter> {
        let mut policy = Policy::new(Action::Allow);
        change(&mut policy);
        policy.compile()
    }

    #[test]
    fn what_the_kernel_would_refuse_is_refused() {
        assert!(compiled(|_| {}).is_ok());
        assert!(compiled(|policy| policy.architectures.clear()).is_err());
        assert!(compiled(|policy| policy.default_action = Action::Errno(4096)).is_err());
        assert!(compiled(|policy| policy.default_action = Action::Errno(4095)).is_ok());
        let condition = Condition::new(5, Comparison::MaskedEqual { mask: 7 << 30, value: 0 }).unwrap();
        let rule =
            |count| Rule { names: vec!["read".into()], action: Action::Trap, conditions: vec![condition; count] };
        assert!(compiled(|policy| policy.rules = vec![rule(32)]).is_ok());
        assert!(compiled(|policy| policy.rules = vec![rule(33)]).is_err());
        assert!(compiled(|policy| policy.rules = vec![rule(32); 30]).is_err());
        assert!(Condition::new(6, Comparison::Equal(0)).is_err());
    }

    #[test]
    fn unknown_names_are_told() {
        let rule = Rule::new(["nosuch", "read", "nosuch", "clone8"], Action::Trap);
        let filter = compiled(|policy| policy.rules.push(rule)).unwrap();
        assert_eq!(filter.unknown_names(), ["clone8", "nosuch"]);
    }

    #[test]
    fn a_containers_filter_is_small() {
        let filter = Policy::container(crate::CapabilitySet::DOCKER).compile().unwrap();
        assert!(filter.instructions().len() < 400, "{filter:?}");
        assert_eq!((filter.flags(), filter.notifies()), (0, false));
    }
}
