//! What an agent has to run pods with: its node's network, images, folders and group.

use std::path::PathBuf;
use std::sync::Arc;

use windlass_cgroups::{DeviceNumber, Group};

use super::error::{Error, Result};
use crate::images::{Images, LocalImage};
use crate::net::NodeNetwork;

/// What an agent has to run pods with.
#[derive(Debug)]
pub struct Place {
    /// The node's name.
    pub node: String,
    /// Its network.
    pub network: Arc<NodeNetwork>,
    /// The images of this machine.
    pub images: Arc<Images>,
    /// The image whose program holds the namespaces of a pod, as its subcommand `pause`.
    pub pause_image: String,
    /// Where the pods' own files are.
    pub pods: PathBuf,
    /// What hostPath volumes see as `/`.
    pub host: PathBuf,
    /// The parent of the pods' groups; without one nothing is limited and nothing counted.
    pub group: Option<Group>,
    /// The block device whose use is to be counted, where cgroup v1 counts only what a rule names.
    pub disk: Option<DeviceNumber>,
}

impl Place {
    /// An image, applied and ready.
    pub(super) fn image(&self, reference: &str) -> Result<Arc<LocalImage>> {
        self.images.prepare(reference).map_err(|source| Error::Image { reference: reference.to_owned(), source })
    }
}
