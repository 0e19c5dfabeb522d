//! What makes pods from templates, and who may do what.

use super::{pod, storage, text, text_if_unset, value};
use crate::kinds::{
    CronJob, DaemonSet, Deployment, Job, JobSpec, ReplicaSet, ReplicationController, RoleRef, StatefulSet, Subject,
};
use crate::wire::scalar::IntOrString;
use crate::wire::text::Text as _;

const RBAC: &str = "rbac.authorization.k8s.io";

pub(super) fn replication_controller(controller: &mut ReplicationController) {
    if let Some(template) = &mut controller.spec.template {
        let labels = &template.metadata.labels;
        if controller.spec.selector.is_empty() {
            controller.spec.selector.clone_from(labels);
        }
        if controller.metadata.labels.is_empty() {
            controller.metadata.labels.clone_from(labels);
        }
        pod::template(template);
    }
    value(&mut controller.spec.replicas, 1);
}

pub(super) fn replica_set(set: &mut ReplicaSet) {
    value(&mut set.spec.replicas, 1);
    pod::template(&mut set.spec.template);
}

pub(super) fn deployment(deployment: &mut Deployment) {
    let spec = &mut deployment.spec;
    value(&mut spec.replicas, 1);
    text(&mut spec.strategy.type_, "RollingUpdate");
    if spec.strategy.type_.text() == "RollingUpdate" {
        let rolling = spec.strategy.rolling_update.get_or_insert_default();
        value(&mut rolling.max_unavailable, "25%");
        value(&mut rolling.max_surge, "25%");
    }
    value(&mut spec.revision_history_limit, 10);
    value(&mut spec.progress_deadline_seconds, 600);
    pod::template(&mut spec.template);
}

/// Where the original keeps a field that this version no longer has.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

pub(super) fn daemon_set(set: &mut DaemonSet) {
    set.metadata.annotations.entry(TEMPLATE_GENERATION.to_owned()).or_insert_with(|| "0".to_owned());
    let spec = &mut set.spec;
    text(&mut spec.update_strategy.type_, "RollingUpdate");
    if spec.update_strategy.type_.text() == "RollingUpdate" {
        let rolling = spec.update_strategy.rolling_update.get_or_insert_default();
        value(&mut rolling.max_unavailable, IntOrString::Int(1));
        value(&mut rolling.max_surge, IntOrString::Int(0));
    }
    value(&mut spec.revision_history_limit, 10);
    pod::template(&mut spec.template);
}

pub(super) fn stateful_set(set: &mut StatefulSet) {
    let spec = &mut set.spec;
    text(&mut spec.pod_management_policy, "OrderedReady");
    let strategy = &mut spec.update_strategy;
    if strategy.type_.text().is_empty() {
        text(&mut strategy.type_, "RollingUpdate");
        strategy.rolling_update.get_or_insert_default();
    }
    if let Some(rolling) = strategy.rolling_update.as_mut().filter(|_| strategy.type_.text() == "RollingUpdate") {
        value(&mut rolling.partition, 0);
    }
    let retention = spec.persistent_volume_claim_retention_policy.get_or_insert_default();
    text(&mut retention.when_deleted, "Retain");
    text(&mut retention.when_scaled, "Retain");
    value(&mut spec.replicas, 1);
    value(&mut spec.revision_history_limit, 10);
    for claim in &mut spec.volume_claim_templates {
        text(&mut claim.api_version, "v1");
        text(&mut claim.kind, "PersistentVolumeClaim");
        storage::persistent_volume_claim(claim);
    }
    pod::template(&mut spec.template);
}

pub(super) fn job(job: &mut Job) {
    if job.metadata.labels.is_empty() {
        job.metadata.labels.clone_from(&job.spec.template.metadata.labels);
    }
    let spec = &mut job.spec;
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    value(&mut spec.parallelism, 1);
    let backoff_limit = if spec.backoff_limit_per_index.is_some() { i32::MAX } else { 6 };
    value(&mut spec.backoff_limit, backoff_limit);
    text_if_unset(&mut spec.completion_mode, "NonIndexed");
    value(&mut spec.suspend, false);
    value(&mut spec.manual_selector, false);
    let replacement = if spec.pod_failure_policy.is_some() { "Failed" } else { "TerminatingOrFailed" };
    text_if_unset(&mut spec.pod_replacement_policy, replacement);
    job_template(spec);
}

/// What a job gets that a cron job makes.
fn job_template(spec: &mut JobSpec) {
    let rules = spec.pod_failure_policy.iter_mut().flat_map(|policy| &mut policy.rules);
    for pattern in rules.flat_map(|rule| &mut rule.on_pod_conditions) {
        text(&mut pattern.status, "True");
    }
    pod::template(&mut spec.template);
}

pub(super) fn cron_job(job: &mut CronJob) {
    let spec = &mut job.spec;
    text(&mut spec.concurrency_policy, "Allow");
    value(&mut spec.suspend, false);
    value(&mut spec.successful_jobs_history_limit, 3);
    value(&mut spec.failed_jobs_history_limit, 1);
    job_template(&mut spec.job_template.spec);
}

pub(super) fn role_binding(role: &mut RoleRef, subjects: &mut [Subject]) {
    text(&mut role.api_group, RBAC);
    for subject in subjects {
        if matches!(subject.kind.text(), "User" | "Group") {
            text(&mut subject.api_group, RBAC);
        }
    }
}
