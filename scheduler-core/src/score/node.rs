//! Scores from the node alone: soft taints and preferred node affinity.

use crate::cluster::Cluster;
use crate::request::PodClass;
use crate::score::scoring::POINTS_MAX;
use crate::slot::NodeId;
use crate::taint::TaintEffect;

pub(crate) fn taints(cluster: &Cluster, class: &PodClass, nodes: &[NodeId]) -> Vec<i64> {
    let intolerable = |node: &NodeId| {
        let taints = cluster.nodes.spec(*node).taints.iter();
        let soft = taints.filter(|taint| taint.effect == TaintEffect::PreferNoSchedule);
        soft.map(|taint| i64::from(!class.tolerations.iter().any(|toleration| toleration.tolerates(taint)))).sum()
    };
    let mut counts: Vec<i64> = nodes.iter().map(intolerable).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    for count in &mut counts {
        *count = if most == 0 { POINTS_MAX } else { POINTS_MAX - POINTS_MAX * *count / most };
    }
    counts
}

pub(crate) fn affinity(cluster: &Cluster, class: &PodClass, nodes: &[NodeId]) -> Option<Vec<i64>> {
    if class.node_preferred.is_empty() {
        return None;
    }
    let weight = |node: &NodeId| {
        let spec = cluster.nodes.spec(*node);
        let terms = class.node_preferred.iter();
        let matching = terms.filter(|(_, term)| term.matches(spec.name_symbol, &spec.labels, &cluster.interner));
        matching.map(|(weight, _)| *weight).sum()
    };
    let mut weights: Vec<i64> = nodes.iter().map(weight).collect();
    let most = weights.iter().copied().max().unwrap_or(0);
    if most > 0 {
        for weight in &mut weights {
            *weight = POINTS_MAX * *weight / most;
        }
    }
    Some(weights)
}
