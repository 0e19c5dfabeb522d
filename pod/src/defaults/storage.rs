//! Volumes that outlive pods, and limits on what is asked for.

use super::volume::claim_spec;
use super::{list, text, text_if_unset, value};
use crate::kinds::{LimitRangeItem, PersistentVolume, PersistentVolumeClaim, StorageClass};
use crate::wire::text::Text as _;

pub(super) fn persistent_volume_claim(claim: &mut PersistentVolumeClaim) {
    text(&mut claim.status.phase, "Pending");
    claim_spec(&mut claim.spec);
    list(&mut claim.status.capacity);
    list(&mut claim.status.allocated_resources);
}

pub(super) fn persistent_volume(volume: &mut PersistentVolume) {
    text(&mut volume.status.phase, "Pending");
    let spec = &mut volume.spec;
    text(&mut spec.persistent_volume_reclaim_policy, "Retain");
    text_if_unset(&mut spec.volume_mode, "Filesystem");
    list(&mut spec.capacity);
    if let Some(source) = &mut spec.host_path {
        text_if_unset(&mut source.type_, "");
    }
    if let Some(source) = &mut spec.iscsi {
        text(&mut source.iscsi_interface, "default");
    }
    if let Some(source) = &mut spec.rbd {
        text(&mut source.pool, "rbd");
        text(&mut source.user, "admin");
        text(&mut source.keyring, "/etc/ceph/keyring");
    }
    if let Some(source) = &mut spec.azure_disk {
        text_if_unset(&mut source.caching_mode, "ReadWrite");
        text_if_unset(&mut source.kind, "Shared");
        text_if_unset(&mut source.fs_type, "ext4");
        value(&mut source.read_only, false);
    }
    if let Some(source) = &mut spec.scale_io {
        text(&mut source.storage_mode, "ThinProvisioned");
        text(&mut source.fs_type, "xfs");
    }
}

pub(super) fn storage_class(class: &mut StorageClass) {
    text_if_unset(&mut class.reclaim_policy, "Delete");
    text_if_unset(&mut class.volume_binding_mode, "Immediate");
}

/// A container's default limit is the maximum, and its default request the default limit, or else the minimum.
pub(super) fn limit_range_item(item: &mut LimitRangeItem) {
    if item.type_.text() == "Container" {
        for (name, amount) in &item.max {
            item.default.entry(name.clone()).or_insert_with(|| amount.clone());
        }
        for (name, amount) in item.default.iter().chain(&item.min) {
            item.default_request.entry(name.clone()).or_insert_with(|| amount.clone());
        }
    }
    for amounts in
        [&mut item.max, &mut item.min, &mut item.default, &mut item.default_request, &mut item.max_limit_request_ratio]
    {
        list(amounts);
    }
}
