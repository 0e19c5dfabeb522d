//! Daemon sets: a pod on every node that takes it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bounds::{Rounding, scaled};
use super::revision::template_hash;
use crate::kinds::{DaemonSet, DaemonSetStatus, Node, Pod, Taint};
use crate::taint::tolerates;
use crate::wire::text::Text as _;
use crate::wire::time::Time;

/// The label that tells the pods of two versions of a set apart.
const HASH: &str = "controller-revision-hash";

/// What to do about a daemon set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DaemonAction {
    /// Create a pod for a node, with a label for its version.
    Create {
        /// The node.
        node: String,
        /// The value of the label `controller-revision-hash`.
        hash: String,
    },
    /// Delete a pod.
    Delete {
        /// The pod's name.
        pod: String,
    },
}

/// What a daemon set needs now.
#[derive(Debug, Clone, PartialEq)]
pub struct DaemonStep {
    /// What to do, in this order.
    pub actions: Vec<DaemonAction>,
    /// What to report.
    pub status: DaemonSetStatus,
}

/// Taints that the pods of daemon sets never mind.
const ALWAYS: [&str; 6] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
];

/// Whether pods of the set belong on a node: to be started there, and to be left there.
fn belongs(set: &DaemonSet, node: &Node) -> (bool, bool) {
    let spec = &set.spec.template.spec;
    let selected = spec.node_selector.iter().all(|(key, value)| node.metadata.labels.get(key) == Some(value));
    let named = spec.node_name.text();
    if !selected || (!named.is_empty() && named != node.metadata.name.text()) {
        return (false, false);
    }
    let taken = |taint: &&Taint| {
        let host = taint.key.text() == "node.kubernetes.io/network-unavailable" && spec.host_network == Some(true);
        host || ALWAYS.contains(&taint.key.text()) || spec.tolerations.iter().any(|one| tolerates(one, taint))
    };
    let mut bad = node.spec.taints.iter().filter(|taint| !taken(taint)).map(|taint| taint.effect.text());
    let effects: Vec<&str> = bad.by_ref().collect();
    let starts = !effects.iter().any(|effect| matches!(*effect, "NoSchedule" | "NoExecute"));
    (starts, starts || !effects.contains(&"NoExecute"))
}

struct OnNode<'a> {
    node: &'a str,
    old: Vec<&'a Pod>,
    new: Vec<&'a Pod>,
}

/// What to do about a daemon set, its pods and the nodes there are.
///
/// ```
/// use windlass_pod::kinds::{DaemonSet, Node};
/// use windlass_pod::rollout::{DaemonAction, daemon_set};
/// use windlass_pod::{Time, decode_yaml_as};
///
/// let set: DaemonSet = decode_yaml_as(b"metadata: {name: log}").unwrap();
/// let node: Node = decode_yaml_as(b"metadata: {name: a}").unwrap();
/// let step = daemon_set(&set, &[], &[node], Time::from_unix_seconds(0));
/// assert!(matches!(&step.actions[..], [DaemonAction::Create { node, .. }] if node == "a"));
/// ```
pub fn daemon_set(set: &DaemonSet, pods: &[Pod], nodes: &[Node], now: Time) -> DaemonStep {
    let hash = template_hash(&set.spec.template, set.status.collision_count);
    let mut by_node: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in pods {
        by_node.entry(pod.spec.node_name.text()).or_default().push(pod);
    }
    let mut actions = Vec::new();
    let mut wanted: Vec<OnNode<'_>> = Vec::new();
    let mut misplaced = 0;
    for node in nodes {
        let name = node.metadata.name.text();
        let own = by_node.remove(name).unwrap_or_default();
        let (starts, stays) = belongs(set, node);
        let failed: Vec<&Pod> = own.iter().copied().filter(|pod| pod.is_terminal()).collect();
        let active: Vec<&Pod> = own.iter().copied().filter(|pod| pod.is_active()).collect();
        if !starts && (!stays || active.is_empty()) {
            misplaced += i32::from(!active.is_empty());
            actions.extend(own.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(|pod| delete(pod)));
            continue;
        }
        actions.extend(failed.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(|pod| delete(pod)));
        let is_new = |pod: &&Pod| pod.metadata.labels.get(HASH) == Some(&hash);
        let (new, old) = active.into_iter().partition(is_new);
        let leaving = own.iter().any(|pod| pod.metadata.deletion_timestamp.is_some());
        let here = OnNode { node: name, old, new };
        if here.old.is_empty() && here.new.is_empty() && starts && !leaving {
            actions.push(DaemonAction::Create { node: name.to_owned(), hash: hash.clone() });
        }
        wanted.push(here);
    }
    // What is left is on nodes that are gone.
    let lost = by_node.values().flatten().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    actions.extend(lost.map(|pod| delete(pod)));
    update(set, &wanted, &hash, now, &mut actions);
    let status = status(set, &wanted, misplaced, now);
    DaemonStep { actions, status }
}

