//! The transactions over redb. All of it blocks: `embedded` keeps it off the threads that run tasks.

use std::fs::{File, OpenOptions};
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, Table, TableDefinition, WriteTransaction};

use super::{Event, EventKind, Expect, Revision, StoreError, Versioned};

/// key -> (revision of the last write, value)
const CURRENT: TableDefinition<'static, &str, (u64, &[u8])> = TableDefinition::new("current");
/// revision -> (what happened, key, value)
const EVENTS: TableDefinition<'static, u64, (u8, &str, &[u8])> = TableDefinition::new("events");
/// The newest commit, under [`HEAD`], and the last one whose event is gone, under [`COMPACTED`].
const REVISIONS: TableDefinition<'static, &str, u64> = TableDefinition::new("revisions");
const HEAD: &str = "head";
const COMPACTED: &str = "compacted";

/// Memory that redb may take for pages that it read or that wait to be written.
const CACHE_BYTES: usize = 16 << 20;

/// One write that a task asked for.
#[derive(Debug)]
pub(super) enum Write {
    Put { key: String, value: Vec<u8>, expect: Expect },
    Delete { key: String, expect: Expect },
}

/// What became of a batch of writes.
#[derive(Debug)]
pub(super) struct Applied {
    /// One answer for each write, in their order.
    pub(super) answers: Vec<Result<Revision, StoreError>>,
    /// One event for each accepted write.
    pub(super) events: Vec<Arc<Event>>,
    /// The last commit whose event is gone.
    pub(super) compacted: Revision,
}

/// The opened file.
#[derive(Debug)]
pub(super) struct Tables {
    database: Database,
    path: PathBuf,
}

impl Tables {
    /// Opens the file, or makes it readable for its owner only.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let database =
            Self::open_database(path).map_err(|source| failure("open", path.display().to_string(), source))?;
        let tables = Self { database, path: path.to_owned() };
        tables.attempt("prepare", || {
            let transaction = tables.database.begin_write()?;
            transaction.open_table(CURRENT)?;
            transaction.open_table(EVENTS)?;
            transaction.open_table(REVISIONS)?;
            Ok(transaction.commit()?)
        })?;
        Ok(tables)
    }

    fn open_database(path: &Path) -> Result<Database, redb::Error> {
        let is_new = !path.exists();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let database = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(FileBackend::new(file)?)?;
        if is_new && let Some(folder) = path.parent() {
            // The name of a new file is durable only when its folder is.
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder)?.sync_all()?;
        }
        Ok(database)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.attempt("read", || {
            let current = self.database.begin_read()?.open_table(CURRENT)?;
            Ok(current.get(key)?.map(|found| versioned(found.value())))
        })
    }

    /// The keys that start with `prefix`, in their order, and the revision at which that was so.
    pub(super) fn list(&self, prefix: &str) -> Result<(Vec<(String, Versioned)>, Revision), StoreError> {
        self.attempt("read", || {
            let transaction = self.database.begin_read()?;
            let current = transaction.open_table(CURRENT)?;
            let mut found = Vec::new();
            for entry in current.range::<&str>((Bound::Included(prefix), Bound::Unbounded))? {
                let (key, value) = entry?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                found.push((key.value().to_owned(), versioned(value.value())));
            }
            let head = transaction.open_table(REVISIONS)?.get(HEAD)?.map_or(0, |head| head.value());
            Ok((found, Revision(head)))
        })
    }

    /// All events that are kept, and the last commit whose event is gone.
    pub(super) fn events(&self) -> Result<(Vec<Arc<Event>>, Revision), StoreError> {
        self.attempt("read", || {
            let transaction = self.database.begin_read()?;
            let compacted = transaction.open_table(REVISIONS)?.get(COMPACTED)?.map_or(0, |at| at.value());
            let mut events = Vec::new();
            for entry in transaction.open_table(EVENTS)?.range::<u64>(..)? {
                let (revision, event) = entry?;
                let (kind, key, value) = event.value();
                events.push(Arc::new(Event {
                    kind: kind_from(kind)?,
                    key: key.to_owned(),
                    value: Arc::from(value),
                    revision: Revision(revision.value()),
                }));
            }
            Ok((events, Revision(compacted)))
        })
    }

    /// Applies a batch in one transaction; each accepted write has a revision of its own.
    ///
    /// # Errors
    /// When the file fails; then no write of the batch was applied.
    pub(super) fn apply(
        &self,
        writes: &[Write],
        durability: Durability,
        events_max: usize,
    ) -> Result<Applied, StoreError> {
        self.attempt("write", || {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(durability)?;
            let applied = apply_in(&transaction, writes, events_max)?;
            transaction.commit()?;
            Ok(applied)
        })
    }

    /// Makes every commit so far durable.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.attempt("flush", || {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            Ok(transaction.commit()?)
        })
    }

    fn attempt<T>(&self, op: &'static str, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
        work().map_err(|source| failure(op, self.path.display().to_string(), source))
    }
}

