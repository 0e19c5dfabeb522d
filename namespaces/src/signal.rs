//! Signals by number and name.

use std::fmt;
use std::str::FromStr;

/// A signal that can be sent.
///
/// Source: `signal(7)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

/// Why a text names no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a signal")]
pub struct ParseSignalError {
    text: String,
}

const LAST: i32 = 64;

macro_rules! signals {
    ($($name:ident = $number:ident),* $(,)?) => {
        const NAMES: &[(&str, i32)] = &[$((stringify!($name), libc::$number)),*];

        impl Signal {
            $(
                #[doc = concat!("`SIG", stringify!($name), "`.")]
                pub const $name: Self = Self(libc::$number);
            )*
        }
    };
}

signals! {
    HUP = SIGHUP, INT = SIGINT, QUIT = SIGQUIT, ILL = SIGILL, TRAP = SIGTRAP, ABRT = SIGABRT, BUS = SIGBUS,
    FPE = SIGFPE, KILL = SIGKILL, USR1 = SIGUSR1, SEGV = SIGSEGV, USR2 = SIGUSR2, PIPE = SIGPIPE, ALRM = SIGALRM,
    TERM = SIGTERM, STKFLT = SIGSTKFLT, CHLD = SIGCHLD, CONT = SIGCONT, STOP = SIGSTOP, TSTP = SIGTSTP,
    TTIN = SIGTTIN, TTOU = SIGTTOU, URG = SIGURG, XCPU = SIGXCPU, XFSZ = SIGXFSZ, VTALRM = SIGVTALRM,
    PROF = SIGPROF, WINCH = SIGWINCH, IO = SIGIO, PWR = SIGPWR, SYS = SIGSYS,
}

impl Signal {
    /// The signal of this number; `None` outside 1 to 64.
    pub const fn new(number: i32) -> Option<Self> {
        if number >= 1 && number <= LAST { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signal({self})")
    }
}

impl FromStr for Signal {
    type Err = ParseSignalError;

    /// A number, or a name with or without `SIG`, in any case.
    fn from_str(text: &str) -> Result<Self, ParseSignalError> {
        let unknown = || ParseSignalError { text: text.to_owned() };
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().and_then(Self::new).ok_or_else(unknown);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, number)| Self(*number)).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for text in ["9", "KILL", "SIGKILL", "sigkill"] {
            assert_eq!(text.parse(), Ok(Signal::KILL), "{text}");
        }
        for text in ["", "0", "65", "-9", "+9", "SIG", "SIGNOPE"] {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
        for (name, number) in NAMES {
            assert_eq!(name.parse::<Signal>().unwrap().to_string(), format!("SIG{name}"));
            assert_eq!(name.parse(), Ok(Signal(*number)));
        }
        assert_eq!(Signal::new(40).unwrap().to_string(), "signal 40");
    }
}
