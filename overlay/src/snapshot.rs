//! Stacked layers, writable or not.

mod root;

use std::fmt;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::diff::Change;
use crate::entry::Kind;
use crate::error::{Error, Result};
use crate::layer_id::LayerId;
use crate::mount::{DetachedMount, Directories, Standing, denied, mount};
use crate::options::MountOptions;
use crate::path::SafePath;
use crate::record::{Lower, SnapshotRecord};
use crate::scan::{self, Root, Stack, Usage};
use crate::sys::{self, Lease, Named as _, READ_DIRECTORY, Sharing};
use crate::tar::Writer;
use crate::whiteout::XattrNamespace;

pub use root::{RootKind, SnapshotRoot};

/// Where a snapshot lives, and how its store removes it.
pub(crate) struct Home {
    pub(crate) key: String,
    pub(crate) path: PathBuf,
    pub(crate) directory: OwnedFd,
    pub(crate) record: SnapshotRecord,
    /// Topmost first, as the record has them.
    pub(crate) lowers: Vec<OwnedFd>,
    pub(crate) namespace: XattrNamespace,
    /// Mounts a lower directory that is an image once more.
    pub(crate) remount: Box<dyn Fn(Lower) -> Result<OwnedFd> + Send + Sync>,
    pub(crate) discard: Box<dyn Fn() -> Result<()> + Send + Sync>,
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").field("path", &self.path).field("record", &self.record).finish_non_exhaustive()
    }
}

/// The file whose lock says that a snapshot is mounted.
pub(crate) const LOCKED: &[u8] = b"record";

/// Where something in a stack comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The snapshot's writable layer.
    Upper,
    /// A layer.
    Layer(LayerId),
    /// One of the layers: their merged image does not tell which.
    Chain,
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
        open_child(&self.directory, name, &self.path)
    }

    fn mount(&self, is_writable: bool, options: MountOptions, users: Option<BorrowedFd<'_>>) -> Result<DetachedMount> {
        let lease = self
            .lease(if is_writable { Sharing::Exclusive } else { Sharing::Shared })?
            .ok_or_else(|| self.mounted())?;
        self.mount_unleased(is_writable, options, users).map(|mount| mount.with_lease(lease))
    }

    fn mount_unleased(
        &self,
        is_writable: bool,
        options: MountOptions,
        users: Option<BorrowedFd<'_>>,
    ) -> Result<DetachedMount> {
        if self.record.has_attributes && !sys::kernel_has((6, 8)) {
            return Err(by_attribute("the kernel is older than 6.8 and would show what is deleted"));
        }
        mount(|standing| self.directories(is_writable, users, standing), self.namespace, options)
    }

    fn lease(&self, sharing: Sharing) -> Result<Option<Lease>> {
        let file = SafePath::parse(LOCKED).expect("letters are a name");
        Lease::take(self.directory.as_fd(), &file, sharing).named("lock", &self.path)
    }

    fn mounted(&self) -> Error {
        Error::Busy { what: "snapshot", name: self.key.clone(), by: "a mount of it".to_owned() }
    }

    /// Whether somebody holds a mount of it.
    fn is_mounted(&self) -> Result<bool> {
        let file = SafePath::parse(LOCKED).expect("letters are a name");
        Lease::is_taken(self.directory.as_fd(), &file).named("lock", &self.path)
    }

    /// An index keeps names together that the upper directory has apart.
    fn refuse_index(&self) -> Result<()> {
        let index = SafePath::parse(b"work/index").expect("two names are a path");
        let opened = match sys::open_beneath(self.directory.as_fd(), &index, READ_DIRECTORY) {
            Err(Errno::NOENT) => return Ok(()),
            opened => opened.named("open", index.as_path())?,
        };
        if sys::names(opened.as_fd(), index.as_path())?.is_empty() {
            return Ok(());
        }
        Err(Error::NotNative { path: SafePath::root(), attribute: "index" })
    }

    fn directories(&self, is_writable: bool, users: Option<BorrowedFd<'_>>, standing: Standing) -> Result<Directories> {
        let is_detached = standing == Standing::Detached || users.is_some();
        let mut lowers = Vec::with_capacity(self.lowers.len());
        let mut detached = Vec::new();
        for (kind, lower) in self.record.lowers.iter().zip(&self.lowers) {
            let lower = if sys::is_image(lower.as_fd()).named("fstatfs", &self.path)? {
                // A mount of its own: another mount of this snapshot may have had to attach the one before.
                let mount = (self.remount)(*kind)?;
                self.detach(mount, users, &mut detached)?
            } else if is_detached {
                self.detach(self.clone_mount(lower)?, users, &mut detached)?
            } else {
                self.dup(lower)?
            };
            lowers.push(lower);
        }
        let upper = if !is_writable {
            None
        } else if is_detached {
            // The kernel wants both on one mount.
            let both = self.detach(self.clone_mount(&self.directory)?, None, &mut detached)?;
            Some((open_child(&both, "upper", &self.path)?, open_child(&both, "work", &self.path)?))
        } else {
            Some((self.child("upper")?, self.child("work")?))
        };
        let denied = denied(self.directory.as_fd(), &self.path)?;
        Ok(Directories { lowers, detached, upper, denied, object: self.path.clone() })
    }

    fn clone_mount(&self, directory: &OwnedFd) -> Result<OwnedFd> {
        sys::clone_mount(directory.as_fd()).named("open_tree", &self.path)
    }

    /// Maps the owners of a detached mount, if asked for, and gives its root; the mount ends with its own descriptor.
    fn detach(&self, mount: OwnedFd, users: Option<BorrowedFd<'_>>, detached: &mut Vec<OwnedFd>) -> Result<OwnedFd> {
        if let Some(users) = users {
            sys::idmap(mount.as_fd(), users).named("mount_setattr", &self.path)?;
        }
        let root = self.root(&mount)?;
        detached.push(mount);
        Ok(root)
    }

    fn root(&self, mount: &OwnedFd) -> Result<OwnedFd> {
        sys::open_beneath(mount.as_fd(), &SafePath::root(), READ_DIRECTORY).named("open", &self.path)
    }

    fn dup(&self, descriptor: &OwnedFd) -> Result<OwnedFd> {
        rustix::io::fcntl_dupfd_cloexec(descriptor, 0).named("dup", &self.path)
    }

    fn origin(&self, upper: Option<BorrowedFd<'_>>, path: &SafePath) -> Result<Option<Origin>> {
        let above = usize::from(upper.is_some());
        let directories = upper.into_iter().chain(self.lowers.iter().map(AsFd::as_fd)).collect();
        let found = Stack { directories, namespace: self.namespace }.find(path)?;
        Ok(found.map(|found| match found.index.checked_sub(above).map(|index| self.record.lowers[index]) {
            None => Origin::Upper,
            Some(Lower::Layer(layer)) => Origin::Layer(layer),
            Some(Lower::Chain(_)) => Origin::Chain,
            Some(Lower::Finish(_) | Lower::Cover(_) | Lower::Top | Lower::Base) => Origin::Finish,
        }))
    }
}

