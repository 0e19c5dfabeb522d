//! Where images and layers are kept.

use std::path::{Path, PathBuf};

use windlass_image::{Descriptor, Error, Image, Layout, Platform, Reference};
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

impl Home {
    /// Where builds remember what they made.
    pub(super) fn cache(&self) -> PathBuf {
        self.root.join("build/cache")
    }
}

/// An image, and how it was found.
#[derive(Debug)]
pub(super) struct Found {
    /// What the name leads to: a manifest, or an index of manifests.
    pub(super) descriptor: Descriptor,
    /// The image for this machine.
    pub(super) image: Image,
}

impl Home {
    /// The image that a verb cannot do without.
    pub(super) fn require(&self, text: &str) -> Result<Found, Failure> {
        let missing = || Failure::new(format!("there is no image {text} (`windlass images` lists them)"));
        self.find(text)?.ok_or_else(missing)
    }

    /// The image with this name, this id, this digest or, if there is only one, an id or digest that begins so.
    pub(super) fn find(&self, text: &str) -> Result<Option<Found>, Failure> {
        let listed = self.layout.images().map_err(Failure::during("list the images"))?;
        if let Ok(name) = name(text)
            && let Some(descriptor) = listed.iter().find(|entry| entry.ref_name() == Some(&name))
        {
            // A name that several images have is the layout's to refuse.
            let image = self.layout.resolve(&name).map_err(Failure::during(text))?;
            return Ok(Some(Found { descriptor: descriptor.clone(), image }));
        }
        let begins = |digest: &str| {
            digest.starts_with(text) || digest.split_once(':').is_some_and(|(_, hex)| hex.starts_with(text))
        };
        let mut found: Vec<Found> = Vec::new();
        for descriptor in listed {
            // One for other machines only has no id here.
            let Some(image) = self.image(&descriptor)? else { continue };
            let digests = [descriptor.digest, image.digest(), image.config.descriptor().digest];
            let known = found.iter().any(|other| other.descriptor.digest == descriptor.digest);
            if !known && digests.iter().any(|digest| begins(&digest.to_string())) {
                found.push(Found { descriptor, image });
            }
        }
        match found.len() {
            0 | 1 => Ok(found.pop()),
            count => Err(Failure::new(format!("{count} images have an id that begins with {text}: give more of it"))),
        }
    }

    /// The image behind an entry of the layout; `None` for an index without one for this machine.
    pub(super) fn image(&self, descriptor: &Descriptor) -> Result<Option<Image>, Failure> {
        match self.layout.image(descriptor, &Platform::host()) {
            Ok(image) => Ok(Some(image)),
            Err(Error::NotFound { .. }) if descriptor.media_type.is_index() => Ok(None),
            Err(error) => Err(Failure::during(descriptor.ref_name().unwrap_or("an image without a name"))(error)),
        }
    }
}

/// The name under which an image is kept: references are spelled in many ways, the layout knows one.
pub(super) fn name(image: &str) -> Result<String, Failure> {
    let reference = Reference::parse(image).map_err(Failure::during(format_args!("image {image}")))?;
    Ok(reference.canonical().to_owned())
}

/// The name as people write it.
pub(super) fn familiar(name: &str) -> String {
    Reference::parse(name).map_or_else(|_| name.to_owned(), |reference| reference.familiar().to_owned())
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
