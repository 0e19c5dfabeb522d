//! Where a pod may run: affinity, tolerations, spread.

use std::collections::BTreeSet;

use super::at::At;
use super::meta::{each, one_of_word};
use crate::kinds::{
    Affinity, LabelSelector, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, Toleration,
    TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use crate::names;
use crate::selector::Selector;
use crate::violation::Violations;
use crate::wire::text::Text as _;

pub(super) fn label_selector(selector: Option<&LabelSelector>, at: &At<'_>, out: &mut Violations) {
    if let Some(selector) = selector {
        out.append(Selector::violations(selector, &at.to_string()));
    }
}

pub(super) fn affinity(affinity: &Affinity, at: &At<'_>, out: &mut Violations) {
    if let Some(node) = &affinity.node_affinity {
        let at = at.field("nodeAffinity");
        if let Some(required) = &node.required_during_scheduling_ignored_during_execution {
            node_selector(required, &at.field("requiredDuringSchedulingIgnoredDuringExecution"), out);
        }
        let at = at.field("preferredDuringSchedulingIgnoredDuringExecution");
        for (index, term) in node.preferred_during_scheduling_ignored_during_execution.iter().enumerate() {
            let at = at.index(index);
            weight(term.weight, &at, out);
            node_term(&term.preference, Wish::Preferred, &at.field("preference"), out);
        }
    }
    if let Some(pod) = &affinity.pod_affinity {
        let required = &pod.required_during_scheduling_ignored_during_execution;
        let preferred = &pod.preferred_during_scheduling_ignored_during_execution;
        pod_terms(required, preferred, &at.field("podAffinity"), out);
    }
    if let Some(pod) = &affinity.pod_anti_affinity {
        let required = &pod.required_during_scheduling_ignored_during_execution;
        let preferred = &pod.preferred_during_scheduling_ignored_during_execution;
        pod_terms(required, preferred, &at.field("podAntiAffinity"), out);
    }
}

/// How much a term is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Required,
    Preferred,
}

fn weight(weight: Option<i32>, at: &At<'_>, out: &mut Violations) {
    let weight = weight.unwrap_or(0);
    if !(1..=100).contains(&weight) {
        out.invalid_literal(at.field("weight"), weight, "must be in the range 1-100");
    }
}

pub(super) fn node_selector(selector: &NodeSelector, at: &At<'_>, out: &mut Violations) {
    let at = at.field("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        return out.required(at, "must have at least one node selector term");
    }
    for (index, term) in selector.node_selector_terms.iter().enumerate() {
        node_term(term, Wish::Required, &at.index(index), out);
    }
}

fn node_term(term: &NodeSelectorTerm, wish: Wish, at: &At<'_>, out: &mut Violations) {
    let expressions = at.field("matchExpressions");
    for (index, one) in term.match_expressions.iter().enumerate() {
        node_requirement(one, wish, &expressions.index(index), out);
    }
    let fields = at.field("matchFields");
    for (index, one) in term.match_fields.iter().enumerate() {
        node_field_requirement(one, &fields.index(index), out);
    }
}

