//! The only thing that tasks share: keys, values, one revision for all, and a way to hear of every change.
//!
//! Each accepted write is one commit with a [`Revision`] of its own, one higher than the last. A reader takes a
//! [`list`](Store::list), which says at which revision it was true, and a [`watch`](Store::watch) from there: it gets
//! every later event once and in order, or [`StoreError::Compacted`] when it asked for more than is kept, and then
//! lists again. Writers say what they expect to replace ([`Expect`]), so that nobody overwrites what they have not seen.
//!
//! ```
//! # use mini_orchestrator::store::{Expect, Options, Store};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let store = Store::open(&folder.path().join("store"), Options::default()).await?;
//! let (_, revision) = store.list("/registry/pods/").await?;
//! let mut watch = store.watch("/registry/pods/", revision);
//! let first = store.put("/registry/pods/default/web", b"{}".to_vec(), Expect::Absent).await?;
//! assert_eq!(watch.next().await?.revision, first);
//! store.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! How it is built: `history` keeps the recent events (pure), `table` holds the transactions over redb (blocking),
//! `embedded` is the handle and the one task that writes, `watch` reads the history at its own pace.

mod embedded;
mod history;
mod table;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::embedded::Store;
pub use self::watch::Watch;

/// Length of a key that is accepted at most, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// Length of a value that is accepted at most, in bytes.
pub const VALUE_BYTES_MAX: usize = 1536 * 1024;

/// The place of a commit in the order of all commits; the first one is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// Before the first commit.
    pub const ZERO: Self = Self(0);

    fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A value and the commit that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// What was written.
    pub value: Arc<[u8]>,
    /// The commit that wrote it.
    pub revision: Revision,
}

/// What a commit did to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The key was absent before.
    Created,
    /// The key had another value before.
    Updated,
    /// The key is absent now.
    Deleted,
}

/// One commit, as a watch tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened to the key.
    pub kind: EventKind,
    /// The key.
    pub key: String,
    /// The value that was written; the last one for [`EventKind::Deleted`].
    pub value: Arc<[u8]>,
    /// The commit.
    pub revision: Revision,
}

/// What a writer believes about the key that it replaces or deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There is no such key.
    Absent,
    /// The key was last written by this commit.
    Revision(Revision),
    /// Nothing; the last writer wins.
    Any,
}

/// When commits reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Before the writer gets its answer; writers that wait at the same time share one flush.
    EachCommit,
    /// At least this often, and when the store is closed. A crash of the process or of the machine may lose what came
    /// since, always from the end of the order and never from its middle; its revisions are given again.
    Every(Duration),
}

/// How a store behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// When commits reach the disk.
    pub fsync: Fsync,
    /// How many of the last events a watch can start from at most.
    pub events_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { fsync: Fsync::EachCommit, events_max: 10_000 }
    }
}

/// Why the store refused or failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The key is not in the state that the writer expected.
    #[error("{key}: expected {expected:?}, found {}", found.map_or_else(|| "no such key".to_owned(), |at| format!("revision {at}")))]
    Conflict {
        /// The key.
        key: String,
        /// What the writer expected.
        expected: Expect,
        /// The commit that wrote the key last; `None` if there is no such key.
        found: Option<Revision>,
    },
    /// The key to delete does not exist.
    #[error("{key}: no such key")]
    NotFound {
        /// The key.
        key: String,
    },
    /// A watch asked for events that are no longer kept: list again and watch from there.
    #[error("events after revision {after} are gone up to revision {compacted}")]
    Compacted {
        /// Where the watch wanted to go on.
        after: Revision,
        /// The last commit whose event is gone.
        compacted: Revision,
    },
    /// A key is empty or longer than [`KEY_BYTES_MAX`], or a value is longer than [`VALUE_BYTES_MAX`].
    #[error("{what} of {bytes} bytes: the limit is {limit}, and a key has at least one")]
    LimitExceeded {
        /// `key` or `value`.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// What is accepted at most.
        limit: usize,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The file of the store could not be made, opened, read or written.
    #[error("cannot {op} {object}")]
    Storage {
        /// What was tried.
        op: &'static str,
        /// On what.
        object: String,
        /// Why it failed.
        #[source]
        source: Arc<redb::Error>,
    },
}
