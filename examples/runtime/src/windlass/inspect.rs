//! `inspect`: all that is known, as JSON.

use std::path::Path;

use serde_json::{Value, json};

use super::containers::Containers;
use super::failure::Failure;
use super::home::{self, Home};
use super::volumes::Volumes;
use super::{log, out, status};

/// Containers, images and volumes by name; what is a container's name is not looked for among the others.
pub(super) fn inspect(home: &Home, containers: &Containers, names: &[String]) -> Result<u8, Failure> {
    let mut found = Vec::new();
    for name in names {
        found.push(of(home, containers, name)?);
    }
    print(&found)
}

fn print(found: &[Value]) -> Result<u8, Failure> {
    out::line(&serde_json::to_string_pretty(found).map_err(Failure::during("print"))?)?;
    Ok(0)
}

fn of(home: &Home, containers: &Containers, name: &str) -> Result<Value, Failure> {
    let volumes = Volumes::open(&home.root);
    match containers.find(name) {
        Ok((container, config)) => {
            let (status, state) = status::of(&container)?;
            let mut config = json!(config);
            // What the writable layer held at the start is of no use to anyone else.
            config.as_object_mut().map(|fields| fields.remove("baseline"));
            Ok(json!({
                "kind": "container",
                "id": container.id,
                "name": config["name"],
                "status": status.to_string(),
                "config": config,
                "state": state,
                "log": container.file(log::FILE),
                "layer": home.root.join("layers/snapshots").join(&container.id),
            }))
        }
        Err(failure) => match (volume(&volumes, name)?, image(home, name)) {
            (Some(volume), _) => Ok(volume),
            (None, Some(image)) => Ok(image),
            (None, None) => Err(Failure::told(failure.code, format!("there is no container, volume or image {name}"))),
        },
    }
}

/// Volumes by name.
pub(super) fn inspect_volumes(root: &Path, names: &[String]) -> Result<u8, Failure> {
    let volumes = Volumes::open(root);
    let mut found = Vec::new();
    for name in names {
        let volume = volume(&volumes, name)?;
        found.push(
            volume
                .ok_or_else(|| Failure::new(format!("there is no volume {name} (`windlass volume ls` lists them)")))?,
        );
    }
    print(&found)
}

fn volume(volumes: &Volumes, name: &str) -> Result<Option<Value>, Failure> {
    let Some(volume) = volumes.list()?.into_iter().find(|volume| volume.name == name) else { return Ok(None) };
    Ok(Some(json!({
        "kind": "volume",
        "name": volume.name,
        "created": volume.created,
        "anonymous": volume.anonymous,
        "path": volumes.data(name)?,
    })))
}

fn image(home: &Home, name: &str) -> Option<Value> {
    let image = home.layout.resolve(home::name(name).ok()?).ok()?;
    let config: Value = serde_json::from_slice(image.config.raw()).ok()?;
    let layers: Vec<String> = image.layers().map(|(layer, _)| layer.digest.to_string()).collect();
    Some(json!({
        "kind": "image",
        "name": name,
        "id": image.config.descriptor().digest.to_string(),
        "manifest": image.digest().to_string(),
        "layers": layers,
        "config": config,
    }))
}
