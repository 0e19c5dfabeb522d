//! Requests and limits.

use std::collections::BTreeSet;

use super::at::At;
use super::meta::each;
use crate::kinds::{PodSpec, ResourceClaim, ResourceRequirements};
use crate::names;
use crate::quantity::Quantity;
use crate::resources;
use crate::violation::Violations;
use crate::wire::text::Text as _;

/// Resources whose amounts are whole numbers.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
/// Resources that need no prefix.
const STANDARD: [&str; 11] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "storage",
    "requests.storage",
];

pub(super) fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

pub(super) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

pub(super) fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.") && names::qualified_name(&format!("requests.{name}")).is_empty()
}

fn is_standard(name: &str) -> bool {
    STANDARD.contains(&name) || COUNTED.contains(&name) || is_huge_page(name) || name.starts_with("requests.hugepages-")
}

pub(super) fn may_be_overcommitted(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

/// The name of a resource of any kind.
pub(super) fn resource_name(name: &str, at: &At<'_>, out: &mut Violations) {
    let messages = names::qualified_name(name);
    if messages.is_empty() && !name.contains('/') && !is_standard(name) {
        out.invalid(at, name, "must be a standard resource type or fully qualified");
    }
    each(at, name, messages, out);
}

pub(super) fn container_resource_name(name: &str, at: &At<'_>, out: &mut Violations) {
    resource_name(name, at, out);
    if !name.contains('/') {
        if !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !is_huge_page(name) {
            out.invalid(at, name, "must be a standard resource for containers");
        }
    } else if !is_native(name) && !is_extended(name) {
        out.invalid(at, name, "doesn't follow extended resource name standard");
    }
}

/// The amount of a resource.
pub(super) fn amount(name: &str, amount: &Quantity, at: &At<'_>, out: &mut Violations) {
    if amount.signum() < 0 {
        out.invalid(at, &amount.to_string(), "must be greater than or equal to 0");
    }
    let counted = COUNTED.contains(&name) || is_extended(name);
    if counted && amount.scaled(0) != amount.scaled(-3).map(|milli| milli / 1000) {
        out.invalid(at, &amount.to_string(), "must be an integer");
    }
}

fn huge_page_amount(name: &str, amount: &Quantity, at: &At<'_>, out: &mut Violations) {
    let size = name.strip_prefix("hugepages-").and_then(|size| size.parse::<Quantity>().ok());
    let size = size.and_then(|size| size.value()).filter(|size| *size > 0);
    let divides = size.is_some_and(|size| amount.value().is_some_and(|amount| amount % size == 0));
    if !divides {
        out.invalid(at, &amount.to_string(), format!("{amount} is not positive integer multiple of {name}"));
    }
}

/// Whose requests and limits these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Container,
    Pod,
}

fn level_name(level: Level, name: &str, at: &At<'_>, out: &mut Violations) {
    match level {
        Level::Container => container_resource_name(name, at, out),
        Level::Pod if resources::is_pod_level(name) => {}
        Level::Pod => out.not_supported(at, name, &["cpu", "hugepages-", "memory"]),
    }
}

pub(super) fn requirements(
    requirements: &ResourceRequirements,
    level: Level,
    claim_names: &BTreeSet<&str>,
    at: &At<'_>,
    out: &mut Violations,
) {
    let (limits, requests) = (at.field("limits"), at.field("requests"));
    for (list_at, list) in [(&limits, &requirements.limits), (&requests, &requirements.requests)] {
        for (name, quantity) in list {
            let at = list_at.key(name);
            level_name(level, name, &at, out);
            amount(name, quantity, &at, out);
            if is_huge_page(name) {
                huge_page_amount(name, quantity, &at, out);
            }
        }
    }
    for (name, request) in &requirements.requests {
        match requirements.limits.get(name) {
            Some(limit) if request != limit && !may_be_overcommitted(name) => {
                let detail = format!("must be equal to {name} limit of {limit}");
                out.invalid(requests, &request.to_string(), detail);
            }
            Some(limit) if request > limit => {
                let detail = format!("must be less than or equal to {name} limit of {limit}");
                out.invalid(requests, &request.to_string(), detail);
            }
            None if !may_be_overcommitted(name) => {
                out.required(limits, "Limit must be set for non overcommitable resources");
            }
            Some(_) | None => {}
        }
    }
    let names = || requirements.limits.keys().chain(requirements.requests.keys());
    if names().any(|name| is_huge_page(name)) && !names().any(|name| matches!(name.as_str(), "cpu" | "memory")) {
        out.forbidden(at, "HugePages require cpu or memory");
    }
    claims(&requirements.claims, claim_names, &at.field("claims"), out);
}

fn claims(claims: &[ResourceClaim], names: &BTreeSet<&str>, at: &At<'_>, out: &mut Violations) {
    let mut seen = BTreeSet::new();
    for (index, claim) in claims.iter().enumerate() {
        let at = at.index(index);
        let name = claim.name.text();
        if name.is_empty() {
            out.required(at, "");
            continue;
        }
        if !seen.insert(name) {
            out.duplicate(at, name);
        }
        if !names.contains(name) {
            let mut detail = "must be one of the names in pod.spec.resourceClaims".to_owned();
            if names.is_empty() {
                detail.push_str(" which is empty");
            } else {
                detail.push_str(": ");
                detail.push_str(&names.iter().copied().collect::<Vec<_>>().join(", "));
            }
            out.not_found_because(at, name, detail);
        }
    }
}

/// The pod's own requests and limits, and how its containers fit into them.
pub(super) fn pod_level(spec: &PodSpec, claim_names: &BTreeSet<&str>, at: &At<'_>, out: &mut Violations) {
    let Some(own) = &spec.resources else { return };
    if !own.claims.is_empty() {
        out.forbidden(at.field("claims"), "claims may not be set for Resources at pod-level");
    }
    requirements(own, Level::Pod, claim_names, at, out);
    let requests = at.field("requests");
    for (name, asked) in resources::container_requests(spec) {
        let granted = own.requests.get(&name).cloned();
        if let Some(granted) = granted.filter(|granted| asked > *granted) {
            let detail = format!("must be greater than or equal to aggregate container requests of {asked}");
            out.invalid(requests.key(&name), &granted.to_string(), detail);
        }
    }
    let containers = at.field("containers");
    for (index, container) in spec.containers.iter().enumerate() {
        let at = containers.index(index);
        for (name, limit) in &container.resources.limits {
            if let Some(granted) = own.limits.get(name).filter(|granted| limit > granted) {
                let detail = format!("must be less than or equal to pod limits of {granted}");
                out.invalid(at.key(name).field("limits"), &limit.to_string(), detail);
            }
        }
    }
}

/// The unit in which a container's resource is told.
pub(super) fn divisor(resource: &str, divisor: Option<&Quantity>, at: &At<'_>, out: &mut Violations) {
    let Some(divisor) = divisor.filter(|divisor| !divisor.is_zero()) else { return };
    let kind = match resource {
        "limits.cpu" | "requests.cpu" => {
            if !["1m", "1"].contains(&divisor.to_string().as_str()) {
                let detail = "only divisor's values 1m and 1 are supported with the cpu resource";
                out.invalid(at.field("divisor"), resource, detail);
            }
            return;
        }
        "limits.memory" | "requests.memory" => "memory",
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => "local ephemeral storage",
        _ if resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-") => "hugepages",
        _ => return,
    };
    let units = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
    if !units.contains(&divisor.to_string().as_str()) {
        let detail = format!("only divisor's values {} are supported with the {kind} resource", units.join(", "));
        out.invalid(at.field("divisor"), resource, detail);
    }
}
