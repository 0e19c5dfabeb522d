//! Which parts of the cluster a change concerns.

use std::collections::{BTreeMap, BTreeSet};

use windlass_pod::kinds::{EndpointSlice, Node, Pod, ReplicationController, Service};
use windlass_pod::{Kind as _, Selector};

use super::address::wants_address;
use super::view::{View, within};
use crate::registry::{Delta, Key};

/// The label by which a slice says whose it is.
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// A part of the cluster that one controller looks at as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    /// The address of a service.
    Address(Key),
    /// The taints of a node.
    Taints(Key),
    /// A pod that may have nobody left.
    Garbage(Key),
    /// The pods of a replication controller.
    Replication(Key),
    /// The endpoint slices of a service.
    Endpoints(Key),
}

pub(super) fn of_pod(delta: &Delta<Pod>, view: View<'_>, work: &mut BTreeSet<Work>) {
    let key = Key::of(&**delta.object());
    let states = states(delta);
    for (name, controller) in within(view.controllers, &key) {
        let is_owner = states
            .iter()
            .any(|pod| pod.metadata.owner_references.iter().any(|owner| owner.uid == controller.metadata.uid));
        if is_owner || states.iter().any(|pod| selects(&controller.spec.selector, pod)) {
            work.insert(Work::Replication(name.clone()));
        }
    }
    for (name, service) in within(view.services, &key) {
        if states.iter().any(|pod| selects(&service.spec.selector, pod)) {
            work.insert(Work::Endpoints(name.clone()));
        }
    }
    work.insert(Work::Garbage(key));
}

pub(super) fn of_controller(delta: &Delta<ReplicationController>, view: View<'_>, work: &mut BTreeSet<Work>) {
    let controller = delta.object();
    if matches!(delta, Delta::Deleted(_)) {
        let owned = view
            .pods
            .iter()
            .filter(|(_, pod)| pod.metadata.owner_references.iter().any(|owner| owner.uid == controller.metadata.uid));
        work.extend(owned.map(|(key, _)| Work::Garbage(key.clone())));
    }
    work.insert(Work::Replication(Key::of(&**controller)));
}

pub(super) fn of_service(delta: &Delta<Service>, view: View<'_>, work: &mut BTreeSet<Work>) {
    if matches!(delta, Delta::Deleted(_)) {
        // Its address is free for one that waits.
        let waiting = view.services.iter().filter(|(_, service)| wants_address(service));
        work.extend(waiting.map(|(key, _)| Work::Address(key.clone())));
    }
    let key = Key::of(&**delta.object());
    work.insert(Work::Address(key.clone()));
    work.insert(Work::Endpoints(key));
}

pub(super) fn of_slice(delta: &Delta<EndpointSlice>, work: &mut BTreeSet<Work>) {
    for slice in states(delta) {
        if let Some(service) = slice.metadata.labels.get(SERVICE_NAME) {
            work.insert(Work::Endpoints(Key::new(slice.namespace(), service)));
        }
    }
}

pub(super) fn of_node(delta: &Delta<Node>, view: View<'_>, work: &mut BTreeSet<Work>) {
    let node = delta.object();
    if matches!(delta, Delta::Deleted(_)) {
        let here = view.pods.iter().filter(|(_, pod)| pod.spec.node_name == node.metadata.name);
        work.extend(here.map(|(key, _)| Work::Garbage(key.clone())));
    }
    work.insert(Work::Taints(Key::of(&**node)));
}

/// The object as it was and as it is.
fn states<R>(delta: &Delta<R>) -> Vec<&R> {
    match delta {
        Delta::Added(object) | Delta::Deleted(object) => vec![object],
        Delta::Updated { old, new } => vec![old, new],
    }
}

/// An empty selector of these kinds selects nothing.
fn selects(selector: &BTreeMap<String, String>, pod: &Pod) -> bool {
    !selector.is_empty() && Selector::from_labels(selector).matches(&pod.metadata.labels)
}
