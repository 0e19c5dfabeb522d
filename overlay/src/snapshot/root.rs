//! A snapshot's tree where overlay may be missing: mounted, mounted by another program, or copied.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use super::{Snapshot, by_attribute, open_child};
use crate::apply;
use crate::diff::Change;
use crate::entry::{Entry, Kind};
use crate::error::{Error, Result};
use crate::mount::MountGuard;
use crate::options::MountOptions;
use crate::path::SafePath;
use crate::scan::{self, Root, Stack};
use crate::sys::{self, Lease, Named as _, READ_DIRECTORY, Sharing};

/// How a snapshot's tree comes to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RootKind {
    /// The kernel's overlay.
    Overlay,
    /// The program `fuse-overlayfs`, where it is installed.
    FuseOverlay,
    /// A copy of all files, whose blocks are shared where the file system can.
    Copy,
}

impl RootKind {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::Overlay, Self::FuseOverlay, Self::Copy];
}

impl fmt::Display for RootKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overlay => "overlay",
            Self::FuseOverlay => "fuse-overlayfs",
            Self::Copy => "a copy",
        })
    }
}

/// A snapshot's tree at a place of the caller's, until it is ended or dropped.
///
/// A copy stays when this value goes: it is a directory like any other, and the caller's to remove.
#[derive(Debug)]
pub struct SnapshotRoot {
    place: Place,
    path: PathBuf,
    refused: Vec<(RootKind, String)>,
}