fn node_requirement(one: &NodeSelectorRequirement, wish: Wish, at: &At<'_>, out: &mut Violations) {
    let values = at.field("values");
    match one.operator.text() {
        "In" | "NotIn" if one.values.is_empty() => {
            out.required(values, "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if !one.values.is_empty() => {
            out.forbidden(values, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        "Gt" | "Lt" if one.values.len() != 1 => {
            out.required(values, "must be specified single value when `operator` is 'Lt' or 'Gt'");
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => out.invalid(at.field("operator"), other, "not a valid selector operator"),
    }
    let key = one.key.text();
    each(&at.field("key"), key, names::qualified_name(key), out);
    // Values that no label can have were always taken where they only express a preference.
    for (index, value) in one.values.iter().enumerate().filter(|_| wish == Wish::Required) {
        each(&values.index(index), value, names::label_value(value), out);
    }
}

fn node_field_requirement(one: &NodeSelectorRequirement, at: &At<'_>, out: &mut Violations) {
    let values = at.field("values");
    match one.operator.text() {
        "In" | "NotIn" if one.values.len() == 1 => {}
        "In" | "NotIn" => {
            out.required(values, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
        }
        other => out.invalid(at.field("operator"), other, "not a valid selector operator"),
    }
    if one.key.text() != "metadata.name" {
        return out.invalid(at.field("key"), one.key.text(), "not a valid field selector key");
    }
    for (index, value) in one.values.iter().enumerate() {
        each(&values.index(index), value, names::dns1123_subdomain(value), out);
    }
}

fn pod_terms(required: &[PodAffinityTerm], preferred: &[WeightedPodAffinityTerm], at: &At<'_>, out: &mut Violations) {
    let required_at = at.field("requiredDuringSchedulingIgnoredDuringExecution");
    for (index, term) in required.iter().enumerate() {
        pod_term(term, &required_at.index(index), out);
    }
    let preferred_at = at.field("preferredDuringSchedulingIgnoredDuringExecution");
    for (index, term) in preferred.iter().enumerate() {
        let at = preferred_at.index(index);
        weight(term.weight, &at, out);
        pod_term(&term.pod_affinity_term, &at.field("podAffinityTerm"), out);
    }
}

fn pod_term(term: &PodAffinityTerm, at: &At<'_>, out: &mut Violations) {
    label_selector(term.label_selector.as_deref(), &at.field("labelSelector"), out);
    label_selector(term.namespace_selector.as_deref(), &at.field("namespaceSelector"), out);
    for namespace in &term.namespaces {
        each(&at.field("namespace"), namespace, names::dns1123_label(namespace), out);
    }
    label_keys(term, at, out);
    let key = term.topology_key.text();
    if key.is_empty() {
        out.required(at.field("topologyKey"), "can not be empty");
    }
    each(&at.field("topologyKey"), key, names::qualified_name(key), out);
}

/// The keys of the pod's own labels that a term takes into its selector.
fn label_keys(term: &PodAffinityTerm, at: &At<'_>, out: &mut Violations) {
    let in_selector = selector_keys(term.label_selector.as_deref());
    let lists = [("matchLabelKeys", &term.match_label_keys), ("mismatchLabelKeys", &term.mismatch_label_keys)];
    for (field, keys) in lists {
        let at = at.field(field);
        if !keys.is_empty() && term.label_selector.is_none() {
            out.forbidden(at, "must not be specified when labelSelector is not set");
        }
        for (index, key) in keys.iter().enumerate() {
            let at = at.index(index);
            each(&at, key, names::qualified_name(key), out);
            if in_selector.contains(key.as_str()) {
                out.invalid(at, key, format!("exists in both {field} and labelSelector"));
            }
            if field == "matchLabelKeys" && term.mismatch_label_keys.contains(key) {
                out.invalid(at, key, "exists in both matchLabelKeys and mismatchLabelKeys");
            }
        }
    }
}

fn selector_keys(selector: Option<&LabelSelector>) -> BTreeSet<&str> {
    let Some(selector) = selector else { return BTreeSet::new() };
    let expressions = selector.match_expressions.iter().map(|one| one.key.text());
    selector.match_labels.keys().map(String::as_str).chain(expressions).collect()
}

pub(super) fn tolerations(tolerations: &[Toleration], at: &At<'_>, out: &mut Violations) {
    for (index, one) in tolerations.iter().enumerate() {
        let at = at.index(index);
        let key = one.key.text();
        if !key.is_empty() {
            each(&at.field("key"), key, names::qualified_name(key), out);
        } else if one.operator.text() != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            out.invalid(at.field("operator"), one.operator.text(), detail);
        }
        let effect = one.effect.text();
        if one.toleration_seconds.is_some() && effect != "NoExecute" {
            out.invalid(at.field("effect"), effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
        }
        match one.operator.text() {
            "Equal" | "" => {
                let messages = names::label_value(one.value.text());
                if !messages.is_empty() {
                    out.invalid(at.field("operator"), one.value.text(), messages.join(";"));
                }
            }
            "Exists" if !one.value.text().is_empty() => {
                let detail = "value must be empty when `operator` is 'Exists'";
                out.invalid(at.field("operator"), one.value.text(), detail);
            }
            "Exists" => {}
            other => out.not_supported(at.field("operator"), other, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            one_of_word(effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"], &at.field("effect"), out);
        }
    }
}

pub(super) fn topology_spread(constraints: &[TopologySpreadConstraint], at: &At<'_>, out: &mut Violations) {
    for (index, one) in constraints.iter().enumerate() {
        let at = at.index(index);
        let skew = one.max_skew.unwrap_or(0);
        if skew <= 0 {
            out.invalid_literal(at.field("maxSkew"), skew, "must be greater than zero");
        }
        if one.topology_key.text().is_empty() {
            out.required(at.field("topologyKey"), "can not be empty");
        }
        let action = one.when_unsatisfiable.text();
        one_of_word(action, &["DoNotSchedule", "ScheduleAnyway"], &at.field("whenUnsatisfiable"), out);
        let same = |other: &TopologySpreadConstraint| {
            other.topology_key.text() == one.topology_key.text() && other.when_unsatisfiable.text() == action
        };
        if constraints[index + 1..].iter().any(same) {
            let value = format!("{{{}, {action}}}", one.topology_key.text());
            out.duplicate(at.field("{topologyKey, whenUnsatisfiable}"), &value);
        }
        if let Some(domains) = one.min_domains {
            if domains <= 0 {
                out.invalid_literal(at.field("minDomains"), domains, "must be greater than zero");
            }
            if action != "DoNotSchedule" {
                let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
                out.invalid_literal(at.field("minDomains"), domains, detail);
            }
        }
        for (field, policy) in
            [("nodeAffinityPolicy", &one.node_affinity_policy), ("nodeTaintsPolicy", &one.node_taints_policy)]
        {
            if let Some(policy) = policy {
                one_of_word(policy, &["Honor", "Ignore"], &at.field(field), out);
            }
        }
        spread_keys(one, &at.field("matchLabelKeys"), out);
        label_selector(one.label_selector.as_deref(), &at.field("labelSelector"), out);
    }
}

fn spread_keys(one: &TopologySpreadConstraint, at: &At<'_>, out: &mut Violations) {
    if !one.match_label_keys.is_empty() && one.label_selector.is_none() {
        out.forbidden(at, "must not be specified when labelSelector is not set");
    }
    let in_selector = selector_keys(one.label_selector.as_deref());
    for (index, key) in one.match_label_keys.iter().enumerate() {
        let at = at.index(index);
        each(&at, key, names::qualified_name(key), out);
        if in_selector.contains(key.as_str()) {
            out.invalid(at, key, "exists in both matchLabelKeys and labelSelector");
        }
    }
}
