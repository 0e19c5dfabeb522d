//! What changed on the nodes, for those who remember what they computed about them.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::class::ClassId;
use crate::request::PodClass;
use crate::slot::NodeId;

/// Entries that are kept; who is further behind starts over.
const ENTRIES_MAX: usize = 1 << 15;

/// A pod came to a node (1) or left it (-1).
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) node: NodeId,
    /// The shape of the pod's class, see [`PodClass::shape`].
    pub(crate) id: ClassId,
    pub(crate) shape: Arc<PodClass>,
    pub(crate) change: i64,
    /// The change as topology spread counts it: pods that are being deleted are gone already.
    pub(crate) staying: i64,
}

/// The latest changes, each with a number that only grows.
#[derive(Clone, Debug)]
pub(crate) struct Log<T> {
    start: u64,
    entries: VecDeque<T>,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self { start: 0, entries: VecDeque::new() }
    }
}

impl<T> Log<T> {
    pub(crate) fn push(&mut self, entry: T) {
        if self.entries.len() == ENTRIES_MAX {
            self.entries.pop_front();
            self.start += 1;
        }
        self.entries.push_back(entry);
    }

    /// The number that the next entry will have.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.entries.len() as u64
    }

    /// The entries from a number on; `None` when some of them are no longer kept.
    pub(crate) fn since(&self, position: u64) -> Option<impl Iterator<Item = &T>> {
        let skipped = position.checked_sub(self.start)?;
        Some(self.entries.iter().skip(usize::try_from(skipped).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::Classes;

    #[test]
    fn who_is_too_far_behind_starts_over() {
        let mut log = Log::default();
        let mut classes = Classes::default();
        let id = classes.acquire(PodClass::empty());
        let shape = Arc::clone(classes.get(id));
        let entry = Entry { node: NodeId(0), id, shape, change: 1, staying: 1 };
        let reached = log.end();
        log.push(entry.clone());
        log.push(entry.clone());
        assert_eq!(log.since(reached).map(Iterator::count), Some(2));
        assert_eq!(log.since(log.end()).map(Iterator::count), Some(0));
        for _ in 0..ENTRIES_MAX - 1 {
            log.push(entry.clone());
        }
        assert!(log.since(reached).is_none());
        assert_eq!(log.since(reached + 1).map(Iterator::count), Some(ENTRIES_MAX));
    }
}
