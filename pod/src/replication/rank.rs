//! Which pod goes first when there are too many.
//!
//! Source: `ActivePodsWithRanks` in `pkg/controller/controller_utils.go`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::kinds::Pod;
use crate::wire::text::Text as _;
use crate::wire::time::Time;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// What of a pod counts.
struct Key<'a> {
    pod: &'a Pod,
    node: &'a str,
    phase: u8,
    ready: bool,
    cost: i32,
    /// How many related pods are on its node.
    crowd: usize,
    ready_since: Option<Time>,
    restarts: (i32, i32),
}

/// The pods in the order in which they are deleted.
pub fn rank<'a>(pods: &[&'a Pod], related: &[Pod], now: Time) -> Vec<&'a Pod> {
    let mut crowds: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in pods.iter().copied().chain(related).filter(|pod| pod.is_active()) {
        *crowds.entry(pod.spec.node_name.text()).or_default() += 1;
    }
    let keys: Vec<Key<'a>> = pods.iter().map(|pod| key(pod, &crowds)).collect();
    let order = merge_sorted((0..keys.len()).collect(), &|a, b| compare(&keys[a], &keys[b], now));
    order.into_iter().map(|index| keys[index].pod).collect()
}

/// A merge sort. The original's comparison is no total order: of three pods each may go before the next in a circle,
/// which the sort of the standard library answers with a panic.
fn merge_sorted(mut items: Vec<usize>, compare: &impl Fn(usize, usize) -> Ordering) -> Vec<usize> {
    if items.len() < 2 {
        return items;
    }
    let right = items.split_off(items.len() / 2);
    let (left, right) = (merge_sorted(items, compare), merge_sorted(right, compare));
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        merged.extend(if compare(*a, *b) == Ordering::Greater { right.next() } else { left.next() });
    }
    merged.extend(left);
    merged.extend(right);
    merged
}

fn key<'a>(pod: &'a Pod, crowds: &BTreeMap<&str, usize>) -> Key<'a> {
    let node = pod.spec.node_name.text();
    let ready = pod.is_ready();
    let ready_since = pod.condition("Ready").filter(|_| ready).and_then(|condition| condition.last_transition_time);
    Key {
        pod,
        node,
        phase: match pod.status.phase.text() {
            "Unknown" => 1,
            "Running" => 2,
            _ => 0,
        },
        ready,
        cost: deletion_cost(pod),
        crowd: crowds.get(node).copied().unwrap_or(0),
        ready_since,
        restarts: restarts(pod),
    }
}

/// A cost that is no plain number counts as zero.
fn deletion_cost(pod: &Pod) -> i32 {
    let Some(text) = pod.metadata.annotations.get(DELETION_COST) else { return 0 };
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.starts_with(|c: char| ('1'..='9').contains(&c)) || text == "0";
    if plain { text.parse().unwrap_or(0) } else { 0 }
}

/// The most restarts of a regular container and of a sidecar.
fn restarts(pod: &Pod) -> (i32, i32) {
    let most = |count: Option<i32>| count.unwrap_or(0);
    let regular = pod.status.container_statuses.iter().map(|status| most(status.restart_count)).max();
    let is_sidecar = |name: &Option<String>| {
        pod.spec.init_containers.iter().any(|one| one.name == *name && one.restart_policy.text() == "Always")
    };
    let sidecars = pod.status.init_container_statuses.iter().filter(|status| is_sidecar(&status.name));
    (regular.unwrap_or(0), sidecars.map(|status| most(status.restart_count)).max().unwrap_or(0))
}

fn compare(a: &Key<'_>, b: &Key<'_>, now: Time) -> Ordering {
    let unassigned = || a.node.is_empty().cmp(&b.node.is_empty()).reverse();
    unassigned()
        .then_with(|| a.phase.cmp(&b.phase))
        .then_with(|| a.ready.cmp(&b.ready))
        .then_with(|| a.cost.cmp(&b.cost))
        .then_with(|| b.crowd.cmp(&a.crowd))
        .then_with(|| {
            if a.ready && b.ready { compare_ages(a.ready_since, b.ready_since, a, b, now) } else { Ordering::Equal }
        })
        .then_with(|| b.restarts.cmp(&a.restarts))
        .then_with(|| {
            let created = |key: &Key<'_>| key.pod.metadata.creation_timestamp;
            compare_ages(created(a), created(b), a, b, now)
        })
}

/// The younger goes first; ages of the same power of two count as the same, and the identity decides.
fn compare_ages(a: Option<Time>, b: Option<Time>, first: &Key<'_>, second: &Key<'_>, now: Time) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if a == b => Ordering::Equal,
        (Some(a), Some(b)) => {
            let uid = |key: &Key<'_>| key.pod.metadata.uid.text().to_owned();
            magnitude(a, now).cmp(&magnitude(b, now)).then_with(|| uid(first).cmp(&uid(second)))
        }
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// The power of two of an age in nanoseconds; -1 for what is not in the past.
fn magnitude(time: Time, now: Time) -> i32 {
    let age = i128::from(now.unix_seconds() - time.unix_seconds()) * 1_000_000_000;
    u128::try_from(age).ok().and_then(u128::checked_ilog2).and_then(|log| i32::try_from(log).ok()).unwrap_or(-1)
}
