//! `images`, `tag`, `rmi` and `gc`.

use std::collections::BTreeSet;

use serde_json::json;
use windlass_image::build::Cache;
use windlass_image::{Descriptor, Error, Platform};

use super::containers::Containers;
use super::failure::{Failure, warn};
use super::home::{self, Home};
use super::out;
use super::record::Config;

/// Lists the named images.
pub(super) fn images(home: &Home, json: bool) -> Result<u8, Failure> {
    let mut rows = Vec::new();
    for descriptor in home.layout.images().map_err(Failure::during("list the images"))? {
        let Some(name) = descriptor.ref_name() else { continue };
        let familiar = home::familiar(name);
        let Some(image) = home.image(&descriptor)? else {
            warn(&format_args!("{familiar} has no image for this machine"));
            continue;
        };
        let layers = image.manifest.layers();
        let bytes: u64 = layers.iter().map(|layer| layer.size).sum();
        let id = image.config.descriptor().digest;
        if json {
            let manifest = image.digest().to_string();
            let line = json!({"name": familiar, "reference": name, "id": id.to_string(), "manifest": manifest,
                "layers": layers.len(), "bytes": bytes});
            out::line(&line.to_string())?;
        } else {
            rows.push(vec![familiar, id.hex()[..12].to_owned(), layers.len().to_string(), bytes.to_string()]);
        }
    }
    if json { Ok(0) } else { out::table(&["NAME", "IMAGE", "LAYERS", "BYTES"], &rows).map(|()| 0) }
}

/// Gives an image further names.
pub(super) fn tag(home: &Home, image: &str, names: &[String]) -> Result<u8, Failure> {
    let found = home.require(image)?;
    // All are read before the first is given.
    let names: Vec<String> = names.iter().map(|name| home::name(name)).collect::<Result<_, _>>()?;
    for name in names {
        home.layout.tag(&name, &found.descriptor).map_err(Failure::during(format_args!("name {name}")))?;
    }
    Ok(0)
}

/// Names an image that was made, and prints its id or all that is new of it.
pub(super) fn name_and_tell(
    home: &Home,
    made: &Descriptor,
    platform: &Platform,
    names: &[String],
    json: bool,
) -> Result<(), Failure> {
    for name in names {
        home.layout.tag(name, made).map_err(Failure::during(format_args!("name {name}")))?;
    }
    let image = home.layout.image(made, platform).map_err(Failure::during("read what was made"))?;
    let id = image.config.descriptor().digest.to_string();
    if !json {
        return out::line(&id);
    }
    let layers: Vec<_> = image
        .layers()
        .map(|(blob, diff_id)| json!({"digest": blob.digest.to_string(), "diff_id": diff_id.to_string()}))
        .collect();
    let digest = made.digest.to_string();
    out::line(&json!({"id": id, "digest": digest, "names": names, "layers": layers}).to_string())
}

/// Removes names, and what no image needs any more.
pub(super) fn remove(home: &Home, containers: &Containers, images: &[String]) -> Result<u8, Failure> {
    let code = out::each(images, |image| {
        let name = home::name(image)?;
        if !names(home)?.contains(&name) {
            return Err(Failure::new(format!("there is no image {image} (`windlass images` lists them)")));
        }
        let uses = |config: &Config| home::name(&config.image).is_ok_and(|used| used == name);
        if let Some((_, config)) = containers.list()?.iter().find(|(_, config)| uses(config)) {
            return Err(Failure::new(format!("image {image} is container {}'s: `windlass rm {0}` first", config.name)));
        }
        home.layout.untag(&name).map_err(Failure::during(image))
    })?;
    match collect(home) {
        // Whoever stores an image now may need what would go; the next collection takes it.
        Ok(_) | Err(Refused::Busy) => Ok(code),
        Err(Refused::Failed(failure)) => Err(failure),
    }
}

/// Removes what neither a named image nor a build's memory needs.
pub(super) fn gc(home: &Home, all: bool, json: bool) -> Result<u8, Failure> {
    if all {
        cache(home)?.clear().map_err(Failure::during("forget what builds made"))?;
    }
    let removed = collect(home).map_err(|refused| match refused {
        Refused::Busy => Failure::new("an image is being stored at this moment: try again when that is done"),
        Refused::Failed(failure) => failure,
    })?;
    let Removed { blobs, bytes, unfinished, layers } = removed;
    if json {
        out::line(&json!({"blobs": blobs, "bytes": bytes, "unfinished": unfinished, "layers": layers}).to_string())?;
    } else {
        out::line(&format!("{blobs} blobs of {bytes} bytes, {unfinished} unfinished files, {layers} unpacked layers"))?;
    }
    Ok(0)
}

struct Removed {
    blobs: u64,
    bytes: u64,
    unfinished: u64,
    layers: usize,
}

enum Refused {
    Busy,
    Failed(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn collect(home: &Home) -> Result<Removed, Refused> {
    let kept = cache(home)?.layers().map_err(Failure::during("read what builds made"))?;
    let collected = match home.layout.collect_garbage(&kept) {
        Ok(collected) => collected,
        Err(Error::Busy { .. }) => return Err(Refused::Busy),
        Err(error) => return Err(Failure::during("collect unused blobs")(error).into()),
    };
    let mut roots = Vec::new();
    for descriptor in home.layout.images().map_err(Failure::during("list the images"))? {
        let Some(image) = home.image(&descriptor)? else { continue };
        for (_, diff_id) in image.layers() {
            roots.push(super::unpack::layer_id(diff_id)?);
        }
    }
    let layers = home.layers.gc(&roots).map_err(Failure::during("collect unused layers"))?;
    let (blobs, bytes, unfinished) = (collected.blobs, collected.bytes, collected.unfinished);
    Ok(Removed { blobs, bytes, unfinished, layers: layers.len() })
}

fn cache(home: &Home) -> Result<Cache, Failure> {
    Cache::open(home.cache()).map_err(Failure::during("open the cache of builds"))
}

fn names(home: &Home) -> Result<BTreeSet<String>, Failure> {
    let listed = home.layout.images().map_err(Failure::during("list the images"))?;
    Ok(listed.iter().filter_map(|entry| entry.ref_name().map(str::to_owned)).collect())
}
