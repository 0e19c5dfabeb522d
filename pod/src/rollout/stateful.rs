//! Stateful sets: pods with numbers, one after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use super::revision::template_hash;
use crate::kinds::{Pod, StatefulSet, StatefulSetStatus};
use crate::wire::text::Text as _;
use crate::wire::time::Time;

/// The label that tells the pods of two versions of a set apart.
const HASH: &str = "controller-revision-hash";

/// What to do about a stateful set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatefulAction {
    /// Create the pod of a number, and the claims of it that are not there.
    Create {
        /// The pod's name: the set's and the number.
        pod: String,
        /// The claims' names, in the order of the set's templates.
        claims: Vec<String>,
        /// The value of the label `controller-revision-hash`, which says from which template.
        revision: String,
    },
    /// Delete a pod.
    Delete {
        /// The pod's name.
        pod: String,
    },
    /// Delete a claim of a pod that is gone, as the set asks for.
    DeleteClaim {
        /// The claim's name.
        claim: String,
    },
}

/// What a stateful set needs now.
#[derive(Debug, Clone, PartialEq)]
pub struct StatefulStep {
    /// What to do, in this order.
    pub actions: Vec<StatefulAction>,
    /// What to report.
    pub status: StatefulSetStatus,
}

/// The number at the end of a pod's name.
fn ordinal(set: &StatefulSet, pod: &Pod) -> Option<i32> {
    pod.metadata.name.text().strip_prefix(set.metadata.name.text())?.strip_prefix('-')?.parse().ok()
}

struct Plan<'a> {
    set: &'a StatefulSet,
    pods: BTreeMap<i32, &'a Pod>,
    first: i32,
    last: i32,
    current: String,
    update: String,
    partition: i32,
    now: Time,
}

impl Plan<'_> {
    fn name(&self, number: i32) -> String {
        format!("{}-{number}", self.set.metadata.name.text())
    }

    fn claims(&self, number: i32) -> Vec<String> {
        let of = |claim: &crate::kinds::PersistentVolumeClaim| {
            format!("{}-{}", claim.metadata.name.text(), self.name(number))
        };
        self.set.spec.volume_claim_templates.iter().map(of).collect()
    }

    /// From which template the pod of a number is made.
    fn revision(&self, number: i32) -> String {
        let rolls = self.set.spec.update_strategy.type_.text() != "OnDelete";
        if rolls && number < self.partition { self.current.clone() } else { self.update.clone() }
    }

    fn create(&self, number: i32) -> StatefulAction {
        StatefulAction::Create { pod: self.name(number), claims: self.claims(number), revision: self.revision(number) }
    }

    fn is_available(&self, pod: &Pod) -> bool {
        let seconds = self.set.spec.min_ready_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
        pod.is_active() && pod.is_available(Duration::from_secs(seconds), self.now)
    }

    fn delete(pod: &Pod) -> StatefulAction {
        StatefulAction::Delete { pod: pod.metadata.name.clone().unwrap_or_default() }
    }

    fn actions(&self) -> Vec<StatefulAction> {
        let ordered = self.set.spec.pod_management_policy.text() != "Parallel";
        let mut actions = Vec::new();
        for number in self.first..=self.last {
            match self.pods.get(&number) {
                None => actions.push(self.create(number)),
                // It has ended and is made anew once it is gone.
                Some(pod) if pod.is_terminal() && pod.metadata.deletion_timestamp.is_none() => {
                    actions.push(Self::delete(pod));
                }
                Some(pod) if self.is_available(pod) => continue,
                Some(_) => {}
            }
            // The next one waits until this one works.
            if ordered {
                return actions;
            }
        }
        let surplus = self.pods.iter().rev().filter(|(number, _)| !(self.first..=self.last).contains(*number));
        for (_, pod) in surplus {
            if pod.metadata.deletion_timestamp.is_none() {
                actions.push(Self::delete(pod));
            }
            if ordered {
                return actions;
            }
        }
        if !actions.is_empty() || self.set.spec.update_strategy.type_.text() == "OnDelete" {
            return actions;
        }
        self.replace_oldest(&mut actions);
        actions
    }

    /// From the highest number down to the partition, one at a time, each when those above it work.
    fn replace_oldest(&self, actions: &mut Vec<StatefulAction>) {
        for number in (self.partition.max(self.first)..=self.last).rev() {
            let Some(pod) = self.pods.get(&number) else { return };
            if pod.metadata.deletion_timestamp.is_some() {
                return;
            }
            if pod.metadata.labels.get(HASH) != Some(&self.update) {
                return actions.push(Self::delete(pod));
            }
            if !self.is_available(pod) {
                return;
            }
        }
    }

    fn status(&self) -> StatefulSetStatus {
        let count = |is: &dyn Fn(&Pod) -> bool| {
            Some(i32::try_from(self.pods.values().filter(|pod| is(pod)).count()).unwrap_or(i32::MAX))
        };
        let of = |pod: &Pod, revision: &String| pod.is_active() && pod.metadata.labels.get(HASH) == Some(revision);
        let updated = count(&|pod| of(pod, &self.update));
        let ready = count(&|pod| pod.is_active() && pod.is_ready());
        let replicas = count(&|_| true);
        // All are of the new template: it is the current one from now on.
        let done = self.partition <= self.first && updated == replicas && ready == replicas;
        let current = if done { &self.update } else { &self.current };
        StatefulSetStatus {
            replicas,
            ready_replicas: ready,
            available_replicas: count(&|pod| self.is_available(pod)),
            current_replicas: count(&|pod| of(pod, current)),
            updated_replicas: updated,
            current_revision: Some(current.clone()),
            update_revision: Some(self.update.clone()),
            observed_generation: self.set.metadata.generation,
            ..self.set.status.clone()
        }
    }
}

