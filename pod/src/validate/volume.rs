//! The volumes of a pod.

use std::collections::{BTreeMap, BTreeSet};

use super::at::At;
use super::claim;
use super::env::{Place, field_selector, resource_selector};
use super::meta::{each, one_of_word};
use crate::kinds::{
    CSIVolumeSource, DownwardAPIVolumeFile, EphemeralVolumeSource, HostPathVolumeSource, ISCSIVolumeSource, KeyToPath,
    NFSVolumeSource, ObjectMeta, ProjectedVolumeSource, Volume,
};
use crate::names;
use crate::violation::Violations;
use crate::wire::text::Text as _;

const MODE_DETAIL: &str = "must be a number between 0 and 0777 (octal), both inclusive";
const HOST_PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// The good volumes of a pod by name, for the mounts that refer to them.
pub(super) type Known<'a> = BTreeMap<&'a str, &'a Volume>;

pub(super) fn volumes<'a>(
    volumes: &'a [Volume],
    pod: Option<&ObjectMeta>,
    at: &At<'_>,
    out: &mut Violations,
) -> Known<'a> {
    let mut known = Known::new();
    let pod_name = pod.map(|pod| pod.name.text()).filter(|name| !name.is_empty());
    let created: BTreeSet<String> = volumes
        .iter()
        .filter(|volume| volume.ephemeral.is_some())
        .filter_map(|volume| Some(format!("{}-{}", pod_name?, volume.name.text())))
        .collect();
    for (index, volume) in volumes.iter().enumerate() {
        let at = at.index(index);
        let before = out.len();
        source(volume, pod_name, &at, out);
        let name = volume.name.text();
        if name.is_empty() {
            out.required(at.field("name"), "");
        } else {
            each(&at.field("name"), name, names::dns1123_label(name), out);
        }
        if known.contains_key(name) {
            out.duplicate(at.field("name"), name);
        }
        if out.len() == before {
            known.insert(name, volume);
        }
        if let Some(claim) =
            volume.persistent_volume_claim.as_ref().filter(|one| created.contains(one.claim_name.text()))
        {
            let detail = "must not reference a PVC that gets created for an ephemeral volume";
            out.invalid(at.field("persistentVolumeClaim").field("claimName"), claim.claim_name.text(), detail);
        }
    }
    known
}

/// Counts the sources of a volume and checks the first one.
struct Sources<'a, 'b> {
    at: &'a At<'b>,
    found: bool,
}

