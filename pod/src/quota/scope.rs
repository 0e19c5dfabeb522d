//! Which objects a quota looks at.

use std::collections::BTreeMap;

use crate::kinds::{
    LabelSelector, LabelSelectorRequirement, Pod, PodAffinityTerm, ResourceQuota, ScopedResourceSelectorRequirement,
    WeightedPodAffinityTerm,
};
use crate::object::Object;
use crate::resources::{QosClass, qos_class};
use crate::selector::Selector;
use crate::wire::text::Text as _;

/// All scopes of the quota hold for the object; only pods are in scopes.
pub(super) fn covers(quota: &ResourceQuota, object: &Object) -> bool {
    let plain = quota.spec.scopes.iter().map(|scope| ScopedResourceSelectorRequirement {
        scope_name: Some(scope.clone()),
        operator: Some("Exists".to_owned()),
        ..ScopedResourceSelectorRequirement::default()
    });
    let selected = quota.spec.scope_selector.iter().flat_map(|selector| selector.match_expressions.iter().cloned());
    plain.chain(selected).all(|scope| match object {
        Object::Pod(pod) => holds(&scope, pod),
        _ => false,
    })
}

fn holds(scope: &ScopedResourceSelectorRequirement, pod: &Pod) -> bool {
    let best_effort = || qos_class(&pod.spec) == QosClass::BestEffort;
    let ends = pod.spec.active_deadline_seconds.is_some_and(|seconds| seconds >= 0);
    match scope.scope_name.text() {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => best_effort(),
        "NotBestEffort" => !best_effort(),
        "PriorityClass" => priority(scope, pod.spec.priority_class_name.text()),
        "CrossNamespacePodAffinity" => crosses_namespaces(pod),
        _ => false,
    }
}

fn priority(scope: &ScopedResourceSelectorRequirement, class: &str) -> bool {
    if scope.operator.text() == "Exists" {
        return !class.is_empty();
    }
    let key = "PriorityClass".to_owned();
    let requirement = LabelSelectorRequirement {
        key: Some(key.clone()),
        operator: scope.operator.clone(),
        values: scope.values.clone(),
        ..LabelSelectorRequirement::default()
    };
    let selector = LabelSelector { match_expressions: vec![requirement], ..LabelSelector::default() };
    let labels: BTreeMap<String, String> =
        Some((key, class.to_owned())).filter(|(_, class)| !class.is_empty()).into_iter().collect();
    Selector::from_label_selector(Some(&selector)).is_ok_and(|selector| selector.matches(&labels))
}

fn crosses_namespaces(pod: &Pod) -> bool {
    let term = |term: &PodAffinityTerm| !term.namespaces.is_empty() || term.namespace_selector.is_some();
    let weighted = |one: &WeightedPodAffinityTerm| term(&one.pod_affinity_term);
    let Some(affinity) = &pod.spec.affinity else { return false };
    affinity.pod_affinity.as_ref().is_some_and(|own| {
        own.required_during_scheduling_ignored_during_execution.iter().any(term)
            || own.preferred_during_scheduling_ignored_during_execution.iter().any(weighted)
    }) || affinity.pod_anti_affinity.as_ref().is_some_and(|own| {
        own.required_during_scheduling_ignored_during_execution.iter().any(term)
            || own.preferred_during_scheduling_ignored_during_execution.iter().any(weighted)
    })
}
