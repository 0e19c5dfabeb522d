//! The node as the registry knows it.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_pod::kinds::{Node, NodeAddress, NodeCondition, NodeSpec, NodeStatus, ObjectMeta, Taint};
use windlass_pod::{Quantity, Time};

use super::error::Result;
use super::place::Place;
use crate::registry::{Key, Registry};

/// How often a node says that it is there.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);

/// How a node is registered, and how its agent behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Labels besides the node's name.
    pub labels: BTreeMap<String, String>,
    /// What keeps pods off that do not tolerate it.
    pub taints: Vec<Taint>,
    /// What there is for pods: `cpu`, `memory`, `pods`.
    pub capacity: BTreeMap<String, Quantity>,
    /// How long a container waits after its second failure; each further one doubles it.
    pub backoff_base: Duration,
    /// The longest that it waits.
    pub backoff_max: Duration,
}

/// Makes the node's object, or brings the one that is there up to date.
pub(super) async fn register(registry: &Registry, place: &Place, settings: &Settings) -> Result<()> {
    let mut labels = settings.labels.clone();
    labels.insert("kubernetes.io/hostname".to_owned(), place.node.clone());
    labels.insert("kubernetes.io/os".to_owned(), "linux".to_owned());
    let cidr = place.network.pod_cidr();
    let node = Node {
        metadata: ObjectMeta { name: Some(place.node.clone()), labels, ..ObjectMeta::default() },
        spec: NodeSpec {
            pod_cidr: Some(cidr.clone()),
            pod_cidrs: vec![cidr],
            taints: settings.taints.clone(),
            ..NodeSpec::default()
        },
        ..Node::default()
    };
    registry.apply(node).await?;
    let now = Time::since_epoch(registry.now());
    let address = place.network.address().to_string();
    let named = |kind: &str, address: &str| NodeAddress {
        address: Some(address.to_owned()),
        type_: Some(kind.to_owned()),
        ..NodeAddress::default()
    };
    let status = NodeStatus {
        addresses: vec![named("InternalIP", &address), named("Hostname", &place.node)],
        capacity: settings.capacity.clone(),
        allocatable: settings.capacity.clone(),
        conditions: vec![NodeCondition {
            type_: Some("Ready".to_owned()),
            status: Some("True".to_owned()),
            reason: Some("AgentReady".to_owned()),
            message: Some("the agent runs".to_owned()),
            last_heartbeat_time: Some(now),
            last_transition_time: Some(now),
            ..NodeCondition::default()
        }],
        ..NodeStatus::default()
    };
    registry.update_status::<Node>(&Key::cluster(&place.node), |current| current.clone_from(&status)).await?;
    Ok(())
}

/// Says that the node is still there.
pub(super) async fn beat(registry: &Registry, place: &Place) -> Result<()> {
    let now = Time::since_epoch(registry.now());
    let beat = |status: &mut NodeStatus| {
        for condition in &mut status.conditions {
            condition.last_heartbeat_time = Some(now);
        }
    };
    match registry.update_status::<Node>(&Key::cluster(&place.node), beat).await {
        // Somebody removed the node: its agent goes on for the pods that it has.
        Ok(_) | Err(crate::registry::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
