//! Programs of classic BPF over `struct seccomp_data`.

use std::collections::BTreeMap;

use super::policy::{Comparison, Condition};

/// One instruction of classic BPF.
///
/// Kernel: `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How many instructions to skip when a comparison holds.
    pub jump_true: u8,
    /// How many to skip when it does not.
    pub jump_false: u8,
    /// A value or an offset.
    pub operand: u32,
}

/// Where the number of the call lies.
const NUMBER: u32 = 0;
/// Where the architecture lies.
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
const JUMP: u16 = 0x05;
const EQUAL: u16 = 0x15;
const GREATER: u16 = 0x25;
const GREATER_OR_EQUAL: u16 = 0x35;

/// How wide the arguments of a call are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Lower32,
    All64,
}

const fn instruction(code: u16, operand: u32) -> Instruction {
    Instruction { code, jump_true: 0, jump_false: 0, operand }
}

const fn load(offset: u32) -> Instruction {
    instruction(LOAD, offset)
}

pub(super) const fn give(action: u32) -> Instruction {
    instruction(RETURN, action)
}

/// A program that is written from its end, so that every jump knows its distance.
///
/// Places are counted from the end and stay as they are when more is put before them.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    reversed: Vec<Instruction>,
    /// Where each action was returned last.
    returns: BTreeMap<u32, usize>,
}

impl Assembly {
    /// Returns `action`, by a return that is near enough if there is one.
    pub(super) fn give(&mut self, action: u32) -> usize {
        match self.returns.get(&action) {
            Some(place) if self.distance(*place) < REUSE_MAX => *place,
            _ => {
                let place = self.put(give(action));
                self.returns.insert(action, place);
                place
            }
        }
    }

    /// Puts instructions that end in a return.
    pub(super) fn block(&mut self, code: &[Instruction]) -> usize {
        self.reversed.extend(code.iter().rev());
        self.reversed.len() - 1
    }

    /// Goes on at `above` when the accumulator is at least `bound`, and at `below` otherwise.
    pub(super) fn divide(&mut self, bound: u32, below: usize, above: usize) -> usize {
        self.test(instruction(GREATER_OR_EQUAL, bound), above, below)
    }

    /// Loads the number of the call and goes on at `place` when the architecture is `token`.
    pub(super) fn architecture(&mut self, token: u32, place: usize, otherwise: usize) -> usize {
        self.goto(place);
        let then = self.put(load(NUMBER));
        self.test(instruction(EQUAL, token), then, otherwise)
    }

    /// The whole program, which begins by loading the architecture and goes on at `first`.
    pub(super) fn finish(mut self, first: usize) -> Vec<Instruction> {
        self.goto(first);
        self.put(load(ARCHITECTURE));
        self.reversed.reverse();
        self.reversed
    }

    fn put(&mut self, one: Instruction) -> usize {
        self.reversed.push(one);
        self.reversed.len() - 1
    }

    /// How many instructions lie between the next one to be put and `place`.
    fn distance(&self, place: usize) -> usize {
        self.reversed.len() - place - 1
    }

    /// What is put next falls through to `place`.
    fn goto(&mut self, place: usize) {
        if self.distance(place) > 0 {
            self.put(jump(self.distance(place)));
        }
    }

    fn test(&mut self, mut test: Instruction, yes: usize, no: usize) -> usize {
        let (yes, no) = (self.reachable(yes), self.reachable(no));
        test.jump_true = near(self.distance(yes));
        test.jump_false = near(self.distance(no));
        self.put(test)
    }

    /// `place`, or a jump to it where a test could not reach it over one more jump.
    fn reachable(&mut self, place: usize) -> usize {
        if self.distance(place) < usize::from(u8::MAX) { place } else { self.put(jump(self.distance(place))) }
    }
}

/// Nearer returns are used again: there is room for what stands between a return and the test that goes to it.
const REUSE_MAX: usize = 200;

fn jump(length: usize) -> Instruction {
    instruction(JUMP, u32::try_from(length).unwrap_or(u32::MAX))
}

/// Where a comparison goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Next,
    /// Behind this condition: it holds.
    Holds,
    /// Behind the whole rule: it does not hold.
    Fails,
}

/// A piece of a condition.
#[derive(Debug, Clone, Copy)]
enum Piece {
    Plain(Instruction),
    Test { code: u16, operand: u32, yes: To, no: To },
}

