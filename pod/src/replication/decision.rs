//! What is to be done about a number of pods, and how many there are.

use std::cmp::Ordering;

/// The most pods that one decision creates or deletes.
pub const BURST: usize = 500;

/// What to do about a number of pods, each of which is told by a `P`.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision<P> {
    /// There are as many as wanted.
    Keep,
    /// Create this many.
    Create(usize),
    /// Delete these, in this order.
    Delete(Vec<P>),
}

impl<P> Decision<P> {
    /// The decision, unless some must go.
    pub(super) fn without_surplus(count: usize, replicas: usize) -> Option<Self> {
        match count.cmp(&replicas) {
            Ordering::Equal => Some(Self::Keep),
            Ordering::Less => Some(Self::Create((replicas - count).min(BURST))),
            Ordering::Greater => None,
        }
    }

    /// The sizes of the batches to create, each begun when the one before has succeeded: 1, 2, 4 ...
    pub fn batches(&self) -> Vec<usize> {
        let mut left = if let Self::Create(count) = self { *count } else { 0 };
        let mut batches = Vec::new();
        let mut size = 1;
        while left > 0 {
            let batch = left.min(size);
            batches.push(batch);
            left -= batch;
            size = size.saturating_mul(2);
        }
        batches
    }
}

/// How many pods there are, for the status of a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Active pods.
    pub replicas: usize,
    /// Those that have all labels of the template.
    pub fully_labeled: usize,
    /// Those that are ready.
    pub ready: usize,
    /// Those that have been ready long enough.
    pub available: usize,
}
