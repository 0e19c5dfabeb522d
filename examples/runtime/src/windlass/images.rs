//! `images` and `rmi`.

use std::io::Write as _;

use serde_json::json;
use windlass_image::Reference;

use super::containers::Containers;
use super::failure::Failure;
use super::home::{self, Home};
use super::record::Config;

/// Lists the named images.
pub(super) fn images(home: &Home, json: bool) -> Result<u8, Failure> {
    let mut out = std::io::stdout().lock();
    let mut print = |line: String| writeln!(out, "{line}").map_err(Failure::during("print"));
    if !json {
        print(format!("{:<40} {:<20} {:>7} {:>12}", "NAME", "IMAGE", "LAYERS", "BYTES"))?;
    }
    for descriptor in home.layout.images().map_err(Failure::during("list the images"))? {
        let Some(name) = descriptor.ref_name() else { continue };
        let image = home.layout.resolve(name).map_err(Failure::during(name))?;
        let layers = image.manifest.layers();
        let bytes: u64 = layers.iter().map(|layer| layer.size).sum();
        let familiar =
            Reference::parse(name).map_or_else(|_| name.to_owned(), |reference| reference.familiar().to_owned());
        let digest = image.config.descriptor().digest.to_string();
        print(if json {
            json!({"name": familiar, "reference": name, "id": digest, "manifest": image.digest().to_string(),
                "layers": layers.len(), "bytes": bytes})
            .to_string()
        } else {
            let short = digest.split_once(':').map_or(digest.as_str(), |(_, hex)| &hex[..12.min(hex.len())]);
            format!("{familiar:<40} {short:<20} {:>7} {bytes:>12}", layers.len())
        })?;
    }
    Ok(0)
}

/// Removes a name, and the unpacked layers that no image needs any more.
pub(super) fn remove(home: &Home, containers: &Containers, image: &str) -> Result<u8, Failure> {
    let name = home::name(image)?;
    home.layout.resolve(&name).map_err(Failure::during(image))?;
    let uses = |config: &Config| home::name(&config.image).is_ok_and(|used| used == name);
    if let Some((_, config)) = containers.list()?.iter().find(|(_, config)| uses(config)) {
        return Err(Failure::new(format!("image {image} is container {}'s: `windlass rm {0}` first", config.name)));
    }
    home.layout.untag(&name).map_err(Failure::during(image))?;
    let mut roots = Vec::new();
    for descriptor in home.layout.images().map_err(Failure::during("list the images"))? {
        let Some(name) = descriptor.ref_name() else { continue };
        let image = home.layout.resolve(name).map_err(Failure::during(name))?;
        for (_, diff_id) in image.layers() {
            roots.push(super::create::layer_id(diff_id)?);
        }
    }
    home.layers.gc(&roots).map_err(Failure::during("collect unused layers"))?;
    Ok(0)
}
