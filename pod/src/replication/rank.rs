//! Which pod goes first when there are too many.
//!
//! The original compares two pods at a time, and its comparison is no order: the identity decides between two ages
//! that are about the same, but not between two that are equal, so of three pods each may go before the next in a
//! circle. Here a pod has a [`Place`], which is an order, and pods whose ages are equal are settled among neighbours
//! ([`settle`]). Wherever the original's comparison is an order this is the same one.
//!
//! Source: `ActivePodsWithRanks` in `pkg/controller/controller_utils.go`.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::kinds::Pod;
use crate::wire::text::Text as _;
use crate::wire::time::Time;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// What of a pod counts.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) node: Arc<str>,
    phase: u8,
    pub(super) ready: bool,
    cost: i32,
    /// Since when it is ready, if it is.
    pub(super) ready_since: Option<Time>,
    restarts: (i32, i32),
    created: Option<Time>,
    uid: Arc<str>,
}

/// The base two logarithm of an age in nanoseconds; -1 for what is not in the past, `None` for what has no age.
type Magnitude = Option<i32>;

/// Where a pod stands among those that are to go; the first goes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    class: Class,
    ready_for: Magnitude,
    rest: Rest,
    /// Which pod it is: those that are alike in all else stand in the order in which they came.
    number: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    assigned: bool,
    phase: u8,
    ready: bool,
    cost: i32,
    /// How many related pods are on its node.
    crowd: Reverse<usize>,
}

/// What decides in a class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Rest {
    /// The identity, among those that are ready for about as long.
    Identity(Arc<str>),
    Past(Past),
}

/// What decides among those whose readiness does not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Past {
    restarts: Reverse<(i32, i32)>,
    age: Magnitude,
    /// The identity, of one that has an age.
    uid: Option<Arc<str>>,
}

impl Place {
    /// Which pod it is the place of.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Facts {
    pub(super) fn of(pod: &Pod) -> Self {
        let ready = pod.is_ready();
        Self {
            node: pod.spec.node_name.text().into(),
            phase: match pod.status.phase.text() {
                "Unknown" => 1,
                "Running" => 2,
                _ => 0,
            },
            ready,
            cost: deletion_cost(pod),
            ready_since: pod.condition("Ready").filter(|_| ready).and_then(|condition| condition.last_transition_time),
            restarts: restarts(pod),
            created: pod.metadata.creation_timestamp,
            uid: pod.metadata.uid.text().into(),
        }
    }

    /// Its place now, and the first second at which that is another.
    pub(super) fn place(&self, crowd: usize, number: u64, now: Time) -> (Place, Option<i64>) {
        let assigned = !self.node.is_empty();
        // Those without a node are as many for each of them.
        let crowd = Reverse(if assigned { crowd } else { 0 });
        let class = Class { assigned, phase: self.phase, ready: self.ready, cost: self.cost, crowd };
        let (rest, since) = match self.ready_since {
            Some(since) => (Rest::Identity(self.uid.clone()), Some(since)),
            None => (Rest::Past(self.past(now)), self.created),
        };
        let ready_for = self.ready_since.map(|since| magnitude(since, now));
        (Place { class, ready_for, rest, number }, since.and_then(|since| grows(since, now)))
    }

    fn past(&self, now: Time) -> Past {
        Past {
            restarts: Reverse(self.restarts),
            age: self.created.map(|created| magnitude(created, now)),
            uid: self.created.is_some().then(|| self.uid.clone()),
        }
    }
}

/// Whether nothing decides between neighbours but what [`settle`] looks at.
pub(super) fn ties(a: (&Place, &Facts), b: (&Place, &Facts)) -> bool {
    let same_identity = a.1.uid == b.1.uid;
    (&a.0.class, a.0.ready_for) == (&b.0.class, b.0.ready_for)
        && match (&a.0.rest, &b.0.rest) {
            (Rest::Past(past), Rest::Past(other)) => {
                (past.restarts, past.age) == (other.restarts, other.age)
                    && (a.1.created == b.1.created || same_identity)
            }
            _ => a.1.ready_since == b.1.ready_since || same_identity,
        }
}

/// Orders neighbours that [tie](ties).
pub(super) fn settle(run: &mut [(&Place, &Facts)], now: Time) {
    if matches!(run, [(Place { rest: Rest::Identity(_), .. }, _), ..]) {
        run.sort_by_cached_key(|(place, facts)| (facts.past(now), place.number));
        let alike = |a: &(&Place, &Facts), b: &(&Place, &Facts)| {
            let (past, other) = (a.1.past(now), b.1.past(now));
            (past.restarts, past.age) == (other.restarts, other.age)
                && (a.1.created == b.1.created || a.1.uid == b.1.uid)
        };
        for run in run.chunk_by_mut(alike) {
            run.sort_by_key(|(place, _)| place.number);
        }
    } else {
        run.sort_by_key(|(place, _)| place.number);
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

fn age(time: Time, now: Time) -> i128 {
    (i128::from(now.unix_seconds()) - i128::from(time.unix_seconds())) * NANOS
}

const NANOS: i128 = 1_000_000_000;

fn magnitude(time: Time, now: Time) -> i32 {
    let log = u128::try_from(age(time, now)).ok().and_then(u128::checked_ilog2);
    log.and_then(|log| i32::try_from(log).ok()).unwrap_or(-1)
}

/// The first second after `now` at which the age of `time` has another magnitude.
fn grows(time: Time, now: Time) -> Option<i64> {
    let age = match u32::try_from(magnitude(time, now)) {
        Ok(log) => (2i128 << log).div_euclid(NANOS) + i128::from((2i128 << log).rem_euclid(NANOS) > 0),
        Err(_) => 1,
    };
    i64::try_from(i128::from(time.unix_seconds()) + age).ok()
}

#[cfg(test)]
mod tests {
    use super::{grows, magnitude};
    use crate::wire::time::Time;

    #[test]
    fn an_age_grows_when_it_is_said_to() {
        let time = Time::from_unix_seconds(1000);
        for seconds in (0..5000).chain([1 << 30, (1 << 40) - 1]) {
            let now = Time::from_unix_seconds(seconds);
            let next = grows(time, now).unwrap();
            assert!(next > seconds, "{seconds}");
            let at = |seconds| magnitude(time, Time::from_unix_seconds(seconds));
            assert_eq!(at(next - 1), at(seconds), "{seconds}");
            assert!(at(next) > at(seconds), "{seconds}");
        }
    }
}
