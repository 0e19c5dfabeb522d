//! What a pod mounts: files of a ConfigMap, a folder of the node, an empty folder.
//!
//! A container may have written into its volumes, symbolic links included, so that nothing below one is opened by its
//! path: `host_path` resolves beneath a descriptor and hands out detached mounts.

pub(super) mod config;
pub(super) mod host_path;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use windlass_namespaces::Mount;
use windlass_pod::kinds::{ConfigMap, ConfigMapVolumeSource, Container, Volume, VolumeMount};

use self::config::Projected;
use self::host_path::HostPathType;
use super::error::{Error, Result};

/// Permission bits of projected files when nobody says otherwise.
const DEFAULT_MODE: u32 = 0o644;

/// The volumes of one pod.
#[derive(Debug)]
pub(super) struct Volumes {
    folder: PathBuf,
    sources: BTreeMap<String, Source>,
    generation: u64,
}

#[derive(Debug)]
enum Source {
    ConfigMap { source: Box<ConfigMapVolumeSource>, projected: Option<BTreeMap<String, Projected>> },
    HostPath { path: PathBuf, kind: HostPathType },
    EmptyDir,
}

impl Volumes {
    /// Reads what the pod asks for; its folders will be made below `folder`.
    pub(super) fn new(folder: PathBuf, volumes: &[Volume]) -> Result<Self> {
        let sources = volumes
            .iter()
            .enumerate()
            .map(|(index, volume)| Ok((volume.name.clone().unwrap_or_default(), source(index, volume)?)))
            .collect::<Result<_>>()?;
        Ok(Self { folder, sources, generation: 0 })
    }

    /// The `ConfigMap`s that the volumes follow.
    pub(super) fn config_maps(&self) -> BTreeSet<String> {
        let names = self.sources.values().filter_map(|volume| match volume {
            Source::ConfigMap { source, .. } => source.name.clone(),
            Source::HostPath { .. } | Source::EmptyDir => None,
        });
        names.collect()
    }

    /// Makes the folders that are the pod's own, and fills those that follow a ConfigMap.
    ///
    /// # Errors
    /// [`Error::ConfigMap`] when one is missing that the pod does not call optional.
    pub(super) fn make(&mut self, config_maps: &BTreeMap<String, ConfigMap>) -> Result<()> {
        for (name, volume) in &self.sources {
            if !matches!(volume, Source::HostPath { .. }) {
                let folder = self.folder.join(name);
                fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
            }
        }
        self.follow(config_maps)
    }

    /// Brings the files up to what the `ConfigMap`s say now; a container that reads them sees all or nothing of a change.
    pub(super) fn follow(&mut self, config_maps: &BTreeMap<String, ConfigMap>) -> Result<()> {
        for (name, volume) in &mut self.sources {
            let Source::ConfigMap { source, projected } = volume else { continue };
            let wanted = files(source, config_maps)?;
            if projected.as_ref() == Some(&wanted) {
                continue;
            }
            let folder = self.folder.join(name);
            self.generation += 1;
            config::project(&folder, self.generation, &wanted).map_err(Error::io("write the files of", &folder))?;
            *projected = Some(wanted);
        }
        Ok(())
    }

    /// The mounts of one container; `host` is the root of the node's own files.
    pub(super) fn mounts(&self, container: &Container, host: &Path) -> Result<Vec<Mount>> {
        container.volume_mounts.iter().map(|mount| self.mount(mount, host)).collect()
    }

    fn mount(&self, wanted: &VolumeMount, host: &Path) -> Result<Mount> {
        let name = wanted.name.as_deref().unwrap_or_default();
        let refuse = |field| Error::Unsupported { fields: vec![format!("volumeMounts[{name}].{field}")] };
        if wanted.mount_propagation.as_deref().is_some_and(|kind| kind != "None") {
            return Err(refuse("mountPropagation"));
        }
        if wanted.sub_path_expr.is_some() {
            return Err(refuse("subPathExpr"));
        }
        let volume = self.sources.get(name).ok_or_else(|| Error::NoVolume { name: name.to_owned() })?;
        let target = wanted.mount_path.as_deref().unwrap_or_default();
        let own = self.folder.join(name);
        let (root, path) = match volume {
            Source::HostPath { path, kind } => {
                host_path::prepare(host, path, *kind)?;
                (host, path.join(wanted.sub_path.as_deref().unwrap_or_default()))
            }
            Source::ConfigMap { .. } | Source::EmptyDir => {
                (own.as_path(), PathBuf::from(wanted.sub_path.as_deref().unwrap_or_default()))
            }
        };
        let mount = Mount::detached(host_path::tree(root, &path)?, target);
        let read_only = wanted.read_only == Some(true) || matches!(volume, Source::ConfigMap { .. });
        Ok(if read_only { mount.read_only() } else { mount })
    }
}

fn source(index: usize, volume: &Volume) -> Result<Source> {
    if let Some(source) = &volume.config_map {
        return Ok(Source::ConfigMap { source: source.clone(), projected: None });
    }
    if let Some(source) = &volume.host_path {
        let field = format!("spec.volumes[{index}].hostPath.type");
        let kind = HostPathType::parse(source.type_.as_deref().unwrap_or_default())
            .ok_or_else(|| Error::Unsupported { fields: vec![field] })?;
        return Ok(Source::HostPath { path: PathBuf::from(source.path.clone().unwrap_or_default()), kind });
    }
    match volume.empty_dir.as_deref() {
        Some(source) if source.medium.as_deref().unwrap_or_default().is_empty() && source.size_limit.is_none() => {
            Ok(Source::EmptyDir)
        }
        Some(_) => {
            Err(Error::Unsupported { fields: vec![format!("spec.volumes[{index}].emptyDir.{{medium,sizeLimit}}")] })
        }
        None => Err(Error::Unsupported { fields: vec![format!("spec.volumes[{index}]")] }),
    }
}

/// The files that a volume shows of its ConfigMap.
fn files(
    source: &ConfigMapVolumeSource,
    config_maps: &BTreeMap<String, ConfigMap>,
) -> Result<BTreeMap<String, Projected>> {
    let name = source.name.clone().unwrap_or_default();
    let mode = source.default_mode.map_or(DEFAULT_MODE, i32::cast_unsigned);
    let Some(config_map) = config_maps.get(&name) else {
        return if source.optional == Some(true) {
            Ok(BTreeMap::new())
        } else {
            Err(Error::ConfigMap { name, key: None })
        };
    };
    let text = config_map.data.iter().map(|(key, value)| (key, value.as_bytes()));
    let contents: BTreeMap<&String, &[u8]> =
        text.chain(config_map.binary_data.iter().map(|(key, value)| (key, value.0.as_slice()))).collect();
    if source.items.is_empty() {
        let all =
            contents.into_iter().map(|(key, content)| (key.clone(), Projected { content: content.to_vec(), mode }));
        return Ok(all.collect());
    }
    let mut files = BTreeMap::new();
    for item in &source.items {
        let key = item.key.clone().unwrap_or_default();
        let path = item.path.clone().unwrap_or_default();
        if path.contains('/') {
            return Err(Error::Unsupported { fields: vec![format!("configMap.items[{key}].path with a folder")] });
        }
        match contents.get(&key) {
            Some(content) => {
                let mode = item.mode.map_or(mode, i32::cast_unsigned);
                files.insert(path, Projected { content: content.to_vec(), mode });
            }
            None if source.optional == Some(true) => {}
            None => return Err(Error::ConfigMap { name, key: Some(key) }),
        }
    }
    Ok(files)
}
