//! Pods and their templates.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::{
    Affinity, AppArmorProfile, EnvVar, LabelSelector, LabelSelectorRequirement, Lifecycle, Pod, PodAffinityTerm,
    PodCondition, PodSpec, PodStatus,
};
use crate::resources;
use crate::wire::text::Text as _;

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

pub(super) fn pod(pod: &mut Pod) {
    pod.metadata.generation = Some(1);
    let qos = resources::qos_class(&pod.spec).as_str().to_owned();
    pod.status = PodStatus::default();
    pod.status.phase = Some("Pending".to_owned());
    pod.status.qos_class = Some(qos);
    drop_disabled(&mut pod.spec);
    let labels = &pod.metadata.labels;
    if let Some(affinity) = &mut pod.spec.affinity {
        merge_label_keys(affinity, labels);
    }
    for constraint in &mut pod.spec.topology_spread_constraints {
        if let Some(selector) = &mut constraint.label_selector {
            add_keys(selector, &constraint.match_label_keys, "In", labels);
        }
    }
    if !pod.spec.scheduling_gates.is_empty() {
        pod.status.conditions.push(PodCondition {
            type_: Some("PodScheduled".to_owned()),
            status: Some("False".to_owned()),
            reason: Some("SchedulingGated".to_owned()),
            message: Some("Scheduling is blocked due to non-empty scheduling gates".to_owned()),
            ..PodCondition::default()
        });
    }
    app_armor_from_annotations(pod);
}

/// Makes keys of labels part of the selectors that they narrow.
fn merge_label_keys(affinity: &mut Affinity, labels: &BTreeMap<String, String>) {
    let narrow = |term: &mut PodAffinityTerm| {
        if let Some(selector) = &mut term.label_selector {
            add_keys(selector, &term.match_label_keys, "In", labels);
            add_keys(selector, &term.mismatch_label_keys, "NotIn", labels);
        }
    };
    if let Some(own) = &mut affinity.pod_affinity {
        own.preferred_during_scheduling_ignored_during_execution
            .iter_mut()
            .map(|weighted| &mut weighted.pod_affinity_term)
            .chain(&mut own.required_during_scheduling_ignored_during_execution)
            .for_each(narrow);
    }
    if let Some(own) = &mut affinity.pod_anti_affinity {
        own.preferred_during_scheduling_ignored_during_execution
            .iter_mut()
            .map(|weighted| &mut weighted.pod_affinity_term)
            .chain(&mut own.required_during_scheduling_ignored_during_execution)
            .for_each(narrow);
    }
}

fn add_keys(selector: &mut LabelSelector, keys: &[String], operator: &str, labels: &BTreeMap<String, String>) {
    for (key, value) in keys.iter().filter_map(|key| labels.get_key_value(key)) {
        selector.match_expressions.push(LabelSelectorRequirement {
            key: Some(key.clone()),
            operator: Some(operator.to_owned()),
            values: vec![value.clone()],
            ..LabelSelectorRequirement::default()
        });
    }
}

/// Profiles that are given in the old way, as annotations, become fields.
fn app_armor_from_annotations(pod: &mut Pod) {
    if pod.spec.os.as_ref().is_some_and(|os| os.name.text() == "windows") {
        return;
    }
    let of_pod = pod.spec.security_context.as_ref().and_then(|context| context.app_armor_profile.clone());
    for container in pod.spec.init_containers.iter_mut().chain(&mut pod.spec.containers) {
        let Some(annotation) = pod.metadata.annotations.get(&format!("{APP_ARMOR}{}", container.name.text())) else {
            continue;
        };
        if container.security_context.as_ref().is_some_and(|context| context.app_armor_profile.is_some()) {
            continue;
        }
        let profile = app_armor_profile(annotation).map(Box::new);
        if profile.is_some() && profile != of_pod {
            container.security_context.get_or_insert_default().app_armor_profile = profile;
        }
    }
}

fn app_armor_profile(annotation: &str) -> Option<AppArmorProfile> {
    let (kind, name) = match annotation {
        "unconfined" => ("Unconfined", None),
        "runtime/default" => ("RuntimeDefault", None),
        _ => ("Localhost", Some(annotation.strip_prefix("localhost/")?).filter(|name| !name.is_empty())),
    };
    if kind == "Localhost" && name.is_none_or(|name| name.trim() != name || name.len() > 4095) {
        return None;
    }
    let localhost_profile = name.map(str::to_owned);
    Some(AppArmorProfile { type_: Some(kind.to_owned()), localhost_profile, ..AppArmorProfile::default() })
}

/// The names of the volumes that are images.
fn image_volumes(spec: &PodSpec) -> BTreeSet<String> {
    spec.volumes.iter().filter(|volume| volume.image.is_some()).map(|volume| volume.name.text().to_owned()).collect()
}

/// Drops what stands behind a feature gate that is off.
pub(crate) fn drop_disabled(spec: &mut PodSpec) {
    let dropped = image_volumes(spec);
    spec.volumes.retain(|volume| volume.image.is_none());
    spec.hostname_override = None;
    for source in
        spec.volumes.iter_mut().filter_map(|volume| volume.projected.as_mut()).flat_map(|own| &mut own.sources)
    {
        source.cluster_trust_bundle = None;
        source.pod_certificate = None;
    }
    for container in &mut spec.containers {
        container.restart_policy = None;
    }
    for container in spec.containers.iter_mut().chain(&mut spec.init_containers) {
        container.volume_mounts.retain(|mount| !dropped.contains(mount.name.text()));
        container.restart_policy_rules.clear();
        drop_in_container(&mut container.env, container.lifecycle.as_deref_mut());
    }
    for container in &mut spec.ephemeral_containers {
        container.volume_mounts.retain(|mount| !dropped.contains(mount.name.text()));
        container.restart_policy_rules.clear();
        drop_in_container(&mut container.env, container.lifecycle.as_deref_mut());
    }
}

fn drop_in_container(env: &mut [EnvVar], lifecycle: Option<&mut Lifecycle>) {
    if let Some(hooks) = lifecycle {
        hooks.stop_signal = None;
    }
    for source in env.iter_mut().filter_map(|variable| variable.value_from.as_mut()) {
        source.file_key_ref = None;
    }
}
