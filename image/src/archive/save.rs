//! Writing archives.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use crate::descriptor::{Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::json::{self, Object, Value};
use crate::layout::{Image, Layout};
use crate::reference::Reference;

/// The annotation in which containerd and docker look for a whole reference.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An image to put into an archive.
#[derive(Debug, Clone, Copy)]
pub struct Saved<'i> {
    /// The image.
    pub image: &'i Image,
    /// The names that it shall have for who loads it.
    pub references: &'i [Reference],
}

/// Writes images of `layout` as one archive; blobs that they share are in it once, compressed as they are stored.
///
/// # Errors
/// A blob that is missing or wrong, and a writer that fails; the archive is of no use then.
pub fn save(layout: &Layout, images: &[Saved<'_>], out: impl Write) -> Result<()> {
    let mut archive = tar::Builder::new(out);
    for directory in ["blobs/", "blobs/sha256/"] {
        let header = header(tar::EntryType::Directory, 0o755, 0);
        append(&mut archive, header, directory, io::empty())?;
    }
    let mut written = BTreeSet::new();
    for saved in images {
        let manifest = &saved.image.manifest;
        let blobs = [&saved.image.descriptor, manifest.config()].into_iter().chain(manifest.layers());
        for blob in blobs.filter(|blob| written.insert(blob.digest)) {
            let content = layout.open_blob(blob)?;
            append_file(&mut archive, &blob_name(&blob.digest), blob.size, content)?;
        }
    }
    let index = Index::build(&index_entries(images), &std::collections::BTreeMap::new())?;
    let docker = json::canonical(&Value::Array(images.iter().map(docker_entry).collect()));
    for (name, content) in
        [("index.json", index.raw()), ("manifest.json", &docker), ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)]
    {
        append_file(&mut archive, name, content.len() as u64, content)?;
    }
    let mut out = archive.into_inner().map_err(Error::sys("write", "an image archive"))?;
    out.flush().map_err(Error::sys("write", "an image archive"))
}

fn index_entries(images: &[Saved<'_>]) -> Vec<Descriptor> {
    let mut entries = Vec::new();
    for saved in images {
        if saved.references.is_empty() {
            entries.push(saved.image.descriptor.clone());
        }
        for reference in saved.references {
            let mut entry = saved.image.descriptor.clone();
            entry.annotations.insert(CONTAINERD_NAME.to_owned(), reference.to_string());
            if let Some(tag) = reference.tag() {
                entry.annotations.insert(REF_NAME.to_owned(), tag.to_owned());
            }
            entries.push(entry);
        }
    }
    entries
}

/// An entry of `manifest.json`.
fn docker_entry(saved: &Saved<'_>) -> Value<'static> {
    let path = |digest: &Digest| Value::text(blob_name(digest));
    // Docker's names have a tag and nothing else behind the repository.
    let tags = saved.references.iter().filter_map(|reference| {
        let familiar = reference.familiar();
        reference.tag().map(|_| familiar.split('@').next().unwrap_or(familiar).to_owned())
    });
    let mut entry = Object::default();
    entry.set("Config", path(&saved.image.manifest.config().digest));
    entry.set("RepoTags", Value::Array(tags.map(Value::text).collect()));
    entry.set("Layers", Value::Array(saved.image.manifest.layers().iter().map(|layer| path(&layer.digest)).collect()));
    Value::Object(entry)
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

fn append_file<W: Write>(archive: &mut tar::Builder<W>, name: &str, size: u64, content: impl Read) -> Result<()> {
    append(archive, header(tar::EntryType::Regular, 0o644, size), name, content)
}

fn append<W: Write>(
    archive: &mut tar::Builder<W>,
    mut header: tar::Header,
    name: &str,
    content: impl Read,
) -> Result<()> {
    archive.append_data(&mut header, name, content).map_err(Error::sys("write the archive's entry", name))
}
