//! The images of this machine: an OCI layout, and its layers applied into a store that all nodes share.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use windlass_image::{ImageConfig, Layout};
use windlass_overlay::{ApplyOptions, LayerId, LayerStore};

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The layout has no such image, or what it has is corrupt.
    #[error("the layout cannot give it")]
    Layout(#[source] windlass_image::Error),
    /// A layer could not be applied.
    #[error("layer {layer} cannot be applied")]
    Layer {
        /// The layer's digest.
        layer: String,
        /// Why not.
        source: windlass_overlay::Error,
    },
    /// The store of layers could not be opened.
    #[error("the store of layers cannot be opened")]
    Store(#[source] windlass_overlay::Error),
}

/// An image whose layers are applied.
#[derive(Debug)]
pub struct LocalImage {
    /// The digest of its manifest.
    pub digest: String,
    /// What it says about running it.
    pub config: ImageConfig,
    /// Its layers in the store, the lowest first.
    pub layers: Vec<LayerId>,
}

/// A layout and the layers that were applied from it.
#[derive(Debug)]
pub struct Images {
    layout: Layout,
    store: LayerStore,
    ready: Mutex<BTreeMap<String, Arc<LocalImage>>>,
}

impl Images {
    /// The images of `layout`, with their layers in the folder `layers`.
    pub fn open(layout: Layout, layers: &Path) -> Result<Self, Error> {
        let store = LayerStore::open(layers).map_err(Error::Store)?;
        Ok(Self { layout, store, ready: Mutex::default() })
    }

    /// The layers.
    pub fn store(&self) -> &LayerStore {
        &self.store
    }

    /// An image ready to run; the first call for it reads, verifies and applies its layers.
    pub fn prepare(&self, reference: &str) -> Result<Arc<LocalImage>, Error> {
        // Held throughout, so that two pods that start at once do not apply the same layers twice.
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = ready.get(reference) {
            return Ok(Arc::clone(image));
        }
        let image = Arc::new(self.apply(reference)?);
        ready.insert(reference.to_owned(), Arc::clone(&image));
        Ok(image)
    }

    fn apply(&self, reference: &str) -> Result<LocalImage, Error> {
        let image = self.layout.resolve(reference).map_err(Error::Layout)?;
        let mut layers = Vec::new();
        for (descriptor, diff_id) in image.layers() {
            let failed = |source| Error::Layer { layer: descriptor.digest.to_string(), source };
            let expected: LayerId = diff_id.to_string().parse().expect("a digest of the image's configuration is one");
            let stream = self.layout.layer(descriptor).map_err(Error::Layout)?;
            let options = ApplyOptions { expect: Some(expected), ..ApplyOptions::default() };
            layers.push(self.store.ingest(stream, &options).map_err(failed)?);
        }
        Ok(LocalImage { digest: image.digest().to_string(), config: image.config.clone(), layers })
    }
}
