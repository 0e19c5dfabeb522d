//! Nominations: nodes on which room is being made for a pod, and which others must leave to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::Cluster;
use crate::log::Log;
use crate::slot::{NodeId, PodSlot};

/// Which pod waits for which node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nominations {
    by_pod: BTreeMap<PodSlot, NodeId>,
    by_node: BTreeMap<NodeId, BTreeSet<PodSlot>>,
    changes: Log<NodeId>,
}

impl Nominations {
    pub(crate) fn nominate(&mut self, pod: PodSlot, node: NodeId) {
        self.clear(pod);
        self.changes.push(node);
        self.by_pod.insert(pod, node);
        self.by_node.entry(node).or_default().insert(pod);
    }

    pub(crate) fn clear(&mut self, pod: PodSlot) -> Option<NodeId> {
        let node = self.by_pod.remove(&pod)?;
        self.changes.push(node);
        if let Some(pods) = self.by_node.get_mut(&node) {
            pods.remove(&pod);
            if pods.is_empty() {
                self.by_node.remove(&node);
            }
        }
        Some(node)
    }

    /// Forgets a node and returns the pods that waited for it.
    pub(crate) fn clear_node(&mut self, node: NodeId) -> Vec<PodSlot> {
        let pods: Vec<PodSlot> = self.by_node.remove(&node).into_iter().flatten().collect();
        for pod in &pods {
            self.by_pod.remove(pod);
        }
        self.changes.push(node);
        pods
    }

    /// Says that a pod became another one while it waits.
    pub(crate) fn touch(&mut self, pod: PodSlot) {
        if let Some(node) = self.of(pod) {
            self.changes.push(node);
        }
    }

    /// The nodes for which other pods wait than before.
    pub(crate) fn changes(&self) -> &Log<NodeId> {
        &self.changes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_pod.is_empty()
    }

    pub(crate) fn of(&self, pod: PodSlot) -> Option<NodeId> {
        self.by_pod.get(&pod).copied()
    }

    /// The other pods that wait for a node and are at least as important.
    pub(crate) fn ahead(&self, cluster: &Cluster, pod: Option<PodSlot>, priority: i32, node: NodeId) -> Vec<PodSlot> {
        let pods = self.by_node.get(&node).into_iter().flatten().copied();
        pods.filter(|other| Some(*other) != pod && cluster.priority(*other) >= priority).collect()
    }

    /// The pods that wait for a node and are less important.
    pub(crate) fn behind(&self, cluster: &Cluster, priority: i32, node: NodeId) -> Vec<PodSlot> {
        let pods = self.by_node.get(&node).into_iter().flatten().copied();
        pods.filter(|other| cluster.priority(*other) < priority).collect()
    }
}
