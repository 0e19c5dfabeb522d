//! Layers of images in the store of unpacked ones.

use windlass_image::{Descriptor, Digest};
use windlass_overlay::{ApplyOptions, Devices, IdMap, LayerId};

use super::failure::Failure;
use super::home::Home;
use super::rootless;

/// These layers in the store, bottom first.
pub(super) fn unpack<'l>(
    home: &Home,
    image: impl Iterator<Item = (&'l Descriptor, &'l Digest)>,
) -> Result<Vec<LayerId>, Failure> {
    let mut layers = Vec::new();
    for (descriptor, diff_id) in image {
        let layer = layer_id(diff_id)?;
        let doing = format!("layer {}", descriptor.digest);
        if !home.layers.contains(layer).map_err(Failure::during(&doing))? {
            let stream = home.layout.layer(descriptor).map_err(Failure::during(&doing))?;
            home.layers.ingest(stream, &apply_options(layer)).map_err(Failure::during(&doing))?;
        }
        layers.push(layer);
    }
    Ok(layers)
}

/// How this layer is unpacked by who calls.
pub(super) fn apply_options(layer: LayerId) -> ApplyOptions {
    ApplyOptions {
        expect: Some(layer),
        id_map: if rootless::has_one_id() { IdMap::CurrentUser } else { IdMap::Identity },
        devices: if rootless::is_inside() { Devices::Skip } else { Devices::Create },
        ..ApplyOptions::default()
    }
}

/// The store's name of an image's layer.
pub(super) fn layer_id(diff_id: &Digest) -> Result<LayerId, Failure> {
    diff_id.to_string().parse().map_err(Failure::during(format_args!("layer {diff_id}")))
}
