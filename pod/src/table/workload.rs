//! What keeps pods.

use super::age::{human_duration, since};
use super::service::labels;
use super::{Cell, NONE};
use crate::kinds::{
    Container, CronJob, DaemonSet, Deployment, Job, LabelSelector, ObjectMeta, PodSpec, ReplicaSet,
    ReplicationController, StatefulSet,
};
use crate::selector::Selector;
use crate::wire::text::Text as _;
use crate::wire::time::Time;

fn name(metadata: &ObjectMeta) -> Cell {
    metadata.name.text().into()
}

fn age(metadata: &ObjectMeta, now: Time) -> Cell {
    since(metadata.creation_timestamp, now).into()
}

fn count(number: Option<i32>) -> Cell {
    number.unwrap_or(0).into()
}

/// The names and the images of containers.
fn containers(spec: &PodSpec) -> [Cell; 2] {
    let join = |text: fn(&Container) -> &str| spec.containers.iter().map(text).collect::<Vec<_>>().join(",").into();
    [join(|container| container.name.text()), join(|container| container.image.text())]
}

fn selector(selector: Option<&LabelSelector>, empty: &str) -> Cell {
    let text = Selector::from_label_selector(selector).map_or_else(|_| "<error>".to_owned(), |own| own.to_string());
    if text.is_empty() { empty.into() } else { text.into() }
}

fn of(ready: Option<i32>, wanted: i32) -> Cell {
    format!("{}/{wanted}", ready.unwrap_or(0)).into()
}

pub(super) fn replication_controller(controller: &ReplicationController, now: Time) -> Vec<Cell> {
    let (spec, status) = (&controller.spec, &controller.status);
    let [names, images] =
        spec.template.as_ref().map_or_else(|| [Cell::from(""), Cell::from("")], |template| containers(&template.spec));
    vec![
        name(&controller.metadata),
        count(spec.replicas),
        count(status.replicas),
        count(status.ready_replicas),
        age(&controller.metadata, now),
        names,
        images,
        labels(&spec.selector).into(),
    ]
}

pub(super) fn replica_set(set: &ReplicaSet, now: Time) -> Vec<Cell> {
    let [names, images] = containers(&set.spec.template.spec);
    vec![
        name(&set.metadata),
        count(set.spec.replicas),
        count(set.status.replicas),
        count(set.status.ready_replicas),
        age(&set.metadata, now),
        names,
        images,
        selector(set.spec.selector.as_deref(), NONE),
    ]
}

pub(super) fn deployment(deployment: &Deployment, now: Time) -> Vec<Cell> {
    let (spec, status) = (&deployment.spec, &deployment.status);
    let [names, images] = containers(&spec.template.spec);
    vec![
        name(&deployment.metadata),
        of(status.ready_replicas, spec.replicas.unwrap_or(0)),
        count(status.updated_replicas),
        count(status.available_replicas),
        age(&deployment.metadata, now),
        names,
        images,
        selector(spec.selector.as_deref(), ""),
    ]
}

pub(super) fn stateful_set(set: &StatefulSet, now: Time) -> Vec<Cell> {
    let [names, images] = containers(&set.spec.template.spec);
    vec![
        name(&set.metadata),
        of(set.status.ready_replicas, set.spec.replicas.unwrap_or(0)),
        age(&set.metadata, now),
        names,
        images,
    ]
}

pub(super) fn daemon_set(set: &DaemonSet, now: Time) -> Vec<Cell> {
    let status = &set.status;
    let [names, images] = containers(&set.spec.template.spec);
    vec![
        name(&set.metadata),
        count(status.desired_number_scheduled),
        count(status.current_number_scheduled),
        count(status.number_ready),
        count(status.updated_number_scheduled),
        count(status.number_available),
        labels(&set.spec.template.spec.node_selector).into(),
        age(&set.metadata, now),
        names,
        images,
        selector(set.spec.selector.as_deref(), NONE),
    ]
}

/// How a job stands: finished, failing, or on its way.
fn job_status(job: &Job) -> &'static str {
    let has =
        |kind: &str| job.status.conditions.iter().any(|one| one.type_.text() == kind && one.status.text() == "True");
    match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if job.metadata.deletion_timestamp.is_some() => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

pub(super) fn job(job: &Job, now: Time) -> Vec<Cell> {
    let succeeded = job.status.succeeded.unwrap_or(0);
    let parallelism = job.spec.parallelism.unwrap_or(0);
    let completions = match job.spec.completions {
        Some(completions) => format!("{succeeded}/{completions}"),
        None if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        None => format!("{succeeded}/1"),
    };
    let duration = job.status.start_time.map_or(String::new(), |start| {
        let end = job.status.completion_time.unwrap_or(now);
        human_duration(end.unix_seconds().saturating_sub(start.unix_seconds()))
    });
    let [names, images] = containers(&job.spec.template.spec);
    vec![
        name(&job.metadata),
        job_status(job).into(),
        completions.into(),
        duration.into(),
        age(&job.metadata, now),
        names,
        images,
        selector(job.spec.selector.as_deref(), NONE),
    ]
}

pub(super) fn cron_job(job: &CronJob, now: Time) -> Vec<Cell> {
    let spec = &job.spec;
    let [names, images] = containers(&spec.job_template.spec.template.spec);
    let suspend = match spec.suspend {
        None => "<unset>",
        Some(true) => "True",
        Some(false) => "False",
    };
    let last = job.status.last_schedule_time.map_or(NONE.to_owned(), |time| since(Some(time), now));
    vec![
        name(&job.metadata),
        spec.schedule.text().into(),
        spec.time_zone.as_deref().unwrap_or(NONE).into(),
        suspend.into(),
        job.status.active.len().into(),
        last.into(),
        age(&job.metadata, now),
        names,
        images,
        selector(spec.job_template.spec.selector.as_deref(), NONE),
    ]
}
