//! Replication controllers: as many pods as they say.

use std::time::Duration;

use windlass_pod::Time;
use windlass_pod::kinds::{
    ObjectMeta, OwnerReference, Pod, PodTemplateSpec, ReplicationController, ReplicationControllerCondition,
    ReplicationControllerStatus,
};
use windlass_pod::replication::{self, Claim, Counts, Decision, Failure, Presence, Wanted};

use super::action::{Action, Outcome};
use super::view::{View, within};
use crate::registry::{Grace, Key};

const REPLICA_FAILURE: &str = "ReplicaFailure";

/// Creates what is missing, deletes what is too much, adopts and lets go, and writes how it is. `failed` is what went
/// wrong the last time.
pub(super) fn reconcile(key: &Key, view: View<'_>, now: Duration, failed: Option<&str>) -> Outcome {
    let Some(controller) = view.controllers.get(key) else { return Outcome::default() };
    if controller.metadata.deletion_timestamp.is_some() {
        return Outcome::default();
    }
    let now = Time::since_epoch(now);
    let wanted = Wanted::of_controller(controller);
    let (pods, claims) = claim_all(controller, &wanted, key, view);
    let counts = replication::count(&wanted, &pods, now);
    let mut stages = vec![claims];
    if let Some(status) = status(controller, counts, wanted.replicas, now, failed) {
        stages[0].push(Action::SetReplicationStatus { key: key.clone(), status: Box::new(status) });
    }
    let decision = replication::decide(wanted.replicas, &pods, &[], now);
    match (&decision, &controller.spec.template) {
        (Decision::Delete(pods), _) => stages[0].extend(pods.iter().copied().map(delete)),
        // The first shows whether the template is any good before the others are tried.
        (Decision::Create(_), Some(template)) => {
            let create = |count| vec![Action::CreatePod(Box::new(pod(controller, template))); count];
            stages.extend(decision.batches().into_iter().map(create));
        }
        (Decision::Keep | Decision::Create(_), _) => {}
    }
    let is_ripening = counts.available < counts.ready && !wanted.min_ready.is_zero();
    Outcome { stages, again: is_ripening.then_some(wanted.min_ready) }
}

/// The pods that are the controller's own, and what makes them so.
fn claim_all(
    controller: &ReplicationController,
    wanted: &Wanted,
    key: &Key,
    view: View<'_>,
) -> (Vec<Pod>, Vec<Action>) {
    let uid = controller.metadata.uid.as_deref().unwrap_or_default();
    let (mut own, mut actions) = (Vec::new(), Vec::new());
    for (_, pod) in within(view.pods, key) {
        let mut pod = Pod::clone(pod);
        match replication::claim(&pod, uid, &wanted.selector) {
            Claim::Own => own.push(pod),
            Claim::Adopt => {
                pod.metadata.owner_references.push(owner(controller));
                actions.push(Action::SetOwners { pod: Box::new(pod.clone()) });
                own.push(pod);
            }
            Claim::Release => {
                pod.metadata.owner_references.retain(|owner| owner.uid.as_deref() != Some(uid));
                actions.push(Action::SetOwners { pod: Box::new(pod) });
            }
            Claim::Ignore => {}
        }
    }
    (own, actions)
}

fn delete(pod: &Pod) -> Action {
    Action::DeletePod { key: Key::of(pod), uid: pod.metadata.uid.clone().unwrap_or_default(), grace: Grace::Default }
}

fn pod(controller: &ReplicationController, template: &PodTemplateSpec) -> Pod {
    let name = controller.metadata.name.as_deref().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: controller.metadata.namespace.clone(),
            labels: template.metadata.labels.clone(),
            annotations: template.metadata.annotations.clone(),
            finalizers: template.metadata.finalizers.clone(),
            owner_references: vec![owner(controller)],
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        ..Pod::default()
    }
}

fn owner(controller: &ReplicationController) -> OwnerReference {
    OwnerReference {
        api_version: Some("v1".to_owned()),
        kind: Some("ReplicationController".to_owned()),
        name: controller.metadata.name.clone(),
        uid: controller.metadata.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
        ..OwnerReference::default()
    }
}

