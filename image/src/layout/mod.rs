//! Layout directories: images on disk as other tools read them.

mod blob;
mod collect;
mod index_file;
mod ingest;
mod layer;
mod root;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use blob::BlobWriter;
pub use collect::{Collected, Lease};
pub use ingest::Ingest;
pub use layer::LayerWriter;
pub use root::Durability;

use crate::chunked;
use crate::codec::{LayerReader, VerifyReader};
use crate::config::ImageConfig;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::layer::{Builder, Layer};
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::media_type::{Codec, MediaType};
use crate::platform::Platform;
use root::{Root, blob_path};

/// Indexes may point to indexes; deeper nesting than this is taken for an attack.
const INDEX_DEPTH: usize = 8;

/// An OCI image layout in a directory.
///
/// Every path is resolved beneath the directory's descriptor and through no symbolic link; only regular files are
/// read. Blobs appear under their final name when they are complete, by a rename; the index is changed under an
/// exclusive lock (`flock`) on the directory, so several processes may write at once.
///
/// # Kernel
/// `openat2`, Linux 5.6.
///
/// # Source
/// OCI image specification, image layout.
#[derive(Debug)]
pub struct Layout {
    root: Root,
    limits: Limits,
}

/// An image that was found in a layout; its manifest and configuration were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// Of the manifest.
    pub descriptor: Descriptor,
    /// Its layers' blobs.
    pub manifest: Manifest,
    /// How to run it.
    pub config: ImageConfig,
}

impl Image {
    /// The digest of the manifest.
    pub fn digest(&self) -> Digest {
        self.descriptor.digest
    }

    /// Each layer's blob with the digest of its uncompressed form, bottom first.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = (&Descriptor, &Digest)> {
        self.manifest.layers().iter().zip(self.config.diff_ids())
    }
}

