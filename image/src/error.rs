//! The crate's error and the faults that documents can have.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::digest::{Digest, ParseDigestError};
use crate::dockerfile_error::{ParseDockerfileError, Position};
use crate::media_type::Codec;
use crate::reference::ParseReferenceError;

/// What went wrong, as far as a caller can act on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call or the reader or writer that the caller gave failed.
    #[error("cannot {op} {}", object.display())]
    Sys {
        /// What was tried, as a verb.
        op: &'static str,
        /// On which file or directory.
        object: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A JSON document is not what its kind must be.
    #[error("invalid {document}{}", at(fault))]
    Document {
        /// Which kind of document.
        document: &'static str,
        /// Where and why.
        fault: Fault,
    },
    /// The content is not what its digest says.
    #[error("content has digest {actual}, expected {expected}")]
    DigestMismatch {
        /// The digest that was asked for.
        expected: Box<Digest>,
        /// The digest of what was read.
        actual: Box<Digest>,
    },
    /// The content has another length than its descriptor says.
    #[error("content of {digest} has {actual} bytes or more, expected {expected}")]
    SizeMismatch {
        /// Whose content.
        digest: Digest,
        /// Bytes in the descriptor.
        expected: u64,
        /// Bytes seen when the difference was certain.
        actual: u64,
    },
    /// The content is what its digest says, but it is not compressed as its media type says.
    #[error("content cannot be decompressed as {codec}")]
    Decode {
        /// The compression that was expected.
        codec: Codec,
        /// What the decompressor said.
        source: io::Error,
    },
    /// Nothing of that name or digest is there.
    #[error("{object} not found")]
    NotFound {
        /// What was looked for.
        object: String,
    },
    /// A bound of [`Limits`](crate::Limits) was reached.
    #[error("{limit} exceeds the limit of {max}")]
    LimitExceeded {
        /// Which bound.
        limit: &'static str,
        /// Its value.
        max: u64,
    },
    /// The input is of a kind that this crate, or this build of it, does not handle.
    #[error("{feature} is not supported")]
    Unsupported {
        /// What would be needed.
        feature: String,
    },
    /// A value that the caller gave cannot be used.
    #[error("{field} cannot be {value:?}: {reason}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// What it was.
        value: String,
        /// Why not.
        reason: &'static str,
    },
    /// Something other than a regular file stands where a blob or a document is expected.
    #[error("{} is not a regular file", path.display())]
    NotRegularFile {
        /// Where.
        path: PathBuf,
    },
    /// A file is not an ELF program that can be packed.
    #[error("{} is not an ELF program: {reason}", path.display())]
    NotElf {
        /// Which file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// A shared library that the program loads cannot be found.
    #[error("library {library} needed by {} not found", needed_by.display())]
    LibraryNotFound {
        /// Its name as the program has it.
        library: String,
        /// Which object asks for it.
        needed_by: PathBuf,
    },
    /// Another process uses the layout in a way that excludes this operation.
    #[error("{} is in use", path.display())]
    Busy {
        /// The layout.
        path: PathBuf,
    },
    /// A step of a build failed.
    #[error("{position}: {step}")]
    Step {
        /// Where the Dockerfile has it.
        position: Position,
        /// Its text.
        step: String,
        /// Why.
        source: Box<Self>,
    },
    /// Who runs a build's commands could not.
    #[error("cannot do what the step asks for")]
    Executor {
        /// Its own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A Dockerfile that is none, or asks for what is not done here.
    #[error(transparent)]
    Dockerfile(#[from] ParseDockerfileError),
    /// A registry could not be reached, or the connection broke.
    #[error("cannot talk to {host}")]
    Network {
        /// Which host.
        host: String,
        /// What the transport said; [`io::ErrorKind::TimedOut`] when nothing came for too long.
        source: io::Error,
    },
    /// A registry answered with a status that means no.
    #[error("{method} {url} answered {status}{}", because(said))]
    Http {
        /// What was tried.
        method: &'static str,
        /// Where, without its query.
        url: String,
        /// The status code.
        status: u16,
        /// What the registry says.
        said: String,
    },
    /// A registry does not let the caller do it.
    #[error("registry {registry} denies access{}", because(reason))]
    Unauthorized {
        /// Which registry.
        registry: String,
        /// Why.
        reason: String,
    },
    /// A registry does not keep to the protocol.
    #[error("the registry {reason}")]
    Protocol {
        /// What it did.
        reason: &'static str,
    },
    /// Something that the other side asked for would be dangerous.
    #[error("refused {object}: {reason}")]
    Refused {
        /// What was asked for.
        object: String,
        /// What it would do.
        reason: &'static str,
    },
    /// The caller cancelled it.
    #[error("cancelled")]
    Cancelled,
    /// A digest that cannot be one.
    #[error(transparent)]
    Digest(#[from] ParseDigestError),
    /// A reference that cannot be one.
    #[error(transparent)]
    Reference(#[from] ParseReferenceError),
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn sys(op: &'static str, object: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let object = object.as_ref().to_path_buf();
        move |error| Self::unwrap_io(error).unwrap_or_else(|source| Self::Sys { op, object, source })
    }

    pub(crate) fn errno(op: &'static str, object: impl AsRef<Path>) -> impl FnOnce(nix::Error) -> Self {
        let object = object.as_ref().to_path_buf();
        move |errno| Self::Sys { op, object, source: errno.into() }
    }

    pub(crate) fn protocol(reason: &'static str) -> Self {
        Self::Protocol { reason }
    }

    pub(crate) fn refused(object: impl Into<String>, reason: &'static str) -> Self {
        Self::Refused { object: object.into(), reason }
    }

    /// Whether the same may succeed later, because only the network failed.
    pub(crate) fn is_transient(&self) -> bool {
        use io::ErrorKind::{ConnectionRefused, InvalidData, NotFound};
        // A failed handshake of TLS is invalid data; neither it, nor who is not there, is another one a second later.
        matches!(self, Self::Network { source, .. } if !matches!(source.kind(), ConnectionRefused | InvalidData | NotFound))
    }

    /// The error of this crate that travelled inside an [`io::Error`], as from a layer's reader.
    ///
    /// # Errors
    /// Gives the error back when it holds none.
    pub fn unwrap_io(error: io::Error) -> Result<Self, io::Error> {
        error.downcast::<Self>()
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Sys { source, .. } if source.get_ref().is_none() => source,
            other => Self::new(io::ErrorKind::InvalidData, other),
        }
    }
}

/// What is wrong with a document, and in which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    path: String,
    reason: String,
}

impl Fault {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { path: String::new(), reason: reason.into() }
    }

    pub(crate) fn within(mut self, segment: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{segment}{separator}{}", self.path);
        self
    }

    /// The field, like `layers[2].digest`; empty for the document as a whole.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Why the field cannot be accepted.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn of(self, document: &'static str) -> Error {
        Error::Document { document, fault: self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.reason) } else { write!(f, "{}: {}", self.path, self.reason) }
    }
}

fn at(fault: &Fault) -> String {
    if fault.path.is_empty() { format!(": {}", fault.reason) } else { format!(" at {}: {}", fault.path, fault.reason) }
}

fn because(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}
