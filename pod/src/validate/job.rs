//! Jobs and cron jobs.

use super::at::At;
use super::meta::{Scope, non_negative, object_meta, one_of_word};
use super::scheduling::label_selector;
use super::workload::{map_text, selector_text};
use super::{job_policy, pod};
use crate::kinds::{CronJob, CronJobSpec, Job, JobSpec, JobTemplateSpec};
use crate::names;
use crate::schedule::{Schedule, zones};
use crate::selector::Selector;
use crate::strategy;
use crate::violation::Violations;
use crate::wire::text::Text as _;

/// How many pods an indexed job runs at once.
const PARALLELISM_MAX: i32 = 100_000;
/// From how many completions on a job with a limit for each index is held to less.
const COMPLETIONS_SOFT: i32 = 100_000;
/// What a job with more completions than that is held to.
const HIGH_COMPLETIONS_MAX: i32 = 10_000;
const MANAGED_BY_MAX: usize = 63;
/// A job's name has eleven characters more than its cron job's, and at most 63.
const CRON_NAME_MAX: usize = 52;

/// A job as the server has it when it validates it: with the selector that it makes.
pub(super) fn job(job: &Job, out: &mut Violations) {
    let mut prepared = job.clone();
    strategy::job(&mut prepared);
    object_meta(&prepared.metadata, Scope::Namespaced, names::dns1123_subdomain, out);
    generated_selector(&prepared, out);
    job_and_selector_spec(&prepared, out);
    hostname(&prepared, out);
}

pub(super) fn job_and_selector_spec(job: &Job, out: &mut Violations) {
    let root = At::root();
    let at = root.field("spec");
    let spec = &job.spec;
    job_spec(spec, &at, out);
    if spec.selector.is_none() {
        out.required(at.field("selector"), "");
    }
    label_selector(spec.selector.as_deref(), &at.field("selector"), out);
    if let Ok(selector) = Selector::from_label_selector(spec.selector.as_deref())
        && !selector.matches(&spec.template.metadata.labels)
    {
        let labels = map_text(&spec.template.metadata.labels);
        let at = at.field("template");
        let at = at.field("metadata");
        out.invalid_literal(at.field("labels"), labels, "`selector` does not match template `labels`");
    }
}

/// The last pod of an indexed job must have a name that a host can have.
fn hostname(job: &Job, out: &mut Violations) {
    let indexed = job.spec.completion_mode.as_deref() == Some("Indexed");
    if let Some(completions) = job.spec.completions.filter(|completions| indexed && *completions > 0) {
        let hostname = format!("{}-{}", job.metadata.name.text(), completions - 1);
        if !names::dns1123_label(&hostname).is_empty() {
            let root = At::root();
            let detail = format!("will not able to create pod with invalid DNS label: {hostname}");
            out.invalid(root.field("metadata").field("name"), job.metadata.name.text(), detail);
        }
    }
}

fn generated_selector(job: &Job, out: &mut Violations) {
    let Some(selector) = job.spec.selector.as_deref().filter(|_| job.spec.manual_selector != Some(true)) else {
        return;
    };
    let (name, uid) = (job.metadata.name.text(), job.metadata.uid.text());
    let root = At::root();
    let at = root.field("spec");
    let template_at = at.field("template");
    let metadata_at = template_at.field("metadata");
    let labels_at = metadata_at.field("labels");
    let labels = &job.spec.template.metadata.labels;
    let expected = strategy::job_labels(name, uid);
    for (key, value) in &expected {
        match labels.get(key) {
            None => out.required(labels_at.key(key), format!("must be '{value}'")),
            Some(own) if own != value => {
                out.invalid_literal(labels_at.key(key), map_text(labels), format!("must be '{value}'"));
            }
            Some(_) => {}
        }
    }
    if Selector::from_label_selector(Some(selector)).is_ok_and(|usable| !usable.matches(&expected)) {
        out.invalid_literal(at.field("selector"), selector_text(selector), "`selector` not auto-generated");
    }
}