/// Layers that this way of showing them would show wrongly.
fn by_attribute(reason: &str) -> Error {
    Error::Unsupported { feature: "deletions as attributes", reason: reason.to_owned() }
}

/// The changes that make one tree into another, by path, the root included: applied to the first with
/// [`crate::Whiteouts::Execute`] they give the second.
///
/// # Errors
/// [`Error::Unrepresentable`] for names of the second that an archive cannot spell.
pub fn diff_directories(lower: &Path, upper: &Path) -> Result<Vec<Change>> {
    let (lower, upper) = (sys::open_directory(lower)?, sys::open_directory(upper)?);
    scan::differences(lower.as_fd(), upper.as_fd(), Root::Compared)
}

/// Writes changes as a layer archive, with the content that their files have beneath a directory.
pub fn write_changes<W: Write>(changes: &[Change], directory: &Path, stream: W) -> Result<W> {
    write(changes, sys::open_directory(directory)?.as_fd(), stream)
}

fn write<W: Write>(changes: &[Change], directory: BorrowedFd<'_>, stream: W) -> Result<W> {
    let mut writer = Writer::new(stream);
    for change in changes {
        let file = match change {
            Change::Put(entry) if matches!(entry.kind, Kind::File { .. }) => {
                let file = sys::open_beneath(directory, &entry.path, OFlags::RDONLY | OFlags::NOFOLLOW);
                Some(file.named("open", entry.path.as_path())?)
            }
            _ => None,
        };
        append(&mut writer, change, file)?;
    }
    writer.finish()
}

fn append<W: Write>(writer: &mut Writer<W>, change: &Change, file: Option<OwnedFd>) -> Result<()> {
    match change {
        Change::Delete(path) => writer.whiteout(path),
        Change::Opaque(path) => writer.opaque(path),
        Change::Put(entry) => match file.filter(|_| matches!(entry.kind, Kind::File { .. })) {
            Some(file) => writer.append(entry, &mut std::fs::File::from(file)),
            None => writer.append(entry, &mut std::io::empty()),
        },
    }
}