#[derive(Debug)]
enum Place {
    Overlay(MountGuard),
    Fuse(FuseGuard),
    Copy(#[expect(dead_code, reason = "held for its lock")] Lease),
}

impl SnapshotRoot {
    /// How it came here.
    pub fn kind(&self) -> RootKind {
        match self.place {
            Place::Overlay(_) => RootKind::Overlay,
            Place::Fuse(_) => RootKind::FuseOverlay,
            Place::Copy(_) => RootKind::Copy,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why better ways were not taken, each with its reason.
    pub fn refused(&self) -> &[(RootKind, String)] {
        &self.refused
    }

    /// Unmounts, if there is a mount.
    pub fn end(self) -> Result<()> {
        match self.place {
            Place::Overlay(guard) => guard.unmount(),
            Place::Fuse(mut guard) => guard.unmount(),
            Place::Copy(_) => Ok(()),
        }
    }
}

impl Snapshot {
    /// Brings the tree to an empty directory in the first of these ways that works here; [`SnapshotRoot::refused`] says
    /// why it is not a better one. What was written into a copy is in the copy alone.
    ///
    /// # Errors
    /// That of the last way; [`Error::Invalid`] for no way, or a copy into a directory that is not empty.
    pub fn root(&self, at: &Path, ways: &[RootKind], options: &MountOptions) -> Result<SnapshotRoot> {
        let mut refused = Vec::new();
        for (number, way) in ways.iter().enumerate() {
            let place = match way {
                RootKind::Overlay => self.mount(options).and_then(|mount| mount.attach(at)).map(Place::Overlay),
                RootKind::FuseOverlay => self.mount_by_fuse(at).map(Place::Fuse),
                RootKind::Copy => self.copy(at).map(Place::Copy),
            };
            match place {
                Ok(place) => return Ok(SnapshotRoot { place, path: at.to_owned(), refused }),
                // Another way would give two trees that know nothing of each other.
                Err(error @ Error::Busy { .. }) => return Err(error),
                Err(error) if number + 1 == ways.len() => return Err(error),
                Err(error) => {
                    let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
                    refused.push((*way, format!("{error}{}", source.unwrap_or_default())));
                }
            }
        }
        Err(Error::Invalid { field: "ways", value: String::new(), reason: "none was given" })
    }

    /// What was changed in a tree that [`Snapshot::root`] gave, whatever the way: a directory before what it holds.
    pub fn diff_of(&self, root: &SnapshotRoot) -> Result<Vec<Change>> {
        if root.kind() == RootKind::Overlay {
            return self.diff();
        }
        // Beside the writable layer, where a dead process's is removed with the snapshot.
        let home = self.home.directory.as_fd();
        let (name, before) = sys::unique_directory(home, 0, &self.home.path)?;
        let differences = self.copy_lowers(before.as_fd()).and_then(|()| {
            let after = sys::open_directory(&root.path)?;
            scan::differences(before.as_fd(), after.as_fd(), Root::Ignored)
        });
        match (differences, sys::remove(home, &name)) {
            (Err(first), Err(cleanup)) => Err(Error::Cleanup { cleanup: Box::new(cleanup), first: Box::new(first) }),
            (Ok(_), Err(error)) | (Err(error), Ok(())) => Err(error),
            (Ok(differences), Ok(())) => Ok(differences),
        }
    }

    fn exclusive(&self) -> Result<Lease> {
        self.home.lease(Sharing::Exclusive)?.ok_or_else(|| self.home.mounted())
    }

    fn mount_by_fuse(&self, at: &Path) -> Result<FuseGuard> {
        if self.home.record.has_attributes {
            return Err(by_attribute("fuse-overlayfs knows devices only"));
        }
        let lease = self.exclusive()?;
        let (upper, work) = (self.upper()?, open_child(&self.home.directory, "work", &self.home.path)?);
        let process = rustix::process::getpid().as_raw_nonzero();
        let path = |directory: &OwnedFd| format!("/proc/{process}/fd/{}", directory.as_raw_fd());
        let lowers: Vec<String> = self.home.lowers.iter().map(path).collect();
        let settings = format!("lowerdir={},upperdir={},workdir={}", lowers.join(":"), path(&upper), path(&work));
        let output = Command::new(FUSE).args(["-o", &settings]).arg(at).stdin(Stdio::null()).output();
        succeeded(output)?;
        Ok(FuseGuard { mounted: Some(at.to_owned()), _lease: lease })
    }

    fn copy(&self, at: &Path) -> Result<Lease> {
        let lease = self.exclusive()?;
        let directory = sys::open_directory(at)?;
        if !sys::names(directory.as_fd(), at)?.is_empty() {
            let value = at.display().to_string();
            return Err(Error::Invalid { field: "target of a copy", value, reason: "is not empty" });
        }
        let upper = self.upper()?;
        let above = std::iter::once(upper.as_fd());
        let directories = above.chain(self.home.lowers.iter().map(OwnedFd::as_fd)).collect();
        copy_tree(&Stack { directories, namespace: self.home.namespace }, directory.as_fd())?;
        Ok(lease)
    }

    /// What the snapshot was before anything was changed.
    fn copy_lowers(&self, to: BorrowedFd<'_>) -> Result<()> {
        let directories = self.home.lowers.iter().map(OwnedFd::as_fd).collect();
        copy_tree(&Stack { directories, namespace: self.home.namespace }, to)
    }
}

/// Copies all that a stack shows into an empty directory.
fn copy_tree(stack: &Stack<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let mut directories: Vec<Entry> = Vec::new();
    let mut first_names: HashMap<(usize, u64), SafePath> = HashMap::new();
    let mut ahead = vec![SafePath::root()];
    directories.extend(stack.root()?);
    while let Some(path) = ahead.pop() {
        let here = sys::open_beneath(to, &path, READ_DIRECTORY).named("open", path.as_path())?;
        for name in stack.names(&path)? {
            let child = path.join(&name).expect("the kernel gives single names");
            let Some(found) = stack.find(&child)? else { continue };
            let (parent, name) = stack.place(found.index, &child)?;
            let entry = scan::entry(parent.as_fd(), &name, child.clone(), &found.stat)?;
            if entry.kind == Kind::Directory {
                rustix::fs::mkdirat(&here, name.as_path(), Mode::RWXU).named("mkdirat", child.as_path())?;
                directories.push(entry);
                ahead.push(child);
                continue;
            }
            let number = (found.index, found.stat.st_ino);
            if let Some(first) = first_names.get(&number).filter(|_| found.stat.st_nlink > 1) {
                rustix::fs::linkat(to, first.as_path(), &here, name.as_path(), AtFlags::empty())
                    .named("linkat", child.as_path())?;
                continue;
            }
            first_names.insert(number, child);
            apply::copy(parent.as_fd(), &name, &entry, here.try_clone().named("dup", path.as_path())?)?;
        }
    }
    // Deepest last, so that no later write changes a time or meets a mode that denies it.
    for entry in directories.iter().rev() {
        let directory = sys::open_beneath(to, &entry.path, READ_DIRECTORY).named("open", entry.path.as_path())?;
        apply::dress_directory(directory.as_fd(), entry)?;
    }
    Ok(())
}

const FUSE: &str = "fuse-overlayfs";

fn succeeded(output: std::io::Result<Output>) -> Result<()> {
    let missing = |reason: String| Err(Error::Unsupported { feature: FUSE, reason });
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => missing(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => missing(error.to_string()),
    }
}

/// Unmounts when dropped; the program ends with its mount.
#[derive(Debug)]
struct FuseGuard {
    mounted: Option<PathBuf>,
    _lease: Lease,
}

impl FuseGuard {
    fn unmount(&mut self) -> Result<()> {
        let Some(at) = self.mounted.take() else { return Ok(()) };
        match rustix::mount::unmount(&at, UnmountFlags::NOFOLLOW) {
            // An ordinary user's mount was made by a program with more rights.
            Err(Errno::PERM) => succeeded(Command::new("fusermount3").arg("-u").arg(&at).output()),
            unmounted => unmounted.named("umount", &at),
        }
    }
}

impl Drop for FuseGuard {
    fn drop(&mut self) {
        // Nobody is left to tell.
        drop(self.unmount());
    }
}
