//! Replication: how many pods to create and which to delete.
//!
//! [`decide`] looks at the pods of a replication controller or replica set once, an [`Index`] is told what changed and
//! answers the same; the caller creates in batches ([`Decision::batches`]), so that a mistake in the template fails
//! once and not five hundred times.

mod decision;
mod index;
mod rank;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kinds::{LabelSelector, Pod, ReplicaSet, ReplicationController};
use crate::selector::{Selector, SelectorError};
use crate::wire::text::Text as _;
use crate::wire::time::Time;
pub use decision::{BURST, Counts, Decision};
pub use index::Index;

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

/// Decides about the active pods among `pods`, which are all that the controller owns.
///
/// `related` are pods of siblings: replica sets of the same deployment. Of two pods that are alike, the one on the
/// node with more of them goes first. Who decides again and again keeps an [`Index`].
pub fn decide<'a>(replicas: usize, pods: &'a [Pod], related: &[Pod], now: Time) -> Decision<&'a Pod> {
    let active = pods.iter().filter(|pod| pod.is_active()).count();
    match Decision::without_surplus(active, replicas) {
        Some(decision) => decision,
        None => Index::of(pods, related).decide(replicas, now),
    }
}

/// The active ones among `pods` in the order in which they are deleted.
pub fn rank<'a>(pods: &[&'a Pod], related: &[Pod], now: Time) -> Vec<&'a Pod> {
    Index::of(pods.iter().copied(), related).first(pods.len(), now)
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
