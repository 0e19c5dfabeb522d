//! When a job has failed or succeeded before all of its pods ended.

use std::collections::BTreeSet;

use super::at::At;
use super::meta::{each, non_negative, one_of_word};
use crate::kinds::{
    JobSpec, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
    SuccessPolicy, SuccessPolicyRule,
};
use crate::names;
use crate::violation::{Violations, quoted};
use crate::wire::text::Text as _;

const RULES_MAX: usize = 20;
const EXIT_CODES_MAX: usize = 255;
const INDEXES_LENGTH_MAX: usize = 64 << 10;
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];

pub(super) fn failure(spec: &JobSpec, at: &At<'_>, out: &mut Violations) {
    let Some(policy) = &spec.pod_failure_policy else { return };
    let at = at.field("rules");
    if policy.rules.len() > RULES_MAX {
        out.too_many(at, policy.rules.len(), RULES_MAX);
    }
    let names = container_names(spec);
    for (index, rule) in policy.rules.iter().enumerate() {
        failure_rule(spec, rule, &names, &at.index(index), out);
    }
}

fn failure_rule(
    spec: &JobSpec,
    rule: &PodFailurePolicyRule,
    names: &BTreeSet<&str>,
    at: &At<'_>,
    out: &mut Violations,
) {
    let action_at = at.field("action");
    match rule.action.text() {
        "" => out.required(action_at, valid_values(&ACTIONS)),
        "FailIndex" if spec.backoff_limit_per_index.is_none() => {
            out.invalid(action_at, "FailIndex", "requires the backoffLimitPerIndex to be set");
        }
        action => one_of_word(action, &ACTIONS, &action_at, out),
    }
    if let Some(requirement) = &rule.on_exit_codes {
        exit_codes(requirement, names, &at.field("onExitCodes"), out);
    }
    conditions(&rule.on_pod_conditions, &at.field("onPodConditions"), out);
    match (&rule.on_exit_codes, rule.on_pod_conditions.is_empty()) {
        (Some(_), false) => {
            out.invalid_literal(at, "", "specifying both OnExitCodes and OnPodConditions is not supported");
        }
        (None, true) => out.invalid_literal(at, "", "specifying one of OnExitCodes and OnPodConditions is required"),
        _ => {}
    }
}

fn conditions(patterns: &[PodFailurePolicyOnPodConditionsPattern], at: &At<'_>, out: &mut Violations) {
    let statuses = ["False", "True", "Unknown"];
    if patterns.len() > RULES_MAX {
        out.too_many(at, patterns.len(), RULES_MAX);
    }
    for (index, pattern) in patterns.iter().enumerate() {
        let at = at.index(index);
        qualified(pattern.type_.text(), &at.field("type"), out);
        match pattern.status.text() {
            "" => out.required(at.field("status"), valid_values(&statuses)),
            status => one_of_word(status, &statuses, &at.field("status"), out),
        }
    }
}

fn exit_codes(
    requirement: &PodFailurePolicyOnExitCodesRequirement,
    names: &BTreeSet<&str>,
    at: &At<'_>,
    out: &mut Violations,
) {
    let operators = ["In", "NotIn"];
    let operator = requirement.operator.text();
    match operator {
        "" => out.required(at.field("operator"), valid_values(&operators)),
        operator => one_of_word(operator, &operators, &at.field("operator"), out),
    }
    if let Some(name) = requirement.container_name.as_ref().filter(|name| !names.contains(name.as_str())) {
        let detail = "must be one of the container or initContainer names in the pod template";
        out.invalid(at.field("containerName"), name, detail);
    }
    let at = at.field("values");
    let values = &requirement.values;
    if values.is_empty() {
        out.invalid_literal(at, "null", "at least one value is required");
    } else if values.len() > EXIT_CODES_MAX {
        out.too_many(at, values.len(), EXIT_CODES_MAX);
    }
    for (index, value) in values.iter().enumerate() {
        if operator == "In" && *value == 0 {
            out.invalid_literal(at.index(index), 0, "must not be 0 for the In operator");
        }
        if values[..index].contains(value) {
            out.duplicate_literal(at.index(index), value);
        }
    }
    if !values.is_sorted() {
        let list: Vec<String> = values.iter().map(ToString::to_string).collect();
        out.invalid_literal(at, format!("[{}]", list.join(",")), "must be ordered");
    }
}