fn job_spec(spec: &JobSpec, at: &At<'_>, out: &mut Violations) {
    for (field, value) in [
        ("parallelism", spec.parallelism.map(i64::from)),
        ("completions", spec.completions.map(i64::from)),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit.map(i64::from)),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished.map(i64::from)),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index.map(i64::from)),
        ("maxFailedIndexes", spec.max_failed_indexes.map(i64::from)),
    ] {
        if let Some(value) = value {
            non_negative(value, &at.field(field), out);
        }
    }
    if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
        out.required(at.field("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    }
    managed_by(spec, &at.field("managedBy"), out);
    completion_mode(spec, at, out);
    job_policy::failure(spec, &at.field("podFailurePolicy"), out);
    job_policy::success(spec, &at.field("successPolicy"), out);
    replacement(spec, &at.field("podReplacementPolicy"), out);
    let template_at = at.field("template");
    pod::template(&spec.template, &template_at, out);
    let template_spec = template_at.field("spec");
    let policy_at = template_spec.field("restartPolicy");
    match spec.template.spec.restart_policy.text() {
        "" | "Always" => out.required(policy_at, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if spec.pod_failure_policy.is_some() => {
            out.invalid(policy_at, "OnFailure", "only \"Never\" is supported when podFailurePolicy is specified");
        }
        "OnFailure" | "Never" => {}
        other => out.not_supported(policy_at, other, &["OnFailure", "Never"]),
    }
}

fn managed_by(spec: &JobSpec, at: &At<'_>, out: &mut Violations) {
    let Some(manager) = &spec.managed_by else { return };
    domain_prefixed_path(manager, at, out);
    if manager.len() > MANAGED_BY_MAX {
        out.too_long(at, MANAGED_BY_MAX);
    }
}

/// `example.com/path`
fn domain_prefixed_path(text: &str, at: &At<'_>, out: &mut Violations) {
    if text.is_empty() {
        return out.required(at, "");
    }
    let Some((host, path)) = text.split_once('/').filter(|(host, path)| !host.is_empty() && !path.is_empty()) else {
        return out.invalid(at, text, "must be a domain-prefixed path (such as \"acme.io/foo\")");
    };
    for message in names::dns1123_subdomain(host) {
        out.invalid(at, host, message);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
    if !path.bytes().all(allowed) {
        out.invalid(at, path, "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')");
    }
}

fn completion_mode(spec: &JobSpec, at: &At<'_>, out: &mut Violations) {
    match spec.completion_mode.as_deref() {
        None | Some("NonIndexed") => {
            for (field, value) in
                [("backoffLimitPerIndex", spec.backoff_limit_per_index), ("maxFailedIndexes", spec.max_failed_indexes)]
            {
                if let Some(value) = value {
                    out.invalid_literal(at.field(field), value, "requires indexed completion mode");
                }
            }
        }
        Some("Indexed") => indexed(spec, at, out),
        Some(other) => one_of_word(other, &["NonIndexed", "Indexed"], &at.field("completionMode"), out),
    }
}

fn indexed(spec: &JobSpec, at: &At<'_>, out: &mut Violations) {
    let (parallelism_at, failed_at) = (at.field("parallelism"), at.field("maxFailedIndexes"));
    let Some(completions) = spec.completions else {
        out.required(at.field("completions"), "when completion mode is Indexed");
        return limits(spec, &parallelism_at, &failed_at, out);
    };
    limits(spec, &parallelism_at, &failed_at, out);
    if let Some(failed) = spec.max_failed_indexes.filter(|failed| *failed > completions) {
        out.invalid_literal(failed_at, failed, "must be less than or equal to completions");
    }
    if completions <= COMPLETIONS_SOFT || spec.backoff_limit_per_index.is_none() {
        return;
    }
    if spec.max_failed_indexes.is_none() {
        out.required(failed_at, format!("must be specified when completions is above {COMPLETIONS_SOFT}"));
    }
    for (at, value) in [(&parallelism_at, spec.parallelism), (&failed_at, spec.max_failed_indexes)] {
        if let Some(value) = value.filter(|value| *value > HIGH_COMPLETIONS_MAX) {
            let detail = format!(
                "must be less than or equal to {HIGH_COMPLETIONS_MAX} when completions are above {COMPLETIONS_SOFT} and used with backoff limit per index"
            );
            out.invalid_literal(at, value, detail);
        }
    }
}

fn limits(spec: &JobSpec, parallelism_at: &At<'_>, failed_at: &At<'_>, out: &mut Violations) {
    if let Some(parallelism) = spec.parallelism.filter(|parallelism| *parallelism > PARALLELISM_MAX) {
        let detail = format!("must be less than or equal to {PARALLELISM_MAX} when completion mode is Indexed");
        out.invalid_literal(parallelism_at, parallelism, detail);
    }
    if let Some(failed) = spec.max_failed_indexes.filter(|failed| *failed > PARALLELISM_MAX) {
        out.invalid_literal(failed_at, failed, format!("must be less than or equal to {PARALLELISM_MAX}"));
    }
}

fn replacement(spec: &JobSpec, at: &At<'_>, out: &mut Violations) {
    if let Some(policy) = &spec.pod_replacement_policy {
        let both = ["Failed", "TerminatingOrFailed"];
        one_of_word(policy, if spec.pod_failure_policy.is_some() { &both[..1] } else { &both }, at, out);
    }
}

pub(super) fn cron_job(job: &CronJob, out: &mut Violations) {
    object_meta(&job.metadata, Scope::Namespaced, names::dns1123_subdomain, out);
    let root = At::root();
    cron_spec(&job.spec, &root.field("spec"), out);
    let name = job.metadata.name.text();
    if name.len() > CRON_NAME_MAX {
        let detail = format!("must be no more than {CRON_NAME_MAX} characters");
        out.invalid(root.field("metadata").field("name"), name, detail);
    }
}

fn cron_spec(spec: &CronJobSpec, at: &At<'_>, out: &mut Violations) {
    schedule(spec.schedule.text(), &at.field("schedule"), out);
    if let Some(seconds) = spec.starting_deadline_seconds {
        non_negative(seconds, &at.field("startingDeadlineSeconds"), out);
    }
    match spec.concurrency_policy.text() {
        "" => out.required(at.field("concurrencyPolicy"), ""),
        policy => one_of_word(policy, &["Allow", "Forbid", "Replace"], &at.field("concurrencyPolicy"), out),
    }
    let template_at = at.field("jobTemplate");
    job_template(&spec.job_template, &template_at, out);
    for (field, limit) in [
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ] {
        if let Some(limit) = limit {
            non_negative(limit.into(), &at.field(field), out);
        }
    }
    if let Some(zone) = &spec.time_zone {
        time_zone(zone, &at.field("timeZone"), out);
    }
}

fn schedule(text: &str, at: &At<'_>, out: &mut Violations) {
    if text.is_empty() {
        return out.required(at, "");
    }
    if let Err(error) = text.parse::<Schedule>() {
        out.invalid(at, text, error.to_string());
    }
    if text.contains("TZ") {
        out.invalid(at, text, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    }
}

fn time_zone(zone: &str, at: &At<'_>, out: &mut Violations) {
    if zone.is_empty() {
        return out.invalid(at, zone, "timeZone must be nil or non-empty string");
    }
    let part_is_good = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte);
        (1..=14).contains(&part.len())
            && part.bytes().all(allowed)
            && !matches!(part, "." | "..")
            && !part.starts_with('-')
    };
    if !zone.split('/').all(part_is_good) {
        return out.invalid(at, zone, format!("unknown time zone {zone}"));
    }
    if zone.eq_ignore_ascii_case("local") {
        let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        out.invalid(at, zone, detail);
    }
    if zone != "Local" && !zones::is_known(zone) {
        out.invalid(at, zone, format!("unknown time zone {zone}"));
    }
}

fn job_template(template: &JobTemplateSpec, at: &At<'_>, out: &mut Violations) {
    let at = at.field("spec");
    job_spec(&template.spec, &at, out);
    if let Some(selector) = &template.spec.selector {
        out.invalid_literal(at.field("selector"), selector_text(selector), "`selector` will be auto-generated");
    }
    if template.spec.manual_selector == Some(true) {
        out.not_supported_literal(at.field("manualSelector"), "true".to_owned(), &["nil", "false"]);
    }
}
