//! Pods and their templates.

use std::collections::BTreeSet;

use super::ports::containers;
use super::{address, ports, volume};
use crate::kinds::{
    Affinity, Container, NodeSelectorTerm, ObjectMeta, PodAffinityTerm, PodSpec, WeightedPodAffinityTerm,
};
use crate::names;
use crate::resources::ResourceList;
use crate::violation::quoted;
use crate::wire::text::Text as _;

const NO_SELECTOR: &str = "a null labelSelector results in matching no pod";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
/// Annotations that do nothing any more.
const ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
];
/// Labels of nodes that have other names now.
const NODE_LABELS: [(&str, &str, &str); 5] = [
    ("beta.kubernetes.io/arch", "1.14", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "1.14", "kubernetes.io/os"),
    ("failure-domain.beta.kubernetes.io/region", "1.17", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "1.17", "topology.kubernetes.io/zone"),
    ("beta.kubernetes.io/instance-type", "1.17", "node.kubernetes.io/instance-type"),
];

fn deprecated_label(label: &str) -> Option<String> {
    let (_, since, other) = NODE_LABELS.iter().find(|(own, ..)| *own == label)?;
    Some(format!("deprecated since v{since}; use {} instead", quoted(other)))
}

/// `at` is empty for a pod, and the path of a template otherwise.
pub(super) fn spec(spec: &PodSpec, meta: &ObjectMeta, at: &str, out: &mut Vec<String>) {
    let root = if at.is_empty() { String::new() } else { format!("{at}.") };
    let spec_at = format!("{root}spec.");
    for (key, message) in spec.node_selector.keys().filter_map(|key| Some((key, deprecated_label(key)?))) {
        out.push(format!("{spec_at}nodeSelector[{key}]: {message}"));
    }
    if let Some(own) = &spec.affinity {
        affinity(own, &format!("{spec_at}affinity"), out);
    }
    for (index, constraint) in spec.topology_spread_constraints.iter().enumerate() {
        let at = format!("{spec_at}topologySpreadConstraints[{index}]");
        let key = constraint.topology_key.text();
        if let Some(message) = deprecated_label(key) {
            out.push(format!("{at}.topologyKey: {key} is {message}"));
        }
        if constraint.label_selector.is_none() {
            out.push(format!("{at}.labelSelector: {NO_SELECTOR}"));
        }
    }
    annotations(spec, meta, &root, out);
    volume::volumes(spec, &spec_at, out);
    names_and_addresses(spec, &spec_at, out);
    for name in ["memory", "ephemeral-storage"] {
        fractional(&spec.overhead, name, &format!("{spec_at}overhead"), out);
    }
    for (at, container) in containers(spec, &spec_at) {
        container_fields(container, &at, out);
    }
    ports::ports(spec, &spec_at, out);
    if spec.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0) {
        out.push(format!(
            "{spec_at}terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
}

fn affinity(affinity: &Affinity, at: &str, out: &mut Vec<String>) {
    if let Some(own) = &affinity.node_affinity {
        let at = format!("{at}.nodeAffinity");
        if let Some(required) = &own.required_during_scheduling_ignored_during_execution {
            for (index, term) in required.node_selector_terms.iter().enumerate() {
                let at = format!("{at}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[{index}]");
                node_term(term, Values::Validated, &at, out);
            }
        }
        for (index, term) in own.preferred_during_scheduling_ignored_during_execution.iter().enumerate() {
            let at = format!("{at}.preferredDuringSchedulingIgnoredDuringExecution[{index}].preference");
            node_term(&term.preference, Values::Free, &at, out);
        }
    }
    if let Some(own) = &affinity.pod_affinity {
        let at = format!("{at}.podAffinity");
        required(&own.required_during_scheduling_ignored_during_execution, &at, out);
        preferred(&own.preferred_during_scheduling_ignored_during_execution, &at, out);
    }
    if let Some(own) = &affinity.pod_anti_affinity {
        let at = format!("{at}.podAntiAffinity");
        required(&own.required_during_scheduling_ignored_during_execution, &at, out);
        preferred(&own.preferred_during_scheduling_ignored_during_execution, &at, out);
    }
}

fn required(terms: &[PodAffinityTerm], at: &str, out: &mut Vec<String>) {
    for (index, _) in terms.iter().enumerate().filter(|(_, term)| term.label_selector.is_none()) {
        out.push(format!("{at}.requiredDuringSchedulingIgnoredDuringExecution[{index}].labelSelector: {NO_SELECTOR}"));
    }
}

fn preferred(terms: &[WeightedPodAffinityTerm], at: &str, out: &mut Vec<String>) {
    for (index, _) in terms.iter().enumerate().filter(|(_, term)| term.pod_affinity_term.label_selector.is_none()) {
        out.push(format!(
            "{at}.preferredDuringSchedulingIgnoredDuringExecution[{index}].podAffinityTerm.labelSelector: {NO_SELECTOR}"
        ));
    }
}

/// Whether validation looks at the values of a term.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    Validated,
    Free,
}

fn node_term(term: &NodeSelectorTerm, values: Values, at: &str, out: &mut Vec<String>) {
    for (index, expression) in term.match_expressions.iter().enumerate() {
        let key = expression.key.text();
        if let Some(message) = deprecated_label(key) {
            out.push(format!("{at}.matchExpressions[{index}].key: {key} is {message}"));
        }
        for (place, value) in expression.values.iter().enumerate().filter(|_| values == Values::Free) {
            for message in names::label_value(value) {
                out.push(format!("{at}.matchExpressions[{index}].values[{place}]: {value} is invalid, {message}"));
            }
        }
    }
}

fn annotations(spec: &PodSpec, meta: &ObjectMeta, root: &str, out: &mut Vec<String>) {
    let has = |key: &str| meta.annotations.contains_key(key);
    let at = |key: &str| format!("{root}metadata.annotations[{key}]");
    for (key, message) in ANNOTATIONS.iter().filter(|(key, _)| has(key)) {
        out.push(format!("{}: {message}", at(key)));
    }
    let context = spec.security_context.as_deref();
    let seccomp = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
    if has(SECCOMP_POD) && context.is_none_or(|context| context.seccomp_profile.is_none()) {
        out.push(format!("{}: {seccomp}", at(SECCOMP_POD)));
    }
    let of_pod = context.is_some_and(|context| context.app_armor_profile.is_some());
    for (_, container) in containers(spec, "") {
        let own = container.security_context.as_deref();
        let key = format!("{SECCOMP_CONTAINER}{}", container.name.text());
        if has(&key) && own.is_none_or(|context| context.seccomp_profile.is_none()) {
            out.push(format!("{}: {seccomp}", at(&key)));
        }
        let key = format!("{APP_ARMOR}{}", container.name.text());
        let has_profile = of_pod || own.is_some_and(|context| context.app_armor_profile.is_some());
        if has(&key) && !root.is_empty() && !has_profile {
            out.push(format!("{}: deprecated since v1.30; use the \"appArmorProfile\" field instead", at(&key)));
        }
    }
}

fn names_and_addresses(spec: &PodSpec, at: &str, out: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (index, alias) in spec.host_aliases.iter().enumerate() {
        if !seen.insert(alias.ip.text()) {
            out.push(format!("{at}hostAliases[{index}].ip: duplicate ip {}", quoted(alias.ip.text())));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, secret) in spec.image_pull_secrets.iter().enumerate() {
        if !seen.insert(secret.name.text()) {
            out.push(format!("{at}imagePullSecrets[{index}].name: duplicate name {}", quoted(secret.name.text())));
        }
    }
    for (index, _) in spec.image_pull_secrets.iter().enumerate().filter(|(_, one)| one.name.text().is_empty()) {
        out.push(format!("{at}imagePullSecrets[{index}].name: invalid empty name \"\""));
    }
    for (index, server) in spec.dns_config.iter().flat_map(|config| &config.nameservers).enumerate() {
        address::ip(server, &format!("{at}dnsConfig.nameservers[{index}]"), out);
    }
    for (index, alias) in spec.host_aliases.iter().enumerate() {
        address::ip(alias.ip.text(), &format!("{at}hostAliases[{index}].ip"), out);
    }
}

/// An amount of bytes that is no whole number.
pub(super) fn fractional(list: &ResourceList, name: &str, at: &str, out: &mut Vec<String>) {
    if let Some(amount) = list.get(name).filter(|amount| amount.milli_value().is_some_and(|milli| milli % 1000 != 0)) {
        let amount = quoted(&amount.to_string());
        out.push(format!("{at}[{name}]: fractional byte value {amount} is invalid, must be an integer"));
    }
}

fn container_fields(container: &Container, at: &str, out: &mut Vec<String>) {
    for name in ["memory", "ephemeral-storage"] {
        fractional(&container.resources.limits, name, &format!("{at}.resources.limits"), out);
        fractional(&container.resources.requests, name, &format!("{at}.resources.requests"), out);
    }
    let mut seen = BTreeSet::new();
    for (index, variable) in container.env.iter().enumerate() {
        let name = variable.name.text();
        if seen.insert(name) {
            continue;
        }
        // A value that builds on the one before hides nothing.
        let reference = format!("$({name})");
        let value = variable.value.text();
        if variable.value_from.is_some() || value == reference || !value.contains(&reference) {
            out.push(format!(
                "{at}.env[{index}]: hides previous definition of {}, which may be dropped when using apply",
                quoted(name)
            ));
        }
    }
}