impl Sources<'_, '_> {
    fn check<T>(
        &mut self,
        field: &str,
        source: Option<&T>,
        out: &mut Violations,
        check: impl FnOnce(&T, &At<'_>, &mut Violations),
    ) {
        let Some(source) = source else { return };
        if std::mem::replace(&mut self.found, true) {
            // The original misspells this one path.
            let field = if field == "downwardAPI" { "downwarAPI" } else { field };
            out.forbidden(self.at.field(field), "may not specify more than 1 volume type");
        } else {
            check(source, &self.at.field(field), out);
        }
    }
}

/// Texts that a source must have.
fn required(fields: &[(&str, &Option<String>)], at: &At<'_>, out: &mut Violations) {
    for (field, value) in fields {
        if value.text().is_empty() {
            out.required(at.field(field), "");
        }
    }
}

fn source(volume: &Volume, pod_name: Option<&str>, at: &At<'_>, out: &mut Violations) {
    let mut sources = Sources { at, found: false };
    sources.check("emptyDir", volume.empty_dir.as_deref(), out, |one, at, out| {
        if one.size_limit.as_ref().is_some_and(|limit| limit.signum() < 0) {
            out.forbidden(at.field("sizeLimit"), "SizeLimit field must be a valid resource quantity");
        }
    });
    sources.check("hostPath", volume.host_path.as_deref(), out, host_path);
    sources.check("gitRepo", volume.git_repo.as_deref(), out, |one, at, out| {
        required(&[("repository", &one.repository)], at, out);
        descending_path(one.directory.text(), &at.field("directory"), out);
    });
    cloud_disks(volume, &mut sources, out);
    sources.check("secret", volume.secret.as_deref(), out, |one, at, out| {
        required(&[("secretName", &one.secret_name)], at, out);
        files(one.default_mode, &one.items, at, out);
    });
    sources.check("nfs", volume.nfs.as_deref(), out, nfs);
    sources.check("iscsi", volume.iscsi.as_deref(), out, iscsi);
    network_filesystems(volume, &mut sources, out);
    sources.check("persistentVolumeClaim", volume.persistent_volume_claim.as_deref(), out, |one, at, out| {
        required(&[("claimName", &one.claim_name)], at, out);
    });
    sources.check("downwardAPI", volume.downward_api.as_deref(), out, |one, at, out| {
        mode(one.default_mode, &at.field("defaultMode"), out);
        for file in &one.items {
            downward_file(file, at, out);
        }
    });
    sources.check("configMap", volume.config_map.as_deref(), out, |one, at, out| {
        required(&[("name", &one.name)], at, out);
        files(one.default_mode, &one.items, at, out);
    });
    sources.check("projected", volume.projected.as_deref(), out, projected);
    sources.check("csi", volume.csi.as_deref(), out, csi);
    sources.check("ephemeral", volume.ephemeral.as_deref(), out, |one, at, out| {
        ephemeral(one, volume.name.text(), pod_name, at, out);
    });
    sources.check("image", volume.image.as_deref(), out, |one, at, out| {
        required(&[("reference", &one.reference)], at, out);
        one_of_word(one.pull_policy.text(), &["Always", "IfNotPresent", "Never"], &at.field("pullPolicy"), out);
    });
    if !sources.found {
        out.required(at, "must specify a volume type");
    }
}

fn cloud_disks(volume: &Volume, sources: &mut Sources<'_, '_>, out: &mut Violations) {
    let partition = |partition: Option<i32>, at: &At<'_>, out: &mut Violations| {
        let partition = partition.unwrap_or(0);
        if !(0..=255).contains(&partition) {
            out.invalid_literal(at.field("partition"), partition, "must be between 0 and 255, inclusive");
        }
    };
    sources.check("gcePersistentDisk", volume.gce_persistent_disk.as_deref(), out, |one, at, out| {
        required(&[("pdName", &one.pd_name)], at, out);
        partition(one.partition, at, out);
    });
    sources.check("awsElasticBlockStore", volume.aws_elastic_block_store.as_deref(), out, |one, at, out| {
        required(&[("volumeID", &one.volume_id)], at, out);
        partition(one.partition, at, out);
    });
    sources.check("cinder", volume.cinder.as_deref(), out, |one, at, out| {
        required(&[("volumeID", &one.volume_id)], at, out);
    });
    sources.check("azureDisk", volume.azure_disk.as_deref(), out, |one, at, out| {
        required(&[("diskName", &one.disk_name), ("diskURI", &one.disk_uri)], at, out);
    });
    sources.check("vsphereVolume", volume.vsphere_volume.as_deref(), out, |one, at, out| {
        required(&[("volumePath", &one.volume_path)], at, out);
    });
    sources.check("photonPersistentDisk", volume.photon_persistent_disk.as_deref(), out, |one, at, out| {
        required(&[("pdID", &one.pd_id)], at, out);
    });
    sources.check("portworxVolume", volume.portworx_volume.as_deref(), out, |one, at, out| {
        required(&[("volumeID", &one.volume_id)], at, out);
    });
}

fn network_filesystems(volume: &Volume, sources: &mut Sources<'_, '_>, out: &mut Violations) {
    let monitors = |monitors: &[String], at: &At<'_>, out: &mut Violations| {
        if monitors.is_empty() {
            out.required(at.field("monitors"), "");
        }
    };
    sources.check("glusterfs", volume.glusterfs.as_deref(), out, |one, at, out| {
        required(&[("endpoints", &one.endpoints), ("path", &one.path)], at, out);
    });
    sources.check("rbd", volume.rbd.as_deref(), out, |one, at, out| {
        monitors(&one.monitors, at, out);
        required(&[("image", &one.image)], at, out);
    });
    sources.check("cephfs", volume.cephfs.as_deref(), out, |one, at, out| monitors(&one.monitors, at, out));
    sources.check("azureFile", volume.azure_file.as_deref(), out, |one, at, out| {
        required(&[("secretName", &one.secret_name), ("shareName", &one.share_name)], at, out);
    });
    sources.check("flexVolume", volume.flex_volume.as_deref(), out, |one, at, out| {
        required(&[("driver", &one.driver)], at, out);
    });
    sources.check("flocker", volume.flocker.as_deref(), out, |one, at, out| {
        if one.dataset_name.text().is_empty() && one.dataset_uuid.text().is_empty() {
            out.required(at, "one of datasetName and datasetUUID is required");
        }
    });
    sources.check("quobyte", volume.quobyte.as_deref(), out, |one, at, out| {
        required(&[("registry", &one.registry), ("volume", &one.volume)], at, out);
    });
    sources.check("fc", volume.fc.as_deref(), out, |one, at, out| {
        if one.target_wwns.is_empty() == one.wwids.is_empty() {
            out.required(at.field("targetWWNs"), "must specify either targetWWNs or wwids, but not both");
        }
    });
    sources.check("storageos", volume.storageos.as_deref(), out, |one, at, out| {
        required(&[("volumeName", &one.volume_name)], at, out);
    });
    sources.check("scaleIO", volume.scale_io.as_deref(), out, |one, at, out| {
        required(&[("gateway", &one.gateway), ("system", &one.system), ("volumeName", &one.volume_name)], at, out);
    });
}