fn open_child(directory: &OwnedFd, name: &str, object: &Path) -> Result<OwnedFd> {
    let path = SafePath::parse(name.as_bytes()).expect("names of the store are single names");
    sys::open_beneath(directory.as_fd(), &path, READ_DIRECTORY).named("open", &object.join(name))
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

    /// Mounts the stack without attaching it anywhere. At most one mount of a snapshot may exist at a time. Where the
    /// store is on a mount that honours no set-id bits or no devices, this one honours none either.
    ///
    /// # Errors
    /// [`Error::Busy`] while a [`DetachedMount`] or [`crate::MountGuard`] of it lives in any process;
    /// [`Error::UpperOnOverlay`] where the store is inside a container's root, [`Error::Unsupported`] and
    /// [`Error::Mount`] for the kernel's refusals, with what it wrote about them.
    ///
    /// # Kernel
    /// Linux 5.11 for an ordinary user in a user and mount namespace of its own; `CAP_SYS_ADMIN` otherwise.
    pub fn mount(&self, options: &MountOptions) -> Result<DetachedMount> {
        self.home.mount(true, *options, None)
    }

    /// What was changed in the writable layer, from that alone: a directory before what it holds, by path.
    ///
    /// # Errors
    /// [`Error::NotNative`] where a mount left a redirect, a metadata-only copy or an index of names.
    pub fn diff(&self) -> Result<Vec<Change>> {
        self.home.refuse_index()?;
        scan::changes(self.upper()?.as_fd(), self.home.namespace)
    }

    /// Writes what [`Snapshot::diff`] finds as a layer archive and gives the stream back.
    pub fn write_diff<W: Write>(&self, stream: W) -> Result<W> {
        self.home.refuse_index()?;
        let mut writer = Writer::new(stream);
        scan::visit(self.upper()?.as_fd(), self.home.namespace, |change, file| append(&mut writer, &change, file))?;
        writer.finish()
    }

    /// Writes some of what [`Snapshot::diff`] found, in its order, as a layer archive and gives the stream back.
    ///
    /// # Errors
    /// A file that is not there any more, or has become shorter.
    pub fn write_changes<W: Write>(&self, changes: &[Change], stream: W) -> Result<W> {
        let upper = self.upper()?;
        write(changes, upper.as_fd(), stream)
    }

    /// As [`Snapshot::diff`], by comparing all that the snapshot shows with all that its layers show: for one that was
    /// mounted with [`crate::Copies::Parts`] or [`crate::Index::On`]. It is mounted for that, so no other mount of it may
    /// exist.
    pub fn diff_by_walking(&self, options: &MountOptions) -> Result<Vec<Change>> {
        self.walk(*options).map(|(changes, _)| changes)
    }

    /// Writes what [`Snapshot::diff_by_walking`] finds as a layer archive and gives the stream back.
    pub fn write_diff_by_walking<W: Write>(&self, options: &MountOptions, stream: W) -> Result<W> {
        let (changes, root) = self.walk(*options)?;
        write(&changes, root.as_fd(), stream)
    }

    fn walk(&self, options: MountOptions) -> Result<(Vec<Change>, OwnedFd)> {
        let _lease = self.home.lease(Sharing::Exclusive)?.ok_or_else(|| self.home.mounted())?;
        let upper = self.home.root(&self.home.mount_unleased(true, options, None)?.into())?;
        let lower = match &self.home.lowers[..] {
            [only] => self.home.dup(only)?,
            // Nothing is written there, so nothing is copied.
            _ => self.home.root(&self.home.mount_unleased(false, MountOptions::default(), None)?.into())?,
        };
        Ok((scan::differences(lower.as_fd(), upper.as_fd(), Root::Ignored)?, upper))
    }

    /// What the writable layer costs.
    pub fn usage(&self) -> Result<Usage> {
        scan::usage(self.upper()?.as_fd())
    }

    /// Which layer shows a path, links not followed; `None` where there is nothing.
    pub fn origin(&self, path: &SafePath) -> Result<Option<Origin>> {
        self.home.origin(Some(self.upper()?.as_fd()), path)
    }

    /// Whether a [`DetachedMount`] or [`crate::MountGuard`] of it lives, in any process.
    pub fn is_mounted(&self) -> Result<bool> {
        self.home.is_mounted()
    }

    /// Removes the snapshot and its writable layer. End its mount first: of a mount that was turned into a bare
    /// descriptor the kernel does not say that there is one.
    ///
    /// # Errors
    /// [`Error::Busy`] while it is [mounted](Snapshot::is_mounted).
    pub fn remove(self) -> Result<()> {
        let _lease = self.home.lease(Sharing::Exclusive)?.ok_or_else(|| self.home.mounted())?;
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
        self.home.mount(false, *options, None)
    }

    /// As [`View::mount`], with every owner as the user namespace maps it: nothing is copied and nothing changes on disk.
    ///
    /// # Kernel
    /// Linux 5.19, and a file system that takes part; needs `CAP_SYS_ADMIN` in the first user namespace. There is no such
    /// mount of a writable layer: the kernel makes its work directory as the caller, whom the namespace does not map.
    pub fn mount_idmapped(&self, options: &MountOptions, user_namespace: BorrowedFd<'_>) -> Result<DetachedMount> {
        self.home.mount(false, *options, Some(user_namespace))
    }

    /// Which layer shows a path, links not followed; `None` where there is nothing.
    pub fn origin(&self, path: &SafePath) -> Result<Option<Origin>> {
        self.home.origin(None, path)
    }

    /// Whether a [`DetachedMount`] or [`crate::MountGuard`] of it lives, in any process.
    pub fn is_mounted(&self) -> Result<bool> {
        self.home.is_mounted()
    }

    /// Removes the view; a mount of it that exists is not disturbed by that as long as its layers stay.
    pub fn remove(self) -> Result<()> {
        (self.home.discard)()
    }
}
