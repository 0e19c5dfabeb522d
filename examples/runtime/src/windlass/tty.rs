//! The terminal that windlass is called from.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

/// A terminal that passes every key on, until this is dropped.
#[derive(Debug)]
pub(super) struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    /// `None` for what is no terminal.
    pub(super) fn set(terminal: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        if !isatty(terminal) {
            return Ok(None);
        }
        let before = tcgetattr(terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        // What was typed ahead is for the container.
        tcsetattr(terminal, OptionalActions::Now, &raw)?;
        Ok(Some(Self { terminal: terminal.try_clone_to_owned()?, before }))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// Rows and columns; `None` for what is no terminal.
pub(super) fn size(terminal: BorrowedFd<'_>) -> Option<(u16, u16)> {
    tcgetwinsize(terminal).ok().map(|size| (size.ws_row, size.ws_col))
}

/// Finds ctrl-p ctrl-q among what is typed.
#[derive(Debug, Default)]
pub(super) struct DetachKeys {
    /// The first of both came last.
    half: bool,
}

/// What is left of what was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Pass(Vec<u8>),
    Detach,
}

impl DetachKeys {
    const FIRST: u8 = 0x10;
    const SECOND: u8 = 0x11;

    pub(super) fn filter(&mut self, bytes: &[u8]) -> Typed {
        let mut passed = Vec::with_capacity(bytes.len() + 1);
        for byte in bytes {
            match (std::mem::take(&mut self.half), *byte) {
                (true, Self::SECOND) => return Typed::Detach,
                (true, other) => {
                    passed.push(Self::FIRST);
                    if other == Self::FIRST {
                        self.half = true;
                    } else {
                        passed.push(other);
                    }
                }
                (false, Self::FIRST) => self.half = true,
                (false, other) => passed.push(other),
            }
        }
        Typed::Pass(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_both_keys_in_a_row_detach() {
        let mut keys = DetachKeys::default();
        assert_eq!(keys.filter(b"ab\x10"), Typed::Pass(b"ab".to_vec()));
        assert_eq!(keys.filter(b"c\x10\x10"), Typed::Pass(b"\x10c\x10".to_vec()));
        assert_eq!(keys.filter(b"\x11"), Typed::Detach);
        assert_eq!(keys.filter(b"\x11x"), Typed::Pass(b"\x11x".to_vec()));
    }
}
