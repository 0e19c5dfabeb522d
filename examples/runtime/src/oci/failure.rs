//! Why a verb failed, in the words that engines look for.

use std::error::Error;
use std::fmt;

use crate::cause::chain;

/// The result of a step of this runtime.
pub(super) type Result<T> = std::result::Result<T, Failure>;

/// Why a verb failed.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    code: u8,
}

/// The exit code of a verb that failed.
const FAILED: u8 = 1;
/// The exit code of `exec` when no process was started: that of a process ends at 254 in practice.
const NOT_EXECUTED: u8 = 255;

impl Failure {
    /// A failure with a message of its own.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: FAILED }
    }

    /// A command line that is not understood.
    pub(super) fn usage(message: impl fmt::Display) -> Self {
        Self::new(format!("incorrect usage: {message}"))
    }

    /// A failure while it was `doing` something, with everything that caused it.
    pub(super) fn during<E: Error>(doing: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |error| Self::new(format!("{doing}: {}", chain(&error)))
    }

    /// There is no such container; engines look for the last three words.
    pub(super) fn no_container(id: &str) -> Self {
        Self::new(format!("container {id:?} does not exist"))
    }

    /// The container's process has ended; engines look for the first words.
    pub(super) fn not_running(id: &str) -> Self {
        Self::new(format!("container not running: {id}"))
    }

    /// The same, of `exec`.
    pub(super) fn of_exec(self) -> Self {
        Self { code: NOT_EXECUTED, ..self }
    }

    /// The same, said after what was being done.
    pub(super) fn after(self, doing: impl fmt::Display) -> Self {
        Self { message: format!("{doing}: {}", self.message), ..self }
    }

    /// The same, with a second failure that happened while cleaning up.
    pub(super) fn and(self, second: Result<()>) -> Self {
        match second {
            Ok(()) => self,
            Err(second) => Self { message: format!("{}; and cleaning up: {}", self.message, second.message), ..self },
        }
    }

    /// What the process exits with.
    pub(super) fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
