//! Where images and layers are kept.

use std::path::{Path, PathBuf};

use windlass_image::{Layout, Reference};
use windlass_overlay::LayerStore;

use super::failure::Failure;
use super::rootless;

/// The folder of images (an OCI layout) and of their unpacked layers.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) root: PathBuf,
    pub(super) layout: Layout,
    pub(super) layers: LayerStore,
}

impl Home {
    /// Opens the folder, and makes it where it is missing.
    pub(super) fn open(root: &Path) -> Result<Self, Failure> {
        let images = root.join("images");
        let layers = root.join("layers");
        std::fs::create_dir_all(root)
            .map_err(Failure::during(format_args!("create {} (another place: --root DIR)", root.display())))?;
        Ok(Self {
            root: root.to_owned(),
            layout: Layout::create(&images).map_err(Failure::during(format_args!("open {}", images.display())))?,
            layers: LayerStore::open(&layers).map_err(Failure::during(format_args!("open {}", layers.display())))?,
        })
    }
}

/// The name under which an image is kept: references are spelled in many ways, the layout knows one.
pub(super) fn name(image: &str) -> Result<String, Failure> {
    let reference = Reference::parse(image).map_err(Failure::during(format_args!("image {image}")))?;
    Ok(reference.canonical().to_owned())
}

/// The user's own place.
pub(super) fn default_root() -> Result<PathBuf, Failure> {
    if !rootless::is_ordinary() {
        return Ok(PathBuf::from("/var/lib/windlass"));
    }
    if let Some(data) = std::env::var_os("XDG_DATA_HOME") {
        return Ok(PathBuf::from(data).join("windlass"));
    }
    let home = std::env::var_os("HOME")
        .ok_or_else(|| Failure::new("neither HOME nor XDG_DATA_HOME is set: give --root DIR"))?;
    Ok(PathBuf::from(home).join(".local/share/windlass"))
}
