//! Claims of persistent volumes.

use super::at::At;
use super::meta::{Scope, annotations, each, labels, object_meta, one_of_word};
use super::scheduling::label_selector;
use crate::kinds::{PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimTemplate};
use crate::names;
use crate::violation::Violations;
use crate::wire::text::Text as _;

const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

pub(super) fn persistent_volume_claim(claim: &PersistentVolumeClaim, out: &mut Violations) {
    object_meta(&claim.metadata, Scope::Namespaced, names::dns1123_subdomain, out);
    spec(&claim.spec, &At::root().field("spec"), out);
}

/// The claim that a pod makes for a volume of its own.
pub(super) fn template(template: &PersistentVolumeClaimTemplate, at: &At<'_>, out: &mut Violations) {
    let meta_at = at.field("metadata");
    annotations(&template.metadata.annotations, &meta_at.field("annotations"), out);
    labels(&template.metadata.labels, &meta_at.field("labels"), out);
    spec(&template.spec, &at.field("spec"), out);
}

pub(super) fn spec(spec: &PersistentVolumeClaimSpec, at: &At<'_>, out: &mut Violations) {
    let modes = at.field("accessModes");
    if spec.access_modes.is_empty() {
        out.required(modes, "at least 1 access mode is required");
    }
    for mode in &spec.access_modes {
        one_of_word(mode, &ACCESS_MODES, &modes, out);
    }
    let exclusive = spec.access_modes.iter().filter(|mode| *mode == "ReadWriteOncePod").count();
    if exclusive > 0 && exclusive < spec.access_modes.len() {
        out.forbidden(modes, "may not use ReadWriteOncePod with other access modes");
    }
    label_selector(spec.selector.as_deref(), &at.field("selector"), out);
    let resources = at.field("resources");
    let storage = resources.key("storage");
    match spec.resources.requests.get("storage") {
        None => out.required(storage, ""),
        Some(size) if size.signum() <= 0 => out.invalid(storage, &size.to_string(), "must be greater than zero"),
        Some(_) => {}
    }
    if let Some(class) = spec.storage_class_name.as_deref().filter(|class| !class.is_empty()) {
        each(&at.field("storageClassName"), class, names::dns1123_subdomain(class), out);
    }
    data_sources(spec, at, out);
    if let Some(mode) = &spec.volume_mode {
        one_of_word(mode, &["Block", "Filesystem"], &at.field("volumeMode"), out);
    }
}

/// What the volume is filled from; the older field stands for both where only it is set.
fn data_sources(spec: &PersistentVolumeClaimSpec, at: &At<'_>, out: &mut Violations) {
    let old = spec.data_source.as_ref().map(|one| (one.api_group.text(), one.kind.text(), one.name.text()));
    // Of the older field only these two were ever taken; the server drops what else stands there.
    let old = old.filter(|(group, kind, _)| {
        matches!((*group, *kind), ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot"))
    });
    let new = spec.data_source_ref.as_ref().map(|one| (one.api_group.text(), one.kind.text(), one.name.text()));
    for (field, source) in [("dataSource", old), ("dataSourceRef", new.or(old))] {
        let Some((group, kind, name)) = source else { continue };
        let at = at.field(field);
        for (field, value) in [("name", name), ("kind", kind)] {
            if value.is_empty() {
                out.required(at.field(field), "");
            }
        }
        if group.is_empty() && kind != "PersistentVolumeClaim" {
            let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
            out.invalid(at, kind, detail);
        }
        if !group.is_empty() {
            each(&at.field("apiGroup"), group, names::dns1123_subdomain(group), out);
        }
    }
}
