//! What makes pods from templates and keeps their number.

use std::collections::BTreeMap;

use super::at::At;
use super::meta::{
    Scope, annotations, at_most_everything, labels, non_negative, number, number_or_percent, number_text, object_meta,
};
use super::pod;
use super::scheduling::label_selector;
use crate::kinds::{
    DaemonSet, DaemonSetUpdateStrategy, Deployment, DeploymentStrategy, LabelSelector,
    PersistentVolumeClaimVolumeSource, PodTemplateSpec, ReplicaSet, ReplicationController, RollingUpdateDeployment,
    StatefulSet, Volume,
};
use crate::names;
use crate::selector::Selector;
use crate::violation::{Violations, quoted};
use crate::wire::text::Text as _;

pub(super) fn replication_controller(controller: &ReplicationController, out: &mut Violations) {
    object_meta(&controller.metadata, Scope::Namespaced, names::dns1123_subdomain, out);
    replication_controller_spec(controller, out);
}

pub(super) fn replication_controller_spec(controller: &ReplicationController, out: &mut Violations) {
    let root = At::root();
    let at = root.field("spec");
    let spec = &controller.spec;
    non_negative(spec.min_ready_seconds.unwrap_or(0).into(), &at.field("minReadySeconds"), out);
    if spec.selector.is_empty() {
        out.required(at.field("selector"), "");
    }
    match spec.replicas {
        None => out.required(at.field("replicas"), ""),
        Some(replicas) => non_negative(replicas.into(), &at.field("replicas"), out),
    }
    let at = at.field("template");
    let Some(template) = &spec.template else { return out.required(at, "") };
    let selector = Selector::from_labels(&spec.selector);
    replica_template(template, &selector, "ReplicationController", &at, out);
}

/// A template whose pods run until they are deleted, as many as wanted.
fn replica_template(template: &PodTemplateSpec, selector: &Selector, kind: &str, at: &At<'_>, out: &mut Violations) {
    if !selector.is_everything() {
        must_match(template, selector, at, out);
    }
    pod::template(template, at, out);
    always(template, kind, at, out);
}

fn must_match(template: &PodTemplateSpec, selector: &Selector, at: &At<'_>, out: &mut Violations) {
    let labels = &template.metadata.labels;
    if !selector.matches(labels) {
        let at = at.field("metadata");
        out.invalid_literal(at.field("labels"), map_text(labels), "`selector` does not match template `labels`");
    }
}

fn always(template: &PodTemplateSpec, kind: &str, at: &At<'_>, out: &mut Violations) {
    let at = at.field("spec");
    if template.spec.restart_policy.text() != "Always" {
        out.not_supported(at.field("restartPolicy"), template.spec.restart_policy.text(), &["Always"]);
    }
    if template.spec.active_deadline_seconds.is_some() {
        let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
        out.forbidden(at.field("activeDeadlineSeconds"), detail);
    }
}

/// A map as it is printed.
pub(super) fn map_text(map: &BTreeMap<String, String>) -> String {
    if map.is_empty() {
        return "null".to_owned();
    }
    let entries: Vec<String> = map.iter().map(|(key, value)| format!("{}:{}", quoted(key), quoted(value))).collect();
    format!("{{{}}}", entries.join(","))
}

/// A selector as it is printed.
pub(super) fn selector_text(selector: &LabelSelector) -> String {
    let mut parts = Vec::new();
    if !selector.match_labels.is_empty() {
        parts.push(format!("\"matchLabels\":{}", map_text(&selector.match_labels)));
    }
    if !selector.match_expressions.is_empty() {
        let expression = |one: &crate::kinds::LabelSelectorRequirement| {
            let values = if one.values.is_empty() {
                String::new()
            } else {
                format!(",\"values\":{}", super::meta::texts(&one.values))
            };
            format!("{{\"key\":{},\"operator\":{}{values}}}", quoted(one.key.text()), quoted(one.operator.text()))
        };
        let list: Vec<String> = selector.match_expressions.iter().map(expression).collect();
        parts.push(format!("\"matchExpressions\":[{}]", list.join(",")));
    }
    format!("{{{}}}", parts.join(","))
}

