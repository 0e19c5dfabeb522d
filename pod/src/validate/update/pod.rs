//! Pods: hardly anything of them may change.

use std::collections::{BTreeMap, BTreeSet};

use super::super::at::At;
use super::super::pod::metadata_and_spec;
use super::super::scheduling::tolerations;
use super::super::workload::map_text;
use super::meta;
use crate::kinds::{Container, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Toleration};
use crate::violation::{Violations, quoted};
use crate::wire::semantic::equal;
use crate::wire::text::Text as _;

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const MIRROR: &str = "kubernetes.io/config.mirror";
const ONLY_ADDITIONS: &str = "only additions are allowed (no mutations or deletions)";
const FIXED: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(super) fn pod(new: &Pod, old: &Pod, out: &mut Violations) {
    meta::update(&new.metadata, &old.metadata, out);
    metadata_and_spec(new, out);
    annotations(new, old, out);
    let root = At::root();
    let at = root.field("spec");
    for (field, new, old) in [
        ("containers", &new.spec.containers, &old.spec.containers),
        ("initContainers", &new.spec.init_containers, &old.spec.init_containers),
    ] {
        if new.len() != old.len() {
            return out.forbidden(at.field(field), "pod updates may not add or remove containers");
        }
        images(new, &at.field(field), out);
    }
    if !deadline(&new.spec, &old.spec, &at.field("activeDeadlineSeconds"), out) {
        return;
    }
    added_tolerations(&new.spec, &old.spec, &at.field("tolerations"), out);
    gates(&new.spec, &old.spec, &at.field("schedulingGates"), out);
    if equal(&new.spec, &old.spec) {
        return;
    }
    let mut munged = with_what_may_change(&new.spec, &old.spec);
    if !old.spec.scheduling_gates.is_empty() {
        gated(&mut munged, &old.spec, &at, out);
    }
    if !equal(&munged, &old.spec) {
        out.forbidden(at, FIXED);
    }
}

fn annotations(new: &Pod, old: &Pod, out: &mut Violations) {
    let root = At::root();
    let metadata = root.field("metadata");
    let at = metadata.field("annotations");
    let (new, old) = (&new.metadata.annotations, &old.metadata.annotations);
    for key in old.keys().filter(|key| new.get(*key) != old.get(*key)) {
        if key.starts_with(APP_ARMOR) {
            out.forbidden(at.key(key), "may not remove or update AppArmor annotations");
        }
        if key == MIRROR {
            out.forbidden(at.key(key), "may not remove or update mirror pod annotation");
        }
    }
    for key in new.keys().filter(|key| !old.contains_key(*key)) {
        if key.starts_with(APP_ARMOR) {
            out.forbidden(at.key(key), "may not add AppArmor annotations");
        }
        if key == MIRROR {
            out.forbidden(at.key(key), "may not add mirror pod annotation");
        }
    }
}

fn images(containers: &[Container], at: &At<'_>, out: &mut Violations) {
    for (index, container) in containers.iter().enumerate() {
        let image = container.image.text();
        let at = at.index(index);
        if image.is_empty() {
            out.required(at.field("image"), "");
        }
        if image.trim() != image {
            out.invalid(at.field("image"), image, "must not have leading or trailing whitespace");
        }
    }
}

/// It may be set, or become less; whether the rest is worth looking at.
fn deadline(new: &PodSpec, old: &PodSpec, at: &At<'_>, out: &mut Violations) -> bool {
    match (new.active_deadline_seconds, old.active_deadline_seconds) {
        (Some(seconds), _) if !(0..=i64::from(i32::MAX)).contains(&seconds) => {
            out.invalid_literal(at, seconds, "must be between 0 and 2147483647, inclusive");
            false
        }
        (Some(seconds), Some(previous)) if previous < seconds => {
            out.invalid_literal(at, seconds, "must be less than or equal to previous value");
            false
        }
        (None, Some(_)) => {
            out.invalid_literal(at, "null", "must not update from a positive integer to nil value");
            true
        }
        _ => true,
    }
}

fn added_tolerations(new: &PodSpec, old: &PodSpec, at: &At<'_>, out: &mut Violations) {
    let is_kept = |own: &Toleration| {
        new.tolerations.iter().any(|one| {
            let own = Toleration { toleration_seconds: one.toleration_seconds, ..own.clone() };
            equal(&own, one)
        })
    };
    if !old.tolerations.iter().all(is_kept) {
        return out.forbidden(at, "existing toleration can not be modified except its tolerationSeconds");
    }
    tolerations(&new.tolerations, at, out);
}

fn gates(new: &PodSpec, old: &PodSpec, at: &At<'_>, out: &mut Violations) {
    let had: BTreeSet<&str> = old.scheduling_gates.iter().map(|gate| gate.name.text()).collect();
    let added: BTreeMap<&str, usize> =
        new.scheduling_gates.iter().enumerate().map(|(index, gate)| (gate.name.text(), index)).collect();
    for (name, index) in added.into_iter().filter(|(name, _)| !had.contains(name)) {
        let detail = format!("only deletion is allowed, but found new scheduling gate '{name}'");
        out.forbidden(at.index(index).field("name"), detail);
    }
}

