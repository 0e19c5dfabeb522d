//! What makes pods: selectors stay.

use super::super::at::At;
use super::super::workload::selector_text;
use super::super::{job as job_rules, workload};
use super::meta;
use crate::kinds::{
    DaemonSet, Deployment, Job, LabelSelector, PodTemplateSpec, ReplicaSet, ReplicationController, StatefulSet,
};
use crate::violation::Violations;
use crate::wire::record::{Record, View, json};
use crate::wire::semantic::equal;

const IMMUTABLE: &str = "field is immutable";

fn selector(new: Option<&LabelSelector>, old: Option<&LabelSelector>, out: &mut Violations) {
    let same = match (new, old) {
        (None, None) => true,
        (Some(new), Some(old)) => equal(new, old),
        _ => false,
    };
    if !same {
        let value = new.map_or_else(|| "null".to_owned(), selector_text);
        out.invalid_literal(At::root().field("spec").field("selector"), value, IMMUTABLE);
    }
}

pub(super) fn replication_controller(new: &ReplicationController, old: &ReplicationController, out: &mut Violations) {
    // The original looks at the specification once for itself and once more for the change.
    workload::replication_controller(new, out);
    meta::update(&new.metadata, &old.metadata, out);
    workload::replication_controller_spec(new, out);
}

pub(super) fn replica_set(new: &ReplicaSet, old: &ReplicaSet, out: &mut Violations) {
    meta::update(&new.metadata, &old.metadata, out);
    workload::replica_set_spec(new, out);
    selector(new.spec.selector.as_deref(), old.spec.selector.as_deref(), out);
}

pub(super) fn deployment(new: &Deployment, old: &Deployment, out: &mut Violations) {
    meta::update(&new.metadata, &old.metadata, out);
    workload::deployment_spec(new, out);
    selector(new.spec.selector.as_deref(), old.spec.selector.as_deref(), out);
}

pub(super) fn daemon_set(new: &DaemonSet, old: &DaemonSet, out: &mut Violations) {
    workload::daemon_set(new, out);
    meta::update(&new.metadata, &old.metadata, out);
    selector(new.spec.selector.as_deref(), old.spec.selector.as_deref(), out);
}

/// Of a set that gives its pods names and volumes, little may change.
pub(super) fn stateful_set(new: &StatefulSet, old: &StatefulSet, out: &mut Violations) {
    const FIXED: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
    workload::stateful_set(new, out);
    meta::update(&new.metadata, &old.metadata, out);
    let mut munged = new.spec.clone();
    munged.replicas = old.spec.replicas;
    munged.template.clone_from(&old.spec.template);
    munged.update_strategy.clone_from(&old.spec.update_strategy);
    munged.min_ready_seconds = old.spec.min_ready_seconds;
    munged.ordinals.clone_from(&old.spec.ordinals);
    munged.revision_history_limit = old.spec.revision_history_limit;
    munged.persistent_volume_claim_retention_policy.clone_from(&old.spec.persistent_volume_claim_retention_policy);
    if !equal(&munged, &old.spec) {
        out.forbidden("spec", FIXED);
    }
}

/// A suspended job that never ran may still be moved to other nodes.
fn may_change(new: &PodTemplateSpec, old: &PodTemplateSpec) -> PodTemplateSpec {
    let mut munged = new.clone();
    let had = &old.spec;
    munged.spec.node_selector.clone_from(&had.node_selector);
    munged.spec.tolerations.clone_from(&had.tolerations);
    munged.spec.scheduling_gates.clone_from(&had.scheduling_gates);
    munged.metadata.annotations.clone_from(&old.metadata.annotations);
    munged.metadata.labels.clone_from(&old.metadata.labels);
    let node_affinity = had.affinity.as_ref().and_then(|affinity| affinity.node_affinity.clone());
    match (&mut munged.spec.affinity, node_affinity) {
        (None, None) => {}
        (slot, had) => slot.get_or_insert_default().node_affinity = had,
    }
    munged
}

pub(super) fn job(new: &Job, old: &Job, out: &mut Violations) {
    meta::update(&new.metadata, &old.metadata, out);
    job_rules::job_and_selector_spec(new, out);
    let root = At::root();
    let at = root.field("spec");
    let (spec, had) = (&new.spec, &old.spec);
    selector(spec.selector.as_deref(), had.selector.as_deref(), out);
    let suspended = had.suspend == Some(true) && old.status.start_time.is_none();
    let template = if suspended { may_change(&spec.template, &had.template) } else { spec.template.clone() };
    if !equal(&template, &had.template) {
        out.invalid_literal(at.field("template"), json(View::Record(&spec.template)), IMMUTABLE);
    }
    for (field, new, old) in [
        ("completionMode", &spec.completion_mode, &had.completion_mode),
        ("managedBy", &spec.managed_by, &had.managed_by),
    ] {
        if new != old {
            let value = new.as_deref().map_or_else(|| "null".to_owned(), crate::violation::quoted);
            out.invalid_literal(at.field(field), value, IMMUTABLE);
        }
    }
    // The number of an indexed job may follow how many run at once.
    let indexed = spec.completion_mode.as_deref() == Some("Indexed");
    if spec.completions != had.completions && !(indexed && spec.completions == spec.parallelism) {
        let value = spec.completions.map_or_else(|| "null".to_owned(), |count| count.to_string());
        out.invalid_literal(at.field("completions"), value, IMMUTABLE);
    }
    let policies: [(&str, Policy<'_>, Policy<'_>); 2] = [
        (
            "podFailurePolicy",
            spec.pod_failure_policy.as_deref().map(as_record),
            had.pod_failure_policy.as_deref().map(as_record),
        ),
        ("successPolicy", spec.success_policy.as_deref().map(as_record), had.success_policy.as_deref().map(as_record)),
    ];
    for (field, new, old) in policies {
        let same = match (new, old) {
            (None, None) => true,
            (Some(new), Some(old)) => equal(new, old),
            _ => false,
        };
        if !same {
            let value = new.map_or_else(|| "null".to_owned(), |policy| json(View::Record(policy)));
            out.invalid_literal(at.field(field), value, IMMUTABLE);
        }
    }
}

/// A policy of a job, of whichever kind.
type Policy<'a> = Option<&'a dyn Record>;

fn as_record<T: Record>(record: &T) -> &dyn Record {
    record
}