/// What to do about a stateful set and its pods.
///
/// ```
/// use windlass_pod::kinds::StatefulSet;
/// use windlass_pod::rollout::{StatefulAction, stateful_set};
/// use windlass_pod::{Time, decode_yaml_as};
///
/// let set: StatefulSet = decode_yaml_as(b"{metadata: {name: db}, spec: {replicas: 3}}").unwrap();
/// let step = stateful_set(&set, &[], Time::from_unix_seconds(0));
/// assert!(matches!(&step.actions[..], [StatefulAction::Create { pod, .. }] if pod == "db-0"));
/// ```
pub fn stateful_set(set: &StatefulSet, pods: &[Pod], now: Time) -> StatefulStep {
    let update = template_hash(&set.spec.template, set.status.collision_count);
    let current = set.status.current_revision.clone().filter(|own| !own.is_empty()).unwrap_or_else(|| update.clone());
    let first = set.spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0);
    let rolling = set.spec.update_strategy.rolling_update.as_ref();
    let plan = Plan {
        set,
        pods: pods.iter().filter_map(|pod| Some((ordinal(set, pod)?, pod))).collect(),
        first,
        last: first.saturating_add(set.spec.replicas.unwrap_or(1)) - 1,
        current,
        update,
        partition: rolling.and_then(|rolling| rolling.partition).unwrap_or(0),
        now,
    };
    let mut actions = if set.metadata.deletion_timestamp.is_none() { plan.actions() } else { Vec::new() };
    let retention = set.spec.persistent_volume_claim_retention_policy.as_ref();
    if retention.is_some_and(|policy| policy.when_scaled.text() == "Delete") {
        // The claims of a pod go with it.
        let gone: Vec<i32> =
            plan.pods.keys().copied().filter(|number| !(plan.first..=plan.last).contains(number)).collect();
        let claims = gone.into_iter().flat_map(|number| plan.claims(number));
        actions.extend(claims.map(|claim| StatefulAction::DeleteClaim { claim }));
    }
    StatefulStep { actions, status: plan.status() }
}