/// `give(action)` when all conditions hold, or else what follows.
pub(super) fn when_all(conditions: &[Condition], width: Width, action: u32) -> Vec<Instruction> {
    // Pieces are resolved from the end, where the distances are known.
    let mut reversed = vec![give(action)];
    for condition in conditions.iter().rev() {
        let behind = reversed.len();
        for piece in pieces(condition, width).into_iter().rev() {
            let distance = |to| match to {
                To::Next => 0,
                To::Holds => reversed.len() - behind,
                To::Fails => reversed.len(),
            };
            reversed.push(match piece {
                Piece::Plain(plain) => plain,
                Piece::Test { code, operand, yes, no } => {
                    Instruction { code, jump_true: near(distance(yes)), jump_false: near(distance(no)), operand }
                }
            });
        }
    }
    reversed.reverse();
    reversed
}

fn near(distance: usize) -> u8 {
    u8::try_from(distance).expect("farther places are reached by a jump, and a rule's conditions are limited")
}

/// How many conditions of a rule fit its jumps.
pub(super) const CONDITIONS_MAX: usize = 32;

fn pieces(condition: &Condition, width: Width) -> Vec<Piece> {
    use To::{Fails, Holds, Next};
    let (equal, greater, or_equal) = (EQUAL, GREATER, GREATER_OR_EQUAL);
    match condition.comparison {
        Comparison::Equal(value) => same(condition.argument, u64::MAX, value, width),
        Comparison::MaskedEqual { mask, value } => same(condition.argument, mask, value & mask, width),
        Comparison::NotEqual(value) => {
            let last = Piece::Test { code: equal, operand: low(value), yes: Fails, no: Next };
            ordered(
                condition.argument,
                width,
                [Piece::Test { code: equal, operand: high(value), yes: Next, no: Holds }],
                last,
            )
        }
        Comparison::Greater(value) => above(condition.argument, value, width, greater, (Holds, Fails, Next, Fails)),
        Comparison::GreaterOrEqual(value) => {
            above(condition.argument, value, width, or_equal, (Holds, Fails, Next, Fails))
        }
        Comparison::Less(value) => above(condition.argument, value, width, or_equal, (Fails, Holds, Fails, Next)),
        Comparison::LessOrEqual(value) => above(condition.argument, value, width, greater, (Fails, Holds, Fails, Next)),
    }
}

/// Compares the upper half first; the outcomes are: greater there, less there, last test true, last test false.
fn above(argument: u8, value: u64, width: Width, code: u16, outcomes: (To, To, To, To)) -> Vec<Piece> {
    let (greater, less, yes, no) = outcomes;
    let upper = [
        Piece::Test { code: GREATER, operand: high(value), yes: greater, no: To::Next },
        Piece::Test { code: EQUAL, operand: high(value), yes: To::Next, no: less },
    ];
    ordered(argument, width, upper, Piece::Test { code, operand: low(value), yes, no })
}

fn ordered<const N: usize>(argument: u8, width: Width, upper: [Piece; N], last: Piece) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if width == Width::All64 {
        pieces.push(Piece::Plain(load(offset(argument) + 4)));
        pieces.extend(upper);
    }
    pieces.push(Piece::Plain(load(offset(argument))));
    pieces.push(last);
    pieces
}

fn same(argument: u8, mask: u64, value: u64, width: Width) -> Vec<Piece> {
    let half = |offset: u32, mask: u32, value: u32| {
        let masked = (mask != u32::MAX).then_some(Piece::Plain(instruction(AND, mask)));
        let test = Piece::Test { code: EQUAL, operand: value, yes: To::Next, no: To::Fails };
        [Some(Piece::Plain(load(offset))), masked, Some(test)].into_iter().flatten()
    };
    let lower = half(offset(argument), low(mask), low(value));
    match width {
        Width::Lower32 => lower.collect(),
        Width::All64 => half(offset(argument) + 4, high(mask), high(value)).chain(lower).collect(),
    }
}

fn offset(argument: u8) -> u32 {
    ARGUMENTS + 8 * u32::from(argument)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is asked for")]
const fn low(value: u64) -> u32 {
    value as u32
}

const fn high(value: u64) -> u32 {
    low(value >> 32)
}
