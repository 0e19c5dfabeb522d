//! What the scheduler answers.

use std::fmt;
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
        /// The shared devices that the pod takes on the node, where it asks for any: what its annotation
        /// `alibabacloud.com/gpu-index` is to say.
        devices: Box<[u16]>,
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
    /// The pods go to these nodes, which makes their group whole. Each counts from now on, and is committed or rolled back
    /// by itself; one that is rolled back is tried again, while the others stay.
    BindGroup {
        /// The group.
        group: GroupName,
        /// At least as many pods as the group still needed, the most important first.
        bindings: Vec<Binding>,
    },
    /// Too few pods of the group fit at the same time, so none of them takes room. They are tried again together when
    /// something changes that may help, or after a while.
    GroupUnschedulable {
        /// The group.
        group: GroupName,
        /// The pods that wait.
        pods: Vec<PodRef>,
        /// How many would fit, and why the most important of the others does not.
        report: Report,
    },
    /// There is nothing to try. Ask again after the next event, and at the given time at the latest.
    Idle {
        /// When a pod's wait is over, on the caller's clock; `None` when only an event can help.
        until: Option<Duration>,
    },
}

/// A pod and the node that it goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Binding {
    /// The pod.
    pub pod: PodRef,
    /// The node's name.
    pub node: Arc<str>,
    /// The node's total score, with the pods before it in the group on their nodes.
    pub score: i64,
    /// The shared devices that it takes there.
    pub devices: Box<[u16]>,
}

/// A pod group's name. Displays as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name within the namespace.
    pub name: Arc<str>,
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
