//! Jobs: so many pods must succeed, and so many may fail.

use std::collections::{BTreeMap, BTreeSet};

use super::indexes::{format_indexes, parse_indexes};
use super::verdict::{self, Verdict};
use crate::kinds::{Job, JobCondition, JobStatus, Pod};
use crate::wire::text::Text as _;
use crate::wire::time::Time;

const INDEX: &str = "batch.kubernetes.io/job-completion-index";
const BACKOFF_INITIAL: i64 = 10;
const BACKOFF_MAX: i64 = 600;

/// What to do about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobAction {
    /// Create a pod, with this completion index for an indexed job.
    Create {
        /// The value of the annotation and label `batch.kubernetes.io/job-completion-index`.
        index: Option<i32>,
    },
    /// Delete a pod: it is not needed any more.
    Delete {
        /// The pod's name.
        pod: String,
    },
    /// Delete the job: it has been finished for as long as it asked to be kept.
    DeleteJob,
}

/// What a job needs now.
#[derive(Debug, Clone, PartialEq)]
pub struct JobStep {
    /// What to do, in this order.
    pub actions: Vec<JobAction>,
    /// What to report.
    pub status: JobStatus,
    /// When to look again though nothing has changed.
    pub again: Option<Time>,
}

/// What the pods of a job amount to.
#[derive(Default)]
struct Tally<'a> {
    active: Vec<&'a Pod>,
    succeeded: i32,
    failed: i32,
    terminating: i32,
    done: BTreeSet<i32>,
    lost: BTreeSet<i32>,
    /// How often each index failed.
    failures: BTreeMap<i32, i32>,
    /// Why the whole job is lost.
    fatal: Option<String>,
    last_failure: Option<Time>,
}

fn index(pod: &Pod) -> Option<i32> {
    pod.metadata.annotations.get(INDEX).or_else(|| pod.metadata.labels.get(INDEX))?.parse().ok()
}

fn ended_at(pod: &Pod) -> Option<Time> {
    let ends = pod.status.container_statuses.iter().filter_map(|status| status.state.terminated.as_ref()?.finished_at);
    ends.max().or(pod.metadata.creation_timestamp)
}

fn tally<'a>(job: &Job, pods: &'a [Pod]) -> Tally<'a> {
    let mut all = Tally::default();
    let indexed = is_indexed(job);
    let replaces_failed_only = job.spec.pod_replacement_policy.as_deref() == Some("Failed");
    for pod in pods {
        match pod.status.phase.text() {
            "Succeeded" => {
                match index(pod).filter(|_| indexed) {
                    Some(index) => all.succeeded += i32::from(all.done.insert(index)),
                    None => all.succeeded += 1,
                }
                continue;
            }
            "Failed" => {}
            _ if pod.metadata.deletion_timestamp.is_none() => {
                all.active.push(pod);
                continue;
            }
            // It counts as failed at once, or when it is gone.
            _ => {
                all.terminating += 1;
                if replaces_failed_only {
                    continue;
                }
            }
        }
        match verdict::of(&job.spec, pod) {
            Verdict::Ignore => continue,
            Verdict::Count => {}
            Verdict::FailIndex => all.lost.extend(index(pod)),
            Verdict::FailJob(reason) => all.fatal = all.fatal.or(Some(reason)),
        }
        all.failed += 1;
        all.last_failure = all.last_failure.max(ended_at(pod));
        if let Some(index) = index(pod) {
            *all.failures.entry(index).or_default() += 1;
        }
    }
    if let Some(limit) = job.spec.backoff_limit_per_index {
        all.lost.extend(all.failures.iter().filter(|(_, count)| **count > limit).map(|(index, _)| *index));
    }
    let done = all.done.clone();
    all.lost.retain(|index| !done.contains(index));
    all
}

fn is_indexed(job: &Job) -> bool {
    job.spec.completion_mode.as_deref() == Some("Indexed")
}

