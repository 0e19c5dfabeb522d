//! Taking a container away with all that is its own.

use std::collections::BTreeSet;

use super::containers::{Container, Containers};
use super::failure::Failure;
use super::home::Home;
use super::mounts::Source;
use super::record::Config;
use super::{group, volumes};

/// Which volumes go with a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Volumes {
    Kept,
    /// Those that nobody named and no other container uses.
    Anonymous,
}

/// Removes a container that the caller has claimed; what fails does not keep the rest from going.
pub(super) fn remove_claimed(
    home: &Home,
    all: &volumes::Volumes,
    container: &Container,
    which: Volumes,
) -> Result<(), Failure> {
    let config = container.config()?;
    let group = group::remove_left(&container.id);
    let snapshot = remove_snapshot(home, &container.id);
    group.and(snapshot)?;
    container.remove()?;
    match (config, which) {
        (Some(config), Volumes::Anonymous) => remove_anonymous(home, all, &config),
        _ => Ok(()),
    }
}

/// Removes a container's writable layer, if there is one.
pub(super) fn remove_snapshot(home: &Home, id: &str) -> Result<(), Failure> {
    let doing = || format!("remove the writable layer of {id}");
    if !home.layers.snapshots().map_err(Failure::during(doing()))?.iter().any(|key| key == id) {
        return Ok(());
    }
    let snapshot = home.layers.open_snapshot(id).map_err(Failure::during(doing()))?;
    snapshot.remove().map_err(Failure::during(doing()))
}

/// The names of the volumes that containers have.
pub(super) fn used_volumes(containers: &Containers) -> Result<BTreeSet<String>, Failure> {
    Ok(containers.list()?.iter().flat_map(|(_, config)| names(config)).collect())
}

fn names(config: &Config) -> impl Iterator<Item = String> {
    config.mounts.iter().filter_map(|mounted| match &mounted.source {
        Source::Volume(name) => Some(name.clone()),
        Source::Bind(_) | Source::Anonymous | Source::Tmpfs(_) => None,
    })
}

fn remove_anonymous(home: &Home, all: &volumes::Volumes, config: &Config) -> Result<(), Failure> {
    let used = used_volumes(&Containers::open(&home.root)?)?;
    let own: BTreeSet<String> = names(config).collect();
    for volume in all.list()? {
        if volume.anonymous && own.contains(&volume.name) && !used.contains(&volume.name) {
            all.remove(&volume.name)?;
        }
    }
    Ok(())
}
