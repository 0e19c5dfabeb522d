//! Pod affinity and anti-affinity as a filter: the required terms, of the pod and of the pods that are there.

use crate::cluster::Cluster;
use crate::request::{AffinityTerm, PodClass};
use crate::slot::{NodeId, PodSlot};
use crate::topology::TopologyId;
use crate::verdict::Rejection;

/// Pods that terms select, counted by domain.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Pods that match all of the pod's affinity terms.
    together: Domains,
    /// Pods that match an anti-affinity term of the pod.
    apart: Domains,
    /// Pods with an anti-affinity term that selects the pod.
    refusing: Domains,
    affinity: Vec<AffinityTerm>,
    anti_affinity: Vec<AffinityTerm>,
    /// The pod is among those that its own affinity terms select.
    selects_itself: bool,
}

/// Counts by topology key and domain.
#[derive(Debug, Default)]
struct Domains {
    counts: Vec<Vec<i64>>,
    occupied: usize,
}

impl Domains {
    fn add(&mut self, cluster: &Cluster, topology: TopologyId, node: NodeId, change: i64) {
        let Some(domain) = cluster.nodes.domain(topology, node) else { return };
        if self.counts.len() <= topology.index() {
            self.counts.resize_with(cluster.nodes.topologies().len(), Vec::new);
        }
        let counts = &mut self.counts[topology.index()];
        if counts.len() <= domain {
            counts.resize(cluster.nodes.topologies().domain_count(topology), 0);
        }
        let before = counts[domain];
        counts[domain] = before + change;
        match (before == 0, counts[domain] == 0) {
            (true, false) => self.occupied += 1,
            (false, true) => self.occupied -= 1,
            _ => {}
        }
    }

    fn get(&self, topology: TopologyId, domain: usize) -> i64 {
        self.counts.get(topology.index()).and_then(|counts| counts.get(domain)).copied().unwrap_or(0)
    }
}

impl State {
    pub(crate) fn new(cluster: &Cluster, class: &PodClass) -> Self {
        let resolve = |terms: &[AffinityTerm]| terms.iter().map(|term| cluster.resolve_namespaces(term)).collect();
        let mut state = Self {
            affinity: resolve(&class.affinity.required),
            anti_affinity: resolve(&class.anti_affinity.required),
            ..Self::default()
        };
        state.selects_itself = state.is_gathered(class);
        for (pod, node) in cluster.refusing_pods() {
            state.count_refusing(cluster, class, pod, node, 1);
        }
        if !state.affinity.is_empty() || !state.anti_affinity.is_empty() {
            for node in cluster.nodes.ids() {
                for pod in cluster.nodes.pods(node) {
                    state.count_selected(cluster, *pod, node, 1);
                }
            }
        }
        state
    }

    /// Whether a pod matches all affinity terms, of which there is at least one.
    fn is_gathered(&self, class: &PodClass) -> bool {
        !self.affinity.is_empty() && self.affinity.iter().all(|term| selects(term, class))
    }

    fn count_selected(&mut self, cluster: &Cluster, pod: PodSlot, node: NodeId, change: i64) {
        let class = cluster.class(pod);
        if self.is_gathered(class) {
            for term in &self.affinity {
                self.together.add(cluster, term.topology, node, change);
            }
        }
        for term in self.anti_affinity.iter().filter(|term| selects(term, class)) {
            self.apart.add(cluster, term.topology, node, change);
        }
    }

    fn count_refusing(&mut self, cluster: &Cluster, class: &PodClass, pod: PodSlot, node: NodeId, change: i64) {
        let terms = &cluster.class(pod).anti_affinity.required;
        if terms.is_empty() {
            return;
        }
        let namespace_labels = cluster.namespace_labels(class.namespace);
        for term in terms {
            if term.matches(class.namespace, &class.labels, namespace_labels) {
                self.refusing.add(cluster, term.topology, node, change);
            }
        }
    }

    /// Counts a pod that is supposed to come (1) or go (-1).
    pub(crate) fn update(&mut self, cluster: &Cluster, class: &PodClass, pod: PodSlot, node: NodeId, change: i64) {
        self.count_refusing(cluster, class, pod, node, change);
        if self.affinity.is_empty() && self.anti_affinity.is_empty() {
            return;
        }
        self.count_selected(cluster, pod, node, change);
    }

    pub(crate) fn check(&self, cluster: &Cluster, node: NodeId) -> Option<Rejection> {
        if !self.affinity_holds(cluster, node) {
            return Some(Rejection::PodAffinity);
        }
        let occupied = |domains: &Domains, topology: TopologyId| {
            cluster.nodes.domain(topology, node).is_some_and(|domain| domains.get(topology, domain) > 0)
        };
        if self.anti_affinity.iter().any(|term| occupied(&self.apart, term.topology)) {
            return Some(Rejection::PodAntiAffinity);
        }
        let refused = self.refusing.occupied > 0
            && cluster.nodes.topologies().ids().any(|topology| occupied(&self.refusing, topology));
        refused.then_some(Rejection::ExistingPodAntiAffinity)
    }

    fn affinity_holds(&self, cluster: &Cluster, node: NodeId) -> bool {
        let mut found = true;
        for term in &self.affinity {
            let Some(domain) = cluster.nodes.domain(term.topology, node) else { return false };
            found &= self.together.get(term.topology, domain) > 0;
        }
        // The first pod of a group that gathers by its own labels has nobody to join yet.
        found || (self.together.occupied == 0 && self.selects_itself)
    }
}

/// Whether a resolved term of the pending pod selects another pod.
pub(crate) fn selects(term: &AffinityTerm, other: &PodClass) -> bool {
    (term.namespaces.contains(&other.namespace) || term.namespace_selector.is_empty())
        && term.selector.matches(&other.labels)
}
