//! Cron jobs: a job whenever the schedule says so.

use crate::kinds::{CronJob, CronJobStatus, Job, ObjectReference};
use crate::schedule::{ParseScheduleError, Schedule};
use crate::wire::text::Text as _;
use crate::wire::time::Time;

/// What to do about a cron job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CronAction {
    /// Create a job from the template.
    Create {
        /// Its name: the cron job's and the minute that it is for.
        name: String,
        /// The time that it is for.
        scheduled: Time,
    },
    /// Delete a job: a newer one takes its place, or it has been kept long enough.
    Delete {
        /// The job's name.
        job: String,
    },
}

/// What a cron job needs now.
#[derive(Debug, Clone, PartialEq)]
pub struct CronStep {
    /// What to do, in this order.
    pub actions: Vec<CronAction>,
    /// What to report.
    pub status: CronJobStatus,
    /// When to look again though nothing has changed.
    pub again: Option<Time>,
    /// Many times were missed: the clock jumped, or the job was suspended for long.
    pub missed_many: bool,
}

/// More than these missed times are worth a word.
const MISSED_MANY: i64 = 100;

fn is_over(job: &Job) -> Option<bool> {
    let has =
        |kind: &str| job.status.conditions.iter().any(|own| own.type_.text() == kind && own.status.text() == "True");
    match (has("Complete"), has("Failed")) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// What to do about a cron job and the jobs that it made; its time zone is this many seconds east of Greenwich now.
///
/// # Errors
/// The schedule cannot be read.
///
/// ```
/// use windlass_pod::batch::{CronAction, cron_job};
/// use windlass_pod::kinds::CronJob;
/// use windlass_pod::{Time, decode_yaml_as};
///
/// let text = b"{metadata: {name: tidy, creationTimestamp: '2025-06-15T15:00:30Z'}, spec: {schedule: '* * * * *'}}";
/// let own: CronJob = decode_yaml_as(text).unwrap();
/// let step = cron_job(&own, &[], "2025-06-15T15:01:10Z".parse().unwrap(), 0).unwrap();
/// assert!(matches!(&step.actions[..], [CronAction::Create { name, .. }] if name == "tidy-29166661"));
/// assert_eq!(step.again.unwrap().to_string(), "2025-06-15T15:02:00Z");
/// ```
pub fn cron_job(own: &CronJob, jobs: &[Job], now: Time, offset_seconds: i32) -> Result<CronStep, ParseScheduleError> {
    let schedule: Schedule = own.spec.schedule.text().parse()?;
    let mut step = CronStep { actions: Vec::new(), status: status(own, jobs), again: None, missed_many: false };
    history(own, jobs, &mut step.actions);
    if own.metadata.deletion_timestamp.is_some() || own.spec.suspend == Some(true) {
        return Ok(step);
    }
    step.again = schedule.next_after(now, offset_seconds);
    let last = own.status.last_schedule_time.or(own.metadata.creation_timestamp).unwrap_or(now);
    let earliest = own
        .spec
        .starting_deadline_seconds
        .map_or(last, |seconds| last.max(Time::from_unix_seconds(now.unix_seconds().saturating_sub(seconds))));
    let Some((scheduled, count)) = schedule.missed(earliest, now, offset_seconds) else { return Ok(step) };
    step.missed_many = count > MISSED_MANY;
    let running: Vec<&Job> = jobs.iter().filter(|job| is_over(job).is_none()).collect();
    match own.spec.concurrency_policy.text() {
        // It is tried again once the one before has ended.
        "Forbid" if !running.is_empty() => return Ok(step),
        "Replace" => {
            let name = |job: &&Job| CronAction::Delete { job: job.metadata.name.clone().unwrap_or_default() };
            step.actions.extend(running.iter().map(name));
            step.status.active.clear();
        }
        _ => {}
    }
    let name = format!("{}-{}", own.metadata.name.text(), scheduled.unix_seconds().div_euclid(60));
    if jobs.iter().all(|job| job.metadata.name.text() != name) {
        step.actions.push(CronAction::Create { name, scheduled });
    }
    step.status.last_schedule_time = Some(scheduled);
    Ok(step)
}

fn status(own: &CronJob, jobs: &[Job]) -> CronJobStatus {
    let reference = |job: &Job| ObjectReference {
        api_version: Some("batch/v1".to_owned()),
        kind: Some("Job".to_owned()),
        name: job.metadata.name.clone(),
        namespace: job.metadata.namespace.clone(),
        uid: job.metadata.uid.clone(),
        resource_version: job.metadata.resource_version.clone(),
        ..ObjectReference::default()
    };
    let succeeded = jobs.iter().filter(|job| is_over(job) == Some(true)).filter_map(|job| job.status.completion_time);
    CronJobStatus {
        active: jobs.iter().filter(|job| is_over(job).is_none()).map(reference).collect(),
        last_successful_time: succeeded.max().max(own.status.last_successful_time),
        ..own.status.clone()
    }
}

/// Keeps as many finished jobs as the cron job asks for.
fn history(own: &CronJob, jobs: &[Job], actions: &mut Vec<CronAction>) {
    for (over, limit) in [(true, own.spec.successful_jobs_history_limit), (false, own.spec.failed_jobs_history_limit)] {
        let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else { continue };
        let mut done: Vec<&Job> = jobs.iter().filter(|job| is_over(job) == Some(over)).collect();
        done.sort_by_key(|job| (job.status.start_time, job.metadata.name.clone()));
        let surplus = done.len().saturating_sub(limit);
        let name = |job: &Job| CronAction::Delete { job: job.metadata.name.clone().unwrap_or_default() };
        actions.extend(done.into_iter().take(surplus).map(name));
    }
}
