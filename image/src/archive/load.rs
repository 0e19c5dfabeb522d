//! Reading archives.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use super::entries::{self, Entry, normal};
use crate::codec::verify_diff_id;
use crate::config::ImageConfig;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Fault, Result};
use crate::json::{self, Value};
use crate::layout::Layout;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::media_type::{Codec, MediaType};
use crate::reference::Reference;

const MANIFEST: &str = "manifest.json";
const LINKS_MAX: usize = 8;

/// An image that came out of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// Of the manifest.
    pub descriptor: Descriptor,
    /// The names that the archive gives it; in the layout each is a name in its canonical form.
    pub references: Vec<Reference>,
}

/// What the archive's `manifest.json` says of one image.
struct Listed {
    config: String,
    references: Vec<Reference>,
    layers: Vec<String>,
}

/// Stores the images of an archive in Docker's formats.
pub(super) fn load(layout: &Layout, input: impl Read) -> Result<Vec<Loaded>> {
    let limits = *layout.limits();
    let mut files: HashMap<String, Descriptor> = HashMap::new();
    let mut links: HashMap<String, String> = HashMap::new();
    let mut manifest = None;
    entries::read(input, |name, entry, size| {
        match entry {
            Entry::Link(target) => {
                links.insert(name.to_owned(), target);
            }
            Entry::File(content) if name == MANIFEST => manifest = Some(document(content, &limits)?),
            Entry::File(_) if is_beside_the_point(name) => {}
            Entry::File(_) if size > limits.layer_bytes => {
                return Err(Error::LimitExceeded { limit: "layer in an image archive", max: limits.layer_bytes });
            }
            Entry::File(content) => {
                files.insert(name.to_owned(), layout.put_blob(MediaType::LAYER, content)?);
            }
        }
        Ok(())
    })?;
    let manifest = manifest.ok_or_else(|| Error::NotFound { object: format!("{MANIFEST} in the image archive") })?;
    let listed = read_manifest(&manifest, &limits)?;
    let find = |name: &str| {
        let mut name = normal(name);
        for _ in 0..LINKS_MAX {
            match links.get(&name) {
                Some(target) => name.clone_from(target),
                None => break,
            }
        }
        files.get(&name).ok_or_else(|| Error::NotFound { object: format!("file {name} in the image archive") })
    };
    let mut loaded = Vec::new();
    for image in listed {
        let layers = image.layers.iter().map(|name| find(name)).collect::<Result<Vec<_>>>()?;
        let (descriptor, id) = store(layout, find(&image.config)?, &layers, &limits)?;
        loaded.push((Loaded { descriptor, references: image.references }, id));
    }
    // Only now, when all of them are right.
    for (image, id) in &loaded {
        for reference in &image.references {
            layout.tag(reference, &image.descriptor)?;
        }
        if image.references.is_empty() {
            layout.tag(id.to_string(), &image.descriptor)?;
        }
    }
    Ok(loaded.into_iter().map(|(image, _)| image).collect())
}

/// Files of the formats that say again what `manifest.json` says.
fn is_beside_the_point(name: &str) -> bool {
    ["repositories", "oci-layout", "index.json"].contains(&name)
        || name.ends_with("/VERSION")
        || name.ends_with("/json")
}

pub(super) fn document(content: &mut dyn Read, limits: &Limits) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut bounded = content.take(limits.document_bytes + 1);
    bounded.read_to_end(&mut bytes).map_err(Error::sys("read", MANIFEST))?;
    Ok(bytes)
}

fn read_manifest(raw: &[u8], limits: &Limits) -> Result<Vec<Listed>> {
    let value = json::parse(MANIFEST, raw, limits)?;
    let images = value.list(|value| {
        let object = value.object()?;
        Ok(Listed {
            config: object.required("Config", Value::owned)?,
            references: object.or_default("RepoTags", |value| value.list(read_reference))?,
            layers: object.or_default("Layers", |value| value.list(Value::owned))?,
        })
    });
    images.map_err(|fault| fault.of(MANIFEST))
}

fn read_reference(value: &Value<'_>) -> std::result::Result<Reference, Fault> {
    Reference::parse(value.string()?).map_err(|error| Fault::new(error.to_string()))
}

/// Makes the manifest of an image from its parts; its descriptor, and the digest of its configuration.
fn store(
    layout: &Layout,
    config: &Descriptor,
    layers: &[&Descriptor],
    limits: &Limits,
) -> Result<(Descriptor, Digest)> {
    let config = Descriptor { media_type: MediaType::CONFIG, ..config.clone() };
    let parsed = ImageConfig::parse(layout.get(&config)?, limits)?;
    if parsed.diff_ids().len() != layers.len() {
        return Err(Fault::new("has another number of layers than its configuration").within("Layers").of(MANIFEST));
    }
    let mut blobs = Vec::new();
    for (layer, diff_id) in layers.iter().zip(parsed.diff_ids()) {
        let blob = Descriptor { media_type: MediaType::layer(codec_of(layout, layer)?), ..(*layer).clone() };
        // The name of an uncompressed blob is its digest already.
        if blob.media_type != MediaType::LAYER || blob.digest != *diff_id {
            verify_diff_id(layout.layer(&blob)?, diff_id)?;
        }
        blobs.push(blob);
    }
    let manifest = Manifest::build(&config, &blobs, &BTreeMap::new())?;
    let mut descriptor = layout.put_blob(manifest.media_type().clone(), manifest.raw())?;
    descriptor.platform = Some(parsed.platform().clone());
    Ok((descriptor, config.digest))
}

/// How a layer is compressed: this format has no media types, so its first bytes must tell.
fn codec_of(layout: &Layout, blob: &Descriptor) -> Result<Codec> {
    let mut start = Vec::new();
    let mut content = layout.open_blob(blob)?.take(4);
    content.read_to_end(&mut start).map_err(Error::sys("read", layout.blob_path(&blob.digest)))?;
    Ok(match start.as_slice() {
        [0x1f, 0x8b, ..] => Codec::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Codec::Zstd,
        _ => Codec::None,
    })
}