/// Checks a selector that must be there and not be empty; `None` when it cannot be used.
fn own_selector(selector: Option<&LabelSelector>, kind: &str, at: &At<'_>, out: &mut Violations) -> Option<Selector> {
    match selector {
        None => out.required(at, ""),
        Some(selector) => {
            label_selector(Some(selector), at, out);
            if selector.match_labels.is_empty() && selector.match_expressions.is_empty() {
                let detail = format!("empty selector is invalid for {kind}");
                out.invalid_literal(at, selector_text(selector), detail);
            }
        }
    }
    let usable = Selector::from_label_selector(selector);
    if let (Err(_), Some(selector)) = (&usable, selector) {
        let detail = if kind == "statefulset" { "" } else { "invalid label selector" };
        out.invalid_literal(at, selector_text(selector), detail);
    }
    usable.ok()
}

pub(super) fn replica_set(set: &ReplicaSet, out: &mut Violations) {
    object_meta(&set.metadata, Scope::Namespaced, names::dns1123_subdomain, out);
    replica_set_spec(set, out);
}

pub(super) fn replica_set_spec(set: &ReplicaSet, out: &mut Violations) {
    let root = At::root();
    let at = root.field("spec");
    let spec = &set.spec;
    non_negative(spec.replicas.unwrap_or(0).into(), &at.field("replicas"), out);
    non_negative(spec.min_ready_seconds.unwrap_or(0).into(), &at.field("minReadySeconds"), out);
    let selector = own_selector(spec.selector.as_deref(), "deployment", &at.field("selector"), out);
    if let Some(selector) = selector {
        replica_template(&spec.template, &selector, "ReplicaSet", &at.field("template"), out);
    }
}

pub(super) fn deployment(deployment: &Deployment, out: &mut Violations) {
    object_meta(&deployment.metadata, Scope::Namespaced, names::dns1123_subdomain, out);
    deployment_spec(deployment, out);
}

pub(super) fn deployment_spec(deployment: &Deployment, out: &mut Violations) {
    let root = At::root();
    let at = root.field("spec");
    let spec = &deployment.spec;
    non_negative(spec.replicas.unwrap_or(0).into(), &at.field("replicas"), out);
    let selector = own_selector(spec.selector.as_deref(), "deployment", &at.field("selector"), out);
    if let Some(selector) = selector {
        replica_template(&spec.template, &selector, "ReplicaSet", &at.field("template"), out);
    }
    strategy(&spec.strategy, &at.field("strategy"), out);
    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    non_negative(min_ready.into(), &at.field("minReadySeconds"), out);
    if let Some(limit) = spec.revision_history_limit {
        non_negative(limit.into(), &at.field("revisionHistoryLimit"), out);
    }
    if let Some(deadline) = spec.progress_deadline_seconds {
        let at = at.field("progressDeadlineSeconds");
        non_negative(deadline.into(), &at, out);
        if deadline <= min_ready {
            out.invalid_literal(at, deadline, "must be greater than minReadySeconds");
        }
    }
}

fn strategy(strategy: &DeploymentStrategy, at: &At<'_>, out: &mut Violations) {
    let rolling_at = at.field("rollingUpdate");
    match (strategy.type_.text(), &strategy.rolling_update) {
        ("Recreate", Some(_)) => {
            out.forbidden(rolling_at, "may not be specified when strategy `type` is 'Recreate'");
        }
        ("Recreate", None) => {}
        ("RollingUpdate", None) => out.required(rolling_at, "this should be defaulted and never be nil"),
        ("RollingUpdate", Some(rolling)) => rolling_update(rolling, &rolling_at, out),
        (kind, rolling) => {
            let rolling = rolling.as_ref().map_or_else(
                || "null".to_owned(),
                |one| {
                    let (unavailable, surge) =
                        (number_text(one.max_unavailable.as_ref()), number_text(one.max_surge.as_ref()));
                    format!("{{\"MaxUnavailable\":{unavailable},\"MaxSurge\":{surge}}}")
                },
            );
            let value = format!("{{\"Type\":{},\"RollingUpdate\":{rolling}}}", quoted(kind));
            out.not_supported_literal(at, value, &["Recreate", "RollingUpdate"]);
        }
    }
}