/// The new specification with the old one's values where they may differ.
fn with_what_may_change(new: &PodSpec, old: &PodSpec) -> PodSpec {
    let mut munged = new.clone();
    for (container, had) in munged.containers.iter_mut().zip(&old.containers) {
        container.image.clone_from(&had.image);
    }
    for (container, had) in munged.init_containers.iter_mut().zip(&old.init_containers) {
        container.image.clone_from(&had.image);
    }
    munged.active_deadline_seconds = old.active_deadline_seconds;
    munged.scheduling_gates.clone_from(&old.scheduling_gates);
    munged.tolerations.clone_from(&old.tolerations);
    if old.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0)
        && munged.termination_grace_period_seconds == Some(1)
    {
        munged.termination_grace_period_seconds = old.termination_grace_period_seconds;
    }
    munged
}

/// A pod that nobody may schedule yet may be narrowed to fewer nodes.
fn gated(munged: &mut PodSpec, old: &PodSpec, at: &At<'_>, out: &mut Violations) {
    if munged.node_selector != old.node_selector {
        if old.node_selector.iter().any(|(key, value)| munged.node_selector.get(key) != Some(value)) {
            out.invalid_literal(at.field("nodeSelector"), map_text(&munged.node_selector), ONLY_ADDITIONS);
        }
        munged.node_selector.clone_from(&old.node_selector);
    }
    let had = old.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_deref());
    let has = munged.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_deref());
    let same = match (has, had) {
        (None, None) => true,
        (Some(has), Some(had)) => equal(has, had),
        _ => false,
    };
    if same {
        return;
    }
    let affinity_at = at.field("affinity");
    node_affinity(has, had, &affinity_at.field("nodeAffinity"), out);
    let had = had.cloned().map(Box::new);
    match &mut munged.affinity {
        Some(affinity)
            if old.affinity.is_none() && affinity.pod_affinity.is_none() && affinity.pod_anti_affinity.is_none() =>
        {
            munged.affinity = None;
        }
        Some(affinity) => affinity.node_affinity = had,
        None => munged.affinity.get_or_insert_default().node_affinity = had,
    }
}

fn node_affinity(new: Option<&NodeAffinity>, old: Option<&NodeAffinity>, at: &At<'_>, out: &mut Violations) {
    let terms = |affinity: Option<&NodeAffinity>| -> Vec<NodeSelectorTerm> {
        let required =
            affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_deref());
        required.map(|selector| selector.node_selector_terms.clone()).unwrap_or_default()
    };
    let (new, old) = (terms(new), terms(old));
    let at = at.field("requiredDuringSchedulingIgnoredDuringExecution");
    if !old.is_empty() && old.len() != new.len() {
        let list: Vec<String> = new.iter().map(term_text).collect();
        let value = if list.is_empty() { "null".to_owned() } else { format!("[{}]", list.join(",")) };
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        return out.invalid_literal(at.field("nodeSelectorTerms"), value, detail);
    }
    for (index, (new, old)) in new.iter().zip(&old).enumerate() {
        if !only_adds(new, old) {
            out.invalid_literal(at.index(index), term_text(new), ONLY_ADDITIONS);
        }
    }
}

fn only_adds(new: &NodeSelectorTerm, old: &NodeSelectorTerm) -> bool {
    let is_empty = |term: &NodeSelectorTerm| term.match_expressions.is_empty() && term.match_fields.is_empty();
    let begins = |new: &[NodeSelectorRequirement], old: &[NodeSelectorRequirement]| {
        new.len() >= old.len() && new.iter().zip(old).all(|(new, old)| equal(new, old))
    };
    if is_empty(old) {
        return is_empty(new);
    }
    begins(&new.match_expressions, &old.match_expressions) && begins(&new.match_fields, &old.match_fields)
}

/// A term as it is printed: with the names that the fields have in Go.
fn term_text(term: &NodeSelectorTerm) -> String {
    let list = |requirements: &[NodeSelectorRequirement]| {
        let one = |one: &NodeSelectorRequirement| {
            let values = super::super::meta::texts(&one.values);
            let (key, operator) = (quoted(one.key.text()), quoted(one.operator.text()));
            format!("{{\"Key\":{key},\"Operator\":{operator},\"Values\":{values}}}")
        };
        let list: Vec<String> = requirements.iter().map(one).collect();
        if list.is_empty() { "null".to_owned() } else { format!("[{}]", list.join(",")) }
    };
    format!("{{\"MatchExpressions\":{},\"MatchFields\":{}}}", list(&term.match_expressions), list(&term.match_fields))
}
