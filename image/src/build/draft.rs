//! An image while it is made.

use std::collections::BTreeMap;

use super::compress::{Compression, compress};
use super::flatten::flatten;
use crate::config::{Contents, Execution, History, ImageConfig, rfc3339};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::layout::{Image, Layout};
use crate::manifest::Manifest;
use crate::media_type::Codec;
use crate::platform::Platform;

/// An image while it is made: layers that a layout has, and a configuration that is still to be written.
///
/// The same steps give the same bytes. Hold a [`Lease`](crate::layout::Lease) from the first layer to the name.
///
/// ```
/// use windlass_image::build::Draft;
/// use windlass_image::layer::{Builder, Metadata, Source};
/// use windlass_image::{Codec, Layout, Platform};
///
/// # let directory = std::env::temp_dir().join(format!("windlass-image-draft-{}", std::process::id()));
/// let layout = Layout::create(&directory)?;
/// let _lease = layout.lease()?;
/// let mut files = Builder::new(0);
/// files.file("hello", Metadata::root(0o644), Source::Bytes(b"hello\n".to_vec()))?;
///
/// let mut draft = Draft::scratch(Platform::host()).at(0);
/// draft.append(&layout.put_layer(&files, Codec::Gzip)?, "a greeting");
/// draft.execution_mut().labels.insert("language".into(), "en".into());
/// let image = draft.store(&layout)?;
/// layout.tag("hello", &image)?;
/// assert_eq!(layout.resolve("hello")?.layers().len(), 1);
/// # std::fs::remove_dir_all(&directory).expect("the layout was made above");
/// # Ok::<(), windlass_image::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Draft {
    /// What is not known of it survives.
    base: Option<ImageConfig>,
    contents: Contents,
    layers: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
    created: Option<String>,
}

impl Draft {
    /// Begins without anything.
    pub fn scratch(platform: Platform) -> Self {
        let contents = Contents { platform, ..Contents::default() };
        Self { base: None, contents, layers: Vec::new(), annotations: BTreeMap::new(), created: None }
    }

    /// Begins with an image.
    pub fn of(image: &Image) -> Self {
        Self {
            base: Some(image.config.clone()),
            contents: image.config.contents().clone(),
            layers: image.manifest.layers().to_vec(),
            annotations: BTreeMap::new(),
            created: None,
        }
    }

    /// Dates the image and the steps that follow; without it they have no date.
    ///
    /// # Units
    /// Seconds since 1970; the convention `SOURCE_DATE_EPOCH` has such a number.
    #[must_use]
    pub fn at(mut self, seconds: u64) -> Self {
        self.created = Some(rfc3339(seconds));
        self
    }

    /// What the configuration will say.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// How the image is run, to be changed.
    pub fn execution_mut(&mut self) -> &mut Execution {
        &mut self.contents.execution
    }

    /// Names who made the image.
    pub fn set_author(&mut self, author: Option<String>) {
        self.contents.author = author;
    }

