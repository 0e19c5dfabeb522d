//! `prune`: what nothing uses any more.

use serde_json::json;

use super::cli::Prune;
use super::containers::Containers;
use super::failure::Failure;
use super::home::Home;
use super::volumes::Volumes;
use super::{build, network, out, removal, status};

/// What was removed.
#[derive(Debug, Default)]
struct Pruned {
    containers: Vec<String>,
    volumes: Vec<String>,
    /// Folders and layers of containers that were never made whole.
    leftovers: Vec<String>,
}

pub(super) fn prune(home: &Home, containers: &Containers, request: &Prune) -> Result<u8, Failure> {
    let volumes = Volumes::open(&home.root);
    let mut pruned = Pruned::default();
    for (container, _) in containers.list()? {
        if status::of(&container)?.0.is_live() {
            continue;
        }
        if let Some(_claim) = container.claim()? {
            removal::remove_claimed(home, &volumes, &container, removal::Volumes::Anonymous)?;
            pruned.containers.push(container.id.clone());
        }
    }
    leftovers(home, containers, &mut pruned)?;
    if request.volumes {
        let _names = containers.lock()?;
        let used = removal::used_volumes(containers)?;
        for volume in volumes.list()?.into_iter().filter(|volume| !used.contains(&volume.name)) {
            volumes.remove(&volume.name)?;
            pruned.volumes.push(volume.name);
        }
    }
    network::bridge::collect_as_root()?;
    let Pruned { containers, volumes, leftovers } = pruned;
    if request.json {
        out::line(&json!({"containers": containers, "volumes": volumes, "leftovers": leftovers}).to_string())?;
    } else {
        for (kind, names) in [("container", containers), ("volume", volumes), ("left of", leftovers)] {
            names.iter().try_for_each(|name| out::line(&format!("{kind} {name}")))?;
        }
    }
    Ok(0)
}

fn leftovers(home: &Home, containers: &Containers, pruned: &mut Pruned) -> Result<(), Failure> {
    // Whoever makes a container holds this until it is whole.
    let _names = containers.lock()?;
    let volumes = Volumes::open(&home.root);
    for container in containers.folders()? {
        if container.config()?.is_some() {
            continue;
        }
        if let Some(_claim) = container.claim()? {
            removal::remove_claimed(home, &volumes, &container, removal::Volumes::Kept)?;
            pruned.leftovers.push(container.id.clone());
        }
    }
    let known: Vec<String> = containers.folders()?.into_iter().map(|container| container.id).collect();
    for key in home.layers.snapshots().map_err(Failure::during("list the writable layers"))? {
        if key.len() == 12 && !known.contains(&key) {
            removal::remove_snapshot(home, &key)?;
            pruned.leftovers.push(key);
        }
    }
    pruned.leftovers.extend(build::views::prune(home)?);
    Ok(())
}
