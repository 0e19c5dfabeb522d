//! Whether the data outside the pods holds exactly what was answered.
//!
//! A request keeps its name until it is answered, so one whose answer was lost (its server was killed in between) is
//! recorded twice under one name: names are compared, and the repetitions are counted apart.

use std::collections::{BTreeMap, BTreeSet};

/// Records and answers side by side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    /// How often each request is recorded.
    records: BTreeMap<String, usize>,
    /// The requests that were answered.
    answers: BTreeSet<String>,
}

/// What the comparison says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Balance {
    /// Requests that were answered.
    pub answers: usize,
    /// Requests that are recorded.
    pub records: usize,
    /// Records beyond the first of a request.
    pub repeated: usize,
    /// Answered, yet not recorded.
    pub unrecorded: Vec<String>,
    /// Recorded, yet not answered.
    pub unanswered: Vec<String>,
}

impl Balance {
    /// Whether each answered request is recorded and each recorded one was answered.
    pub(super) fn holds(&self) -> bool {
        self.unrecorded.is_empty() && self.unanswered.is_empty()
    }
}

impl Ledger {
    /// Adds the lines of a file of records or the like: the request's name is the first word.
    pub(super) fn record_lines(&mut self, text: &str) {
        for id in first_words(text) {
            *self.records.entry(id).or_default() += 1;
        }
    }

    /// Adds the lines of a file of answers.
    pub(super) fn answer_lines(&mut self, text: &str) {
        self.answers.extend(first_words(text));
    }

    /// Adds one answer.
    pub(super) fn answer(&mut self, id: String) {
        self.answers.insert(id);
    }

    /// Compares the two.
    pub(super) fn balance(&self) -> Balance {
        Balance {
            answers: self.answers.len(),
            records: self.records.len(),
            repeated: self.records.values().map(|times| times - 1).sum(),
            unrecorded: self.answers.iter().filter(|id| !self.records.contains_key(*id)).cloned().collect(),
            unanswered: self.records.keys().filter(|id| !self.answers.contains(*id)).cloned().collect(),
        }
    }
}

fn first_words(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sides_hold_and_a_repetition_is_counted_apart() {
        let mut ledger = Ledger::default();
        ledger.record_lines("a-1 pod-x\na-2 pod-y\na-2 pod-x\n");
        ledger.answer_lines("a-1 pod-x 1\n");
        ledger.answer("a-2".to_owned());
        let balance = ledger.balance();
        assert!(balance.holds());
        assert_eq!((balance.answers, balance.records, balance.repeated), (2, 2, 1));
    }

    #[test]
    fn a_difference_names_the_request() {
        let mut ledger = Ledger::default();
        ledger.record_lines("a-1 pod-x\n");
        ledger.answer_lines("a-2 pod-x 1\n");
        let balance = ledger.balance();
        assert!(!balance.holds());
        assert_eq!((balance.unrecorded, balance.unanswered), (vec!["a-2".to_owned()], vec!["a-1".to_owned()]));
    }
}
