//! A reader of the history that keeps its own place: a slow one delays nobody and misses nothing.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::history::History;
use super::{Event, Revision, StoreError};

/// Events that one look at the history takes at most, so that its lock is held briefly.
const PORTION: usize = 256;

/// Where the store stands, told to every watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) revision: Revision,
    pub(super) closed: bool,
}

/// Every change of the keys below a prefix, once and in order.
#[derive(Debug)]
pub struct Watch {
    prefix: String,
    /// The last commit that was looked at in the history.
    through: Revision,
    buffer: VecDeque<Arc<Event>>,
    history: Arc<RwLock<History>>,
    head: watch::Receiver<Head>,
}

impl Watch {
    pub(super) fn new(
        prefix: String,
        after: Revision,
        history: Arc<RwLock<History>>,
        head: watch::Receiver<Head>,
    ) -> Self {
        Self { prefix, through: after, buffer: VecDeque::new(), history, head }
    }

    /// Waits for the next event. Dropping the future before it is ready loses none.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when the watch is so late that its next event is gone: list again and watch from
    /// there. [`StoreError::Closed`] after the last event of a closed store.
    pub async fn next(&mut self) -> Result<Arc<Event>, StoreError> {
        loop {
            let is_closed = self.head.borrow_and_update().closed;
            if let Some(event) = self.try_next()? {
                return Ok(event);
            }
            if is_closed || self.head.changed().await.is_err() {
                return Err(StoreError::Closed);
            }
        }
    }

    /// The next event if it is there already. A write whose answer was received is there.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] as for [`next`](Self::next).
    pub fn try_next(&mut self) -> Result<Option<Arc<Event>>, StoreError> {
        while self.buffer.is_empty() {
            let head = self.head.borrow().revision;
            if head <= self.through {
                return Ok(None);
            }
            self.look()?;
        }
        Ok(self.buffer.pop_front())
    }

    fn look(&mut self) -> Result<(), StoreError> {
        let history = self.history.read().unwrap_or_else(PoisonError::into_inner);
        let portion = history.after(self.through, &self.prefix, PORTION)?;
        self.through = portion.through;
        self.buffer.extend(portion.events);
        Ok(())
    }
}
