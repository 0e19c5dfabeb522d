//! Replication: how many pods to create and which to delete.
//!
//! [`decide`] looks at the pods of a replication controller or replica set once; the caller creates in batches
//! ([`Decision::batches`]), so that a mistake in the template fails once and not five hundred times.

mod rank;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kinds::{LabelSelector, Pod, ReplicaSet, ReplicationController};
use crate::selector::{Selector, SelectorError};
use crate::wire::text::Text as _;
use crate::wire::time::Time;
pub use rank::rank;

/// The most pods that one decision creates or deletes.
pub const BURST: usize = 500;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// How many pods.
    pub replicas: usize,
    /// Which pods are its own.
    pub selector: Selector,
    /// The labels of the pods that it makes.
    pub template_labels: BTreeMap<String, String>,
    /// How long a pod must be ready to count as available.
    pub min_ready: Duration,
}

impl Wanted {
    /// What a replication controller wants; an unset number is one.
    pub fn of_controller(controller: &ReplicationController) -> Self {
        let spec = &controller.spec;
        let labels = spec.template.as_ref().map(|template| template.metadata.labels.clone()).unwrap_or_default();
        let selector = if spec.selector.is_empty() { &labels } else { &spec.selector };
        Self {
            replicas: replicas(spec.replicas),
            selector: Selector::from_labels(selector),
            template_labels: labels,
            min_ready: seconds(spec.min_ready_seconds),
        }
    }

    /// What a replica set wants; an unset number is one.
    ///
    /// # Errors
    /// The selector cannot be used.
    pub fn of_replica_set(set: &ReplicaSet) -> Result<Self, SelectorError> {
        let spec = &set.spec;
        let selector: Option<&LabelSelector> = spec.selector.as_deref();
        Ok(Self {
            replicas: replicas(spec.replicas),
            selector: Selector::from_label_selector(selector)?,
            template_labels: spec.template.metadata.labels.clone(),
            min_ready: seconds(spec.min_ready_seconds),
        })
    }
}

fn replicas(value: Option<i32>) -> usize {
    usize::try_from(value.unwrap_or(1)).unwrap_or(0)
}

fn seconds(value: Option<i32>) -> Duration {
    Duration::from_secs(value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0))
}

/// What to do about a number of pods.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision<'a> {
    /// There are as many as wanted.
    Keep,
    /// Create this many.
    Create(usize),
    /// Delete these, in this order.
    Delete(Vec<&'a Pod>),
}

impl Decision<'_> {
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

/// Decides about the active pods among `pods`, which are all that the controller owns.
///
/// `related` are pods of siblings: replica sets of the same deployment. Of two pods that are alike, the one on the
/// node with more of them goes first.
pub fn decide<'a>(replicas: usize, pods: &'a [Pod], related: &[Pod], now: Time) -> Decision<'a> {
    let active: Vec<&Pod> = pods.iter().filter(|pod| pod.is_active()).collect();
    let count = active.len();
    match count.cmp(&replicas) {
        std::cmp::Ordering::Equal => Decision::Keep,
        std::cmp::Ordering::Less => Decision::Create((replicas - count).min(BURST)),
        std::cmp::Ordering::Greater => {
            let surplus = (count - replicas).min(BURST);
            Decision::Delete(rank(&active, related, now).into_iter().take(surplus).collect())
        }
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

/// Counts the active pods among `pods`.
pub fn count(wanted: &Wanted, pods: &[Pod], now: Time) -> Counts {
    let template = Selector::from_labels(&wanted.template_labels);
    let mut counts = Counts::default();
    for pod in pods.iter().filter(|pod| pod.is_active()) {
        counts.replicas += 1;
        counts.fully_labeled += usize::from(template.matches(&pod.metadata.labels));
        counts.ready += usize::from(pod.is_ready());
        counts.available += usize::from(pod.is_available(wanted.min_ready, now));
    }
    counts
}

/// The condition `ReplicaFailure` after a try to create or delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Leave the condition as it is.
    Keep,
    /// Set it with this reason and message.
    Set {
        /// `FailedCreate` or `FailedDelete`; empty when neither was tried.
        reason: &'static str,
        /// What went wrong.
        message: String,
    },
    /// Take it away.
    Clear,
}

/// What becomes of the condition `ReplicaFailure`.
pub fn failure(error: Option<&str>, has_condition: Presence, active: usize, replicas: usize) -> Failure {
    match (error, has_condition) {
        (Some(message), Presence::Absent) => {
            let reason = match active.cmp(&replicas) {
                std::cmp::Ordering::Less => "FailedCreate",
                std::cmp::Ordering::Greater => "FailedDelete",
                std::cmp::Ordering::Equal => "",
            };
            Failure::Set { reason, message: message.to_owned() }
        }
        (None, Presence::Present) => Failure::Clear,
        _ => Failure::Keep,
    }
}

/// Whether a controller has a condition now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It has.
    Present,
    /// It has not.
    Absent,
}

/// What a controller does about a pod and who owns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is the controller's own.
    Own,
    /// It matches and has no controller: take it.
    Adopt,
    /// It is the controller's own and matches no longer: let it go.
    Release,
    /// It is none of the controller's business.
    Ignore,
}

/// Whether a pod belongs to the controller with this identity.
pub fn claim(pod: &Pod, controller_uid: &str, selector: &Selector) -> Claim {
    let owner = pod.metadata.owner_references.iter().find(|owner| owner.controller == Some(true));
    let matches = selector.matches(&pod.metadata.labels);
    match owner {
        Some(owner) if owner.uid.text() != controller_uid => Claim::Ignore,
        Some(_) if matches => Claim::Own,
        // What is being deleted is not worth a write.
        Some(_) if pod.metadata.deletion_timestamp.is_none() => Claim::Release,
        None if matches && pod.metadata.deletion_timestamp.is_none() => Claim::Adopt,
        Some(_) | None => Claim::Ignore,
    }
}
