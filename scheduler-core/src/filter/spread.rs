//! Topology spread as a filter: the constraints with `DoNotSchedule`.

use crate::cluster::Cluster;
use crate::filter::node::{required_matches, untolerated};
use crate::request::{Deletion, InclusionPolicy, PodClass, SpreadConstraint, WhenUnsatisfiable};
use crate::slot::{NodeId, PodSlot};
use crate::topology::TopologyId;
use crate::verdict::Rejection;

/// Matching pods in each domain, for every hard constraint.
#[derive(Debug, Default)]
pub(crate) struct State(Vec<Counts>);

#[derive(Debug)]
struct Counts {
    /// The position of the constraint in its class.
    constraint: usize,
    topology: TopologyId,
    max_skew: i64,
    /// 1 when the pod itself matches the constraint's selector.
    own: i64,
    /// Matching pods by domain; `None` where no node of the domain counts.
    matching: Vec<Option<i64>>,
    /// The fewest matching pods of a domain, 0 where there are too few domains.
    least: i64,
    min_domains: i64,
}

impl State {
    pub(crate) fn new(cluster: &Cluster, class: &PodClass) -> Self {
        let hard = class.spread.iter().enumerate();
        let hard = hard.filter(|(_, constraint)| constraint.when == WhenUnsatisfiable::DoNotSchedule);
        let mut state = Self(
            hard.map(|(position, constraint)| Counts {
                constraint: position,
                topology: constraint.topology,
                max_skew: constraint.max_skew,
                own: i64::from(constraint.selector.matches(&class.labels)),
                matching: vec![None; cluster.nodes.topologies().domain_count(constraint.topology)],
                least: 0,
                min_domains: constraint.min_domains,
            })
            .collect(),
        );
        if state.0.is_empty() {
            return state;
        }
        let eligible: Vec<NodeId> = cluster.nodes.ids().filter(|node| state.has_all_labels(cluster, *node)).collect();
        for node in eligible {
            for counts in &mut state.0 {
                let constraint = &class.spread[counts.constraint];
                if includes(cluster, class, constraint, node)
                    && let Some(domain) = cluster.nodes.domain(counts.topology, node)
                {
                    *counts.matching[domain].get_or_insert(0) += matching_pods(cluster, class, constraint, node);
                }
            }
        }
        state.0.iter_mut().for_each(Counts::settle);
        state
    }

    fn has_all_labels(&self, cluster: &Cluster, node: NodeId) -> bool {
        self.0.iter().all(|counts| cluster.nodes.domain(counts.topology, node).is_some())
    }

    pub(crate) fn check(&self, cluster: &Cluster, node: NodeId) -> Option<Rejection> {
        self.0.iter().find_map(|counts| {
            let Some(domain) = cluster.nodes.domain(counts.topology, node) else {
                return Some(Rejection::SpreadLabelMissing);
            };
            let skew = counts.matching[domain].unwrap_or(0) + counts.own - counts.least;
            (skew > counts.max_skew).then_some(Rejection::Spread)
        })
    }

    /// Counts a pod that is supposed to come (1) or go (-1). Unlike the first count, this one also sees pods that are
    /// being deleted and takes an empty selector for everything: kube-scheduler's two paths differ so.
    pub(crate) fn update(&mut self, cluster: &Cluster, class: &PodClass, pod: PodSlot, node: NodeId, change: i64) {
        if self.0.is_empty() {
            return;
        }
        let other = cluster.class(pod);
        if other.namespace != class.namespace || !self.has_all_labels(cluster, node) {
            return;
        }
        for counts in &mut self.0 {
            let constraint = &class.spread[counts.constraint];
            if constraint.selector.matches(&other.labels)
                && includes(cluster, class, constraint, node)
                && let Some(domain) = cluster.nodes.domain(counts.topology, node)
            {
                *counts.matching[domain].get_or_insert(0) += change;
                counts.settle();
            }
        }
    }
}

impl Counts {
    fn settle(&mut self) {
        let domains = self.matching.iter().flatten().count();
        let enough = i64::try_from(domains).is_ok_and(|domains| domains >= self.min_domains);
        self.least = match self.matching.iter().flatten().min() {
            Some(least) if enough => *least,
            _ => 0,
        };
    }
}

/// Whether a node's pods count for a constraint.
pub(crate) fn includes(cluster: &Cluster, class: &PodClass, constraint: &SpreadConstraint, node: NodeId) -> bool {
    (constraint.node_affinity == InclusionPolicy::Ignore || required_matches(cluster, class, node))
        && (constraint.node_taints == InclusionPolicy::Ignore || untolerated(cluster, class, node).is_none())
}

/// The pods on a node that a constraint counts: those of the pod's namespace that its selector names and that stay.
/// An empty selector counts none.
pub(crate) fn matching_pods(cluster: &Cluster, class: &PodClass, constraint: &SpreadConstraint, node: NodeId) -> i64 {
    if constraint.selector.is_empty() {
        return 0;
    }
    let matching = cluster.nodes.pods(node).iter().filter(|pod| {
        let other = cluster.class(**pod);
        other.namespace == class.namespace
            && cluster.pods.get(**pod).deletion == Deletion::No
            && constraint.selector.matches(&other.labels)
    });
    i64::try_from(matching.count()).expect("a node's pods fit in memory")
}
