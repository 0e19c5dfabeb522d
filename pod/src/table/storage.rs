//! Volumes, classes and settings.

use super::age::since;
use super::{Cell, NONE};
use crate::kinds::{
    ObjectMeta, PersistentVolume, PersistentVolumeClaim, PodDisruptionBudget, PriorityClass, StorageClass,
};
use crate::wire::scalar::IntOrString;
use crate::wire::text::Text as _;
use crate::wire::time::Time;

fn age(metadata: &ObjectMeta, now: Time) -> Cell {
    since(metadata.creation_timestamp, now).into()
}

/// Access modes in the short form.
fn modes(modes: &[String]) -> String {
    let known =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let named = known.iter().filter(|(mode, _)| modes.iter().any(|own| own == mode)).map(|(_, short)| *short);
    named.collect::<Vec<_>>().join(",")
}

pub(super) fn claim(claim: &PersistentVolumeClaim, now: Time) -> Vec<Cell> {
    let (spec, status) = (&claim.spec, &claim.status);
    let phase = if claim.metadata.deletion_timestamp.is_some() { "Terminating" } else { status.phase.text() };
    let bound = !spec.volume_name.text().is_empty();
    let capacity = status.capacity.get("storage").filter(|_| bound).map(ToString::to_string).unwrap_or_default();
    let access = if bound { modes(&status.access_modes) } else { String::new() };
    vec![
        claim.metadata.name.text().into(),
        phase.into(),
        spec.volume_name.text().into(),
        capacity.into(),
        access.into(),
        spec.storage_class_name.text().into(),
        spec.volume_attributes_class_name.as_deref().unwrap_or("<unset>").into(),
        age(&claim.metadata, now),
        spec.volume_mode.as_deref().unwrap_or("<unset>").into(),
    ]
}

pub(super) fn volume(volume: &PersistentVolume, now: Time) -> Vec<Cell> {
    let spec = &volume.spec;
    let phase = if volume.metadata.deletion_timestamp.is_some() { "Terminating" } else { volume.status.phase.text() };
    let claim = spec
        .claim_ref
        .as_ref()
        .map_or(String::new(), |claim| format!("{}/{}", claim.namespace.text(), claim.name.text()));
    vec![
        volume.metadata.name.text().into(),
        spec.capacity.get("storage").map(ToString::to_string).unwrap_or_default().into(),
        modes(&spec.access_modes).into(),
        spec.persistent_volume_reclaim_policy.text().into(),
        phase.into(),
        claim.into(),
        spec.storage_class_name.text().into(),
        spec.volume_attributes_class_name.as_deref().unwrap_or("<unset>").into(),
        volume.status.reason.text().into(),
        age(&volume.metadata, now),
        spec.volume_mode.as_deref().unwrap_or("<unset>").into(),
    ]
}

pub(super) fn class(class: &StorageClass, now: Time) -> Vec<Cell> {
    let is_default =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
            .iter()
            .any(|key| class.metadata.annotations.get(*key).is_some_and(|value| value == "true"));
    let name = class.metadata.name.text();
    let name = if is_default { format!("{name} (default)") } else { name.to_owned() };
    let expands = class.allow_volume_expansion == Some(true);
    vec![
        name.into(),
        class.provisioner.text().into(),
        class.reclaim_policy.as_deref().unwrap_or("Delete").into(),
        class.volume_binding_mode.as_deref().unwrap_or("Immediate").into(),
        if expands { "true" } else { "false" }.into(),
        age(&class.metadata, now),
    ]
}

pub(super) fn priority(class: &PriorityClass, now: Time) -> Vec<Cell> {
    vec![
        class.metadata.name.text().into(),
        class.value.unwrap_or(0).into(),
        if class.global_default == Some(true) { "true" } else { "false" }.into(),
        age(&class.metadata, now),
        class.preemption_policy.as_deref().unwrap_or("PreemptLowerPriority").into(),
    ]
}

pub(super) fn budget(budget: &PodDisruptionBudget, now: Time) -> Vec<Cell> {
    let number = |value: Option<&IntOrString>| value.map_or("N/A".to_owned(), ToString::to_string);
    vec![
        budget.metadata.name.text().into(),
        number(budget.spec.min_available.as_ref()).into(),
        number(budget.spec.max_unavailable.as_ref()).into(),
        budget.status.disruptions_allowed.unwrap_or(0).into(),
        age(&budget.metadata, now),
    ]
}

/// A name, some cells, and the age.
pub(super) fn plain(metadata: &ObjectMeta, middle: Vec<Cell>, now: Time) -> Vec<Cell> {
    let mut cells = vec![metadata.name.text().into()];
    cells.extend(middle);
    cells.push(age(metadata, now));
    cells
}

pub(super) fn or_none(text: &str) -> Cell {
    if text.is_empty() { NONE } else { text }.into()
}
