//! Collecting garbage: blobs that nothing leads to, and what dead writers left.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::fcntl::OFlag;

use super::root::{Root, UNFINISHED, blob_path};
use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::limits::Limits;
use crate::manifest::Manifest;

/// Keeps every blob of a layout as long as it lives, for the time between storing blobs and naming their image.
///
/// # Kernel
/// A shared `flock` on the layout's `blobs` directory; it ends with the process at the latest.
#[derive(Debug)]
pub struct Lease {
    _lock: File,
}

/// What a collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// Blobs to which nothing led.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that writers which died had not finished.
    pub unfinished: u64,
}

/// What is reachable; an image that is not wholly there keeps what it has.
struct Marks<'r> {
    root: &'r Root,
    limits: &'r Limits,
    blobs: BTreeSet<Digest>,
}

pub(super) fn lease(root: &Root) -> Result<Lease> {
    let lock = open_blobs(root)?;
    lock.lock_shared().map_err(Error::sys("lock", root.path.join("blobs")))?;
    Ok(Lease { _lock: lock })
}

pub(super) fn collect(root: &Root, limits: &Limits, roots: &[Descriptor]) -> Result<Collected> {
    let leases = open_blobs(root)?;
    match leases.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Error::Busy { path: root.path.clone() }),
        Err(TryLockError::Error(error)) => return Err(Error::sys("lock", root.path.join("blobs"))(error)),
    }
    // Nothing gets a name while it is decided what has none.
    let _index = root.lock()?;
    let mut marks = Marks { root, limits, blobs: BTreeSet::new() };
    for descriptor in root.read_index(limits)?.manifests().iter().chain(roots) {
        marks.mark(descriptor)?;
    }
    let mut collected = Collected::default();
    for algorithm in Algorithm::ALL {
        sweep(root, algorithm, &marks.blobs, &mut collected)?;
    }
    collected.unfinished = sweep_unfinished(root)?;
    Ok(collected)
}

fn open_blobs(root: &Root) -> Result<File> {
    root.open_beneath(Path::new("blobs"), OFlag::O_RDONLY | OFlag::O_DIRECTORY)
}

impl Marks<'_> {
    fn mark(&mut self, descriptor: &Descriptor) -> Result<()> {
        let mut left = vec![descriptor.clone()];
        while let Some(descriptor) = left.pop() {
            // A layer leads nowhere.
            if !self.blobs.insert(descriptor.digest) || descriptor.media_type.layer_codec().is_some() {
                continue;
            }
            let content = match self.root.get(&descriptor, self.limits) {
                Ok(content) => content,
                // Copies of one platform's image keep the whole index.
                Err(Error::NotFound { .. }) => continue,
                Err(error) => return Err(error),
            };
            if descriptor.media_type.is_index() {
                let index = Index::parse_as(content, &descriptor.media_type, self.limits)?;
                left.extend(index.manifests().iter().chain(index.subject()).cloned());
            } else if descriptor.media_type.is_manifest() {
                let manifest = Manifest::parse_as(content, &descriptor.media_type, self.limits)?;
                self.blobs.insert(manifest.config().digest);
                self.blobs.extend(manifest.layers().iter().map(|layer| layer.digest));
                left.extend(manifest.subject().cloned());
            } else {
                // It may lead to other blobs in a way that is not known here, so nothing can be called garbage.
                let feature = format!("collecting garbage beside a {}", descriptor.media_type);
                return Err(Error::Unsupported { feature });
            }
        }
        Ok(())
    }
}

fn sweep(root: &Root, algorithm: Algorithm, kept: &BTreeSet<Digest>, collected: &mut Collected) -> Result<()> {
    let directory = Path::new("blobs").join(algorithm.as_str());
    for name in match regular_files(root, &directory) {
        Err(Error::NotFound { .. }) => return Ok(()),
        names => names?,
    } {
        // What is not called like a blob is not this crate's to remove.
        let Ok(digest) = Digest::parse(&format!("{algorithm}:{name}")) else { continue };
        if kept.contains(&digest) {
            continue;
        }
        let path = blob_path(&digest);
        let (_, bytes) = root.open_regular(&path)?;
        root.remove(&path)?;
        collected.blobs += 1;
        collected.bytes += bytes;
    }
    Ok(())
}

fn sweep_unfinished(root: &Root) -> Result<u64> {
    let mut removed = 0;
    for name in regular_files(root, Path::new("."))?.into_iter().filter(|name| name.starts_with(UNFINISHED)) {
        let path = Path::new(&name);
        let file = match root.open_regular(path) {
            Err(Error::NotFound { .. }) => continue,
            opened => opened?.0,
        };
        // A writer that lives holds a lock on its file.
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => return Err(Error::sys("lock", root.path.join(path))(error)),
        }
        root.remove(path)?;
        removed += 1;
    }
    Ok(removed)
}

/// The names of the regular files in a directory, as far as they are UTF-8.
fn regular_files(root: &Root, path: &Path) -> Result<Vec<String>> {
    let failed = |errno| Error::errno("list", root.path.join(path))(errno);
    let file = root.open_beneath(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
    let mut directory = Dir::from_fd(file.into()).map_err(failed)?;
    let mut names = Vec::new();
    for entry in directory.iter() {
        let entry = entry.map_err(failed)?;
        // Some file systems do not say the type; opening tells it then.
        if matches!(entry.file_type(), Some(Type::File) | None)
            && let Ok(name) = entry.file_name().to_str()
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
