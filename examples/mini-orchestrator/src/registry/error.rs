//! Why the registry refused or failed.

use windlass_pod::Violation;

use super::Key;
use crate::store::StoreError;

/// Why the registry refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such object.
    #[error("{kind} {key}: not found")]
    NotFound {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        key: Key,
    },
    /// There is an object of this name already.
    #[error("{kind} {key}: already exists")]
    AlreadyExists {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        key: Key,
    },
    /// The object of this name is another one than the writer meant.
    #[error("{kind} {key}: its uid is {found:?}, not {expected:?}")]
    Replaced {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        key: Key,
        /// The uid that the writer meant.
        expected: String,
        /// The uid of the object that is there.
        found: String,
    },
    /// Other writers were faster every time.
    #[error("{kind} {key}: changed by others during {tries} tries")]
    Contended {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        key: Key,
        /// How often the change was tried.
        tries: u32,
    },
    /// The object is not what its kind allows.
    #[error("{kind} {key}: {}", Violations(violations))]
    Invalid {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        key: Key,
        /// Everything that is wrong with it.
        violations: Vec<Violation>,
    },
    /// The name cannot be part of a key.
    #[error("{kind} {key}: a name is not empty and holds no slash; a namespace is given exactly for kinds within one")]
    Name {
        /// Its kind.
        kind: &'static str,
        /// The name.
        key: Key,
    },
    /// The registry does not do what the object asks for.
    #[error("{kind} {key}: {field} is not supported")]
    Unsupported {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        key: Key,
        /// The field that asks for it.
        field: &'static str,
    },
    /// What lies in the store is no object of its kind.
    #[error("cannot decode {path}")]
    Undecodable {
        /// The key in the store.
        path: String,
        /// What is wrong with it.
        #[source]
        source: windlass_pod::Error,
    },
    /// The system gave no random bytes for a uid or a name.
    #[error("cannot read /dev/urandom")]
    Random {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The program ends, and with it the task that was asked.
    #[error("the program ends")]
    Ended,
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Violations<'a>(&'a [Violation]);

impl std::fmt::Display for Violations<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            write!(f, "{}{violation}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl Error {
    /// Whether it concerns the registry as a whole rather than one object.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Undecodable { .. } | Self::Random { .. } | Self::Ended)
    }
}
