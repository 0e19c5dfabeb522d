//! What controllers ask for, and how it is done.

use std::net::Ipv4Addr;
use std::time::Duration;

use windlass_pod::kinds::{EndpointSlice, Pod, ReplicationController, ReplicationControllerStatus, Service, Taint};

use super::COMPONENT;
use crate::registry::{Error, Grace, Key, Registry, Result};

/// What a controller says about one part of the cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Outcome {
    /// What to do now: each stage in any order, and only when all of the one before has been done.
    pub(super) stages: Vec<Vec<Action>>,
    /// When to ask again even if nothing changes.
    pub(super) again: Option<Duration>,
}

impl Outcome {
    pub(super) fn of(actions: Vec<Action>) -> Self {
        Self { stages: vec![actions], again: None }
    }
}

/// One change of one object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Create a pod.
    CreatePod(Box<Pod>),
    /// Remove this very pod.
    DeletePod { key: Key, uid: String, grace: Grace },
    /// Make this very pod owned, or no longer owned, by a controller.
    SetOwners { pod: Box<Pod> },
    /// Write how a replication controller is.
    SetReplicationStatus { key: Key, status: Box<ReplicationControllerStatus> },
    /// Create a slice.
    CreateSlice(Box<EndpointSlice>),
    /// Make a slice say this.
    UpdateSlice { key: Key, slice: Box<EndpointSlice> },
    /// Remove a slice.
    DeleteSlice { key: Key, uid: String },
    /// Give a service its cluster address.
    AssignAddress { service: Key, address: Ipv4Addr },
    /// Replace a node's taints of these keys.
    SetTaints { node: Key, keys: &'static [&'static str], taints: Vec<Taint> },
    /// Tell people that something cannot be done.
    Warn { about: Box<windlass_pod::Object>, reason: &'static str, message: String },
}

/// Does one thing. What is gone, or another one by now, needs no change any more.
pub(super) async fn perform(registry: &Registry, action: Action) -> Result<()> {
    match attempt(registry, action).await {
        Err(Error::NotFound { .. } | Error::Replaced { .. }) => Ok(()),
        result => result,
    }
}

async fn attempt(registry: &Registry, action: Action) -> Result<()> {
    match action {
        Action::CreatePod(pod) => registry.create(*pod).await.map(drop),
        Action::DeletePod { key, uid, grace } => registry.delete_pod(&key, grace, Some(&uid)).await.map(drop),
        Action::SetOwners { pod } => {
            let change = |found: &mut Pod| {
                if found.metadata.uid == pod.metadata.uid {
                    found.metadata.owner_references.clone_from(&pod.metadata.owner_references);
                }
            };
            registry.update(&Key::of(&*pod), change).await.map(drop)
        }
        Action::SetReplicationStatus { key, status } => {
            let change = |found: &mut ReplicationControllerStatus| found.clone_from(&status);
            registry.update_status::<ReplicationController>(&key, change).await.map(drop)
        }
        Action::CreateSlice(slice) => registry.create(*slice).await.map(drop),
        Action::UpdateSlice { key, slice } => {
            let change = |found: &mut EndpointSlice| {
                found.endpoints.clone_from(&slice.endpoints);
                found.ports.clone_from(&slice.ports);
                found.metadata.labels.clone_from(&slice.metadata.labels);
                found.metadata.owner_references.clone_from(&slice.metadata.owner_references);
            };
            registry.update(&key, change).await.map(drop)
        }
        Action::DeleteSlice { key, uid } => registry.delete::<EndpointSlice>(&key, Some(&uid)).await,
        Action::AssignAddress { service, address } => {
            let change = |found: &mut Service| {
                if super::address::wants_address(found) {
                    found.spec.cluster_ip = Some(address.to_string());
                    found.spec.cluster_ips = vec![address.to_string()];
                }
            };
            registry.update(&service, change).await.map(drop)
        }
        Action::SetTaints { node, keys, taints } => {
            let change = |found: &mut windlass_pod::kinds::Node| {
                found.spec.taints.retain(|taint| !keys.contains(&taint.key.as_deref().unwrap_or_default()));
                found.spec.taints.extend(taints.iter().cloned());
            };
            registry.update(&node, change).await.map(drop)
        }
        Action::Warn { about, reason, message } => registry.warn(&about, COMPONENT, reason, &message).await,
    }
}
