//! Where a Dockerfile is wrong, and why.

use std::fmt;

/// A place in a Dockerfile.
///
/// # Units
/// Lines and characters of a line, both from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Which line.
    pub line: usize,
    /// Which character of it.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A text that is no Dockerfile, or one that asks for what is not done here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {reason}")]
pub struct ParseDockerfileError {
    position: Position,
    reason: String,
}

impl ParseDockerfileError {
    pub(crate) fn new(position: Position, reason: impl Into<String>) -> Self {
        Self { position, reason: reason.into() }
    }

    /// Where.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Why; an instruction or a flag that is not done here is named.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}
