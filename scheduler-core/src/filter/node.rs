//! Filters that look only at the node itself: its name, cordon, taints and labels.

use crate::cluster::Cluster;
use crate::intern::Symbol;
use crate::request::PodClass;
use crate::slot::NodeId;
use crate::taint::{Taint, TaintEffect};
use crate::verdict::Rejection;

/// The taint that a cordoned node stands for.
pub(crate) const UNSCHEDULABLE_TAINT: &str = "node.kubernetes.io/unschedulable";

pub(crate) fn unschedulable(cluster: &Cluster, class: &PodClass, node: NodeId) -> Option<Rejection> {
    let tolerated = || {
        let key = cluster.interner.get(UNSCHEDULABLE_TAINT)?;
        let taint = Taint { key, value: cluster.interner.get("")?, effect: TaintEffect::NoSchedule };
        class.tolerations.iter().find(|toleration| toleration.tolerates(&taint))
    };
    (cluster.nodes.spec(node).unschedulable && tolerated().is_none()).then_some(Rejection::NodeUnschedulable)
}

pub(crate) fn name(cluster: &Cluster, pinned: Option<Symbol>, node: NodeId) -> Option<Rejection> {
    pinned.filter(|name| *name != cluster.nodes.spec(node).name_symbol).map(|_| Rejection::NodeName)
}

pub(crate) fn taints(cluster: &Cluster, class: &PodClass, node: NodeId) -> Option<Rejection> {
    untolerated(cluster, class, node).map(|taint| Rejection::Taint { key: taint.key, value: taint.value })
}

/// The first taint that keeps the pod off the node.
pub(crate) fn untolerated<'a>(cluster: &'a Cluster, class: &PodClass, node: NodeId) -> Option<&'a Taint> {
    cluster.nodes.spec(node).taints.iter().find(|taint| {
        taint.effect != TaintEffect::PreferNoSchedule
            && !class.tolerations.iter().any(|toleration| toleration.tolerates(taint))
    })
}

pub(crate) fn affinity(cluster: &Cluster, class: &PodClass, node: NodeId) -> Option<Rejection> {
    (!required_matches(cluster, class, node)).then_some(Rejection::NodeAffinity)
}

/// Whether the node matches the pod's node selector and required node affinity.
pub(crate) fn required_matches(cluster: &Cluster, class: &PodClass, node: NodeId) -> bool {
    let spec = cluster.nodes.spec(node);
    class.node_selector.iter().all(|(key, value)| spec.labels.get(*key) == Some(*value))
        && class.node_required.as_ref().is_none_or(|terms| {
            terms.iter().any(|term| term.matches(spec.name_symbol, &spec.labels, &cluster.interner))
        })
}
