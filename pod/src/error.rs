//! What can go wrong while text becomes objects.

use std::fmt;

/// A place in a text: both numbers count from one, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The line, from one.
    pub line: usize,
    /// The column, from one.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What a strict decoding found besides the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path of the field as Kubernetes writes it in strict errors (`spec.containers[0].imagee`).
    pub path: String,
    /// Where the field's value starts.
    pub position: Position,
    /// What is wrong with it.
    pub kind: ProblemKind,
}

/// The kinds of [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The field is none of this kind.
    UnknownField,
    /// The field stands twice in the same map; the last one was taken.
    DuplicateField,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ProblemKind::UnknownField => "unknown",
            ProblemKind::DuplicateField => "duplicate",
        };
        write!(f, "{what} field {:?}", self.path)
    }
}

/// Why a text is not a Kubernetes object, or an object cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text breaks the grammar of JSON or YAML.
    #[error("{position}: {reason}")]
    Syntax {
        /// Where the text breaks it.
        position: Position,
        /// What was expected.
        reason: String,
    },
    /// A field holds a value that its type does not take.
    #[error("{position}: {path}: {reason}")]
    Field {
        /// The path of the field; empty for the whole object.
        path: String,
        /// Where the value starts.
        position: Position,
        /// What the field takes and what was found.
        reason: String,
    },
    /// The bytes are no protobuf message of the kind.
    #[error("byte {offset}: {path}{}{reason}", if path.is_empty() { "" } else { ": " })]
    Protobuf {
        /// The path of the field; empty for the whole object.
        path: String,
        /// How many bytes stand before what is wrong.
        offset: usize,
        /// What was expected.
        reason: String,
    },
    /// Strict decoding met fields that are unknown or stand twice.
    #[error("{}", Problems(problems))]
    Strict {
        /// All of them, in the order of the text.
        problems: Vec<Problem>,
    },
    /// The object names no `apiVersion` or no `kind`.
    #[error("object {field:?} is missing")]
    KindMissing {
        /// The field that is missing.
        field: &'static str,
    },
    /// The object is of a kind that this library does not know.
    #[error("no kind {kind:?} in version {api_version:?}")]
    KindUnknown {
        /// What `apiVersion` says.
        api_version: String,
        /// What `kind` says.
        kind: String,
    },
    /// The object is of another kind than the caller asked for.
    #[error("expected kind {expected:?}, found {found:?}")]
    KindMismatch {
        /// The kind that the caller asked for.
        expected: &'static str,
        /// What `kind` says.
        found: String,
    },
    /// The text is larger or deeper than [`Limits`](crate::Limits) allows.
    #[error("{limit} exceeds {maximum}")]
    LimitExceeded {
        /// Which limit.
        limit: &'static str,
        /// Its value.
        maximum: usize,
    },
}

struct Problems<'a>(&'a [Problem]);

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}: {problem}", problem.position)?;
        }
        Ok(())
    }
}

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
