//! How it is done what controllers ask for.

use windlass_pod::kinds::{EndpointSlice, Node, Pod, ReplicationController, ReplicationControllerStatus, Service};

use super::COMPONENT;
use super::action::Action;
use super::address::wants_address;
use crate::registry::{Error, Key, Registry, Result};

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
                if wants_address(found) {
                    found.spec.cluster_ip = Some(address.to_string());
                    found.spec.cluster_ips = vec![address.to_string()];
                }
            };
            registry.update(&service, change).await.map(drop)
        }
        Action::SetTaints { node, keys, taints } => {
            let change = |found: &mut Node| {
                found.spec.taints.retain(|taint| !keys.contains(&taint.key.as_deref().unwrap_or_default()));
                found.spec.taints.extend(taints.iter().cloned());
            };
            registry.update(&node, change).await.map(drop)
        }
        Action::Warn { about, reason, message } => registry.warn(&about, COMPONENT, reason, &message).await,
    }
}
