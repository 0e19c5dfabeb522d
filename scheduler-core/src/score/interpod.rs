//! Pod affinity as a score: the preferred terms of the pod, and the terms of the pods that are there.

use crate::cluster::Cluster;
use crate::filter::interpod::selects;
use crate::request::{AffinityTerm, PodClass};
use crate::scale::POINTS_MAX;
use crate::score::scoring::Scoring;
use crate::slot::{NodeId, PodSlot};
use crate::topology::TopologyId;

/// Weights by topology key and domain.
#[derive(Default)]
struct Weights {
    by_domain: Vec<Vec<i64>>,
    any: bool,
}

impl Weights {
    fn add(&mut self, cluster: &Cluster, topology: TopologyId, node: NodeId, weight: i64) {
        let topologies = cluster.nodes.topologies();
        let Some(domain) = cluster.nodes.domain(topology, node) else { return };
        if self.by_domain.is_empty() {
            self.by_domain = topologies.ids().map(|id| vec![0; topologies.domain_count(id)]).collect();
        }
        self.by_domain[topology.index()][domain] += weight;
        self.any = true;
    }

    fn of(&self, cluster: &Cluster, node: NodeId) -> i64 {
        let topologies = cluster.nodes.topologies().ids();
        let domains = topologies.filter_map(|id| Some(self.by_domain[id.index()][cluster.nodes.domain(id, node)?]));
        domains.sum()
    }
}

pub(crate) fn score(cluster: &Cluster, scoring: &Scoring, class: &PodClass, nodes: &[NodeId]) -> Option<Vec<i64>> {
    let mut weights = Weights::default();
    for (pod, node) in cluster.social_pods() {
        add_terms_of(cluster, scoring, class, &mut weights, pod, node);
    }
    let own = own_terms(cluster, class);
    if !own.is_empty() {
        for node in cluster.nodes.ids() {
            for pod in cluster.nodes.pods(node) {
                for (weight, term) in own.iter().filter(|(_, term)| selects(term, cluster.class(*pod))) {
                    weights.add(cluster, term.topology, node, *weight);
                }
            }
        }
    }
    weights.any.then(|| normalize(nodes.iter().map(|node| weights.of(cluster, *node)).collect()))
}

/// Adds the weights of a placed pod's terms that select the pending pod.
fn add_terms_of(
    cluster: &Cluster,
    scoring: &Scoring,
    class: &PodClass,
    weights: &mut Weights,
    pod: PodSlot,
    node: NodeId,
) {
    let namespace_labels = cluster.namespace_labels(class.namespace);
    for (weight, term) in terms_of(cluster.class(pod), scoring.hard_pod_affinity_weight) {
        if term.matches(class.namespace, &class.labels, namespace_labels) {
            weights.add(cluster, term.topology, node, weight);
        }
    }
}

/// The terms by which a placed pod pulls others to it or pushes them away, with their weights.
pub(crate) fn terms_of(other: &PodClass, hard_weight: i64) -> impl Iterator<Item = (i64, &AffinityTerm)> {
    let required = other.affinity.required.iter().map(move |term| (hard_weight, term));
    let preferred = other.affinity.preferred.iter().map(|(weight, term)| (*weight, term));
    let against = other.anti_affinity.preferred.iter().map(|(weight, term)| (-weight, term));
    required.chain(preferred).chain(against).filter(|(weight, _)| *weight != 0)
}

/// The pending pod's own preferred terms, resolved, with their weights.
pub(crate) fn own_terms(cluster: &Cluster, class: &PodClass) -> Vec<(i64, AffinityTerm)> {
    let toward = class.affinity.preferred.iter().map(|(weight, term)| (*weight, term));
    let against = class.anti_affinity.preferred.iter().map(|(weight, term)| (-weight, term));
    toward.chain(against).map(|(weight, term)| (weight, cluster.resolve_namespaces(term))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "sums of weights from 1 to 100")]
#[expect(clippy::cast_possible_truncation, reason = "between 0 and 100; the fraction is cut off")]
pub(crate) fn normalize(mut sums: Vec<i64>) -> Vec<i64> {
    let least = sums.iter().copied().min().unwrap_or(0);
    let span = sums.iter().copied().max().unwrap_or(0) - least;
    for sum in &mut sums {
        *sum = if span > 0 { (POINTS_MAX as f64 * ((*sum - least) as f64 / span as f64)) as i64 } else { 0 };
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn sums_are_stretched_to_the_range() {
        assert_eq!(normalize(vec![-10, 0, 20]), [0, 33, 100]);
        assert_eq!(normalize(vec![7, 7]), [0, 0]);
    }
}
