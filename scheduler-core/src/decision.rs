//! What the scheduler answers.

use std::sync::Arc;
use std::time::Duration;

use crate::pod_table::PodRef;
use crate::report::Report;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// The pod goes to the node. It counts there from now on; say [`commit`](crate::Scheduler::commit) when the
    /// cluster took the binding, or [`rollback`](crate::Scheduler::rollback) when it did not.
    Bind {
        /// The pod.
        pod: PodRef,
        /// The node's name.
        node: Arc<str>,
        /// The node's total score.
        score: i64,
    },
    /// The pod fits on the node once the victims are gone. It is nominated there and tried again when they are
    /// removed; say [`rollback`](crate::Scheduler::rollback) when they cannot be evicted.
    Preempt {
        /// The pod.
        pod: PodRef,
        /// The node's name.
        node: Arc<str>,
        /// The pods to evict, the most important first.
        victims: Vec<PodRef>,
    },
    /// The pod fits nowhere. It is tried again when something changes that may help, or after a while.
    Unschedulable {
        /// The pod.
        pod: PodRef,
        /// Why; displays as kube-scheduler's message.
        report: Report,
    },
    /// There is nothing to try. Ask again after the next event, and at the given time at the latest.
    Idle {
        /// When a pod's wait is over, on the caller's clock; `None` when only an event can help.
        until: Option<Duration>,
    },
}
