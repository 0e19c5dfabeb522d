//! Volumes that nobody mounts any more, and files that hide each other.

use std::fmt;

use crate::kinds::{DownwardAPIVolumeFile, KeyToPath, PodSpec, Volume, VolumeProjection};
use crate::violation::quoted;
use crate::wire::record::Record as _;
use crate::wire::text::Text as _;

/// Sources that are deprecated, as warnings call them, with their names and what is said of them.
const DEPRECATED: [(&str, &str, &str); 9] = [
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// A file in a volume.
#[derive(Clone)]
struct File {
    path: String,
    /// What it comes from; empty where the volume says so.
    source: String,
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.path))?;
        if self.source.is_empty() { Ok(()) } else { write!(f, " ({})", self.source) }
    }
}

pub(super) fn volumes(spec: &PodSpec, at: &str, out: &mut Vec<String>) {
    for (index, volume) in spec.volumes.iter().enumerate() {
        let at = format!("{at}volumes[{index}]");
        for (field, shown, message) in DEPRECATED {
            let position = volume.shape().fields.iter().position(|info| info.name == field);
            if position.is_some_and(|position| !volume.field(position).is_unset()) {
                out.push(format!("{at}.{shown}: {message}"));
            }
        }
        if let Some(template) = volume.ephemeral.as_ref().and_then(|own| own.volume_claim_template.as_ref()) {
            super::claim(&template.spec, &format!("{at}.ephemeral.volumeClaimTemplate.spec"), out);
        }
        hidden_files(volume, out);
    }
}

fn keys(items: &[KeyToPath], source: &str) -> Vec<File> {
    items.iter().map(|item| File { path: item.path.text().to_owned(), source: source.to_owned() }).collect()
}

fn fields(items: &[DownwardAPIVolumeFile], source: &str) -> Vec<File> {
    items.iter().map(|item| File { path: item.path.text().to_owned(), source: source.to_owned() }).collect()
}

fn hidden_files(volume: &Volume, out: &mut Vec<String>) {
    if let Some(map) = &volume.config_map {
        overlaps(volume, &format!("ConfigMap {}", quoted(map.name.text())), keys(&map.items, ""), out);
    }
    if let Some(secret) = &volume.secret {
        overlaps(volume, &format!("Secret {}", quoted(secret.secret_name.text())), keys(&secret.items, ""), out);
    }
    if let Some(own) = &volume.downward_api {
        overlaps(volume, "DownwardAPI", fields(&own.items, ""), out);
    }
    if let Some(own) = &volume.projected {
        let mut files = Vec::new();
        for source in &own.sources {
            match projected(source) {
                Some(more) => files.extend(more),
                None => out.push(format!("volume {} (Projected) has no sources provided", quoted(volume.name.text()))),
            }
        }
        overlaps(volume, "Projected", files, out);
    }
}

/// The files of one source; `None` when it has none at all.
fn projected(source: &VolumeProjection) -> Option<Vec<File>> {
    if let Some(map) = &source.config_map {
        return Some(keys(&map.items, &format!("ConfigMap {}", quoted(map.name.text()))));
    }
    if let Some(secret) = &source.secret {
        return Some(keys(&secret.items, &format!("Secret {}", quoted(secret.name.text()))));
    }
    if let Some(own) = &source.downward_api {
        return Some(fields(&own.items, "DownwardAPI"));
    }
    let one = |path: &Option<String>, source: String| Some(vec![File { path: path.text().to_owned(), source }]);
    if let Some(token) = &source.service_account_token {
        return one(&token.path, "ServiceAccountToken".to_owned());
    }
    let bundle = source.cluster_trust_bundle.as_ref()?;
    let name = bundle.name.as_deref().or(bundle.signer_name.as_deref()).unwrap_or_default();
    one(&bundle.path, format!("ClusterTrustBundle {}", quoted(name)))
}

fn overlaps(volume: &Volume, what: &str, files: Vec<File>, out: &mut Vec<String>) {
    let mut seen: Vec<File> = Vec::new();
    for mut file in files {
        file.path.truncate(file.path.trim_end_matches('/').len());
        let below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let hides = |other: &&File| {
            !other.path.is_empty()
                && !file.path.is_empty()
                && (below(&other.path, &file.path) || below(&file.path, &other.path))
        };
        for other in seen.iter().filter(hides) {
            let name = quoted(volume.name.text());
            out.push(format!("volume {name} ({what}): overlapping paths: {file} with {other}"));
        }
        seen.push(file);
    }
}
