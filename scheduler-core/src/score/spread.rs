//! Topology spread as a score: the constraints with `ScheduleAnyway`.

use crate::cluster::Cluster;
use crate::filter::spread::{includes, matching_pods};
use crate::intern::Symbol;
use crate::request::{PodClass, SpreadConstraint, WhenUnsatisfiable};
use crate::scale::POINTS_MAX;
use crate::score::logarithm::ln;
use crate::slot::NodeId;

/// Counted node by node, not by domain: every node is a domain of its own.
pub(crate) const HOSTNAME: &str = "kubernetes.io/hostname";

struct Soft<'a> {
    constraint: &'a SpreadConstraint,
    per_node: bool,
    /// Matching pods by domain; `None` where no feasible node is.
    matching: Vec<Option<i64>>,
    weight: f64,
}

pub(crate) fn score(cluster: &Cluster, class: &PodClass, nodes: &[NodeId]) -> Option<Vec<i64>> {
    let hostname = cluster.interner.get(HOSTNAME);
    let constraints = class.spread.iter().filter(|constraint| constraint.when == WhenUnsatisfiable::ScheduleAnyway);
    let mut softs: Vec<Soft<'_>> = constraints.map(|constraint| Soft::new(cluster, constraint, hostname)).collect();
    if softs.is_empty() {
        return None;
    }
    let scored: Vec<bool> = nodes.iter().map(|node| has_all_labels(cluster, &softs, *node)).collect();
    weigh(cluster, &mut softs, nodes, &scored);
    for node in cluster.nodes.ids().filter(|node| has_all_labels(cluster, &softs, *node)).collect::<Vec<_>>() {
        for soft in softs.iter_mut().filter(|soft| !soft.per_node) {
            soft.count(cluster, class, node);
        }
    }
    let raw = nodes.iter().zip(&scored).map(|(node, scored)| scored.then(|| sum(cluster, class, &softs, *node)));
    Some(normalize(&raw.collect::<Vec<_>>()))
}

/// Opens the domains that feasible nodes are in, and weighs each constraint by how many there are.
fn weigh(cluster: &Cluster, softs: &mut [Soft<'_>], nodes: &[NodeId], scored: &[bool]) {
    for soft in softs {
        let mut domains = 0_usize;
        for (node, _) in nodes.iter().zip(scored).filter(|(_, scored)| **scored) {
            if soft.per_node {
                domains += 1;
            } else if let Some(domain) = cluster.nodes.domain(soft.constraint.topology, *node)
                && soft.matching[domain].is_none()
            {
                soft.matching[domain] = Some(0);
                domains += 1;
            }
        }
        soft.weight = weight_of(domains);
    }
}

impl<'a> Soft<'a> {
    fn new(cluster: &Cluster, constraint: &'a SpreadConstraint, hostname: Option<Symbol>) -> Self {
        let topologies = cluster.nodes.topologies();
        let per_node = Some(topologies.key(constraint.topology)) == hostname;
        Self { constraint, per_node, matching: vec![None; topologies.domain_count(constraint.topology)], weight: 0.0 }
    }

    fn count(&mut self, cluster: &Cluster, class: &PodClass, node: NodeId) {
        let Some(domain) = cluster.nodes.domain(self.constraint.topology, node) else { return };
        if let Some(matching) = &mut self.matching[domain]
            && includes(cluster, class, self.constraint, node)
        {
            *matching += matching_pods(cluster, class, self.constraint, node);
        }
    }
}

fn has_all_labels(cluster: &Cluster, softs: &[Soft<'_>], node: NodeId) -> bool {
    softs.iter().all(|soft| cluster.nodes.domain(soft.constraint.topology, node).is_some())
}

fn sum(cluster: &Cluster, class: &PodClass, softs: &[Soft<'_>], node: NodeId) -> i64 {
    let parts = softs.iter().filter_map(|soft| {
        let matching = match cluster.nodes.domain(soft.constraint.topology, node) {
            _ if soft.per_node => matching_pods(cluster, class, soft.constraint, node),
            Some(domain) => soft.matching[domain].unwrap_or(0),
            None => return None,
        };
        Some((matching, soft.weight, soft.constraint.max_skew))
    });
    weighted_sum(parts)
}

/// The sum over the constraints, of matching pods, weight and `maxSkew`.
#[expect(clippy::cast_precision_loss, reason = "counts of pods")]
#[expect(clippy::cast_possible_truncation, reason = "a rounded count of pods")]
pub(crate) fn weighted_sum(parts: impl Iterator<Item = (i64, f64, i64)>) -> i64 {
    let mut sum = 0.0;
    for (matching, weight, max_skew) in parts {
        sum += matching as f64 * weight + (max_skew - 1) as f64;
    }
    sum.round() as i64
}

/// The weight of a constraint with so many domains.
#[expect(clippy::cast_precision_loss, reason = "a count of nodes at most")]
pub(crate) fn weight_of(domains: usize) -> f64 {
    ln((domains + 2) as f64)
}

/// The fewer matching pods the more points; a node without all the labels gets none.
pub(crate) fn normalize(raw: &[Option<i64>]) -> Vec<i64> {
    let least = raw.iter().flatten().copied().min().unwrap_or(0);
    let most = raw.iter().flatten().copied().max().unwrap_or(0);
    let points = |raw: &Option<i64>| match raw {
        None => 0,
        Some(_) if most == 0 => POINTS_MAX,
        Some(raw) => POINTS_MAX * (most + least - raw) / most,
    };
    raw.iter().map(points).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_pods_give_more_points() {
        assert_eq!(normalize(&[Some(0), Some(0), None]), [100, 100, 0]);
        assert_eq!(normalize(&[Some(1), Some(3), Some(4)]), [100, 50, 25]);
        assert_eq!(normalize(&[None]), [0]);
    }
}
