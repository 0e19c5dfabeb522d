//! The last events in order, of which a watch takes what it has not seen yet.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Event, Revision, StoreError};

/// Consecutive events up to the newest commit.
#[derive(Debug)]
pub(super) struct History {
    events: VecDeque<Arc<Event>>,
    /// The last commit whose event is gone.
    compacted: Revision,
}

/// A part of the history for one watch.
#[derive(Debug)]
pub(super) struct Portion {
    /// Events below the prefix, in order.
    pub(super) events: Vec<Arc<Event>>,
    /// The last commit that was looked at, whether it is below the prefix or not.
    pub(super) through: Revision,
}

impl History {
    /// An empty history after `compacted`.
    pub(super) fn new(compacted: Revision) -> Self {
        Self { events: VecDeque::new(), compacted }
    }

    /// The newest commit.
    pub(super) fn head(&self) -> Revision {
        self.events.back().map_or(self.compacted, |event| event.revision)
    }

    /// Appends the event of the commit that follows [`head`](Self::head).
    pub(super) fn push(&mut self, event: Arc<Event>) {
        debug_assert_eq!(event.revision, self.head().next(), "every commit has one event");
        self.events.push_back(event);
    }

    /// Forgets all up to and including `revision`.
    pub(super) fn compact(&mut self, revision: Revision) {
        while self.events.front().is_some_and(|event| event.revision <= revision) {
            self.events.pop_front();
        }
        self.compacted = self.compacted.max(revision);
    }

    /// The events after a revision whose keys start with `prefix`; looks at `limit` events at most.
    pub(super) fn after(&self, after: Revision, prefix: &str, limit: usize) -> Result<Portion, StoreError> {
        if after < self.compacted {
            return Err(StoreError::Compacted { after, compacted: self.compacted });
        }
        let skip = usize::try_from(after.0 - self.compacted.0).unwrap_or(usize::MAX);
        let looked_at = self.events.iter().skip(skip).take(limit);
        let through = looked_at.clone().next_back().map_or(after, |event| event.revision);
        let events = looked_at.filter(|event| event.key.starts_with(prefix)).cloned().collect();
        Ok(Portion { events, through })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EventKind;

    fn history(compacted: u64, keys: &[&str]) -> History {
        let mut history = History::new(Revision(compacted));
        for key in keys {
            let event = Event {
                kind: EventKind::Created,
                key: (*key).to_owned(),
                value: Arc::from(key.as_bytes()),
                revision: history.head().next(),
            };
            history.push(Arc::new(event));
        }
        history
    }

    fn revisions(portion: &Portion) -> Vec<u64> {
        portion.events.iter().map(|event| event.revision.0).collect()
    }

    #[test]
    fn a_portion_holds_the_prefix_and_says_how_far_it_looked() {
        let history = history(10, &["/a/1", "/b/1", "/a/2", "/b/2"]);
        let cases: [(u64, &str, usize, &[u64], u64); 6] = [
            (10, "/a/", 10, &[11, 13], 14),
            (11, "/a/", 10, &[13], 14),
            (10, "/b/", 1, &[], 11),
            (12, "", 1, &[13], 13),
            (14, "/a/", 10, &[], 14),
            (20, "/a/", 10, &[], 20),
        ];
        for (after, prefix, limit, expected, through) in cases {
            let portion = history.after(Revision(after), prefix, limit).unwrap();
            assert_eq!((revisions(&portion).as_slice(), portion.through.0), (expected, through), "{after} {prefix}");
        }
    }

    #[test]
    fn what_is_compacted_is_refused_and_nothing_else() {
        let mut history = history(0, &["/a", "/b", "/c"]);
        history.compact(Revision(2));
        assert!(matches!(
            history.after(Revision(1), "", 9),
            Err(StoreError::Compacted { after: Revision(1), compacted: Revision(2) })
        ));
        assert_eq!(revisions(&history.after(Revision(2), "", 9).unwrap()), [3]);
        history.compact(Revision(3));
        assert_eq!(history.head(), Revision(3));
    }
}
