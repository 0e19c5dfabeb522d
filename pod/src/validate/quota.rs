//! Resource quotas.

use super::at::At;
use super::meta::{Scope, object_meta, texts};
use super::resources::{amount, is_huge_page, resource_name};
use crate::kinds::{ResourceQuota, ResourceQuotaSpec, ScopedResourceSelectorRequirement};
use crate::names;
use crate::violation::Violations;
use crate::wire::text::Text as _;

const SCOPES: [&str; 6] =
    ["Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity"];
/// What may be limited without a prefix.
const NAMES: [&str; 19] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];
/// What pods of one class are limited in.
const OF_PODS: [&str; 7] = ["pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

fn is_quota_name(name: &str) -> bool {
    NAMES.contains(&name) || is_huge_page(name) || name.starts_with("requests.hugepages-")
}

/// A scope can count the uses of a resource.
fn counts(scope: &str, name: &str) -> bool {
    match scope {
        "BestEffort" => name == "pods",
        "Terminating" | "NotTerminating" | "NotBestEffort" | "PriorityClass" | "CrossNamespacePodAffinity" => {
            OF_PODS.contains(&name)
        }
        _ => true,
    }
}

pub(super) fn resource_quota(quota: &ResourceQuota, out: &mut Violations) {
    object_meta(&quota.metadata, Scope::Namespaced, names::dns1123_subdomain, out);
    let root = At::root();
    let (spec_at, status_at) = (root.field("spec"), root.field("status"));
    let spec = &quota.spec;
    hard(&spec.hard, &spec_at.field("hard"), out);
    scopes(spec, &spec_at.field("scopes"), out);
    if let Some(selector) = &spec.scope_selector {
        let at = spec_at.field("scopeSelector");
        let at = at.field("matchExpressions");
        for one in &selector.match_expressions {
            requirement(one, &at, out);
        }
    }
    hard(&quota.status.hard, &status_at.field("hard"), out);
    hard(&quota.status.used, &status_at.field("used"), out);
}

fn hard(list: &crate::resources::ResourceList, at: &At<'_>, out: &mut Violations) {
    for (name, quantity) in list {
        let at = at.key(name);
        resource_name(name, &at, out);
        if !name.contains('/') && !is_quota_name(name) {
            out.invalid(at, name, "must be a standard resource for quota");
        }
        amount(name, quantity, &at, out);
    }
}

fn scopes(spec: &ResourceQuotaSpec, at: &At<'_>, out: &mut Violations) {
    let value = || texts(&spec.scopes);
    for scope in &spec.scopes {
        if !SCOPES.contains(&scope.as_str()) {
            out.invalid_literal(at, value(), "unsupported scope");
        }
        for _ in spec.hard.keys().filter(|name| is_quota_name(name) && !counts(scope, name)) {
            out.invalid_literal(at, value(), "unsupported scope applied to resource");
        }
    }
    let has = |scope: &str| spec.scopes.iter().any(|own| own == scope);
    for (a, b) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if has(a) && has(b) {
            out.invalid_literal(at, value(), "conflicting scopes");
        }
    }
}

fn requirement(one: &ScopedResourceSelectorRequirement, at: &At<'_>, out: &mut Violations) {
    let (scope, operator) = (one.scope_name.text(), one.operator.text());
    if !SCOPES.contains(&scope) {
        out.invalid(at.field("scopeName"), scope, "unsupported scope");
    }
    if SCOPES.contains(&scope) && scope != "PriorityClass" && operator != "Exists" {
        let detail = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
        out.invalid(at.field("operator"), operator, detail);
    }
    match operator {
        "In" | "NotIn" if one.values.is_empty() => {
            let detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            out.required(at.field("values"), detail);
        }
        "Exists" | "DoesNotExist" if !one.values.is_empty() => {
            let detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            out.invalid_literal(at.field("values"), texts(&one.values), detail);
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => out.invalid(at.field("operator"), other, "not a valid selector operator"),
    }
}