fn delete(pod: &Pod) -> DaemonAction {
    DaemonAction::Delete { pod: pod.metadata.name.clone().unwrap_or_default() }
}

fn min_ready(set: &DaemonSet) -> Duration {
    Duration::from_secs(set.spec.min_ready_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0))
}

fn update(set: &DaemonSet, nodes: &[OnNode<'_>], hash: &str, now: Time, actions: &mut Vec<DaemonAction>) {
    // One pod a node, or one of each version while the new one starts.
    for node in nodes {
        for list in [&node.old, &node.new] {
            let mut list = list.clone();
            list.sort_by_key(|pod| (!pod.is_ready(), pod.metadata.creation_timestamp));
            actions.extend(list.iter().skip(1).map(|pod| delete(pod)));
        }
    }
    if set.spec.update_strategy.type_.text() == "OnDelete" {
        return;
    }
    let rolling = set.spec.update_strategy.rolling_update.as_deref();
    let total = i32::try_from(nodes.len()).unwrap_or(i32::MAX);
    let surge = scaled(rolling.and_then(|own| own.max_surge.as_ref()), total, Rounding::Up);
    let unavailable = rolling.and_then(|own| own.max_unavailable.as_ref());
    let unavailable = if unavailable.is_none() && surge == 0 { 1 } else { scaled(unavailable, total, Rounding::Up) };
    let is_available = |pod: &&&Pod| pod.is_available(min_ready(set), now);
    if surge > 0 {
        let mut starting =
            i32::try_from(nodes.iter().filter(|node| !node.old.is_empty() && !node.new.is_empty()).count())
                .unwrap_or(i32::MAX);
        for node in nodes.iter().filter(|node| !node.old.is_empty()) {
            let ready = node.new.iter().any(|pod| is_available(&pod));
            let broken = node.old.iter().all(|pod| !is_available(&pod));
            if ready || (broken && !node.new.is_empty()) {
                actions.extend(node.old.iter().map(|pod| delete(pod)));
            } else if node.new.is_empty() && starting < surge {
                starting += 1;
                actions.push(DaemonAction::Create { node: node.node.to_owned(), hash: hash.to_owned() });
            }
        }
        return;
    }
    let has = |node: &&OnNode<'_>| node.old.iter().chain(&node.new).any(|pod| is_available(&pod));
    let missing = i32::try_from(nodes.iter().filter(|node| !has(node)).count()).unwrap_or(i32::MAX);
    let mut room = (unavailable - missing).max(0);
    for node in nodes.iter().filter(|node| !node.old.is_empty()) {
        if has(&node) {
            if room == 0 {
                continue;
            }
            room -= 1;
        }
        actions.extend(node.old.iter().take(1).map(|pod| delete(pod)));
    }
}

fn status(set: &DaemonSet, nodes: &[OnNode<'_>], misplaced: i32, now: Time) -> DaemonSetStatus {
    let count = |is: &dyn Fn(&OnNode<'_>) -> bool| {
        Some(i32::try_from(nodes.iter().filter(|node| is(node)).count()).unwrap_or(i32::MAX))
    };
    let any = |node: &OnNode<'_>, is: &dyn Fn(&Pod) -> bool| node.old.iter().chain(&node.new).any(|pod| is(pod));
    let available = count(&|node| any(node, &|pod| pod.is_available(min_ready(set), now)));
    let desired = count(&|_| true);
    DaemonSetStatus {
        desired_number_scheduled: desired,
        current_number_scheduled: count(&|node| any(node, &|_| true)),
        number_misscheduled: Some(misplaced),
        number_ready: count(&|node| any(node, &Pod::is_ready)),
        number_available: available,
        number_unavailable: desired.zip(available).map(|(desired, available)| desired - available),
        updated_number_scheduled: count(&|node| !node.new.is_empty()),
        observed_generation: set.metadata.generation,
        ..set.status.clone()
    }
}
