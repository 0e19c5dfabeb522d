//! Stacked layers, writable or not.

use std::fmt;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::diff::Change;
use crate::entry::Kind;
use crate::error::Result;
use crate::layer_id::LayerId;
use crate::mount::{DetachedMount, Directories, mount};
use crate::options::MountOptions;
use crate::path::SafePath;
use crate::record::{Lower, SnapshotRecord};
use crate::scan::{self, Stack, Usage};
use crate::sys::{self, Named as _, READ_DIRECTORY};
use crate::tar::Writer;
use crate::whiteout::XattrNamespace;

/// Where a snapshot lives, and how its store removes it.
pub(crate) struct Home {
    pub(crate) key: String,
    pub(crate) path: PathBuf,
    pub(crate) directory: OwnedFd,
    pub(crate) record: SnapshotRecord,
    /// Topmost first, as the record has them.
    pub(crate) lowers: Vec<OwnedFd>,
    pub(crate) namespace: XattrNamespace,
    pub(crate) discard: Box<dyn Fn() -> Result<()> + Send + Sync>,
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").field("path", &self.path).field("record", &self.record).finish_non_exhaustive()
    }
}

/// Where something in a stack comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The snapshot's writable layer.
    Upper,
    /// A layer.
    Layer(LayerId),
    /// The snapshot's own finishing of its layers: a link into a lower layer, or a directory that a layer only uses.
    Finish,
}

/// Layers under a writable layer of its own.
///
/// It stays in its store until [`Snapshot::remove`]; dropping this value only closes descriptors.
#[derive(Debug)]
pub struct Snapshot {
    home: Home,
}

/// Layers that are only read.
#[derive(Debug)]
pub struct View {
    home: Home,
}

impl Home {
    fn child(&self, name: &str) -> Result<OwnedFd> {
        let path = SafePath::parse(name.as_bytes()).expect("names of the store are single names");
        sys::open_beneath(self.directory.as_fd(), &path, READ_DIRECTORY).named("open", &self.path.join(name))
    }

    fn mount(&self, upper: Option<(OwnedFd, OwnedFd)>, options: MountOptions) -> Result<DetachedMount> {
        let mut lowers = Vec::with_capacity(self.lowers.len());
        for lower in &self.lowers {
            lowers.push(rustix::io::fcntl_dupfd_cloexec(lower, 0).named("dup", &self.path)?);
        }
        mount(&Directories { lowers, upper, object: self.path.clone() }, self.namespace, options)
    }

    fn origin(&self, upper: Option<BorrowedFd<'_>>, path: &SafePath) -> Result<Option<Origin>> {
        let above = usize::from(upper.is_some());
        let directories = upper.into_iter().chain(self.lowers.iter().map(AsFd::as_fd)).collect();
        let found = Stack { directories, namespace: self.namespace }.find(path)?;
        Ok(found.map(|found| match found.index.checked_sub(above).map(|index| self.record.lowers[index]) {
            None => Origin::Upper,
            Some(Lower::Layer(layer)) => Origin::Layer(layer),
            Some(Lower::Finish(_) | Lower::Top | Lower::Base) => Origin::Finish,
        }))
    }
}

impl Snapshot {
    pub(crate) fn new(home: Home) -> Self {
        Self { home }
    }

    /// The key in its store.
    pub fn key(&self) -> &str {
        &self.home.key
    }

    /// The layers that it was made of, bottom first.
    pub fn layers(&self) -> &[LayerId] {
        &self.home.record.layers
    }

    /// Mounts the stack without attaching it anywhere. At most one mount of a snapshot may exist at a time.
    ///
    /// # Errors
    /// [`crate::Error::UpperOnOverlay`] where the store is inside a container's root, [`crate::Error::Unsupported`] and
    /// [`crate::Error::Mount`] for the kernel's refusals, with what it wrote about them.
    ///
    /// # Kernel
    /// Linux 5.11 for an ordinary user in a user and mount namespace of its own; `CAP_SYS_ADMIN` otherwise.
    pub fn mount(&self, options: &MountOptions) -> Result<DetachedMount> {
        self.home.mount(Some((self.upper()?, self.home.child("work")?)), *options)
    }

    /// What was changed in the writable layer, from that alone: a directory before what it holds, by path.
    ///
    /// # Errors
    /// [`crate::Error::NotNative`] where a mount by someone else left a redirect or a metadata-only copy.
    pub fn diff(&self) -> Result<Vec<Change>> {
        scan::changes(self.upper()?.as_fd(), self.home.namespace)
    }

    /// Writes what [`Snapshot::diff`] finds as a layer archive and gives the stream back.
    pub fn write_diff<W: Write>(&self, stream: W) -> Result<W> {
        let upper = self.upper()?;
        let mut writer = Writer::new(stream);
        for change in scan::changes(upper.as_fd(), self.home.namespace)? {
            match &change {
                Change::Delete(path) => writer.whiteout(path)?,
                Change::Opaque(path) => writer.opaque(path)?,
                Change::Put(entry) if matches!(entry.kind, Kind::File { .. }) => {
                    let flags = OFlags::RDONLY | OFlags::NOFOLLOW;
                    let file = sys::open_beneath(upper.as_fd(), &entry.path, flags);
                    let file = file.named("open", entry.path.as_path())?;
                    writer.append(entry, &mut std::fs::File::from(file))?;
                }
                Change::Put(entry) => writer.append(entry, &mut std::io::empty())?,
            }
        }
        writer.finish()
    }

    /// What the writable layer costs.
    pub fn usage(&self) -> Result<Usage> {
        scan::usage(self.upper()?.as_fd())
    }

    /// Which layer shows a path, links not followed; `None` where there is nothing.
    pub fn origin(&self, path: &SafePath) -> Result<Option<Origin>> {
        self.home.origin(Some(self.upper()?.as_fd()), path)
    }

    /// Removes the snapshot and its writable layer. End its mount first: the kernel does not say that there is one.
    pub fn remove(self) -> Result<()> {
        (self.home.discard)()
    }

    /// Where the snapshot is on disk, for messages.
    pub fn path(&self) -> &Path {
        &self.home.path
    }

    fn upper(&self) -> Result<OwnedFd> {
        self.home.child("upper")
    }
}

impl View {
    pub(crate) fn new(home: Home) -> Self {
        Self { home }
    }

    /// The key in its store.
    pub fn key(&self) -> &str {
        &self.home.key
    }

    /// The layers that it was made of, bottom first.
    pub fn layers(&self) -> &[LayerId] {
        &self.home.record.layers
    }

    /// Mounts the stack read-only without attaching it anywhere, as often as wanted; errors as [`Snapshot::mount`].
    pub fn mount(&self, options: &MountOptions) -> Result<DetachedMount> {
        self.home.mount(None, *options)
    }

    /// Which layer shows a path, links not followed; `None` where there is nothing.
    pub fn origin(&self, path: &SafePath) -> Result<Option<Origin>> {
        self.home.origin(None, path)
    }

    /// Removes the view; a mount of it that exists is not disturbed by that as long as its layers stay.
    pub fn remove(self) -> Result<()> {
        (self.home.discard)()
    }
}