fn rolling_update(rolling: &RollingUpdateDeployment, at: &At<'_>, out: &mut Violations) {
    let (unavailable, surge) = (rolling.max_unavailable.as_ref(), rolling.max_surge.as_ref());
    let (unavailable_at, surge_at) = (at.field("maxUnavailable"), at.field("maxSurge"));
    number_or_percent(unavailable, &unavailable_at, out);
    number_or_percent(surge, &surge_at, out);
    if number(unavailable) == 0 && number(surge) == 0 {
        let value = number_text(unavailable);
        out.invalid_literal(unavailable_at, value, "may not be 0 when `maxSurge` is 0");
    }
    at_most_everything(unavailable, &unavailable_at, out);
}

pub(super) fn daemon_set(set: &DaemonSet, out: &mut Violations) {
    object_meta(&set.metadata, Scope::Namespaced, names::dns1123_subdomain, out);
    let root = At::root();
    let at = root.field("spec");
    let spec = &set.spec;
    let template_at = at.field("template");
    let selector_at = at.field("selector");
    let selector = spec.selector.as_deref();
    label_selector(selector, &selector_at, out);
    if let Ok(selector) = Selector::from_label_selector(selector)
        && !selector.is_everything()
    {
        must_match(&spec.template, &selector, &template_at, out);
    }
    if let Some(selector) =
        selector.filter(|selector| selector.match_labels.is_empty() && selector.match_expressions.is_empty())
    {
        out.invalid_literal(selector_at, selector_text(selector), "empty selector is invalid for daemonset");
    }
    pod::template(&spec.template, &template_at, out);
    always(&spec.template, "DaemonSet", &template_at, out);
    non_negative(spec.min_ready_seconds.unwrap_or(0).into(), &at.field("minReadySeconds"), out);
    daemon_strategy(&spec.update_strategy, &at.field("updateStrategy"), out);
    if let Some(limit) = spec.revision_history_limit {
        non_negative(limit.into(), &at.field("revisionHistoryLimit"), out);
    }
}

fn daemon_strategy(strategy: &DaemonSetUpdateStrategy, at: &At<'_>, out: &mut Violations) {
    let rolling_at = at.field("rollingUpdate");
    match (strategy.type_.text(), &strategy.rolling_update) {
        ("OnDelete", _) => {}
        ("RollingUpdate", None) => out.required(rolling_at, ""),
        ("RollingUpdate", Some(rolling)) => {
            let (unavailable, surge) = (rolling.max_unavailable.as_ref(), rolling.max_surge.as_ref());
            let (unavailable_at, surge_at) = (rolling_at.field("maxUnavailable"), rolling_at.field("maxSurge"));
            number_or_percent(unavailable, &unavailable_at, out);
            number_or_percent(surge, &surge_at, out);
            at_most_everything(unavailable, &unavailable_at, out);
            at_most_everything(surge, &surge_at, out);
            match (number(unavailable) != 0, number(surge) != 0) {
                (true, true) => {
                    let value = number_text(surge);
                    out.invalid_literal(surge_at, value, "may not be set when maxUnavailable is non-zero");
                }
                (false, false) => out.required(unavailable_at, "cannot be 0 when maxSurge is 0"),
                _ => {}
            }
        }
        (kind, _) => {
            let value = format!("{{\"Type\":{},\"RollingUpdate\":null}}", quoted(kind));
            out.not_supported_literal(at, value, &["RollingUpdate", "OnDelete"]);
        }
    }
}

