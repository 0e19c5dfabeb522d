//! The volumes of a pod.

use super::{list, text, text_if_unset, value};
use crate::kinds::{DownwardAPIVolumeFile, PersistentVolumeClaimSpec, Volume, VolumeProjection};
use crate::wire::record::Record;

const MODE: i32 = 0o644;

/// No source of the volume is set.
fn has_no_source(volume: &Volume) -> bool {
    let shape = volume.shape();
    (0..shape.fields.len()).all(|index| shape.fields[index].name == "name" || volume.field(index).is_unset())
}

pub(super) fn volume(volume: &mut Volume) {
    if has_no_source(volume) {
        volume.empty_dir = Some(Box::default());
    }
    if let Some(source) = &mut volume.host_path {
        text_if_unset(&mut source.type_, "");
    }
    if let Some(source) = &mut volume.secret {
        value(&mut source.default_mode, MODE);
    }
    if let Some(source) = &mut volume.config_map {
        value(&mut source.default_mode, MODE);
    }
    if let Some(source) = &mut volume.downward_api {
        value(&mut source.default_mode, MODE);
        source.items.iter_mut().for_each(downward_file);
    }
    if let Some(source) = &mut volume.projected {
        value(&mut source.default_mode, MODE);
        source.sources.iter_mut().for_each(projection);
    }
    if let Some(template) = volume.ephemeral.as_mut().and_then(|source| source.volume_claim_template.as_mut()) {
        claim_spec(&mut template.spec);
    }
    network_volume(volume);
}

fn network_volume(volume: &mut Volume) {
    if let Some(source) = &mut volume.iscsi {
        text(&mut source.iscsi_interface, "default");
    }
    if let Some(source) = &mut volume.rbd {
        text(&mut source.pool, "rbd");
        text(&mut source.user, "admin");
        text(&mut source.keyring, "/etc/ceph/keyring");
    }
    if let Some(source) = &mut volume.azure_disk {
        text_if_unset(&mut source.caching_mode, "ReadWrite");
        text_if_unset(&mut source.kind, "Shared");
        text_if_unset(&mut source.fs_type, "ext4");
        value(&mut source.read_only, false);
    }
    if let Some(source) = &mut volume.scale_io {
        text(&mut source.storage_mode, "ThinProvisioned");
        text(&mut source.fs_type, "xfs");
    }
}

fn downward_file(file: &mut DownwardAPIVolumeFile) {
    if let Some(field) = &mut file.field_ref {
        text(&mut field.api_version, "v1");
    }
}

fn projection(projection: &mut VolumeProjection) {
    if let Some(source) = &mut projection.downward_api {
        source.items.iter_mut().for_each(downward_file);
    }
    if let Some(source) = &mut projection.service_account_token {
        value(&mut source.expiration_seconds, 3600);
    }
}

/// Amounts of a claim.
pub(super) fn claim_spec(spec: &mut PersistentVolumeClaimSpec) {
    text_if_unset(&mut spec.volume_mode, "Filesystem");
    claim_resources(&mut spec.resources);
}

fn claim_resources(resources: &mut crate::kinds::VolumeResourceRequirements) {
    list(&mut resources.limits);
    list(&mut resources.requests);
}