    /// Free text of the manifest, by key.
    pub fn annotations_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.annotations
    }

    /// Each layer's blob with the digest of its uncompressed form, bottom first.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = (&Descriptor, &Digest)> {
        self.layers.iter().zip(&self.contents.diff_ids)
    }

    /// Puts a layer on top, and says in the history what made it.
    pub fn append(&mut self, layer: &Layer, created_by: impl Into<String>) {
        self.layers.push(layer.descriptor.clone());
        self.contents.diff_ids.push(layer.diff_id);
        self.tell(created_by.into(), false);
    }

    /// Says in the history what was done without a layer.
    pub fn note(&mut self, created_by: impl Into<String>) {
        self.tell(created_by.into(), true);
    }

    fn tell(&mut self, created_by: String, empty_layer: bool) {
        let created = self.created.clone();
        let created_by = Some(created_by).filter(|text| !text.is_empty());
        self.contents.history.push(History { created, created_by, empty_layer, ..History::default() });
    }

    /// Puts the layers of another base in the place of those of the base that the image began with. How the image is
    /// run stays.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the image does not begin with the layers of `old`, and where `new` is for another platform.
    pub fn rebase(&mut self, old: &Image, new: &Image) -> Result<()> {
        let invalid =
            |image: &Image, reason| Err(Error::Invalid { field: "base", value: image.digest().to_string(), reason });
        let below = old.config.diff_ids();
        if !self.contents.diff_ids.starts_with(below) || below.is_empty() {
            return invalid(old, "is not what the image begins with");
        }
        if new.config.platform() != &self.contents.platform {
            return invalid(new, "is for another platform");
        }
        let own_layers = self.layers.split_off(below.len());
        let own_diff_ids = self.contents.diff_ids.split_off(below.len());
        let own_history = own_part(&self.contents.history, below.len());
        self.layers = new.manifest.layers().iter().cloned().chain(own_layers).collect();
        self.contents.diff_ids = new.config.diff_ids().iter().copied().chain(own_diff_ids).collect();
        // Steps are told of all layers or of none: a part would be read as the wrong ones.
        let told = &new.config.contents().history;
        let whole = told.iter().filter(|step| !step.empty_layer).count() == new.config.diff_ids().len();
        self.contents.history = match own_history {
            Some(own) if whole => told.iter().cloned().chain(own).collect(),
            _ => Vec::new(),
        };
        Ok(())
    }

    /// Puts one layer that holds what all hold together in their place, with one step of history.
    ///
    /// # Errors
    /// A layer that cannot be read, or that holds what unpacking would refuse.
    pub fn flatten(&mut self, layout: &Layout, codec: Codec, created_by: impl Into<String>) -> Result<()> {
        let layer = flatten(layout, &self.layers, codec)?;
        self.replace_layers(&layer, created_by);
        Ok(())
    }

    /// Compresses every layer anew. History and configuration stay; a `diff_id` changes where the table of contents is
    /// a file of the archive.
    ///
    /// # Errors
    /// A layer that is not the one of its `diff_id`; what [`chunked::write`](crate::chunked::write) refuses.
    pub fn compress(&mut self, layout: &Layout, with: Compression) -> Result<()> {
        for (blob, diff_id) in self.layers.iter_mut().zip(&mut self.contents.diff_ids) {
            let layer = compress(layout, blob, diff_id, with)?;
            (*blob, *diff_id) = (layer.descriptor, layer.diff_id);
        }
        Ok(())
    }

    /// Puts one layer that holds the same in the place of all.
    pub fn replace_layers(&mut self, layer: &Layer, created_by: impl Into<String>) {
        self.layers.clear();
        self.contents.diff_ids.clear();
        self.contents.history.clear();
        self.append(layer, created_by);
    }

    /// Writes the configuration and the manifest; the image has no name yet.
    ///
    /// # Errors
    /// What the configuration cannot say, such as an empty author.
    pub fn store(&self, layout: &Layout) -> Result<Descriptor> {
        let mut contents = self.contents.clone();
        contents.created.clone_from(&self.created);
        for names in [&mut contents.execution.exposed_ports, &mut contents.execution.volumes] {
            names.sort();
            names.dedup();
        }
        let config = match &self.base {
            Some(base) => base.change(&contents)?,
            None => ImageConfig::build(&contents)?,
        };
        layout.put_blob(config.descriptor().media_type, config.raw())?;
        let manifest = Manifest::build(&config.descriptor(), &self.layers, &self.annotations)?;
        let mut descriptor = layout.put_blob(manifest.media_type().clone(), manifest.raw())?;
        descriptor.platform = Some(contents.platform);
        Ok(descriptor)
    }
}

