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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::fixture::Cluster;

    fn verdict(pod: &str) -> Option<Grace> {
        let cluster = Cluster::new(&format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: n1}}}}\n---\n{{apiVersion: v1, kind: \
             ReplicationController, metadata: {{name: web, namespace: default, uid: right}}}}\n---\n{{apiVersion: v1, \
             kind: Pod, {pod}}}"
        ));
        let key = cluster.pods.keys().next().unwrap().clone();
        match reconcile(&key, cluster.view()).stages.concat().pop()? {
            Action::DeletePod { grace, .. } => Some(grace),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_pods_that_nobody_looks_after_go() {
        let owned = |uid: &str, kind: &str, more: &str| {
            format!(
                "metadata: {{name: p, namespace: default, {more}ownerReferences: [{{kind: {kind}, name: web, uid: {uid}, \
                 controller: true}}]}}"
            )
        };
        let here = "spec: {nodeName: n1}";
        let cases = [
            ("metadata: {name: p, namespace: default}".to_owned(), None),
            (format!("metadata: {{name: p, namespace: default}}, {here}"), None),
            ("metadata: {name: p, namespace: default}, spec: {nodeName: lost}".to_owned(), Some(Grace::Seconds(0))),
            (owned("right", "ReplicationController", ""), None),
            (owned("former", "ReplicationController", ""), Some(Grace::Default)),
            (owned("former", "ReplicationController", "deletionTimestamp: '2026-01-01T00:00:00Z', "), None),
            (owned("former", "ReplicaSet", ""), None),
        ];
        for (pod, expected) in cases {
            assert_eq!(verdict(&pod), expected, "{pod}");
        }
    }
}
