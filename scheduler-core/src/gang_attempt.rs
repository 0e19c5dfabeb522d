//! An attempt to place a pod group: as many of its pods as it needs, or none.

use std::sync::Arc;

use crate::decision::{Decision, GroupName};
use crate::gang::{GangAttempt, GroupKey};
use crate::plugin::Plugins;
use crate::pod_table::Place;
use crate::queue::PluginSet;
use crate::report::{GroupReport, Report, count};
use crate::schedule::Found;
use crate::scheduler::Scheduler;
use crate::slot::{NodeId, PodSlot};
use crate::verdict::Rejection;

/// A pod that was put on a node for a try.
struct Tried {
    pod: PodSlot,
    node: NodeId,
    score: i64,
}

/// A pod that no node took, and what stood against it.
struct Left {
    pod: PodSlot,
    rejected: Vec<(NodeId, Rejection)>,
}

impl<P: Plugins> Scheduler<P> {
    /// Tries to place the group of a pod that was taken out of the queue.
    pub(crate) fn attempt_gang(&mut self, pod: PodSlot, group: GroupKey) -> GangAttempt {
        let placed = self.gangs.ready(group).filter(|pod| self.cluster.pods.get(*pod).place != Place::Pending).count();
        let Some(missing) = self.gangs.needed(group).checked_sub(placed).filter(|missing| *missing > 0) else {
            return GangAttempt::Alone;
        };
        let pending = self.pending_of(group);
        if pending.len() < missing {
            self.queue.put_back(pod);
            for pod in pending {
                self.queue.hold(pod);
            }
            return GangAttempt::Incomplete;
        }
        for other in pending.iter().filter(|other| **other != pod) {
            self.queue.take(*other);
        }
        let (tried, left) = self.try_all(&pending);
        if tried.len() >= missing {
            // The others are more than the group needs: each is tried by itself.
            for left in &left {
                self.queue.put_back(left.pod);
            }
            return GangAttempt::Decided(self.bind_gang(group, tried));
        }
        GangAttempt::Decided(self.fail_gang(group, missing, &tried, &left))
    }

    /// The pods of a group that are to be placed, the next one first.
    fn pending_of(&self, group: GroupKey) -> Vec<PodSlot> {
        let waits = |pod: &PodSlot| self.cluster.pods.get(*pod).place == Place::Pending && self.queue.contains(*pod);
        let mut pending: Vec<PodSlot> = self.gangs.ready(group).filter(waits).collect();
        pending.sort_by_key(|pod| self.queue.rank(*pod));
        pending
    }

    /// Puts one pod after the other on a node, each with those before it counted.
    fn try_all(&mut self, pods: &[PodSlot]) -> (Vec<Tried>, Vec<Left>) {
        let (mut tried, mut left) = (Vec::new(), Vec::new());
        for pod in pods {
            let (pod, class) = (*pod, Arc::clone(self.cluster.class(*pod)));
            let found = match self.ask_board(pod, &class) {
                Some((node, score)) => Found::Node(node, score),
                None => self.search(pod, &class),
            };
            match found {
                Found::Node(node, score) => {
                    self.put(pod, node);
                    tried.push(Tried { pod, node, score });
                }
                Found::Nowhere(rejected) => left.push(Left { pod, rejected }),
            }
        }
        (tried, left)
    }

    fn bind_gang(&mut self, group: GroupKey, tried: Vec<Tried>) -> Decision {
        let bindings = tried.into_iter().map(|Tried { pod, node, score }| {
            self.nominations.clear(pod);
            self.binding(pod, node, score)
        });
        let bindings = bindings.collect();
        Decision::BindGroup { group: self.group_name(group), bindings }
    }

    fn fail_gang(&mut self, group: GroupKey, missing: usize, tried: &[Tried], left: &[Left]) -> Decision {
        for Tried { pod, .. } in tried {
            self.take_off(*pod);
        }
        let all = tried.iter().map(|tried| tried.pod).chain(left.iter().map(|left| left.pod));
        let mut pods: Vec<PodSlot> = all.collect();
        pods.sort_by_key(|pod| self.queue.rank(*pod));
        // What helps one of those that found no node may help them all.
        let plugins: Vec<_> =
            left.iter().flat_map(|left| &left.rejected).map(|(_, rejection)| rejection.plugin()).collect();
        let plugins = PluginSet::of(&plugins);
        for pod in &pods {
            self.queue.fail(*pod, plugins, self.now);
        }
        let first = left.first().expect("some pod found no node, or the group would be placed");
        let report = Report::new(&self.cluster, self.cluster.class(first.pod), &count(&first.rejected));
        let report = report.of_group(GroupReport { fitting: tried.len(), missing });
        let pods = pods.into_iter().map(|pod| self.cluster.pods.get(pod).id.clone()).collect();
        Decision::GroupUnschedulable { group: self.group_name(group), pods, report }
    }

    fn group_name(&self, (namespace, name): GroupKey) -> GroupName {
        let text = |symbol| Arc::clone(self.cluster.interner.text(symbol));
        GroupName { namespace: text(namespace), name: text(name) }
    }
}
