//! Resources: what is requested must fit into what is allocatable, besides what is requested already.

use crate::cluster::Cluster;
use crate::node::Usage;
use crate::request::PodClass;
use crate::slot::NodeId;
use crate::verdict::{Code, Rejection, Shortage};

pub(crate) fn check(cluster: &Cluster, class: &PodClass, node: NodeId, usage: &impl Usage) -> Option<Rejection> {
    let mut short = Shortage::default();
    let mut code = Code::Unschedulable;
    if usage.pod_count() >= cluster.nodes.spec(node).pods_max {
        short.pods();
    }
    for (position, (resource, amount)) in class.requests.iter().enumerate() {
        // A node may already be over what it has: a pod that asks for nothing still fits there.
        if amount == 0 {
            continue;
        }
        let allocatable = cluster.nodes.allocatable(node, resource);
        if amount > allocatable - usage.requested(resource) {
            short.resource(position);
        }
        if amount > allocatable {
            code = Code::UnschedulableAndUnresolvable;
        }
    }
    (!short.is_empty()).then_some(Rejection::Resources { short, code })
}
