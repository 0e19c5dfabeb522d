//! The file system of one run: a writable layer over the image's shared ones.

use std::os::fd::OwnedFd;

use windlass_overlay::{MountOptions, Snapshot, Syncing};

use super::error::{Error, Result};
use super::place::Place;
use crate::images::LocalImage;

/// The writable layer of a run, over the image's shared ones.
#[derive(Debug)]
pub(super) struct RootFileSystem {
    snapshot: Snapshot,
    name: String,
}

impl RootFileSystem {
    /// Makes a layer and mounts the stack; the mount is attached nowhere. What is written is not for longer than the
    /// run, so nothing waits for it to reach the disk.
    pub(super) fn create(place: &Place, image: &LocalImage, name: &str) -> Result<(Self, OwnedFd)> {
        let snapshot = place.images.store().snapshot(name, &image.layers).map_err(Error::overlay("create", name))?;
        match snapshot.mount(&MountOptions { syncing: Syncing::Volatile, ..MountOptions::default() }) {
            Ok(mount) => Ok((Self { snapshot, name: name.to_owned() }, mount.into())),
            Err(error) => {
                // The mount's refusal is what is told; the folder goes with the run's.
                let _ = snapshot.remove();
                Err(Error::overlay("mount", name)(error))
            }
        }
    }

    /// Removes the writable layer.
    pub(super) fn remove(self) -> Result<()> {
        self.snapshot.remove().map_err(Error::overlay("remove", &self.name))
    }
}
