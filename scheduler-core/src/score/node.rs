//! Scores from the node alone: soft taints and preferred node affinity.

use crate::cluster::Cluster;
use crate::request::PodClass;
use crate::score::scoring::POINTS_MAX;
use crate::slot::NodeId;
use crate::taint::TaintEffect;

pub(crate) fn taints(cluster: &Cluster, class: &PodClass, nodes: &[NodeId]) -> Vec<i64> {
    fewer_is_better(nodes.iter().map(|node| intolerable(cluster, class, *node)).collect())
}

/// How many soft taints of a node the pod does not tolerate.
pub(crate) fn intolerable(cluster: &Cluster, class: &PodClass, node: NodeId) -> i64 {
    let taints = cluster.nodes.spec(node).taints.iter();
    let soft = taints.filter(|taint| taint.effect == TaintEffect::PreferNoSchedule);
    soft.map(|taint| i64::from(!class.tolerations.iter().any(|toleration| toleration.tolerates(taint)))).sum()
}

pub(crate) fn fewer_is_better(mut counts: Vec<i64>) -> Vec<i64> {
    let most = counts.iter().copied().max().unwrap_or(0);
    for count in &mut counts {
        *count = if most == 0 { POINTS_MAX } else { POINTS_MAX - POINTS_MAX * *count / most };
    }
    counts
}

pub(crate) fn affinity(cluster: &Cluster, class: &PodClass, nodes: &[NodeId]) -> Option<Vec<i64>> {
    let preferring = !class.node_preferred.is_empty();
    preferring.then(|| more_is_better(nodes.iter().map(|node| preferred(cluster, class, *node)).collect()))
}

/// The weight of the preferred terms that a node matches.
pub(crate) fn preferred(cluster: &Cluster, class: &PodClass, node: NodeId) -> i64 {
    let spec = cluster.nodes.spec(node);
    let terms = class.node_preferred.iter();
    let matching = terms.filter(|(_, term)| term.matches(spec.name_symbol, &spec.labels, &cluster.interner));
    matching.map(|(weight, _)| *weight).sum()
}

pub(crate) fn more_is_better(mut weights: Vec<i64>) -> Vec<i64> {
    let most = weights.iter().copied().max().unwrap_or(0);
    if most > 0 {
        for weight in &mut weights {
            *weight = POINTS_MAX * *weight / most;
        }
    }
    weights
}
