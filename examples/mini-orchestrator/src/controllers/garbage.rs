//! Pods that nobody will ever look after again.

use windlass_pod::kinds::Pod;

use super::action::{Action, Outcome};
use super::view::View;
use crate::registry::{Grace, Key};

/// Removes a pod whose replication controller is gone, or whose node is.
pub(super) fn reconcile(key: &Key, view: View<'_>) -> Outcome {
    let Some(pod) = view.pods.get(key) else {
        return Outcome::default();
    };
    let uid = || pod.metadata.uid.clone().unwrap_or_default();
    if has_lost_its_node(pod, view) {
        return Outcome::of(vec![Action::DeletePod { key: key.clone(), uid: uid(), grace: Grace::Seconds(0) }]);
    }
    if has_lost_its_owner(pod, view) && pod.metadata.deletion_timestamp.is_none() {
        return Outcome::of(vec![Action::DeletePod { key: key.clone(), uid: uid(), grace: Grace::Default }]);
    }
    Outcome::default()
}

fn has_lost_its_node(pod: &Pod, view: View<'_>) -> bool {
    let node = pod.spec.node_name.as_deref().unwrap_or_default();
    !node.is_empty() && !view.nodes.contains_key(&Key::cluster(node))
}

/// Owners of other kinds are not in this cluster's registry, so nothing is known of them.
fn has_lost_its_owner(pod: &Pod, view: View<'_>) -> bool {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let owner = pod.metadata.owner_references.iter().find(|owner| owner.controller == Some(true));
    owner.filter(|owner| owner.kind.as_deref() == Some("ReplicationController")).is_some_and(|owner| {
        let key = Key::new(namespace, owner.name.clone().unwrap_or_default());
        view.controllers.get(&key).is_none_or(|found| found.metadata.uid != owner.uid)
    })
}
