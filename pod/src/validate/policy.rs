//! Nodes, disruption budgets and limit ranges.

use std::collections::BTreeSet;

use super::at::At;
use super::meta::{
    Scope, at_most_everything, each, generic_meta, number_or_percent, number_text, object_meta, one_of_word,
};
use super::resources::{amount, container_resource_name, may_be_overcommitted, resource_name};
use super::scheduling::label_selector;
use super::service::range_of_addresses;
use crate::kinds::{LimitRange, LimitRangeItem, Node, ObjectMeta, PodDisruptionBudget, Taint};
use crate::names;
use crate::quantity::Quantity;
use crate::resources::ResourceList;
use crate::violation::Violations;
use crate::wire::text::Text as _;

pub(super) fn node(node: &Node, out: &mut Violations) {
    object_meta(&node.metadata, Scope::Cluster, names::dns1123_subdomain, out);
    let root = At::root();
    let spec = root.field("spec");
    // The original tells of taints as if they were metadata.
    taints(&node.spec.taints, &root.field("metadata").field("taints"), out);
    let status = root.field("status");
    for (field, list) in [("capacity", &node.status.capacity), ("allocatable", &node.status.allocatable)] {
        for (name, quantity) in list {
            amount(name, quantity, &status.field(field).key(name), out);
        }
    }
    let ranges = spec.field("podCIDRs");
    for (index, range) in node.spec.pod_cidrs.iter().enumerate() {
        range_of_addresses(range, &ranges.index(index), out);
    }
}

fn taints(taints: &[Taint], at: &At<'_>, out: &mut Violations) {
    let mut seen = BTreeSet::new();
    for (index, taint) in taints.iter().enumerate() {
        let at = at.index(index);
        let (key, value) = (taint.key.text(), taint.value.text());
        each(&at.field("key"), key, names::qualified_name(key), out);
        let messages = names::label_value(value);
        if !messages.is_empty() {
            out.invalid(at.field("value"), value, messages.join(";"));
        }
        match taint.effect.text() {
            "" => out.required(at.field("effect"), ""),
            effect => {
                one_of_word(effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"], &at.field("effect"), out);
                if !seen.insert((key, effect)) {
                    out.duplicate(at, &format!("{key}={value}:{effect}"));
                }
            }
        }
    }
}

pub(super) fn pod_disruption_budget(budget: &PodDisruptionBudget, out: &mut Violations) {
    let root = At::root();
    let at = root.field("spec");
    let spec = &budget.spec;
    let (least, most) = (spec.min_available.as_ref(), spec.max_unavailable.as_ref());
    if least.is_some() && most.is_some() {
        let selector = spec.selector.as_deref().map_or_else(|| "null".to_owned(), super::workload::selector_text);
        let policy = spec.unhealthy_pod_eviction_policy.as_deref();
        let policy = policy.map_or_else(|| "null".to_owned(), crate::violation::quoted);
        let value = format!(
            "{{\"MinAvailable\":{},\"Selector\":{selector},\"MaxUnavailable\":{},\"UnhealthyPodEvictionPolicy\":{policy}}}",
            number_text(least),
            number_text(most)
        );
        out.invalid_literal(at, value, "minAvailable and maxUnavailable cannot be both set");
    }
    for (field, value) in [("minAvailable", least), ("maxUnavailable", most)] {
        number_or_percent(value, &at.field(field), out);
        at_most_everything(value, &at.field(field), out);
    }
    label_selector(spec.selector.as_deref(), &at.field("selector"), out);
    if let Some(policy) = &spec.unhealthy_pod_eviction_policy {
        let at = at.field("unhealthyPodEvictionPolicy");
        one_of_word(policy, &["AlwaysAllow", "IfHealthyBudget"], &at, out);
    }
    // The original looks at the metadata of this kind only when the rest is good.
    if out.is_empty() {
        generic_meta(&budget.metadata, Scope::Namespaced, out);
    }
}

pub(super) fn limit_range(range: &LimitRange, out: &mut Violations) {
    if range.metadata.name.text().is_empty() && range.metadata.generate_name.text().is_empty() {
        // The server gives it a name of its own.
        let named = ObjectMeta { name: Some("generated".to_owned()), ..range.metadata.clone() };
        object_meta(&named, Scope::Namespaced, names::dns1123_subdomain, out);
    } else {
        object_meta(&range.metadata, Scope::Namespaced, names::dns1123_subdomain, out);
    }
    let root = At::root();
    let spec = root.field("spec");
    let at = spec.field("limits");
    let mut seen = BTreeSet::new();
    for (index, item) in range.spec.limits.iter().enumerate() {
        let at = at.index(index);
        let kind = item.type_.text();
        let messages = names::qualified_name(kind);
        let standard = matches!(kind, "Pod" | "Container" | "PersistentVolumeClaim");
        if messages.is_empty() && !kind.contains('/') && !standard {
            out.invalid(at.field("type"), kind, "must be a standard limit type or fully qualified");
        }
        each(&at.field("type"), kind, messages, out);
        if !seen.insert(kind) {
            out.duplicate(at.field("type"), kind);
        }
        limit_names(item, &at, out);
        limit_order(item, &at, out);
    }
}

fn limit_names(item: &LimitRangeItem, at: &At<'_>, out: &mut Violations) {
    let kind = item.type_.text();
    let check = |field: &str, list: &ResourceList, out: &mut Violations| {
        let at = at.field(field);
        for name in list.keys() {
            if matches!(kind, "Pod" | "Container") {
                container_resource_name(name, &at.key(name), out);
            } else {
                resource_name(name, &at.key(name), out);
            }
        }
    };
    check("max", &item.max, out);
    check("min", &item.min, out);
    for (field, list) in [("default", &item.default), ("defaultRequest", &item.default_request)] {
        if kind != "Pod" {
            check(field, list, out);
        } else if !list.is_empty() {
            out.forbidden(at.field(field), "may not be specified when `type` is 'Pod'");
        }
    }
    let bounded = item.min.contains_key("storage") || item.max.contains_key("storage");
    if kind == "PersistentVolumeClaim" && !bounded {
        let detail = "either minimum or maximum storage value is required, but neither was provided";
        out.required(at.field("limits"), detail);
    }
    check("maxLimitRequestRatio", &item.max_limit_request_ratio, out);
}

/// The amounts that a limit range names for one resource.
struct Bounds<'a> {
    name: &'a str,
    min: Option<&'a Quantity>,
    max: Option<&'a Quantity>,
    default: Option<&'a Quantity>,
    request: Option<&'a Quantity>,
    ratio: Option<&'a Quantity>,
}

