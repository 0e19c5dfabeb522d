//! Scores from the node alone: soft taints and preferred node affinity.

use crate::cluster::Cluster;
use crate::request::PodClass;
use crate::scale::{fewer_is_better, more_is_better};
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
