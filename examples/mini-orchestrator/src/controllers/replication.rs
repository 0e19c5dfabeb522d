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