/// How the controller is, if it says something else.
fn status(
    controller: &ReplicationController,
    counts: Counts,
    replicas: usize,
    now: Time,
    failed: Option<&str>,
) -> Option<ReplicationControllerStatus> {
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    // Kubernetes leaves these three out when they are zero; `replicas` is always there.
    let unless_zero = |count: usize| Some(number(count)).filter(|count| *count != 0);
    let before = &controller.status;
    let mut status = ReplicationControllerStatus {
        replicas: Some(number(counts.replicas)),
        fully_labeled_replicas: unless_zero(counts.fully_labeled),
        ready_replicas: unless_zero(counts.ready),
        available_replicas: unless_zero(counts.available),
        observed_generation: controller.metadata.generation,
        ..before.clone()
    };
    let is_failure = |one: &ReplicationControllerCondition| one.type_.as_deref() == Some(REPLICA_FAILURE);
    let presence = if before.conditions.iter().any(is_failure) { Presence::Present } else { Presence::Absent };
    match replication::failure(failed, presence, counts.replicas, replicas) {
        Failure::Keep => {}
        Failure::Clear => status.conditions.retain(|one| !is_failure(one)),
        Failure::Set { reason, message } => status.conditions.push(ReplicationControllerCondition {
            type_: Some(REPLICA_FAILURE.to_owned()),
            status: Some("True".to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: Some(now),
            ..ReplicationControllerCondition::default()
        }),
    }
    (status != *before).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::fixture::Cluster;

    const NOW: Duration = Duration::from_secs(1_800_000_123);

    fn controller(spec: &str, status: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: ReplicationController, metadata: {{name: web, namespace: default, uid: web, \
             generation: 4}}, spec: {{{spec}, selector: {{app: web}}, template: {{metadata: {{labels: {{app: web}}}}}}}}, \
             status: {{{status}}}}}\n"
        )
    }

    fn pod(name: &str, ready: &str) -> String {
        format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: default, uid: {name}, labels: {{app: \
             web}}, creationTimestamp: '2027-01-15T08:00:00Z', ownerReferences: [{{uid: web, controller: true}}]}}, spec: \
             {{nodeName: n1}}, status: {{phase: Running, conditions: [{{type: Ready, status: '{ready}', \
             lastTransitionTime: '2027-01-15T08:02:00Z'}}]}}}}\n"
        )
    }

    fn outcome(manifests: &str, failed: Option<&str>) -> Outcome {
        reconcile(&Key::new("default", "web"), Cluster::new(manifests).view(), NOW, failed)
    }

    fn status(outcome: &Outcome) -> Option<&ReplicationControllerStatus> {
        outcome.stages[0].iter().find_map(|action| match action {
            Action::SetReplicationStatus { status, .. } => Some(&**status),
            _ => None,
        })
    }

    fn deleted(outcome: &Outcome) -> Vec<&str> {
        let deleted = outcome.stages[0].iter().filter_map(|action| match action {
            Action::DeletePod { key, .. } => Some(key.name.as_str()),
            _ => None,
        });
        deleted.collect()
    }

    #[test]
    fn missing_pods_are_created_in_growing_stages() {
        let outcome = outcome(&controller("replicas: 10", ""), None);
        let stages: Vec<usize> = outcome.stages[1..].iter().map(Vec::len).collect();
        assert_eq!(stages, [1, 2, 4, 3]);
        let Action::CreatePod(pod) = &outcome.stages[1][0] else { panic!("{outcome:?}") };
        assert_eq!((pod.metadata.generate_name.as_deref(), &pod.metadata.labels["app"][..]), (Some("web-"), "web"));
        assert_eq!(pod.metadata.owner_references[0].uid.as_deref(), Some("web"));
        let status = status(&outcome).unwrap();
        assert_eq!((status.replicas, status.ready_replicas, status.observed_generation), (Some(0), None, Some(4)));
    }

    #[test]
    fn of_too_many_the_one_that_is_not_ready_goes() {
        let pods = [controller("replicas: 2", ""), pod("a", "True"), pod("b", "False"), pod("c", "True")].concat();
        let outcome = outcome(&pods, None);
        assert_eq!(deleted(&outcome), ["b"]);
        assert_eq!(outcome.stages.len(), 1);
        let status = status(&outcome).unwrap();
        assert_eq!((status.replicas, status.ready_replicas, status.available_replicas), (Some(3), Some(2), Some(2)));
    }

    #[test]
    fn what_says_so_already_needs_nothing_and_one_that_leaves_does_nothing() {
        let status =
            "replicas: 1, fullyLabeledReplicas: 1, readyReplicas: 1, availableReplicas: 1, observedGeneration: 4";
        let kept = [controller("replicas: 1", status), pod("a", "True")].concat();
        assert_eq!(outcome(&kept, None), Outcome { stages: vec![vec![]], again: None });
        let leaving =
            kept.replace("uid: web, generation", "deletionTimestamp: '2027-01-15T08:00:00Z', uid: web, generation");
        assert_eq!(outcome(&leaving.replace("replicas: 1,", "replicas: 9,"), None), Outcome::default());
    }

    #[test]
    fn a_pod_that_is_ready_but_too_young_is_looked_at_again() {
        let ripening = [controller("replicas: 1, minReadySeconds: 60", ""), pod("a", "True")].concat();
        let outcome = outcome(&ripening, None);
        assert_eq!(outcome.again, Some(Duration::from_mins(1)));
        assert_eq!(status(&outcome).unwrap().available_replicas, None);
    }

    #[test]
    fn a_failure_is_a_condition_until_it_is_none() {
        let failed = outcome(&controller("replicas: 1", ""), Some("no room"));
        let condition = &status(&failed).unwrap().conditions[0];
        assert_eq!(
            (condition.reason.as_deref(), condition.message.as_deref()),
            (Some("FailedCreate"), Some("no room"))
        );
        let told = controller("replicas: 1", "conditions: [{type: ReplicaFailure, status: 'True'}]");
        assert_eq!(status(&outcome(&told, Some("no room"))).unwrap().conditions.len(), 1);
        assert_eq!(status(&outcome(&told, None)).unwrap().conditions, []);
    }
}