fn limit_order(item: &LimitRangeItem, at: &At<'_>, out: &mut Violations) {
    let is_pod = item.type_.text() == "Pod";
    let lists = [&item.max, &item.min, &item.default, &item.default_request, &item.max_limit_request_ratio];
    let names: BTreeSet<&str> = lists.iter().flat_map(|list| list.keys()).map(String::as_str).collect();
    for name in names {
        let bounds = Bounds {
            name,
            min: item.min.get(name),
            max: item.max.get(name),
            default: item.default.get(name).filter(|_| !is_pod),
            request: item.default_request.get(name).filter(|_| !is_pod),
            ratio: item.max_limit_request_ratio.get(name),
        };
        bounds_order(&bounds, at, out);
        ratio(&bounds, at, out);
    }
}

fn bounds_order(of: &Bounds<'_>, at: &At<'_>, out: &mut Violations) {
    let fields = (("min", of.min), ("max", of.max), ("default", of.default), ("default request", of.request));
    let ((_, min), (_, max), (_, default), (_, request)) = fields;
    // Which is larger than it may be, than what, how both are called, and where it is told with which value.
    for (larger, larger_name, smaller, smaller_name, field, value) in [
        (min, "min value", max, "max value", "min", min),
        (min, "min value", request, "default request value", "defaultRequest", request),
        (request, "default request value", max, "max value", "defaultRequest", request),
        (request, "default request value", default, "default limit value", "defaultRequest", request),
        (min, "min value", default, "default value", "default", min),
        (default, "default value", max, "max value", "default", max),
    ] {
        if let (Some(larger), Some(smaller), Some(value)) = (larger, smaller, value)
            && larger > smaller
        {
            let detail = format!("{larger_name} {larger} is greater than {smaller_name} {smaller}");
            out.invalid(at.field(field).key(of.name), &value.to_string(), detail);
        }
    }
    if let (Some(default), Some(request)) = (default, request)
        && !may_be_overcommitted(of.name)
        && default != request
    {
        let detail = format!("default value {default} must equal to defaultRequest value {request} in {}", of.name);
        out.invalid(at.field("defaultRequest").key(of.name), &request.to_string(), detail);
    }
}

fn ratio(of: &Bounds<'_>, at: &At<'_>, out: &mut Violations) {
    let Some(ratio) = of.ratio else { return };
    let at = at.field("maxLimitRequestRatio");
    let one = Quantity::from_units(1, ratio.format());
    if *ratio < one {
        out.invalid(at.key(of.name), &ratio.to_string(), format!("ratio {ratio} is less than 1"));
    }
    if let (Some(min), Some(max)) = (of.min, of.max) {
        let limit = max.to_f64() / min.to_f64();
        if ratio.to_f64() > limit {
            let detail = format!("ratio {ratio} is greater than max/min = {limit:.6}");
            out.invalid(at.key(of.name), &ratio.to_string(), detail);
        }
    }
}
