//! `inspect`: all that is known, as JSON.

use std::path::Path;

use serde_json::{Value, json};

use super::cli;
use super::containers::Containers;
use super::failure::Failure;
use super::home::{self, Found, Home};
use super::volumes::Volumes;
use super::{log, out, status};

/// Containers, images and volumes by name; what is a container's name is not looked for among the others.
pub(super) fn inspect(home: &Home, containers: &Containers, request: &cli::Inspect) -> Result<u8, Failure> {
    let mut found = Vec::new();
    for name in &request.names {
        found.push(of(home, containers, name)?);
    }
    if request.json {
        found.iter().try_for_each(|object| out::line(&object.to_string()))?;
        return Ok(0);
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
        Err(failure) => match (volume(&volumes, name)?, home.find(name)?) {
            (Some(volume), _) => Ok(volume),
            (None, Some(found)) => image(home, &found),
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

fn image(home: &Home, found: &Found) -> Result<Value, Failure> {
    let image = &found.image;
    let failed = || Failure::during(format!("image {}", image.digest()));
    let config: Value = serde_json::from_slice(image.config.raw()).map_err(failed())?;
    let manifest: Value = serde_json::from_slice(image.manifest.raw()).map_err(failed())?;
    let layers: Vec<String> = image.layers().map(|(layer, _)| layer.digest.to_string()).collect();
    let listed = home.layout.images().map_err(Failure::during("list the images"))?;
    let mut names: Vec<String> = Vec::new();
    for entry in listed.iter().filter(|entry| entry.digest == found.descriptor.digest) {
        names.extend(entry.ref_name().map(home::familiar));
    }
    Ok(json!({
        "kind": "image",
        "name": names.first(),
        "names": names,
        "id": image.config.descriptor().digest.to_string(),
        "digest": found.descriptor.digest.to_string(),
        "manifest": image.digest().to_string(),
        "media_type": image.manifest.media_type().as_str(),
        "platform": image.config.platform().to_string(),
        "bytes": image.manifest.layers().iter().map(|layer| layer.size).sum::<u64>(),
        "layers": layers,
        "annotations": manifest.get("annotations"),
        "config": config,
    }))
}