fn host_path(one: &HostPathVolumeSource, at: &At<'_>, out: &mut Violations) {
    let path = one.path.text();
    if path.is_empty() {
        return out.required(at.field("path"), "");
    }
    no_backsteps(path, &at.field("path"), out);
    if let Some(kind) = &one.type_ {
        one_of_word(kind, &HOST_PATH_TYPES, &at.field("type"), out);
    }
}

fn nfs(one: &NFSVolumeSource, at: &At<'_>, out: &mut Violations) {
    required(&[("server", &one.server), ("path", &one.path)], at, out);
    if !one.path.text().starts_with('/') {
        out.invalid(at.field("path"), one.path.text(), "must be an absolute path");
    }
}

fn iscsi(one: &ISCSIVolumeSource, at: &At<'_>, out: &mut Violations) {
    required(&[("targetPortal", &one.target_portal), ("iqn", &one.iqn)], at, out);
    let iqn = one.iqn.text();
    if !iqn.is_empty() {
        if !["iqn", "eui", "naa"].iter().any(|prefix| iqn.starts_with(prefix)) {
            out.invalid(at.field("iqn"), iqn, "must be valid format starting with iqn, eui, or naa");
        } else if !is_iscsi_name(iqn) {
            out.invalid(at.field("iqn"), iqn, "must be valid format");
        }
    }
    let lun = one.lun.unwrap_or(0);
    if !(0..=255).contains(&lun) {
        out.invalid_literal(at.field("lun"), lun, "must be between 0 and 255, inclusive");
    }
    let authenticates = one.chap_auth_discovery == Some(true) || one.chap_auth_session == Some(true);
    if authenticates && one.secret_ref.is_none() {
        out.required(at.field("secretRef"), "");
    }
    if let Some(name) = one.initiator_name.as_deref().filter(|name| !is_iscsi_name(name)) {
        out.invalid(at.field("initiatorname"), name, "must be valid format");
    }
}

/// `iqn.2001-04.com.example:storage.disk`, `eui.` with 16 or `naa.` with 32 letters and digits.
fn is_iscsi_name(name: &str) -> bool {
    let exact =
        |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    // The original's pattern takes any character for the dot.
    let after = |prefix: &str| name.strip_prefix(prefix).and_then(|rest| rest.get(1..));
    if let Some(rest) = name.strip_prefix("iqn.") {
        let Some((date, rest)) = rest.split_once('.') else { return false };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let good_date = date
            .split_once('-')
            .is_some_and(|(year, month)| year.len() == 4 && month.len() == 2 && digits(year) && digits(month));
        let Some((authority, unique)) = rest.split_once(':') else { return false };
        let good_authority = !authority.is_empty()
            && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        let good_unique =
            !unique.is_empty() && !unique.contains(|c: char| ",;*&$|".contains(c) || c.is_ascii_whitespace());
        return good_date && good_authority && good_unique;
    }
    after("eui").is_some_and(|rest| exact(rest, 16)) || after("naa").is_some_and(|rest| exact(rest, 32))
}

fn mode(mode: Option<i32>, at: &At<'_>, out: &mut Violations) {
    if let Some(mode) = mode.filter(|mode| !(0..=0o777).contains(mode)) {
        out.invalid_literal(at, mode, MODE_DETAIL);
    }
}

fn files(default_mode: Option<i32>, items: &[KeyToPath], at: &At<'_>, out: &mut Violations) {
    mode(default_mode, &at.field("defaultMode"), out);
    key_paths(items, &at.field("items"), out);
}

fn key_paths(items: &[KeyToPath], at: &At<'_>, out: &mut Violations) {
    for (index, item) in items.iter().enumerate() {
        let at = at.index(index);
        required(&[("key", &item.key), ("path", &item.path)], &at, out);
        unreserved_path(item.path.text(), &at.field("path"), out);
        mode(item.mode, &at.field("mode"), out);
    }
}

fn no_backsteps(path: &str, at: &At<'_>, out: &mut Violations) {
    if has_backsteps(path) {
        out.invalid(at, path, "must not contain '..'");
    }
}

