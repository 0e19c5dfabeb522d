//! `volume`: what outlives containers.

use std::path::Path;

use serde_json::json;

use super::cli::Volume;
use super::clock::rough;
use super::containers::Containers;
use super::failure::Failure;
use super::volumes::Volumes;
use super::{inspect, mounts, out, removal};

pub(super) fn volume(root: &Path, containers: &Containers, request: &Volume) -> Result<u8, Failure> {
    let volumes = Volumes::open(root);
    match request {
        Volume::Create { name } => {
            let name = mounts::volume_name(name).map_err(Failure::new)?;
            let _names = containers.lock()?;
            if volumes.contains(&name) {
                return Err(Failure::new(format!("there is a volume {name} already")));
            }
            volumes.create(&name, false, None)?;
            out::line(&name).map(|()| 0)
        }
        Volume::Ls { json, quiet } => list(&volumes, *json, *quiet),
        Volume::Rm { names } => {
            let _names = containers.lock()?;
            out::each(names, |name| {
                if !volumes.contains(name) {
                    return Err(Failure::new(format!("there is no volume {name} (`windlass volume ls` lists them)")));
                }
                if removal::used_volumes(containers)?.contains(name) {
                    return Err(Failure::new(format!("volume {name} belongs to a container: remove that first")));
                }
                volumes.remove(name)?;
                out::line(name)
            })
        }
        Volume::Inspect { names } => inspect::inspect_volumes(root, names),
    }
}

fn list(volumes: &Volumes, json: bool, quiet: bool) -> Result<u8, Failure> {
    let found = volumes.list()?;
    if quiet {
        found.iter().try_for_each(|volume| out::line(&volume.name))?;
    } else if json {
        found.iter().try_for_each(|volume| out::line(&json!(volume).to_string()))?;
    } else {
        let row = |volume: &super::volumes::Volume| {
            let kind = if volume.anonymous { "anonymous" } else { "named" };
            vec![volume.name.clone(), kind.to_owned(), format!("{} ago", rough(volume.created.elapsed()))]
        };
        out::table(&["VOLUME", "KIND", "CREATED"], &found.iter().map(row).collect::<Vec<_>>())?;
    }
    Ok(0)
}