/// The steps behind those of the lowest layers; `None` where the history tells of fewer.
fn own_part(history: &[History], below: usize) -> Option<Vec<History>> {
    let mut layers = 0;
    let last = history.iter().position(|step| {
        layers += usize::from(!step.empty_layer);
        layers == below
    })?;
    Some(history[last + 1..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Builder, Metadata, Source};
    use crate::media_type::MediaType;

    fn layer(layout: &Layout, text: &str) -> Layer {
        let mut builder = Builder::new(0);
        builder.file(text, Metadata::root(0o644), Source::Bytes(text.as_bytes().to_vec())).unwrap();
        layout.put_layer(&builder, Codec::None).unwrap()
    }

    fn image(layout: &Layout, name: &str, layers: &[&str]) -> Image {
        let mut draft = Draft::scratch(Platform::linux("amd64")).at(0);
        for text in layers {
            draft.append(&layer(layout, text), *text);
        }
        draft.note("nothing");
        let descriptor = draft.store(layout).unwrap();
        layout.tag(name, &descriptor).unwrap();
        layout.image(&descriptor, &Platform::linux("amd64")).unwrap()
    }

    fn steps(draft: &Draft) -> Vec<&str> {
        draft.contents.history.iter().filter_map(|step| step.created_by.as_deref()).collect()
    }

    #[test]
    fn a_rebased_image_has_the_new_base_and_its_own_layers() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let (old, new) = (image(&layout, "old", &["a", "b"]), image(&layout, "new", &["c"]));
        let mut draft = Draft::of(&old).at(5);
        draft.append(&layer(&layout, "own"), "own");
        draft.execution_mut().user = Some("me".into());
        draft.rebase(&old, &new).unwrap();
        assert_eq!(steps(&draft), ["c", "nothing", "nothing", "own"]);
        let expected = [new.config.diff_ids()[0], layer(&layout, "own").diff_id];
        assert_eq!(draft.contents.diff_ids, expected);
        assert_eq!(draft.layers().len(), 2);
        let stored = draft.store(&layout).unwrap();
        let read = layout.image(&stored, &Platform::linux("amd64")).unwrap();
        assert_eq!(read.config.execution().user.as_deref(), Some("me"));
        assert_eq!(read.config.contents().created.as_deref(), Some("1970-01-01T00:00:05Z"));
        // Nothing moved: the old base is not there any more.
        let before = draft.contents.clone();
        let error = draft.rebase(&old, &new).unwrap_err().to_string();
        assert!(error.ends_with("is not what the image begins with"), "{error}");
        assert_eq!(draft.contents, before);
    }

    #[test]
    fn compressing_otherwise_changes_blobs_only() {
        use crate::chunked::Format;

        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let first = image(&layout, "first", &["a", "b"]);
        let mut forms = vec![(Compression::Plain(Codec::Gzip), true), (Compression::Chunked(Format::Estargz), false)];
        if cfg!(feature = "zstd") {
            forms.extend([(Compression::Plain(Codec::Zstd), true), (Compression::Chunked(Format::ZstdChunked), true)]);
        }
        for (with, same) in forms {
            let mut draft = Draft::of(&first);
            draft.compress(&layout, with).unwrap();
            let stored = draft.store(&layout).unwrap();
            let read = layout.image(&stored, &Platform::linux("amd64")).unwrap();
            assert_eq!(read.config.diff_ids() == first.config.diff_ids(), same, "{with:?}");
            for (blob, diff_id) in read.layers() {
                crate::codec::verify_diff_id(layout.layer(blob).unwrap(), diff_id).unwrap();
                assert_ne!(blob.media_type, MediaType::LAYER);
                assert_eq!(layout.lazy_layer(blob).is_ok(), matches!(with, Compression::Chunked(_)));
            }
        }
        let mut wrong = Draft::of(&first);
        wrong.contents.diff_ids.swap(0, 1);
        let error = wrong.compress(&layout, Compression::Plain(Codec::Gzip)).unwrap_err();
        assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    }

    #[test]
    fn the_same_steps_give_the_same_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let one = image(&layout, "one", &["a"]);
        let two = image(&layout, "two", &["a"]);
        assert_eq!(one.digest(), two.digest());
        let mut draft = Draft::of(&one);
        draft.execution_mut().exposed_ports = vec!["9/tcp".into(), "80/tcp".into(), "9/tcp".into()];
        draft.replace_layers(&layer(&layout, "a"), "flat");
        let stored = draft.store(&layout).unwrap();
        let read = layout.image(&stored, &Platform::linux("amd64")).unwrap();
        assert_eq!(read.config.execution().exposed_ports, ["80/tcp", "9/tcp"]);
        assert_eq!(steps(&draft), ["flat"]);
    }
}
