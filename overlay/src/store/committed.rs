//! Snapshots whose changes have become a layer, and who uses what.

use std::io::Read as _;

use super::LayerStore;
use crate::error::{Error, Result};
use crate::layer_id::LayerId;
use crate::options::ApplyOptions;
use crate::snapshot::{Snapshot, View};
use crate::sys::Named as _;

/// What was a [`Snapshot`] and can no longer be written: its layers with its changes as the topmost one. Others are made
/// of it.
///
/// ```no_run
/// use windlass_overlay::{ApplyOptions, LayerStore};
///
/// let store = LayerStore::open("/var/lib/windlass/layers".as_ref())?;
/// let committed = store.commit_snapshot(store.open_snapshot("container-1")?, &ApplyOptions::default())?;
/// let next = committed.snapshot("container-2")?;
/// # Ok::<(), windlass_overlay::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Committed {
    store: LayerStore,
    layers: Vec<LayerId>,
}

impl Committed {
    /// All layers, bottom first; as roots they keep [`LayerStore::gc`] from removing any.
    pub fn layers(&self) -> &[LayerId] {
        &self.layers
    }

    /// The layer that the snapshot's changes became.
    pub fn layer(&self) -> LayerId {
        *self.layers.last().expect("the changes are a layer, and committing put it there")
    }

    /// A new writable layer over this; errors as [`LayerStore::snapshot`].
    pub fn snapshot(&self, key: &str) -> Result<Snapshot> {
        self.store.snapshot(key, &self.layers)
    }

    /// This, to be read only; errors as [`LayerStore::view`].
    pub fn view(&self, key: &str) -> Result<View> {
        self.store.view(key, &self.layers)
    }
}

/// How many use a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct References {
    /// Snapshots and views that are made of it.
    pub snapshots: usize,
    /// Those of them that are [mounted](Snapshot::is_mounted).
    pub mounted: usize,
}

impl LayerStore {
    /// Makes a snapshot's changes a layer of this store and removes the snapshot. The layer is as durable as the store's
    /// options say.
    ///
    /// # Errors
    /// [`Error::Busy`] while the snapshot is mounted; those of [`Snapshot::write_diff`] and [`LayerStore::stage`]. The
    /// snapshot is still there then.
    pub fn commit_snapshot(&self, snapshot: Snapshot, options: &ApplyOptions) -> Result<Committed> {
        if snapshot.is_mounted()? {
            let name = snapshot.key().to_owned();
            return Err(Error::Busy { what: "snapshot", name, by: "a mount of it".to_owned() });
        }
        let (archive, to) = std::io::pipe().named("pipe", snapshot.path())?;
        let (staged, written) = std::thread::scope(|scope| {
            let writing = std::thread::Builder::new()
                .name("overlay-diff".to_owned())
                .spawn_scoped(scope, || snapshot.write_diff(to).map(drop))
                .named("start a thread", snapshot.path())?;
            let staged = self.stage(&archive, options);
            // What is not wanted any more is still written: without a reader the writer would get a signal.
            let rest = std::io::copy(&mut archive.take(u64::MAX), &mut std::io::sink()).named("read", snapshot.path());
            let written = match writing.join() {
                Ok(written) => written,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            rest.map(|_| (staged, written))
        })?;
        // An archive that was cut short has its reason in what was to write it.
        written?;
        let layer = self.commit(vec![staged?], self.options.durability)?;
        let layers = [snapshot.layers(), &layer].concat();
        snapshot.remove()?;
        Ok(Committed { store: self.clone(), layers })
    }

    /// Who uses a layer.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the layer.
    pub fn references(&self, layer: LayerId) -> Result<References> {
        self.layer(layer)?;
        let mut references = References::default();
        for key in self.snapshots()? {
            match self.uses(&key, layer) {
                Ok(None) | Err(Error::NotFound { .. }) => {} // Removed since it was listed.
                Ok(Some(is_mounted)) => {
                    references.snapshots += 1;
                    references.mounted += usize::from(is_mounted);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(references)
    }
}
