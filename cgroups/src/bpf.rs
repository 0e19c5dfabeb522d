//! The device filter of v2: a table of exceptions compiled to a BPF program.

use crate::device::{DeviceAccess, DeviceAction, DeviceKind, DeviceRule};

/// A device filter that is compiled and not yet loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceProgram {
    pub(crate) default: DeviceAction,
    pub(crate) exceptions: Vec<DeviceRule>,
    pub(crate) instructions: Vec<u64>,
}

impl std::fmt::Display for DeviceProgram {
    /// Prints the table that the program decides by.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.default {
            DeviceAction::Allow => "allow all",
            DeviceAction::Deny => "deny all",
        })?;
        let mut separator = " but ";
        for rule in &self.exceptions {
            write!(f, "{separator}{rule}")?;
            separator = ", ";
        }
        Ok(())
    }
}

// Access and kind as the kernel passes them in `struct bpf_cgroup_dev_ctx`.
const MKNOD: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;
const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;

// Operation codes: class, source and operation.
const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb4;
const MOVE_REGISTER: u8 = 0xbc;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP_IF_NOT_EQUAL: u8 = 0x56;
const JUMP_IF_EQUAL: u8 = 0x16;
const JUMP_IF_ANY_BIT: u8 = 0x46;
const EXIT: u8 = 0x95;

// Registers: the answer and scratch; the context; kind, access, major and minor number.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// Compiles a table of exceptions, none of which overrides another.
///
/// An exception from "deny" passes an access that it covers wholly; one from "allow" stops an access of which it
/// covers any part: else opening for reading and writing would get past a rule against writing.
pub(crate) fn compile(default: DeviceAction, exceptions: Vec<DeviceRule>) -> DeviceProgram {
    let mut program = vec![
        instruction(LOAD_WORD, KIND, CONTEXT, 0, 0),
        instruction(MOVE_REGISTER, ACCESS, KIND, 0, 0),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    let (otherwise, exception) = match default {
        DeviceAction::Allow => (1, 0),
        DeviceAction::Deny => (0, 1),
    };
    for rule in &exceptions {
        let block = block(rule, default, exception);
        program.extend(block);
    }
    program.extend([instruction(MOVE, ANSWER, 0, 0, otherwise), instruction(EXIT, 0, 0, 0, 0)]);
    DeviceProgram { default, exceptions, instructions: program }
}

/// The instructions of one exception, each jump of which leads behind the last.
fn block(rule: &DeviceRule, default: DeviceAction, answer: i32) -> Vec<u64> {
    let mut checks: Vec<(u8, u8, i32)> = Vec::new();
    match rule.kind {
        DeviceKind::All => {}
        DeviceKind::Character => checks.push((JUMP_IF_NOT_EQUAL, KIND, CHARACTER)),
        DeviceKind::Block => checks.push((JUMP_IF_NOT_EQUAL, KIND, BLOCK)),
    }
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        checks.extend(number.map(|number| (JUMP_IF_NOT_EQUAL, register, number.cast_signed())));
    }
    let mut block = Vec::with_capacity(8);
    let access = match default {
        // A rule of every access covers each wholly; to tell that costs the kernel more than the rest of the rule.
        DeviceAction::Deny if rule.access == DeviceAccess::ALL && !checks.is_empty() => 0,
        DeviceAction::Deny => 1,
        DeviceAction::Allow => 3,
    };
    let length = checks.len() + access + 2;
    let to_end =
        |position: usize| i16::try_from(length - position - 1).expect("a block has eight instructions at most");
    for (code, register, value) in checks {
        block.push(instruction(code, register, 0, to_end(block.len()), value));
    }
    match (default, access) {
        (_, 0) => {}
        // Any bit outside the rule: not wholly covered.
        (DeviceAction::Deny, _) => {
            block.push(instruction(JUMP_IF_ANY_BIT, ACCESS, 0, to_end(block.len()), !bits(rule.access)));
        }
        // No bit inside the rule: not covered at all.
        (DeviceAction::Allow, _) => {
            block.push(instruction(MOVE_REGISTER, ANSWER, ACCESS, 0, 0));
            block.push(instruction(AND, ANSWER, 0, 0, bits(rule.access)));
            block.push(instruction(JUMP_IF_EQUAL, ANSWER, 0, to_end(block.len()), 0));
        }
    }
    block.push(instruction(MOVE, ANSWER, 0, 0, answer));
    block.push(instruction(EXIT, 0, 0, 0, 0));
    block
}