pub(super) fn has_backsteps(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

/// A path below the place that it is relative to.
pub(super) fn descending_path(path: &str, at: &At<'_>, out: &mut Violations) {
    if path.starts_with('/') {
        out.invalid(at, path, "must be a relative path");
    }
    no_backsteps(path, at, out);
}

fn unreserved_path(path: &str, at: &At<'_>, out: &mut Violations) {
    descending_path(path, at, out);
    if path.starts_with("..") && !path.starts_with("../") {
        out.invalid(at, path, "must not start with '..'");
    }
}

/// Files of the downward API have no index in their paths.
fn downward_file(file: &DownwardAPIVolumeFile, at: &At<'_>, out: &mut Violations) {
    required(&[("path", &file.path)], at, out);
    unreserved_path(file.path.text(), &at.field("path"), out);
    match (&file.field_ref, &file.resource_field_ref) {
        (Some(field), resource) => {
            field_selector(field, Place::File, &at.field("fieldRef"), out);
            if resource.is_some() {
                out.invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
            }
        }
        (None, Some(resource)) => resource_selector(resource, Place::File, &at.field("resourceFieldRef"), out),
        (None, None) => out.required(at, "one of fieldRef and resourceFieldRef is required"),
    }
    mode(file.mode, &at.field("mode"), out);
}

fn projected(one: &ProjectedVolumeSource, at: &At<'_>, out: &mut Violations) {
    mode(one.default_mode, &at.field("defaultMode"), out);
    let sources = at.field("sources");
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (index, source) in one.sources.iter().enumerate() {
        let source_at = sources.index(index);
        let mut found = false;
        let mut first = |out: &mut Violations| {
            if found {
                out.forbidden(source_at, "may not specify more than 1 volume type per source");
            }
            !std::mem::replace(&mut found, true)
        };
        let secret = source.secret.as_ref().map(|one| ("secret", &one.name, &one.items));
        let map = source.config_map.as_ref().map(|one| ("configMap", &one.name, &one.items));
        for (field, name, items) in secret.into_iter().chain(map) {
            if first(out) {
                let at = source_at.field(field);
                required(&[("name", name)], &at, out);
                key_paths(items, &at.field("items"), out);
                conflicts(items.iter().map(|item| item.path.text()), name.text(), &mut seen, &sources, out);
            }
        }
        if let Some(downward) = source.downward_api.as_ref().filter(|_| first(out)) {
            let file_at = source_at.field("downwardAPI");
            for file in &downward.items {
                downward_file(file, &file_at, out);
                conflicts([file.path.text()].into_iter(), file.path.text(), &mut seen, &sources, out);
            }
        }
        if let Some(token) = source.service_account_token.as_ref().filter(|_| first(out)) {
            let seconds = token.expiration_seconds.unwrap_or(3600);
            let token_at = source_at.field("serviceAccountToken");
            let expiration = token_at.field("expirationSeconds");
            if seconds < 600 {
                out.invalid_literal(expiration, seconds, "may not specify a duration less than 10 minutes");
            }
            if seconds > 1 << 32 {
                out.invalid_literal(expiration, seconds, "may not specify a duration larger than 2^32 seconds");
            }
            match token.path.text() {
                "" => out.required(at.field("path"), ""),
                path => unreserved_path(path, &at.field("path"), out),
            }
        }
        if source.cluster_trust_bundle.is_some() {
            first(out);
        }
    }
}

/// Two sources must not write the same file.
fn conflicts<'a>(
    paths: impl Iterator<Item = &'a str>,
    owner: &str,
    seen: &mut BTreeSet<&'a str>,
    sources: &At<'_>,
    out: &mut Violations,
) {
    for path in paths.filter(|path| !path.is_empty()) {
        if !seen.insert(path) {
            let at = sources.to_string();
            let at = at.strip_suffix(".sources").unwrap_or(&at);
            out.invalid(at, owner, "conflicting duplicate paths");
        }
    }
}

fn csi(one: &CSIVolumeSource, at: &At<'_>, out: &mut Violations) {
    const LENGTH_MAX: usize = 63;
    let driver = one.driver.text();
    required(&[("driver", &one.driver)], at, out);
    if driver.len() > LENGTH_MAX {
        out.too_long(at.field("driver"), LENGTH_MAX);
    }
    each(&at.field("driver"), driver, names::dns1123_subdomain(&driver.to_lowercase()), out);
    if let Some(secret) = &one.node_publish_secret_ref {
        let reference = at.field("nodePublishSecretRef");
        match secret.name.text() {
            "" => out.required(reference.field("name"), ""),
            name => each(&reference.field("name"), name, names::dns1123_subdomain(name), out),
        }
    }
}

fn ephemeral(one: &EphemeralVolumeSource, name: &str, pod_name: Option<&str>, at: &At<'_>, out: &mut Violations) {
    let Some(template) = &one.volume_claim_template else { return out.required(at.field("volumeClaimTemplate"), "") };
    claim::template(template, &at.field("volumeClaimTemplate"), out);
    if let Some(pod_name) = pod_name {
        let claim = format!("{pod_name}-{name}");
        for message in names::dns1123_subdomain(&claim) {
            out.invalid(at.field("name"), name, format!("PVC name {claim:?}: {message}"));
        }
    }
}
