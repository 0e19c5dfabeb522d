//! What one tree has that another does not.

use crate::entry::Entry;
use crate::path::SafePath;

/// One change, as a layer archive says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Something new at a path, or something else, or the same with other metadata.
    Put(Entry),
    /// Lower layers' directory at this path shows nothing.
    Opaque(SafePath),
    /// Lower layers' path is deleted.
    Delete(SafePath),
}

impl Change {
    /// Where.
    pub fn path(&self) -> &SafePath {
        match self {
            Self::Put(entry) => &entry.path,
            Self::Opaque(path) | Self::Delete(path) => path,
        }
    }
}