fn bits(access: DeviceAccess) -> i32 {
    let bit = |set, bit| if set { bit } else { 0 };
    bit(access.mknod, MKNOD) | bit(access.read, READ) | bit(access.write, WRITE)
}

/// `struct bpf_insn` as a number in the machine's byte order.
fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> u64 {
    let registers = if cfg!(target_endian = "little") { destination | source << 4 } else { destination << 4 | source };
    let [offset_0, offset_1] = offset.to_ne_bytes();
    let [immediate_0, immediate_1, immediate_2, immediate_3] = immediate.to_ne_bytes();
    u64::from_ne_bytes([code, registers, offset_0, offset_1, immediate_0, immediate_1, immediate_2, immediate_3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceFilter;
    use proptest::prelude::*;

    #[derive(Debug, Clone, Copy)]
    struct Request {
        kind: i32,
        access: i32,
        major: u32,
        minor: u32,
    }

    /// Runs a program as the kernel would; panics where its verifier would refuse it.
    fn run(program: &[u64], request: Request) -> bool {
        let mut registers: [Option<u32>; 6] = [None; 6];
        let mut at = 0;
        loop {
            let bytes = program[at].to_ne_bytes();
            let (destination, source) = (usize::from(bytes[1] & 15), usize::from(bytes[1] >> 4));
            let offset = usize::try_from(i16::from_ne_bytes([bytes[2], bytes[3]])).expect("jumps lead forward");
            let immediate = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            let read = |register: usize| registers[register].expect("a register is written before it is read");
            at += 1;
            match bytes[0] {
                LOAD_WORD => {
                    registers[destination] = Some(match offset {
                        0 => u32::try_from(request.access << 16 | request.kind).unwrap(),
                        4 => request.major,
                        8 => request.minor,
                        _ => panic!("the context has three words"),
                    });
                }
                MOVE => registers[destination] = Some(immediate),
                MOVE_REGISTER => registers[destination] = Some(read(source)),
                AND => registers[destination] = Some(read(destination) & immediate),
                SHIFT_RIGHT => registers[destination] = Some(read(destination) >> immediate),
                JUMP_IF_NOT_EQUAL if read(destination) != immediate => at += offset,
                JUMP_IF_EQUAL if read(destination) == immediate => at += offset,
                JUMP_IF_ANY_BIT if read(destination) & immediate != 0 => at += offset,
                JUMP_IF_NOT_EQUAL | JUMP_IF_EQUAL | JUMP_IF_ANY_BIT => {}
                EXIT => return read(usize::from(ANSWER)) != 0,
                code => panic!("no code {code:x}"),
            }
        }
    }

    fn matches(rule: &DeviceRule, request: Request) -> bool {
        let kind = match rule.kind {
            DeviceKind::All => true,
            DeviceKind::Character => request.kind == CHARACTER,
            DeviceKind::Block => request.kind == BLOCK,
        };
        kind && rule.major.is_none_or(|it| it == request.major) && rule.minor.is_none_or(|it| it == request.minor)
    }

    /// What the kernel's v1 code answers for a table of exceptions.
    fn v1(default: DeviceAction, exceptions: &[DeviceRule], request: Request) -> bool {
        let mut found = exceptions.iter().filter(|rule| matches(rule, request)).map(|rule| bits(rule.access));
        match default {
            DeviceAction::Deny => found.any(|access| request.access & !access == 0),
            DeviceAction::Allow => !found.any(|access| request.access & access != 0),
        }
    }

    /// What the rules say of one kind of access: the last that matches decides.
    fn last_rule(filter: &DeviceFilter, request: Request) -> bool {
        let rule =
            filter.rules.iter().rev().find(|rule| matches(rule, request) && bits(rule.access) & request.access != 0);
        rule.map_or(filter.default, |rule| rule.action) == DeviceAction::Allow
    }

    fn requests() -> impl Iterator<Item = Request> {
        (0..96).map(|number| Request {
            kind: [BLOCK, CHARACTER][number % 2],
            access: i32::try_from(number / 2 % 8).unwrap(),
            major: [0, 5, u32::MAX][number / 16 % 3],
            minor: [0, 7][number / 48],
        })
    }

    fn rules() -> impl Strategy<Value = DeviceRule> {
        let action = prop_oneof![Just(DeviceAction::Allow), Just(DeviceAction::Deny)];
        let kind = prop_oneof![Just(DeviceKind::All), Just(DeviceKind::Character), Just(DeviceKind::Block)];
        let major = prop_oneof![Just(None), Just(Some(0)), Just(Some(5)), Just(Some(u32::MAX))];
        let minor = prop_oneof![Just(None), Just(Some(0)), Just(Some(7))];
        (action, kind, major, minor, 1_u8..8).prop_map(|(action, kind, major, minor, access)| DeviceRule {
            action,
            kind,
            major,
            minor,
            access: DeviceAccess { read: access & 1 != 0, write: access & 2 != 0, mknod: access & 4 != 0 },
        })
    }

    proptest! {
        #[test]
        fn the_program_answers_as_v1_and_as_the_rules(
            allow: bool,
            rules in proptest::collection::vec(rules(), 0..6),
        ) {
            let default = if allow { DeviceAction::Allow } else { DeviceAction::Deny };
            let filter = DeviceFilter { default, rules };
            // Tables that no exception list can hold are refused, not approximated.
            let Ok(exceptions) = filter.exceptions() else { return Ok(()) };
            let program = compile(default, exceptions.clone());
            for request in requests() {
                let answer = run(&program.instructions, request);
                prop_assert_eq!(answer, v1(default, &exceptions, request), "{} {:?}", program, request);
                if request.access.count_ones() == 1 {
                    prop_assert_eq!(answer, last_rule(&filter, request), "{:?} {:?}", filter, request);
                }
            }
        }
    }

    /// The kernel takes about a microsecond for each instruction that it checks and compiles.
    #[test]
    fn a_rule_of_all_accesses_is_five_instructions() {
        let rule = |access| DeviceRule {
            action: DeviceAction::Allow,
            kind: DeviceKind::Character,
            major: Some(1),
            minor: Some(3),
            access,
        };
        let length = |rules| compile(DeviceAction::Deny, rules).instructions.len();
        let bare = length(vec![]);
        assert_eq!(bare, 8);
        assert_eq!(length(vec![rule(DeviceAccess::ALL)]), bare + 5);
        assert_eq!(length(vec![rule(DeviceAccess::READ_WRITE)]), bare + 6);
    }

    /// The lists of the kernel's device controller of v1, changed by the writes that this crate plans for it.
    struct DevicesOfV1 {
        allows: bool,
        exceptions: Vec<DeviceRule>,
    }

    impl DevicesOfV1 {
        fn new(filter: &DeviceFilter) -> Option<Self> {
            let mut settings = Vec::new();
            crate::v1::devices::plan(filter, &mut settings).ok()?;
            let mut list = Self { allows: true, exceptions: Vec::new() };
            for setting in settings {
                let crate::setting::Action::Write { writes, .. } = setting.action else { continue };
                for write in writes.iter() {
                    list.write(&write.file, write.value());
                }
            }
            Some(list)
        }

        /// `a` empties the list; other rules are exceptions, which are joined where their numbers are the same.
        fn write(&mut self, file: &str, value: &str) {
            let allow = file == crate::v1::devices::ALLOW;
            if value == "a" {
                (self.allows, self.exceptions) = (allow, Vec::new());
                return;
            }
            assert_ne!(allow, self.allows, "a rule that is no exception");
            let words: Vec<&str> = value.split([' ', ':']).collect();
            let [kind, major, minor, access] = words[..] else { panic!("{value}") };
            let number = |text: &str| (text != "*").then(|| text.parse().unwrap());
            let rule = DeviceRule {
                action: DeviceAction::Allow,
                kind: if kind == "c" { DeviceKind::Character } else { DeviceKind::Block },
                major: number(major),
                minor: number(minor),
                access: DeviceAccess {
                    read: access.contains('r'),
                    write: access.contains('w'),
                    mknod: access.contains('m'),
                },
            };
            self.exceptions.push(rule);
        }
    }

    #[test]
    fn every_small_filter_answers_as_v1() {
        let accesses =
            (1_u8..8).map(|bits| DeviceAccess { read: bits & 1 != 0, write: bits & 2 != 0, mknod: bits & 4 != 0 });
        let mut rules = Vec::new();
        for access in accesses {
            for kind in [DeviceKind::All, DeviceKind::Character, DeviceKind::Block] {
                for (major, minor) in [(None, None), (Some(5), None), (None, Some(7)), (Some(5), Some(7))] {
                    for action in [DeviceAction::Allow, DeviceAction::Deny] {
                        rules.push(DeviceRule { action, kind, major, minor, access });
                    }
                }
            }
        }
        let requests: Vec<Request> = (0..56)
            .map(|number| Request {
                kind: [BLOCK, CHARACTER][number % 2],
                access: i32::try_from(number / 2 % 7 + 1).unwrap(),
                major: [0, 5][number / 14 % 2],
                minor: [0, 7][number / 28],
            })
            .collect();
        let (mut compared, mut refused) = (0_u32, 0_u32);
        let lists = rules.iter().flat_map(|first| {
            let pairs = rules.iter().map(move |second| vec![*first, *second]);
            pairs.chain([vec![*first]])
        });
        for list in lists.chain([vec![]]) {
            for default in [DeviceAction::Allow, DeviceAction::Deny] {
                let filter = DeviceFilter { default, rules: list.clone() };
                // Both versions refuse the same filters.
                let (Some(v1_list), Ok(exceptions)) = (DevicesOfV1::new(&filter), filter.exceptions()) else {
                    assert!(filter.exceptions().is_err());
                    refused += 1;
                    continue;
                };
                let of_v1 = if v1_list.allows { DeviceAction::Allow } else { DeviceAction::Deny };
                let program = compile(default, exceptions);
                for request in &requests {
                    let answer = run(&program.instructions, *request);
                    assert_eq!(answer, v1(of_v1, &v1_list.exceptions, *request), "{program} {request:?}");
                }
                compared += 1;
            }
        }
        assert_eq!(compared + refused, 2 * (168 * 168 + 168 + 1));
        assert!(compared > 40_000, "{compared} compared, {refused} refused");
    }

    #[test]
    fn denied_writing_cannot_be_had_beside_reading() {
        let rule = DeviceRule {
            action: DeviceAction::Deny,
            kind: DeviceKind::Character,
            major: Some(1),
            minor: Some(3),
            access: DeviceAccess { write: true, ..DeviceAccess::default() },
        };
        let program = compile(DeviceAction::Allow, vec![rule]);
        let answer = |access| run(&program.instructions, Request { kind: CHARACTER, access, major: 1, minor: 3 });
        assert_eq!((answer(READ), answer(WRITE), answer(READ | WRITE)), (true, false, false));
    }
}