pub(super) fn stateful_set(set: &StatefulSet, out: &mut Violations) {
    object_meta(&set.metadata, Scope::Namespaced, names::dns1123_label, out);
    let root = At::root();
    let at = root.field("spec");
    let spec = &set.spec;
    match spec.pod_management_policy.text() {
        "" => out.required(at.field("podManagementPolicy"), ""),
        "OrderedReady" | "Parallel" => {}
        other => {
            let detail = "must be 'OrderedReady' or 'Parallel'";
            out.invalid(at.field("podManagementPolicy"), other, detail);
        }
    }
    let strategy_at = at.field("updateStrategy");
    match (spec.update_strategy.type_.text(), &spec.update_strategy.rolling_update) {
        ("", _) => out.required(strategy_at, ""),
        ("OnDelete", Some(rolling)) => {
            let partition = rolling.partition.map_or_else(|| "null".to_owned(), |partition| partition.to_string());
            let value = format!("{{\"Partition\":{partition},\"MaxUnavailable\":null}}");
            let detail = "only allowed for updateStrategy 'RollingUpdate'";
            out.invalid_literal(strategy_at.field("rollingUpdate"), value, detail);
        }
        ("RollingUpdate", Some(rolling)) => {
            let at = strategy_at.field("rollingUpdate");
            non_negative(rolling.partition.unwrap_or(0).into(), &at.field("partition"), out);
        }
        ("OnDelete" | "RollingUpdate", None) => {}
        (other, _) => {
            let value = format!("{{\"Type\":{},\"RollingUpdate\":null}}", quoted(other));
            out.invalid_literal(strategy_at, value, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
    retention(set, &at.field("persistentVolumeClaimRetentionPolicy"), out);
    non_negative(spec.replicas.unwrap_or(0).into(), &at.field("replicas"), out);
    non_negative(spec.min_ready_seconds.unwrap_or(0).into(), &at.field("minReadySeconds"), out);
    if let Some(ordinals) = &spec.ordinals {
        non_negative(ordinals.start.unwrap_or(0).into(), &at.field("ordinals").field("start"), out);
    }
    let template_at = at.field("template");
    if let Some(selector) = own_selector(spec.selector.as_deref(), "statefulset", &at.field("selector"), out) {
        if !selector.is_everything() {
            must_match(&spec.template, &selector, &template_at, out);
        }
        // The original looks at these twice.
        labels(&spec.template.metadata.labels, &template_at.field("labels"), out);
        annotations(&spec.template.metadata.annotations, &template_at.field("annotations"), out);
        pod::template(&with_claims(set), &template_at, out);
    }
    always(&spec.template, "StatefulSet", &template_at, out);
}

/// The template as its pods will have it: the volumes of the claims stand before the others.
fn with_claims(set: &StatefulSet) -> PodTemplateSpec {
    let mut template = set.spec.template.clone();
    let claims = &set.spec.volume_claim_templates;
    template.spec.volumes.retain(|volume| claims.iter().all(|claim| claim.metadata.name != volume.name));
    let volumes = claims.iter().map(|claim| {
        let source =
            PersistentVolumeClaimVolumeSource { claim_name: claim.metadata.name.clone(), ..Default::default() };
        let name = claim.metadata.name.clone();
        Volume { name, persistent_volume_claim: Some(Box::new(source)), ..Volume::default() }
    });
    template.spec.volumes.splice(0..0, volumes);
    template
}

fn retention(set: &StatefulSet, at: &At<'_>, out: &mut Violations) {
    let Some(policy) = &set.spec.persistent_volume_claim_retention_policy else { return };
    for (field, value) in [("whenDeleted", &policy.when_deleted), ("whenScaled", &policy.when_scaled)] {
        if !matches!(value.text(), "Retain" | "Delete") {
            out.not_supported(at.field(field), value.text(), &["Retain", "Delete"]);
        }
    }
}
