//! What a person reads when a verb fails, and the exit code that scripts see.

use std::error::Error;
use std::fmt;

use crate::cause::chain;

/// windlass itself failed.
const OWN: u8 = 125;
/// The program is there but cannot be run.
const CANNOT_RUN: u8 = 126;
/// The program is not there.
const NOT_FOUND: u8 = 127;

/// A failed verb.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: u8,
    message: String,
}

impl Failure {
    /// A failure of windlass itself, or of what it was told.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { code: OWN, message: message.into() }
    }

    /// A failure of windlass itself while it was `doing` something.
    pub(super) fn during<E: Error>(doing: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |error| Self::new(format!("{doing}: {}", chain(&error)))
    }

    /// One that another process of windlass told of.
    pub(super) fn told(code: u8, message: String) -> Self {
        Self { code, message }
    }

    /// A failure to start `program`, told apart as shells do.
    pub(super) fn to_start(program: &str, error: &windlass_namespaces::Error) -> Self {
        // At a gate the program is looked for before, so that this fails as executing it would.
        let exec = match error {
            windlass_namespaces::Error::Child { step, op, .. } => {
                op.starts_with("exec") || step.starts_with("find the program")
            }
            _ => false,
        };
        let code = match error.errno().map(nix::errno::Errno::from_raw) {
            Some(nix::errno::Errno::ENOENT) if exec => NOT_FOUND,
            Some(_) if exec => CANNOT_RUN,
            _ => OWN,
        };
        Self { code, message: format!("start {program}: {}", chain(error)) }
    }
}

/// Tells of something that went wrong and does not end the verb.
pub(super) fn warn(what: &dyn fmt::Display) {
    use std::io::Write as _;
    _ = writeln!(std::io::stderr(), "windlass: {what}"); // nowhere is left to say that this failed
}

impl Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
