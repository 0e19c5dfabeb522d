//! Merged images: one for a chain of layers, shared by all snapshots of that chain.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::rooms::{self, Rooms, Work};
use super::{LayerStore, layer_name};
use crate::apply::merge;
use crate::error::{Error, Result};
use crate::layer_id::LayerId;
use crate::mount::mount_image;
use crate::options::{ApplyOptions, Devices, Durability, LayerFormat, Xattrs};
use crate::record::{LayerRecord, SnapshotKind, SnapshotRecord};
use crate::sys::{self, Named as _};

/// The identity of a chain: the digest of the digests of its layers.
fn chain_id(layers: &[LayerId]) -> LayerId {
    let hash = layers.iter().fold(Sha256::new(), |hash, layer| hash.chain_update(layer.as_bytes()));
    LayerId::from_bytes(hash.finalize().into())
}

impl LayerStore {
    /// The merged image of a chain, made if it is not there.
    pub(super) fn chain(&self, layers: &[(OwnedFd, LayerId, LayerRecord)]) -> Result<LayerId> {
        let ids: Vec<LayerId> = layers.iter().map(|(_, id, _)| *id).collect();
        let chain = chain_id(&ids);
        let name = layer_name(chain);
        match rustix::fs::statat(&self.rooms.chains, name.as_path(), rustix::fs::AtFlags::empty()) {
            Ok(_) => return Ok(chain),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno).named("stat", name.as_path()),
        }
        let work = self.rooms.work()?;
        match self.fill_chain(&work, layers, chain) {
            Ok(()) => Ok(chain),
            Err(first) => Err(match work.discard() {
                Ok(()) => first,
                Err(cleanup) => Error::Cleanup { cleanup: Box::new(cleanup), first: Box::new(first) },
            }),
        }
    }

    fn fill_chain(&self, work: &Work, layers: &[(OwnedFd, LayerId, LayerRecord)], chain: LayerId) -> Result<()> {
        let mut images = Vec::with_capacity(layers.len());
        for (directory, id, record) in layers {
            if let LayerFormat::Dir(_) = record.format {
                return Err(Error::Unsupported {
                    feature: "a merged image",
                    reason: format!("{id} is a directory tree; take it in again with this format"),
                });
            }
            images.push((rooms::open_image(directory.as_fd())?, record.bytes));
        }
        let borrowed: Vec<(BorrowedFd<'_>, u64)> =
            images.iter().map(|(image, bytes)| (image.as_fd(), *bytes)).collect();
        let image = work.file("image")?;
        let id = chain.as_bytes()[..16].try_into().expect("sixteen of the digest's bytes");
        // The archives were judged when they were taken in; what was left out of them then is left out again.
        let options = ApplyOptions { devices: Devices::Create, xattrs: Xattrs::BestEffort, ..ApplyOptions::default() };
        merge(&borrowed, image.as_fd(), id, &options)?;
        let layers = layers.iter().map(|(_, id, _)| *id).collect();
        let record = SnapshotRecord { kind: SnapshotKind::View, layers, lowers: Vec::new(), has_attributes: false };
        work.write(rooms::RECORD, record.print().as_bytes())?;
        if self.options.durability != Durability::None {
            sys::sync_tree(work.descriptor(), 2, work.path())?;
        }
        if !work.publish(&self.rooms.chains, &layer_name(chain))? {
            return work.discard();
        }
        if self.options.durability != Durability::None {
            rustix::fs::fsync(&self.rooms.chains).named("fsync", Path::new("chains"))?;
        }
        Ok(())
    }

    /// Removes the merged images of all chains that a layer is in.
    pub(super) fn discard_chains_of(&self, layer: LayerId) -> Result<()> {
        for name in sys::names(self.rooms.chains.as_fd(), Path::new("chains"))? {
            let name = rooms::child(&name);
            let opened = match sys::open_beneath(self.rooms.chains.as_fd(), &name, sys::READ_DIRECTORY) {
                Err(Errno::NOENT) => continue,
                opened => opened.named("open", name.as_path())?,
            };
            let record = rooms::read_record(opened.as_fd())?.map(|text| SnapshotRecord::parse(&text));
            if record.is_some_and(|record| record.is_ok_and(|record| record.layers.contains(&layer))) {
                self.rooms.discard(&self.rooms.chains, &name)?;
            }
        }
        Ok(())
    }
}

/// Mounts the merged image of a chain.
pub(super) fn mount_chain(rooms: &Rooms, chain: LayerId, layers: &[LayerId]) -> Result<OwnedFd> {
    let name = layer_name(chain);
    let directory =
        sys::open_beneath(rooms.chains.as_fd(), &name, sys::READ_DIRECTORY).named("open", name.as_path())?;
    let image = rooms::open_image(directory.as_fd())?;
    let mut devices = Vec::with_capacity(layers.len());
    for layer in layers {
        let name = layer_name(*layer);
        let directory =
            sys::open_beneath(rooms.layers.as_fd(), &name, sys::READ_DIRECTORY).named("open", name.as_path())?;
        devices.push(rooms::open_image(directory.as_fd())?);
    }
    let devices: Vec<BorrowedFd<'_>> = devices.iter().map(OwnedFd::as_fd).collect();
    mount_image(image.as_fd(), &devices, rooms.images)
}
