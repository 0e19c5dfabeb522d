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
    /// A pod whose node was seen to go.
    Lost(Key),
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
        work.extend(here.map(|(key, _)| Work::Lost(key.clone())));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::fixture::{Cluster, object};

    const CLUSTER: &str = "
{apiVersion: v1, kind: ReplicationController, metadata: {name: web, namespace: default, uid: web}, spec: {selector: {app: web}}}
---
{apiVersion: v1, kind: ReplicationController, metadata: {name: web, namespace: other, uid: far}, spec: {selector: {app: web}}}
---
{apiVersion: v1, kind: Service, metadata: {name: front, namespace: default}, spec: {selector: {app: web}}}
---
{apiVersion: v1, kind: Service, metadata: {name: bare, namespace: default}, spec: {clusterIP: 10.96.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: default, ownerReferences: [{uid: web}]}, spec: {nodeName: n1}}
";

    fn of(tell: impl FnOnce(View<'_>, &mut BTreeSet<Work>)) -> Vec<Work> {
        let cluster = Cluster::new(CLUSTER);
        let mut work = BTreeSet::new();
        tell(cluster.view(), &mut work);
        work.into_iter().collect()
    }

    fn key(name: &str) -> Key {
        Key::new("default", name)
    }

    fn pod(labels: &str) -> std::sync::Arc<Pod> {
        object(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: default, labels: {{{labels}}}}}}}"
        ))
    }

    #[test]
    fn a_pod_concerns_those_that_select_it_or_did_and_no_other_namespace() {
        let all = [Work::Garbage(key("p")), Work::Replication(key("web")), Work::Endpoints(key("front"))];
        assert_eq!(of(|view, work| of_pod(&Delta::Added(pod("app: web")), view, work)), all);
        let left = Delta::Updated { old: pod("app: web"), new: pod("app: db") };
        assert_eq!(of(|view, work| of_pod(&left, view, work)), all);
        assert_eq!(of(|view, work| of_pod(&Delta::Deleted(pod("app: db")), view, work)), all[..1]);
        let owned =
            "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: default, ownerReferences: [{uid: web}]}}";
        assert_eq!(of(|view, work| of_pod(&Delta::Added(object(owned)), view, work)), all[..2]);
    }

    #[test]
    fn what_goes_leaves_work_for_what_depended_on_it() {
        let controller =
            "{apiVersion: v1, kind: ReplicationController, metadata: {name: web, namespace: default, uid: web}}";
        let gone = of(|view, work| of_controller(&Delta::Deleted(object(controller)), view, work));
        assert_eq!(gone, [Work::Garbage(key("a")), Work::Replication(key("web"))]);
        let node = "{apiVersion: v1, kind: Node, metadata: {name: n1}}";
        let gone = of(|view, work| of_node(&Delta::Deleted(object(node)), view, work));
        assert_eq!(gone, [Work::Taints(Key::cluster("n1")), Work::Lost(key("a"))]);
        let service = "{apiVersion: v1, kind: Service, metadata: {name: bare, namespace: default}}";
        let gone = of(|view, work| of_service(&Delta::Deleted(object(service)), view, work));
        assert_eq!(gone, [Work::Address(key("bare")), Work::Address(key("front")), Work::Endpoints(key("bare"))]);
        let slice = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s, namespace: default, \
                     labels: {kubernetes.io/service-name: front}}}";
        assert_eq!(of(|_, work| of_slice(&Delta::Deleted(object(slice)), work)), [Work::Endpoints(key("front"))]);
    }
}
