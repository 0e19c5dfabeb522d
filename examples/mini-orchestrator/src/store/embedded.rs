//! The handle that tasks hold, and the one task that writes.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redb::Durability;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::history::History;
use super::table::{Applied, Tables, Write};
use super::watch::{Head, Watch};
use super::{Expect, Fsync, KEY_BYTES_MAX, Options, Revision, StoreError, VALUE_BYTES_MAX, Versioned};

/// Writes that one transaction, and so one flush, takes at most; as many may wait.
const BATCH: usize = 256;

/// A handle on the store; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
struct Shared {
    /// `None` after [`Store::close`].
    tables: RwLock<Option<Arc<Tables>>>,
    history: Arc<RwLock<History>>,
    head: watch::Sender<Head>,
}

#[derive(Debug)]
enum Request {
    Write(Write, oneshot::Sender<Result<Revision, StoreError>>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

impl Store {
    /// Opens the store in a file, or makes it; starts the task that writes on the current runtime.
    ///
    /// # Errors
    /// [`StoreError::Storage`] when the file cannot be made or read, or when another process has it open.
    pub async fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let (tables, events, compacted) = blocking(move || {
            let tables = Tables::open(&path)?;
            let (events, compacted) = tables.events()?;
            Ok((tables, events, compacted))
        })
        .await?;
        let mut history = History::new(compacted);
        for event in events {
            history.push(event);
        }
        let head = watch::Sender::new(Head { revision: history.head(), closed: false });
        let tables = Arc::new(tables);
        let shared = Arc::new(Shared {
            tables: RwLock::new(Some(Arc::clone(&tables))),
            history: Arc::new(RwLock::new(history)),
            head,
        });
        let (requests, waiting) = mpsc::channel(BATCH);
        let writer = Writer { tables, shared: Arc::clone(&shared), options, unflushed_since: None };
        tokio::spawn(writer.run(waiting));
        Ok(Self { shared, requests })
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError::Storage`], [`StoreError::Closed`].
    pub async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        let (tables, key) = (self.shared.tables()?, key.to_owned());
        blocking(move || tables.get(&key)).await
    }

    /// The keys that start with `prefix`, in their order, and the revision at which exactly these were there.
    ///
    /// # Errors
    /// [`StoreError::Storage`], [`StoreError::Closed`].
    pub async fn list(&self, prefix: &str) -> Result<(Vec<(String, Versioned)>, Revision), StoreError> {
        let (tables, prefix) = (self.shared.tables()?, prefix.to_owned());
        blocking(move || tables.list(&prefix)).await
    }

    /// Every change after a revision of the keys that start with `prefix`.
    ///
    /// A revision that is not reached yet is waited for.
    pub fn watch(&self, prefix: &str, after: Revision) -> Watch {
        Watch::new(prefix.to_owned(), after, Arc::clone(&self.shared.history), self.shared.head.subscribe())
    }

    /// Writes a value; returns the commit.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the key is not as expected, [`StoreError::LimitExceeded`],
    /// [`StoreError::Storage`], [`StoreError::Closed`].
    pub async fn put(&self, key: &str, value: Vec<u8>, expect: Expect) -> Result<Revision, StoreError> {
        check_length("key", key.len(), 1, KEY_BYTES_MAX)?;
        check_length("value", value.len(), 0, VALUE_BYTES_MAX)?;
        self.write(Write::Put { key: key.to_owned(), value, expect }).await
    }

    /// Removes a key; returns the commit. [`Expect::Absent`] can only fail here.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the key is not as expected, [`StoreError::NotFound`] when nothing was expected
    /// and there is no such key, [`StoreError::Storage`], [`StoreError::Closed`].
    pub async fn delete(&self, key: &str, expect: Expect) -> Result<Revision, StoreError> {
        self.write(Write::Delete { key: key.to_owned(), expect }).await
    }

    /// The newest commit.
    pub fn revision(&self) -> Revision {
        self.shared.head.borrow().revision
    }

    /// Finishes the writes that wait, flushes, and lets go of the file for every clone of the handle.
    ///
    /// Without it the file stays open until the last handle and the writing task are gone.
    ///
    /// # Errors
    /// [`StoreError::Storage`] when the flush fails, [`StoreError::Closed`].
    pub async fn close(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Close(answer)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    async fn write(&self, write: Write) -> Result<Revision, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Write(write, answer)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

impl Shared {
    fn tables(&self) -> Result<Arc<Tables>, StoreError> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(StoreError::Closed)
    }

    /// Tells the watches of a batch, before its writers hear of it.
    fn publish(&self, applied: &Applied) {
        let mut history = self.history.write().unwrap_or_else(PoisonError::into_inner);
        applied.events.iter().for_each(|event| history.push(Arc::clone(event)));
        history.compact(applied.compacted);
        let revision = history.head();
        drop(history);
        self.head.send_modify(|head| head.revision = revision);
    }
}

/// The one task that writes.
#[derive(Debug)]
struct Writer {
    tables: Arc<Tables>,
    shared: Arc<Shared>,
    options: Options,
    /// Since when there are commits that may not be on the disk.
    unflushed_since: Option<Instant>,
}

impl Writer {
    async fn run(mut self, mut waiting: mpsc::Receiver<Request>) {
        let closing = loop {
            let mut batch = Vec::with_capacity(BATCH);
            tokio::select! {
                taken = waiting.recv_many(&mut batch, BATCH) => if taken == 0 { break None },
                () = until(self.flush_at()) => {
                    self.flush_in_time().await;
                    continue;
                }
            }
            if let Some(close) = self.serve(batch).await {
                break Some(close);
            }
        };
        self.finish(closing).await;
    }

    /// Applies the writes of a batch; returns the answer's place when one of the requests was to close.
    async fn serve(&mut self, batch: Vec<Request>) -> Option<oneshot::Sender<Result<(), StoreError>>> {
        let mut closing = None;
        let mut writes = Vec::new();
        let mut answers = Vec::new();
        for request in batch {
            match request {
                Request::Write(write, answer) if closing.is_none() => {
                    writes.push(write);
                    answers.push(answer);
                }
                // A refused writer sees its channel closed.
                Request::Write(..) => {}
                Request::Close(answer) => closing = Some(answer),
            }
        }
        if writes.is_empty() {
            return closing;
        }
        let durability = match self.options.fsync {
            Fsync::EachCommit => Durability::Immediate,
            Fsync::Every(_) => Durability::None,
        };
        let (tables, events_max) = (Arc::clone(&self.tables), self.options.events_max);
        let applied = blocking(move || tables.apply(&writes, durability, events_max)).await;
        match applied {
            Ok(applied) => {
                self.shared.publish(&applied);
                if matches!(durability, Durability::None) {
                    self.unflushed_since.get_or_insert_with(Instant::now);
                }
                applied.answers.into_iter().zip(answers).for_each(|(result, answer)| reply(answer, result));
            }
            Err(error) => answers.into_iter().for_each(|answer| reply(answer, Err(error.clone()))),
        }
        closing
    }

    fn flush_at(&self) -> Option<Instant> {
        match self.options.fsync {
            Fsync::EachCommit => None,
            Fsync::Every(period) => self.unflushed_since.map(|since| since + period),
        }
    }

    /// Flushes because it is time to. A failure is not lost: redb refuses every later use with it.
    async fn flush_in_time(&mut self) {
        let tables = Arc::clone(&self.tables);
        if blocking(move || tables.flush()).await.is_ok() {
            self.unflushed_since = None;
        } else {
            // Do not try again at once.
            self.unflushed_since = Some(Instant::now() + Duration::from_secs(1));
        }
    }

    async fn finish(self, closing: Option<oneshot::Sender<Result<(), StoreError>>>) {
        self.shared.tables.write().unwrap_or_else(PoisonError::into_inner).take();
        let tables = self.tables;
        let is_unflushed = self.unflushed_since.is_some();
        let flushed = blocking(move || if is_unflushed { tables.flush() } else { Ok(()) }).await;
        self.shared.head.send_modify(|head| head.closed = true);
        if let Some(answer) = closing {
            reply(answer, flushed);
        }
    }
}

/// Gives an answer; a writer that no longer waits for it is no failure.
fn reply<T>(answer: oneshot::Sender<T>, result: T) {
    drop(answer.send(result));
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Runs work over the file off the threads that run tasks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime shuts down.
        Err(_) => Err(StoreError::Closed),
    }
}

fn check_length(what: &'static str, bytes: usize, least: usize, limit: usize) -> Result<(), StoreError> {
    if (least..=limit).contains(&bytes) { Ok(()) } else { Err(StoreError::LimitExceeded { what, bytes, limit }) }
}
