//! Where to look for nodes when not all of them are looked at: kube-scheduler's order, and its round through them.
//!
//! Nodes are visited zone by zone in turn, the zones and the nodes of a zone in the order in which they came. An attempt
//! stops when it has found enough nodes, and the next one goes on from there.

use crate::intern::{Interner, Symbol};
use crate::node::CompiledNode;
use crate::profile::{Profile, Sampling};
use crate::shared::Shared;
use crate::slot::NodeId;

/// In clusters smaller than this all nodes are looked at, and in larger ones at least so many are looked for.
const FEASIBLE_MIN: usize = 100;
/// The least percentage of nodes that a share made from the size of the cluster comes to.
const PERCENTAGE_MIN: usize = 5;

/// A region and a zone, by the names in a node's labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Zone {
    region: Option<Symbol>,
    zone: Option<Symbol>,
}

/// The nodes in the order of their visits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rotation {
    zones: Shared<Vec<(Zone, Vec<NodeId>)>>,
    /// What the zones come to in turn.
    order: Shared<Vec<NodeId>>,
    outdated: bool,
    /// Where the next attempt begins.
    start: usize,
}

impl Zone {
    fn of(node: &CompiledNode, interner: &Interner) -> Self {
        let label = |key: &str| interner.get(key).and_then(|key| node.labels.get(key));
        // An empty name is as good as none.
        let named = |name: Symbol| Some(name).filter(|name| !interner.text(*name).is_empty());
        let first = |old: &str, new: &str| label(old).or_else(|| label(new)).and_then(named);
        Self {
            region: first("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
            zone: first("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
        }
    }
}

impl Rotation {
    /// Takes note of a node that is new, or has changed from what it was.
    pub(crate) fn apply(&mut self, id: NodeId, node: &CompiledNode, before: Option<&CompiledNode>, names: &Interner) {
        let zone = Zone::of(node, names);
        if let Some(before) = before {
            if Zone::of(before, names) == zone {
                return;
            }
            self.remove(id);
        }
        match self.zones.iter_mut().find(|known| known.0 == zone) {
            Some((_, nodes)) => nodes.push(id),
            None => self.zones.push((zone, vec![id])),
        }
        self.outdated = true;
    }

    /// Forgets a node, and its zone with the last node there.
    pub(crate) fn remove(&mut self, id: NodeId) {
        for (_, nodes) in self.zones.iter_mut() {
            nodes.retain(|node| *node != id);
        }
        self.zones.retain(|(_, nodes)| !nodes.is_empty());
        self.outdated = true;
    }

    /// Brings the order up to date.
    pub(crate) fn arrange(&mut self) {
        if !std::mem::take(&mut self.outdated) {
            return;
        }
        self.order.clear();
        let longest = self.zones.iter().map(|(_, nodes)| nodes.len()).max().unwrap_or(0);
        for turn in 0..longest {
            self.order.extend(self.zones.iter().filter_map(|(_, nodes)| nodes.get(turn)));
        }
    }

    /// All nodes, from where the next attempt begins.
    pub(crate) fn visits(&self) -> impl Iterator<Item = NodeId> + '_ {
        let start = self.start.checked_rem(self.order.len()).unwrap_or(0);
        let (before, after) = self.order.split_at(start);
        after.iter().chain(before).copied()
    }

    /// Lets the next attempt begin behind the nodes that were looked at.
    pub(crate) fn advance(&mut self, looked_at: usize) {
        self.start = (self.start + looked_at).checked_rem(self.order.len()).unwrap_or(0);
    }
}

/// After how many feasible nodes an attempt stops looking; `None` when it looks at all nodes.
pub(crate) fn enough(profile: &Profile, nodes: usize) -> Option<usize> {
    let percentage = match profile.sampling {
        Sampling::Exhaustive => return None,
        Sampling::Adaptive => 50_usize.saturating_sub(nodes / 125).max(PERCENTAGE_MIN),
        Sampling::Percentage(percentage) => usize::from(percentage),
    };
    // Without scores one node is as good as another.
    if profile.scores.is_empty() {
        return Some(1);
    }
    if nodes < FEASIBLE_MIN {
        return Some(nodes);
    }
    Some((nodes * percentage / 100).max(FEASIBLE_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Labels;

    #[test]
    fn how_many_nodes_are_enough() {
        let adaptive = [
            (10, 10),
            (99, 99),
            (100, 100),
            (300, 144),
            (1000, 420),
            (2000, 680),
            (5000, 500),
            (6000, 300),
            (20_000, 1000),
        ];
        for (nodes, expected) in adaptive {
            let profile = Profile { sampling: Sampling::Adaptive, ..Profile::default() };
            assert_eq!(enough(&profile, nodes), Some(expected), "{nodes} nodes");
        }
        for (percentage, nodes, expected) in [(40, 10, 10), (40, 1000, 400), (40, 6000, 2400), (1, 5000, 100)] {
            let profile = Profile { sampling: Sampling::Percentage(percentage), ..Profile::default() };
            assert_eq!(enough(&profile, nodes), Some(expected), "{percentage} % of {nodes} nodes");
        }
        let unscored =
            Profile { sampling: Sampling::Adaptive, scores: std::collections::BTreeMap::new(), ..Profile::default() };
        assert_eq!(enough(&unscored, 5000), Some(1));
        assert_eq!(enough(&Profile::default(), 5000), None);
    }

    fn node(interner: &mut Interner, name: &str, labels: &[(&str, &str)]) -> CompiledNode {
        let labels = labels.iter().map(|(key, value)| (interner.intern(key), interner.intern(value))).collect();
        CompiledNode {
            name: name.into(),
            name_symbol: interner.intern(name),
            labels: Labels::new(labels),
            taints: Box::default(),
            unschedulable: false,
            allocatable: Box::default(),
            pods_max: 0,
            images: Box::default(),
            devices: None,
        }
    }

    fn order(rotation: &mut Rotation) -> Vec<u32> {
        rotation.arrange();
        rotation.visits().map(|node| node.0).collect()
    }

    #[test]
    fn zones_take_turns() {
        const ZONE: &str = "topology.kubernetes.io/zone";
        const REGION: &str = "topology.kubernetes.io/region";
        const OLD_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
        let mut interner = Interner::default();
        let nodes = [
            node(&mut interner, "0", &[]),
            node(&mut interner, "1", &[(ZONE, "a"), (REGION, "r")]),
            node(&mut interner, "2", &[(ZONE, "a"), (REGION, "r")]),
            node(&mut interner, "3", &[(ZONE, "b"), (REGION, "r")]),
            node(&mut interner, "4", &[(ZONE, "b"), (OLD_ZONE, "a"), (REGION, "r")]),
            node(&mut interner, "5", &[(ZONE, "a"), (REGION, "s")]),
            node(&mut interner, "6", &[(ZONE, "")]),
        ];
        let mut rotation = Rotation::default();
        assert_eq!(order(&mut rotation), []);
        for (row, node) in nodes.iter().enumerate() {
            rotation.apply(NodeId::at(row), node, None, &interner);
        }
        assert_eq!(order(&mut rotation), [0, 1, 3, 5, 6, 2, 4]);
        rotation.apply(NodeId(1), &nodes[2], Some(&nodes[1]), &interner);
        assert_eq!(order(&mut rotation), [0, 1, 3, 5, 6, 2, 4], "a node that stays in its zone keeps its place");
        rotation.apply(NodeId(1), &nodes[3], Some(&nodes[1]), &interner);
        assert_eq!(order(&mut rotation), [0, 2, 3, 5, 6, 4, 1], "one that moves is the last of its new zone");
        rotation.remove(NodeId(3));
        rotation.remove(NodeId(1));
        rotation.apply(NodeId(3), &nodes[3], None, &interner);
        assert_eq!(order(&mut rotation), [0, 2, 5, 3, 6, 4], "a zone that comes back is the last one");
        rotation.advance(4);
        assert_eq!(order(&mut rotation), [6, 4, 0, 2, 5, 3]);
        rotation.advance(3);
        assert_eq!(order(&mut rotation), [2, 5, 3, 6, 4, 0]);
    }
}