impl Layout {
    /// Opens the layout in `path` and makes it first if there is none.
    ///
    /// # Errors
    /// As [`Layout::open`]; also a directory that holds something else.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { root: Root::create(path.as_ref())?, limits: Limits::DEFAULT })
    }

    /// Opens the layout in `path`.
    ///
    /// # Errors
    /// [`Error::NotFound`] without an `oci-layout` file there; a layout of another version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { root: Root::open(path.as_ref())?, limits: Limits::DEFAULT })
    }

    /// Reads within other bounds than the default ones.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Writes with this durability; [`Durability::Synced`] unless called.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.root.durability = durability;
        self
    }

    /// The bounds within which this handle reads.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The directory as it was given.
    pub fn path(&self) -> &Path {
        &self.root.path
    }

    /// Stores a blob and names it by what it hashes to.
    ///
    /// For content that is in memory, `&content[..]` is a reader.
    pub fn put_blob(&self, media_type: MediaType, mut content: impl Read) -> Result<Descriptor> {
        let mut writer = self.blob_writer()?;
        std::io::copy(&mut content, &mut writer).map_err(Error::sys("write a blob in", &self.root.path))?;
        writer.finish(media_type)
    }

    /// Stores a blob whose descriptor is known, and only if the content is what the descriptor says.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] and [`Error::DigestMismatch`]; nothing is kept then.
    pub fn ingest(&self, descriptor: &Descriptor, content: impl Read) -> Result<()> {
        let mut writer = BlobWriter::new(&self.root, descriptor.digest.algorithm())?;
        let mut verified = VerifyReader::new(content, descriptor);
        std::io::copy(&mut verified, &mut writer).map_err(Error::sys("write a blob in", &self.root.path))?;
        writer.finish(descriptor.media_type.clone()).map(drop)
    }

    /// A blob whose descriptor is known, to be written piece by piece; it goes on where an earlier attempt ended.
    ///
    /// What was written stays when the returned value is dropped, and also when the process is killed, until garbage
    /// is collected. Of two writers of the same blob the second begins anew.
    pub fn resume_ingest(&self, descriptor: &Descriptor) -> Result<Ingest<'_>> {
        Ingest::open(&self.root, descriptor)
    }

    /// A blob to be written piece by piece; it appears when it is finished and not at all when dropped.
    pub fn blob_writer(&self) -> Result<BlobWriter<'_>> {
        BlobWriter::new(&self.root, crate::digest::Algorithm::Sha256)
    }

    /// Writes a layer.
    pub fn put_layer(&self, layer: &Builder, codec: Codec) -> Result<Layer> {
        let mut writer = self.blob_writer()?;
        let written = layer.write(&mut writer, codec)?;
        writer.finish(written.descriptor.media_type.clone())?;
        Ok(written)
    }

    /// Writes a layer from its uncompressed archive, with a table of contents.
    ///
    /// # Errors
    /// As [`chunked::write`].
    pub fn put_chunked_layer(&self, tar: impl Read, format: chunked::Format) -> Result<Layer> {
        let mut writer = self.blob_writer()?;
        let written = chunked::write(tar, &mut writer, format)?;
        writer.finish(written.descriptor.media_type.clone())?;
        Ok(written)
    }

    /// Opens a layer of which single files are read; nothing but its table of contents is read before.
    ///
    /// # Errors
    /// As [`Lazy::open`](chunked::Lazy::open).
    pub fn lazy_layer(&self, descriptor: &Descriptor) -> Result<chunked::Lazy<File>> {
        chunked::Lazy::open(self.root.open_blob(descriptor)?, descriptor, &self.limits)
    }

    /// A layer to be written as an uncompressed archive, by whoever reads or makes one.
    pub fn layer_writer(&self, codec: Codec) -> Result<LayerWriter<'_>> {
        LayerWriter::new(&self.root, codec)
    }

    /// Whether a blob of this digest and size is there; its content is not looked at.
    pub fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        match self.root.open_blob(descriptor) {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. } | Error::SizeMismatch { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A blob's content, verified, in memory: for documents.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] for content larger than a document may be.
    pub fn get(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        self.root.get(descriptor, &self.limits)
    }

    /// Opens a blob; its last read, which returns 0, comes only after the content was verified.
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<VerifyReader<File>> {
        Ok(VerifyReader::new(self.root.open_blob(descriptor)?, descriptor))
    }

    /// Opens a blob's file, whose content is not verified.
    #[cfg(feature = "client")]
    pub(crate) fn blob_file(&self, descriptor: &Descriptor) -> Result<File> {
        self.root.open_blob(descriptor)
    }

    /// Opens a layer as an uncompressed tar; its last read, which returns 0, comes only after the blob was verified.
    ///
    /// # Errors
    /// When reading: [`io::Error`](std::io::Error)s that hold an [`Error`]; see [`Error::unwrap_io`].
    pub fn layer(&self, descriptor: &Descriptor) -> Result<LayerReader<File>> {
        LayerReader::new(self.root.open_blob(descriptor)?, descriptor, &self.limits)
    }

    /// Gives the image or index behind `descriptor` a name, and takes that name from any other.
    ///
    /// # Errors
    /// A name that is empty, longer than 512 bytes or has other than visible ASCII characters; a descriptor of
    /// neither a manifest nor an index; [`Error::NotFound`] without the blob.
    pub fn tag(&self, name: impl AsRef<str>, descriptor: &Descriptor) -> Result<()> {
        index_file::check_name(name.as_ref())?;
        if !descriptor.media_type.is_manifest() && !descriptor.media_type.is_index() {
            let feature = format!("naming a {}", descriptor.media_type);
            return Err(Error::Unsupported { feature });
        }
        self.root.open_blob(descriptor)?;
        self.root.change_index(&self.limits, |index| {
            index.tag(name.as_ref(), descriptor);
            Ok(())
        })
    }

    /// Takes a name away; what it named stays until garbage is collected.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nothing has the name.
    pub fn untag(&self, name: impl AsRef<str>) -> Result<()> {
        self.root.change_index(&self.limits, |index| index.untag(name.as_ref()))
    }

    /// The entries of the layout's index; [`Descriptor::ref_name`] is an entry's name.
    pub fn images(&self) -> Result<Vec<Descriptor>> {
        Ok(self.root.read_index(&self.limits)?.manifests().to_vec())
    }

    /// The image with this name, or with this digest, for the platform that this program runs on.
    ///
    /// # Errors
    /// As [`Layout::resolve_for`].
    pub fn resolve(&self, name: impl AsRef<str>) -> Result<Image> {
        self.resolve_for(name, &Platform::host())
    }

    /// The image with this name, or with this digest; behind an index, the one that runs best on `platform`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown name and an index without an image for the platform; [`Error::Invalid`] for a
    /// name that another tool gave to several images; whatever is wrong with the manifest or the configuration.
    pub fn resolve_for(&self, name: impl AsRef<str>, platform: &Platform) -> Result<Image> {
        let name = name.as_ref();
        let index = self.root.read_index(&self.limits)?;
        let mut entries = index.manifests().iter();
        let by_digest = || index.manifests().iter().find(|entry| entry.digest.to_string() == name);
        let not_found = || Error::NotFound { object: format!("image {name} in {}", self.path().display()) };
        let Some(named) = entries.find(|entry| entry.ref_name() == Some(name)) else {
            return self.image(by_digest().ok_or_else(not_found)?, platform);
        };
        // Other tools may write a name twice; to take one of them would be a guess.
        if entries.any(|entry| entry.ref_name() == Some(name) && entry.digest != named.digest) {
            let reason = "names several images in the layout";
            return Err(Error::Invalid { field: "name of an image", value: name.to_owned(), reason });
        }
        self.image(named, platform)
    }

    /// The image behind a descriptor of a manifest or of an index.
    ///
    /// # Errors
    /// As [`Layout::resolve_for`].
    pub fn image(&self, descriptor: &Descriptor, platform: &Platform) -> Result<Image> {
        let mut descriptor = descriptor.clone();
        for _ in 0..INDEX_DEPTH {
            if !descriptor.media_type.is_index() {
                return self.read_image(descriptor);
            }
            let index = Index::parse_as(self.get(&descriptor)?, &descriptor.media_type, &self.limits)?;
            descriptor = index.select(platform).cloned().ok_or_else(|| Error::NotFound {
                object: format!("image for {platform} in index {}", descriptor.digest),
            })?;
        }
        Err(Error::LimitExceeded { limit: "nesting of indexes", max: INDEX_DEPTH as u64 })
    }

    fn read_image(&self, descriptor: Descriptor) -> Result<Image> {
        let manifest = Manifest::parse_as(self.get(&descriptor)?, &descriptor.media_type, &self.limits)?;
        if !manifest.config().media_type.is_config() {
            let feature = format!("running a {}", manifest.config().media_type);
            return Err(Error::Unsupported { feature });
        }
        let config = ImageConfig::parse(self.get(manifest.config())?, &self.limits)?;
        if config.diff_ids().len() != manifest.layers().len() {
            return Err(crate::error::Fault::new("has another number of layers than its configuration")
                .within("layers")
                .of("manifest"));
        }
        Ok(Image { descriptor, manifest, config })
    }

    /// Keeps all blobs from being collected until the lease is dropped: take one before storing blobs, and drop it
    /// when their image has a name. [`pack`](crate::pack::pack) and [`archive`](crate::archive) do so themselves.
    ///
    /// Waits while a collection runs.
    pub fn lease(&self) -> Result<Lease> {
        collect::lease(&self.root)
    }

    /// Removes blobs to which neither the index nor `roots` lead, and files that dead writers left.
    ///
    /// # Errors
    /// [`Error::Busy`] while anyone holds a [`Lease`]. A document that cannot be read, and one of a kind that this
    /// crate does not know: nothing is removed then.
    pub fn collect_garbage(&self, roots: &[Descriptor]) -> Result<Collected> {
        collect::collect(&self.root, &self.limits, roots)
    }

    /// Where a blob lies, for messages and for tools that take paths.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.path.join(blob_path(digest))
    }
}
