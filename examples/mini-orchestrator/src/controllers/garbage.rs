//! Pods that nobody will ever look after again.

use std::time::Duration;

use windlass_pod::Time;
use windlass_pod::kinds::Pod;

use super::action::{Action, Outcome};
use super::view::View;
use crate::registry::{Grace, Key};

/// How old a pod is before a node that nobody has seen counts as gone: its agent may be about to say that it is there.
const PATIENCE: Duration = Duration::from_secs(40);

/// Removes a pod whose replication controller is gone, or whose node is and has been.
pub(super) fn reconcile(key: &Key, view: View<'_>, now: Duration) -> Outcome {
    let Some(pod) = view.pods.get(key) else { return Outcome::default() };
    if has_lost_its_node(pod, view) {
        let left = PATIENCE.saturating_sub(age(pod, now));
        return if left.is_zero() { delete(key, pod, Grace::Seconds(0)) } else { Outcome::later(left) };
    }
    if has_lost_its_owner(pod, view) && pod.metadata.deletion_timestamp.is_none() {
        return delete(key, pod, Grace::Default);
    }
    Outcome::default()
}

/// Removes a pod whose node was seen to go.
pub(super) fn reconcile_lost(key: &Key, view: View<'_>) -> Outcome {
    match view.pods.get(key) {
        Some(pod) if has_lost_its_node(pod, view) => delete(key, pod, Grace::Seconds(0)),
        _ => Outcome::default(),
    }
}

fn delete(key: &Key, pod: &Pod, grace: Grace) -> Outcome {
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    Outcome::of(vec![Action::DeletePod { key: key.clone(), uid, grace }])
}

fn age(pod: &Pod, now: Duration) -> Duration {
    let created = pod.metadata.creation_timestamp.map_or(0, Time::unix_seconds);
    now.saturating_sub(Duration::from_secs(u64::try_from(created).unwrap_or(0)))
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

    const NOW: Duration = Duration::from_secs(1_800_000_123);

    fn cluster(pod: &str) -> (Cluster, Key) {
        let cluster = Cluster::new(&format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: n1}}}}\n---\n{{apiVersion: v1, kind: \
             ReplicationController, metadata: {{name: web, namespace: default, uid: right}}}}\n---\n{{apiVersion: v1, \
             kind: Pod, {pod}}}"
        ));
        let key = cluster.pods.keys().next().unwrap().clone();
        (cluster, key)
    }

    fn graces(outcome: &Outcome) -> Vec<Grace> {
        let deleted = outcome.stages.iter().flatten().map(|action| match action {
            Action::DeletePod { grace, .. } => *grace,
            other => panic!("{other:?}"),
        });
        deleted.collect()
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
            let (cluster, key) = cluster(&pod);
            let outcome = reconcile(&key, cluster.view(), NOW);
            assert_eq!(graces(&outcome), Vec::from_iter(expected), "{pod}");
        }
    }

    #[test]
    fn a_node_that_nobody_has_seen_may_still_come_and_one_that_was_seen_to_go_is_gone() {
        let young =
            "metadata: {name: p, namespace: default, creationTimestamp: '2027-01-15T08:01:53Z'}, spec: {nodeName: x}";
        let (lost, key) = cluster(young);
        assert_eq!(reconcile(&key, lost.view(), NOW), Outcome::later(Duration::from_secs(30)));
        let later = NOW + Duration::from_secs(30);
        assert_eq!(graces(&reconcile(&key, lost.view(), later)), [Grace::Seconds(0)]);
        assert_eq!(graces(&reconcile_lost(&key, lost.view())), [Grace::Seconds(0)]);
        let (back, key) = cluster(&young.replace("nodeName: x", "nodeName: n1"));
        assert_eq!(reconcile_lost(&key, back.view()), Outcome::default());
    }
}
