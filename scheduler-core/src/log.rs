//! What changed on the nodes, for those who remember what they computed about them.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::class::ClassId;
use crate::request::PodClass;
use crate::shared::Shared;
use crate::slot::NodeId;

/// Entries that are kept at least; who is further behind starts over.
const ENTRIES_MAX: usize = 1 << 15;
/// Entries of a page.
const PAGE: usize = 256;

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
    /// Each but the last is full.
    pages: VecDeque<Shared<Vec<T>>>,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self { start: 0, pages: VecDeque::new() }
    }
}

impl<T: Clone> Log<T> {
    pub(crate) fn push(&mut self, entry: T) {
        if self.pages.back().is_none_or(|page| page.len() == PAGE) {
            // One more than what is kept, since the last has but one entry.
            if self.pages.len() > ENTRIES_MAX / PAGE {
                self.pages.pop_front();
                self.start += PAGE as u64;
            }
            self.pages.push_back(Shared::new(Vec::with_capacity(PAGE)));
        }
        self.pages.back_mut().expect("a page was there, or was made").push(entry);
    }

    /// The number that the next entry will have.
    pub(crate) fn end(&self) -> u64 {
        let Some(last) = self.pages.back() else { return self.start };
        self.start + ((self.pages.len() - 1) * PAGE + last.len()) as u64
    }

    /// The entries from a number on; `None` when some of them are no longer kept.
    pub(crate) fn since(&self, position: u64) -> Option<impl Iterator<Item = &T>> {
        let skipped = usize::try_from(position.checked_sub(self.start)?).ok()?;
        let pages = self.pages.iter().skip(skipped / PAGE);
        Some(pages.flat_map(|page| page.iter()).skip(skipped % PAGE))
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
        for _ in 2..ENTRIES_MAX + PAGE {
            log.push(entry.clone());
        }
        assert_eq!(log.since(reached + 1).map(Iterator::count), Some(ENTRIES_MAX + PAGE - 1));
        log.push(entry);
        assert!(log.since(reached).is_none());
        assert_eq!(log.since(reached + PAGE as u64).map(Iterator::count), Some(ENTRIES_MAX + 1));
    }
}