pub(super) fn success(spec: &JobSpec, at: &At<'_>, out: &mut Violations) {
    let Some(policy) = &spec.success_policy else { return };
    if spec.completion_mode.as_deref() != Some("Indexed") {
        return out.invalid_literal(at, policy_text(policy), "requires indexed completion mode");
    }
    let at = at.field("rules");
    if policy.rules.is_empty() {
        out.required(at, "at least one rules must be specified when the successPolicy is specified");
    }
    if policy.rules.len() > RULES_MAX {
        out.too_many(at, policy.rules.len(), RULES_MAX);
    }
    for (index, rule) in policy.rules.iter().enumerate() {
        success_rule(rule, spec.completions.unwrap_or(0), &at.index(index), out);
    }
}

/// A policy as it is printed: the fields under the names that they have in Go.
fn policy_text(policy: &SuccessPolicy) -> String {
    let rule = |rule: &SuccessPolicyRule| {
        let indexes = rule.succeeded_indexes.as_deref().map_or_else(|| "null".to_owned(), quoted);
        let count = rule.succeeded_count.map_or_else(|| "null".to_owned(), |count| count.to_string());
        format!("{{\"SucceededIndexes\":{indexes},\"SucceededCount\":{count}}}")
    };
    let rules: Vec<String> = policy.rules.iter().map(rule).collect();
    let rules = if rules.is_empty() { "null".to_owned() } else { format!("[{}]", rules.join(",")) };
    format!("{{\"Rules\":{rules}}}")
}

fn success_rule(rule: &SuccessPolicyRule, completions: i32, at: &At<'_>, out: &mut Violations) {
    if rule.succeeded_count.is_none() && rule.succeeded_indexes.is_none() {
        out.required(at, "at least one of succeededCount or succeededIndexes must be specified");
    }
    let mut total = None;
    if let Some(indexes) = &rule.succeeded_indexes {
        let at = at.field("succeededIndexes");
        if indexes.len() > INDEXES_LENGTH_MAX {
            out.too_long(at, INDEXES_LENGTH_MAX);
        }
        match count_indexes(indexes, completions) {
            Ok(count) => total = Some(count),
            Err(reason) => {
                total = Some(0);
                out.invalid(at, indexes, format!("error parsing succeededIndexes: {reason}"));
            }
        }
    }
    let Some(count) = rule.succeeded_count else { return };
    let at = at.field("succeededCount");
    non_negative(count.into(), &at, out);
    if count > completions {
        let detail = format!("must be less than or equal to {completions} (the number of specified completions)");
        out.invalid_literal(at, count, detail);
    }
    if let Some(total) = total.filter(|total| count > *total) {
        let detail = format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        );
        out.invalid_literal(at, count, detail);
    }
}

/// How many indexes a list such as `0,2-4` names.
fn count_indexes(text: &str, completions: i32) -> Result<i32, String> {
    let (mut total, mut last) = (0, None);
    if text.is_empty() {
        return Ok(0);
    }
    for interval in text.split(',') {
        let limits: Vec<&str> = interval.split('-').collect();
        if limits.len() > 2 {
            return Err(format!(
                "the fragment {} violates the requirement that an index interval can have at most two parts separated by '-'",
                quoted(interval)
            ));
        }
        let mut first = None;
        for limit in limits {
            let index: i32 =
                limit.parse().map_err(|_| format!("cannot convert string to integer for index: {}", quoted(limit)))?;
            if index >= completions {
                return Err(format!("too large index: {}", quoted(limit)));
            }
            if let Some(last) = last.filter(|last| *last >= index) {
                return Err(format!("non-increasing order, previous: {last}, current: {index}"));
            }
            total += first.map_or(1, |first| index - first);
            (first, last) = (Some(index), Some(index));
        }
    }
    Ok(total)
}

/// The names of a template's containers.
fn container_names(spec: &JobSpec) -> BTreeSet<&str> {
    let pod = &spec.template.spec;
    pod.containers.iter().chain(&pod.init_containers).map(|container| container.name.text()).collect()
}

/// A condition's type, or another qualified name.
fn qualified(name: &str, at: &At<'_>, out: &mut Violations) {
    each(at, name, names::qualified_name(name), out);
}

/// Words as Go prints a list of them.
fn valid_values(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("valid values: [{}]", words.join(" "))
}