fn apply_in(transaction: &WriteTransaction, writes: &[Write], events_max: usize) -> Result<Applied, redb::Error> {
    let mut current = transaction.open_table(CURRENT)?;
    let mut kept = transaction.open_table(EVENTS)?;
    let mut revisions = transaction.open_table(REVISIONS)?;
    let mut head = Revision(revisions.get(HEAD)?.map_or(0, |head| head.value()));
    let mut compacted = Revision(revisions.get(COMPACTED)?.map_or(0, |at| at.value()));

    let mut answers = Vec::with_capacity(writes.len());
    let mut events = Vec::new();
    for write in writes {
        let answer = apply_one(&mut current, write, head.next())?;
        if let Ok(event) = &answer {
            head = event.revision;
            kept.insert(head.0, (kind_number(event.kind), event.key.as_str(), &*event.value))?;
            events.push(Arc::clone(event));
        }
        answers.push(answer.map(|event| event.revision));
    }

    let horizon = head.0.saturating_sub(u64::try_from(events_max).unwrap_or(u64::MAX));
    if horizon > compacted.0 {
        kept.retain_in::<u64, _>(..=horizon, |_, _| false)?;
        compacted = Revision(horizon);
        revisions.insert(COMPACTED, horizon)?;
    }
    revisions.insert(HEAD, head.0)?;
    Ok(Applied { answers, events, compacted })
}

fn apply_one(
    current: &mut Table<'_, &'static str, (u64, &'static [u8])>,
    write: &Write,
    revision: Revision,
) -> Result<Result<Arc<Event>, StoreError>, redb::Error> {
    let (Write::Put { key, expect, .. } | Write::Delete { key, expect }) = write;
    let found = current.get(key.as_str())?.map(|found| versioned(found.value()));
    let at = found.as_ref().map(|found| found.revision);
    let as_expected = match expect {
        Expect::Absent => at.is_none(),
        Expect::Revision(expected) => at == Some(*expected),
        Expect::Any => true,
    };
    if !as_expected {
        return Ok(Err(StoreError::Conflict { key: key.clone(), expected: *expect, found: at }));
    }
    let (kind, value) = match (write, found) {
        (Write::Put { value, .. }, found) => {
            current.insert(key.as_str(), (revision.0, value.as_slice()))?;
            let kind = if found.is_some() { EventKind::Updated } else { EventKind::Created };
            (kind, Arc::from(value.as_slice()))
        }
        (Write::Delete { .. }, Some(last)) => {
            current.remove(key.as_str())?;
            (EventKind::Deleted, last.value)
        }
        (Write::Delete { .. }, None) => return Ok(Err(StoreError::NotFound { key: key.clone() })),
    };
    Ok(Ok(Arc::new(Event { kind, key: key.clone(), value, revision })))
}

fn versioned((revision, value): (u64, &[u8])) -> Versioned {
    Versioned { value: Arc::from(value), revision: Revision(revision) }
}

fn kind_number(kind: EventKind) -> u8 {
    match kind {
        EventKind::Created => 0,
        EventKind::Updated => 1,
        EventKind::Deleted => 2,
    }
}

fn kind_from(number: u8) -> Result<EventKind, redb::Error> {
    match number {
        0 => Ok(EventKind::Created),
        1 => Ok(EventKind::Updated),
        2 => Ok(EventKind::Deleted),
        other => Err(redb::Error::Corrupted(format!("an event of the unknown kind {other}"))),
    }
}

fn failure(op: &'static str, object: String, source: redb::Error) -> StoreError {
    StoreError::Storage { op, object, source: Arc::new(source) }
}
