//! What controllers ask for.

use std::net::Ipv4Addr;
use std::time::Duration;

use windlass_pod::Object;
use windlass_pod::kinds::{EndpointSlice, Pod, ReplicationControllerStatus, Taint};

use crate::registry::{Grace, Key};

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

    /// Nothing now; ask again after this time.
    pub(super) fn later(delay: Duration) -> Self {
        Self { stages: Vec::new(), again: Some(delay) }
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
    Warn { about: Box<Object>, reason: &'static str, message: String },
}
