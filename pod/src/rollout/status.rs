//! What a deployment reports of its rollout.

use super::bounds::Bounds;
use crate::kinds::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};
use crate::wire::text::Text as _;
use crate::wire::time::Time;

/// Sums over replica sets.
pub(super) fn sum(sets: &[&ReplicaSet], of: impl Fn(&ReplicaSet) -> Option<i32>) -> i32 {
    sets.iter().map(|set| of(set).unwrap_or(0)).sum()
}

fn set_condition(status: &mut DeploymentStatus, new: DeploymentCondition) {
    let slot = status.conditions.iter_mut().find(|own| own.type_ == new.type_);
    match slot {
        Some(own) if own.status == new.status && own.reason == new.reason => {}
        Some(own) => {
            let since = if own.status == new.status { own.last_transition_time } else { new.last_transition_time };
            *own = DeploymentCondition { last_transition_time: since, ..new };
        }
        None => status.conditions.push(new),
    }
}

fn condition(kind: &str, status: &str, reason: &str, message: String, now: Time) -> DeploymentCondition {
    DeploymentCondition {
        type_: Some(kind.to_owned()),
        status: Some(status.to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: Some(now),
        last_transition_time: Some(now),
        ..DeploymentCondition::default()
    }
}

/// The rollout has come to its end.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = Some(deployment.spec.replicas.unwrap_or(1));
    status.updated_replicas == wanted
        && status.replicas == wanted
        && status.available_replicas == wanted
        && status.observed_generation >= deployment.metadata.generation
}

/// Something moved since the last report.
fn progressed(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    let old_ones = |status: &DeploymentStatus| status.replicas.unwrap_or(0) - status.updated_replicas.unwrap_or(0);
    new.updated_replicas.unwrap_or(0) > old.updated_replicas.unwrap_or(0)
        || old_ones(new) < old_ones(old)
        || new.ready_replicas.unwrap_or(0) > old.ready_replicas.unwrap_or(0)
        || new.available_replicas.unwrap_or(0) > old.available_replicas.unwrap_or(0)
}

/// The status, and when the deadline for progress passes if nothing moves until then.
pub(super) fn report(
    deployment: &Deployment,
    current: Option<&ReplicaSet>,
    all: &[&ReplicaSet],
    now: Time,
) -> (DeploymentStatus, Option<Time>) {
    let total = sum(all, |set| set.status.replicas);
    let available = sum(all, |set| set.status.available_replicas);
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: Some(total),
        updated_replicas: Some(current.and_then(|set| set.status.replicas).unwrap_or(0)),
        ready_replicas: Some(sum(all, |set| set.status.ready_replicas)),
        available_replicas: Some(available),
        unavailable_replicas: Some((sum(all, |set| set.spec.replicas).max(total) - available).max(0)),
        ..deployment.status.clone()
    };
    let enough = available >= Bounds::of(deployment).available();
    let (state, reason, message) = if enough {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    set_condition(&mut status, condition("Available", state, reason, message.to_owned(), now));
    let deadline = progress(deployment, current, &mut status, now);
    (status, deadline)
}

fn progress(
    deployment: &Deployment,
    current: Option<&ReplicaSet>,
    status: &mut DeploymentStatus,
    now: Time,
) -> Option<Time> {
    let seconds = deployment.spec.progress_deadline_seconds.filter(|seconds| *seconds < i32::MAX)?;
    let name = current.map_or("", |set| set.metadata.name.text());
    let old = deployment.status.conditions.iter().find(|own| own.type_.text() == "Progressing");
    if deployment.spec.paused == Some(true) {
        let message = "Deployment is paused".to_owned();
        set_condition(status, condition("Progressing", "Unknown", "DeploymentPaused", message, now));
        return None;
    }
    if is_complete(deployment, status) {
        let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
        set_condition(status, condition("Progressing", "True", "NewReplicaSetAvailable", message, now));
        return None;
    }
    let moved = progressed(&deployment.status, status)
        || old.is_none_or(|old| matches!(old.reason.text(), "NewReplicaSetAvailable" | "DeploymentPaused"));
    if moved {
        let message = format!("ReplicaSet \"{name}\" is progressing.");
        status.conditions.retain(|own| own.type_.text() != "Progressing");
        let since = old.filter(|old| old.status.text() == "True").and_then(|old| old.last_transition_time);
        let new = condition("Progressing", "True", "ReplicaSetUpdated", message, now);
        status.conditions.push(DeploymentCondition { last_transition_time: since.or(new.last_transition_time), ..new });
        return Some(Time::from_unix_seconds(now.unix_seconds() + i64::from(seconds)));
    }
    let since = old.and_then(|old| old.last_update_time)?;
    let deadline = Time::from_unix_seconds(since.unix_seconds() + i64::from(seconds));
    if now < deadline {
        return Some(deadline);
    }
    let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
    set_condition(status, condition("Progressing", "False", "ProgressDeadlineExceeded", message, now));
    None
}