/// A condition that ends the job.
fn condition(kind: &str, reason: &str, message: &str, now: Time) -> JobCondition {
    JobCondition {
        type_: Some(kind.to_owned()),
        status: Some("True".to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(now),
        last_transition_time: Some(now),
        ..JobCondition::default()
    }
}

fn finished(job: &Job) -> Option<&JobCondition> {
    job.status
        .conditions
        .iter()
        .find(|own| matches!(own.type_.text(), "Complete" | "Failed") && own.status.text() == "True")
}

/// Whether the job has come to its end.
fn end(job: &Job, all: &Tally<'_>, now: Time) -> Option<JobCondition> {
    let spec = &job.spec;
    if let Some(reason) = &all.fatal {
        return Some(condition("Failed", "PodFailurePolicy", reason, now));
    }
    if all.failed > spec.backoff_limit.unwrap_or(6) {
        return Some(condition("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit", now));
    }
    let started = job.status.start_time;
    if let (Some(deadline), Some(started)) = (spec.active_deadline_seconds, started)
        && now.unix_seconds() - started.unix_seconds() >= deadline
    {
        let message = "Job was active longer than specified deadline";
        return Some(condition("Failed", "DeadlineExceeded", message, now));
    }
    if let Some(limit) = spec.max_failed_indexes.and_then(|limit| usize::try_from(limit).ok())
        && all.lost.len() > limit
    {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        return Some(condition("Failed", "MaxFailedIndexesExceeded", message, now));
    }
    if is_indexed(job) {
        return indexed_end(job, all, now);
    }
    let complete = match spec.completions {
        Some(completions) => all.succeeded >= completions,
        // A queue: it is empty when one pod says so and all others have ended.
        None => all.succeeded > 0 && all.active.is_empty(),
    };
    complete.then(|| condition("Complete", "CompletionsReached", "Reached expected number of succeeded pods", now))
}

fn indexed_end(job: &Job, all: &Tally<'_>, now: Time) -> Option<JobCondition> {
    let completions = job.spec.completions.unwrap_or(0);
    for (number, rule) in job.spec.success_policy.iter().flat_map(|policy| &policy.rules).enumerate() {
        let wanted = rule.succeeded_indexes.as_deref().map(parse_indexes);
        let done = all.done.iter().filter(|index| wanted.as_ref().is_none_or(|wanted| wanted.contains(index))).count();
        let enough = match (rule.succeeded_count.and_then(|count| usize::try_from(count).ok()), &wanted) {
            (Some(count), _) => done >= count,
            (None, Some(wanted)) => done == wanted.len(),
            (None, None) => false,
        };
        if enough {
            let message = format!("Matched rules at index {number}");
            return Some(condition("Complete", "SuccessPolicy", &message, now));
        }
    }
    let over = i32::try_from(all.done.len() + all.lost.len()).unwrap_or(i32::MAX);
    if over < completions {
        return None;
    }
    Some(if all.lost.is_empty() {
        condition("Complete", "CompletionsReached", "Reached expected number of succeeded pods", now)
    } else {
        condition("Failed", "FailedIndexes", "Job has failed indexes", now)
    })
}

fn delete(pod: &Pod) -> JobAction {
    JobAction::Delete { pod: pod.metadata.name.clone().unwrap_or_default() }
}

/// When the next pod may be created after failures: ten seconds after the first, and each time twice as long.
fn retry_at(all: &Tally<'_>) -> Option<Time> {
    let power = u32::try_from(all.failed.saturating_sub(1)).ok().filter(|_| all.failed > 0)?;
    let wait = BACKOFF_INITIAL.checked_shl(power.min(10)).unwrap_or(BACKOFF_MAX).min(BACKOFF_MAX);
    Some(Time::from_unix_seconds(all.last_failure?.unix_seconds() + wait))
}

/// What to do about a job and its pods.
///
/// ```
/// use windlass_pod::batch::{JobAction, job};
/// use windlass_pod::kinds::Job;
/// use windlass_pod::{Time, decode_yaml_as};
///
/// let own: Job = decode_yaml_as(b"spec: {parallelism: 2, completions: 5}").unwrap();
/// let step = job(&own, &[], Time::from_unix_seconds(0));
/// assert_eq!(step.actions, [JobAction::Create { index: None }, JobAction::Create { index: None }]);
/// ```
pub fn job(own: &Job, pods: &[Pod], now: Time) -> JobStep {
    let all = tally(own, pods);
    let mut status = counts(own, &all);
    let mut step = JobStep { actions: Vec::new(), status: status.clone(), again: None };
    if let Some(end) = finished(own) {
        return expire(own, end.last_transition_time, step, now);
    }
    if own.spec.suspend == Some(true) {
        step.actions.extend(all.active.iter().map(|pod| delete(pod)));
        step.status.start_time = None;
        suspend(&mut step.status, "True", "JobSuspended", "Job suspended", now);
        return step;
    }
    if status.conditions.iter().any(|own| own.type_.text() == "Suspended") {
        suspend(&mut status, "False", "JobResumed", "Job resumed", now);
    }
    status.start_time = status.start_time.or(Some(now));
    if let Some(end) = end(own, &all, now) {
        step.actions.extend(all.active.iter().map(|pod| delete(pod)));
        if end.type_.text() == "Complete" {
            status.completion_time = Some(now);
        }
        status.conditions.push(end);
        status.active = Some(0);
        return JobStep { status, ..step };
    }
    step.status = status;
    replenish(own, &all, &mut step, now);
    if let (Some(deadline), Some(start)) = (own.spec.active_deadline_seconds, step.status.start_time) {
        let deadline = Time::from_unix_seconds(start.unix_seconds() + deadline);
        step.again = Some(step.again.map_or(deadline, |again| again.min(deadline)));
    }
    step
}

fn suspend(status: &mut JobStatus, state: &str, reason: &str, message: &str, now: Time) {
    let had = status.conditions.iter().position(|own| own.type_.text() == "Suspended");
    if had.is_some_and(|index| status.conditions[index].status.text() == state) {
        return;
    }
    let new = JobCondition { status: Some(state.to_owned()), ..condition("Suspended", reason, message, now) };
    match had {
        Some(index) => status.conditions[index] = new,
        None => status.conditions.push(new),
    }
}

/// A finished job goes when it is old enough.
fn expire(own: &Job, ended: Option<Time>, mut step: JobStep, now: Time) -> JobStep {
    let ended = own.status.completion_time.or(ended);
    if let (Some(seconds), Some(ended)) = (own.spec.ttl_seconds_after_finished, ended) {
        let at = Time::from_unix_seconds(ended.unix_seconds() + i64::from(seconds));
        if at <= now {
            step.actions.push(JobAction::DeleteJob);
        } else {
            step.again = Some(at);
        }
    }
    step
}

fn counts(own: &Job, all: &Tally<'_>) -> JobStatus {
    let ready = all.active.iter().filter(|pod| pod.is_ready()).count();
    let number = |count: usize| Some(i32::try_from(count).unwrap_or(i32::MAX));
    let lost = own.spec.backoff_limit_per_index.map(|_| format_indexes(&all.lost));
    JobStatus {
        active: number(all.active.len()),
        ready: number(ready),
        succeeded: Some(all.succeeded),
        failed: Some(all.failed),
        terminating: Some(all.terminating),
        completed_indexes: Some(format_indexes(&all.done)).filter(|_| is_indexed(own)),
        failed_indexes: lost,
        ..own.status.clone()
    }
}

/// Brings the number of active pods to what is wanted.
fn replenish(own: &Job, all: &Tally<'_>, step: &mut JobStep, now: Time) {
    let parallelism = own.spec.parallelism.unwrap_or(1).max(0);
    let active = i32::try_from(all.active.len()).unwrap_or(i32::MAX);
    let over = i32::try_from(all.lost.len()).unwrap_or(i32::MAX);
    let wanted = match own.spec.completions {
        None if all.succeeded > 0 => active.min(parallelism),
        None => parallelism,
        Some(completions) => parallelism.min((completions - all.succeeded - over).max(0)),
    };
    if active > wanted {
        let surplus = usize::try_from(active - wanted).unwrap_or(0);
        let mut victims = all.active.clone();
        victims.sort_by_key(|pod| (pod.is_ready(), std::cmp::Reverse(pod.metadata.creation_timestamp)));
        step.actions.extend(victims.into_iter().take(surplus).map(delete));
        return;
    }
    let waiting = if own.spec.pod_replacement_policy.as_deref() == Some("Failed") { all.terminating } else { 0 };
    let missing = usize::try_from(wanted - active - waiting).unwrap_or(0);
    if missing == 0 {
        return;
    }
    if let Some(retry) = retry_at(all).filter(|retry| *retry > now) {
        step.again = Some(retry);
        return;
    }
    if !is_indexed(own) {
        step.actions.extend((0..missing).map(|_| JobAction::Create { index: None }));
        return;
    }
    let taken: BTreeSet<i32> = all.active.iter().filter_map(|pod| index(pod)).collect();
    let free = |index: &i32| !taken.contains(index) && !all.done.contains(index) && !all.lost.contains(index);
    let indexes = (0..own.spec.completions.unwrap_or(0)).filter(free).take(missing);
    step.actions.extend(indexes.map(|index| JobAction::Create { index: Some(index) }));
}
