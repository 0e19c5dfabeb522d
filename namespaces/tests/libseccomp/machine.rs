//! The kernel's machine for classic BPF, as far as filters of system calls use it.

/// What a filter sees of a call.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Data {
    pub(crate) number: u32,
    pub(crate) architecture: u32,
    pub(crate) arguments: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        let half = |value: u64, at: u32| if at == 0 { value as u32 } else { (value >> 32) as u32 };
        match offset {
            0 => self.number,
            4 => self.architecture,
            16..64 => half(self.arguments[(offset as usize - 16) / 8], offset % 8),
            _ => panic!("a load from {offset}"),
        }
    }
}

/// What a filter answered, and whether it looked at arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) action: u32,
    pub(crate) looked: bool,
}

/// Code, jump when true, jump when false, operand.
pub(crate) type Instruction = (u16, u8, u8, u32);

pub(crate) fn run(program: &[Instruction], data: &Data) -> Answer {
    let (mut at, mut accumulator, mut looked) = (0, 0_u32, false);
    loop {
        let (code, yes, no, operand) = program[at];
        at += 1;
        let mut branch = |holds| at += usize::from(if holds { yes } else { no });
        match code {
            0x20 => {
                assert_eq!(operand % 4, 0, "an unaligned load");
                accumulator = data.word(operand);
                looked |= operand >= 16;
            }
            0x54 => accumulator &= operand,
            0x05 => at += operand as usize,
            0x15 => branch(accumulator == operand),
            0x25 => branch(accumulator > operand),
            0x35 => branch(accumulator >= operand),
            0x06 => return Answer { action: operand, looked },
            _ => panic!("instruction {code:#x}"),
        }
    }
}
