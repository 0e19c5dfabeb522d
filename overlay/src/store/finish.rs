//! The ordered second pass: what a layer could not tell alone, told once it is stacked.
//!
//! A layer is applied without the layers beneath it. Where it uses a directory that it does not name, the directory
//! beneath lends its owner, mode and time; where a symbolic link is beneath, what the layer has there belongs where the
//! link leads; and a hard link may name a file that only a layer beneath has. All of that is put, by links to the
//! layers' own files, into one small directory right above the layer, which the snapshot owns.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::rooms::{Rooms, Work};
use crate::apply::copy;
use crate::entry::{Metadata, Timestamp};
use crate::error::{Error, Result};
use crate::layer_id::LayerId;
use crate::options::{LayerFormat, WhiteoutStyle};
use crate::path::SafePath;
use crate::record::{LayerRecord, Lower};
use crate::scan::{self, Last, Stack};
use crate::sys::{self, Named as _, Object, PLACE, READ_DIRECTORY, Spelling, cover_at, is_deletion};
use crate::unfinished::Unfinished;
use crate::whiteout;

/// The name of a directory of the snapshot's own.
pub(super) fn own_name(lower: Lower) -> String {
    match lower {
        Lower::Finish(place) => format!("finish-{place}"),
        Lower::Cover(place) => format!("cover-{place}"),
        Lower::Top => "top".to_owned(),
        Lower::Base => "base".to_owned(),
        Lower::Layer(_) | Lower::Chain(_) => unreachable!("a layer is the store's own directory"),
    }
}

/// The lower directories of a stack, topmost first: layers, and what finishes them.
pub(super) fn finish(rooms: &Rooms, work: &Work, layers: &[(OwnedFd, LayerId, LayerRecord)]) -> Result<Vec<Lower>> {
    let mut lowers: Vec<(Lower, OwnedFd)> = Vec::new();
    for (place, (_, layer, record)) in layers.iter().enumerate() {
        if record.unfinished.opaque_root {
            lowers.clear();
        }
        let tree = rooms.open_lower(*layer)?;
        let below: Vec<BorrowedFd<'_>> = lowers.iter().map(|(_, directory)| directory.as_fd()).collect();
        let mut finisher = Finisher {
            work,
            name: own_name(Lower::Finish(place)),
            layer: Stack { directories: vec![tree.as_fd()], namespace: rooms.namespace },
            below: Stack { directories: below, namespace: rooms.namespace },
            unfinished: &record.unfinished,
            own: None,
            moved: BTreeMap::new(),
            named: BTreeMap::new(),
            copied: BTreeMap::new(),
            times: BTreeMap::new(),
        };
        finisher.passed()?;
        finisher.parents()?;
        finisher.links()?;
        let cover = match record.format {
            LayerFormat::Dir(WhiteoutStyle::Attribute) => finisher.cover(&own_name(Lower::Cover(place)))?,
            LayerFormat::Dir(WhiteoutStyle::Device) | LayerFormat::ErofsTar | LayerFormat::ErofsMerged => {
                finisher.deletions()?;
                None
            }
        };
        let own = finisher.end()?;
        lowers.splice(0..0, cover.map(|cover| (Lower::Cover(place), cover)));
        lowers.insert(0, (Lower::Layer(*layer), tree));
        lowers.splice(0..0, own.map(|own| (Lower::Finish(place), own)));
    }
    // The kernel refuses a directory twice. Of a layer that is there twice only the upper one is seen: all that it says
    // it says again.
    let mut seen = BTreeSet::new();
    let lowers = lowers.into_iter().map(|(lower, _)| lower);
    Ok(lowers.filter(|lower| if let Lower::Layer(layer) = lower { seen.insert(*layer) } else { true }).collect())
}

/// Gives the root of a stack the metadata that the topmost layer which names it says.
pub(super) fn dress_root(
    rooms: &Rooms,
    root: BorrowedFd<'_>,
    layers: &[(OwnedFd, LayerId, LayerRecord)],
) -> Result<()> {
    let here = SafePath::root();
    for (_, layer, record) in layers.iter().rev() {
        if !record.unfinished.parents.contains(&here) {
            let tree = rooms.open_lower(*layer)?;
            return dress(root, &metadata(tree.as_fd(), &here)?, &here);
        }
    }
    // No layer names it: as the lowest one was applied, or the caller's own.
    let like = match layers.first() {
        Some((_, layer, _)) => Some(rooms.open_lower(*layer)?),
        None => None,
    };
    let like = metadata(like.as_ref().map_or(root, AsFd::as_fd), &here)?;
    dress(root, &Metadata { mode: 0o755, mtime: Timestamp::default(), ..like }, &here)
}

/// Finishes one layer.
struct Finisher<'a> {
    work: &'a Work,
    name: String,
    layer: Stack<'a>,
    below: Stack<'a>,
    unfinished: &'a Unfinished,
    /// Made when the first thing goes into it.
    own: Option<OwnedFd>,
    /// Directories of the layer that belong elsewhere, because a symbolic link is beneath.
    moved: BTreeMap<SafePath, SafePath>,
    /// Directories that the layer names by a way through a symbolic link beneath, by where they belong.
    named: BTreeMap<SafePath, Metadata>,
    /// The first copy of each file, by device and inode.
    copied: BTreeMap<(u64, u64), SafePath>,
    times: BTreeMap<SafePath, Timestamp>,
}

impl Finisher<'_> {
    /// What cannot be told any more is refused.
    fn passed(&self) -> Result<()> {
        for path in &self.unfinished.passed {
            let real = self.resolve(path, Last::Keep)?;
            if self.below.find(&real)?.is_some_and(|found| found.is_symlink()) {
                return Err(ambiguous(path, "was used through a lower layer's symbolic link and then changed"));
            }
        }
        Ok(())
    }

    /// Where a path led when the layer used it, unless the layer itself changed the way.
    fn resolve(&self, path: &SafePath, last: Last) -> Result<SafePath> {
        let changed = || ambiguous(path, "leads through a symbolic link of a lower layer, which the layer changes");
        let resolved = match self.below.resolve(path, last) {
            // A circle that the layer must have broken first, or it would not have been applied.
            Err(Error::LimitExceeded { .. }) => return Err(changed()),
            resolved => resolved?,
        };
        for link in &resolved.links {
            if self.layer.top_tells(link)? && !self.unfinished.parents.contains(link) {
                return Err(changed());
            }
        }
        Ok(resolved.path)
    }

    fn parents(&mut self) -> Result<()> {
        for parent in &self.unfinished.parents {
            if parent.is_root() || self.is_moved(parent) || self.layer.top_hides(parent)? {
                continue;
            }
            let Some(found) = self.below.find(parent)? else { continue };
            if found.is_symlink() {
                self.relocate(parent)?;
            } else if found.is_directory() {
                let lent = directory_metadata(&self.below, found.index, parent)?;
                if lent != directory_metadata(&self.layer, 0, parent)? {
                    self.ensure(parent)?;
                }
            }
        }
        Ok(())
    }

    fn links(&mut self) -> Result<()> {
        let mut copied = Vec::new();
        for (link, target) in &self.unfinished.links {
            let missing = || Error::LinkTarget { path: link.clone(), target: target.clone() };
            let source = self.resolve(target, Last::Keep)?;
            let is_elsewhere = source != *target && self.layer.find(&source)?.is_some();
            let own = self.own.iter().map(AsFd::as_fd).collect();
            let is_moved_here = Stack { directories: own, namespace: self.layer.namespace }.find(&source)?.is_some();
            if is_elsewhere || is_moved_here {
                return Err(ambiguous(target, "is linked to, and written by another path to the same place"));
            }
            let found = self.below.find(&source)?.filter(|found| !found.is_directory()).ok_or_else(missing)?;
            let link = self.translate(link);
            self.ensure(&link.parent().expect("a link has a name"))?;
            let (from, from_name) = self.below.place(found.index, &source)?;
            self.link(from.as_fd(), &from_name, &link)?;
            if self.copied.contains_key(&(found.stat.st_dev, found.stat.st_ino)) {
                copied.push((source, found));
            }
        }
        for (source, found) in &copied {
            self.rename_all(source, found)?;
        }
        Ok(())
    }

    /// A link into an image made a copy of the file: it takes over all names that the file has in its layer.
    fn rename_all(&mut self, source: &SafePath, found: &scan::Found) -> Result<()> {
        let mut names = vec![source.clone()];
        if found.stat.st_nlink > 1 {
            names = scan::names_of(self.below.directories[found.index], &found.stat)?;
        }
        for name in names {
            let shown = self.below.find(&name)?;
            let is_shown = shown.is_some_and(|shown| shown.index == found.index && !self.is_moved(&name))
                && !self.layer.top_tells(&name)?
                && !self.layer.top_hides(&name)?;
            let own = self.own.iter().map(AsFd::as_fd).collect();
            let is_there = Stack { directories: own, namespace: self.layer.namespace }.find(&name)?.is_some();
            if is_shown && !is_there {
                self.ensure(&name.parent().expect("a file has a name"))?;
                let (from, from_name) = self.below.place(found.index, &name)?;
                self.link(from.as_fd(), &from_name, &name)?;
            }
        }
        Ok(())
    }

    /// A second directory in the same place makes the kernel merge the two, and so leave out what is deleted.
    fn deletions(&mut self) -> Result<()> {
        for path in &self.unfinished.deleting {
            let is_merged = self.below.find(path)?.is_some_and(|found| found.is_directory())
                && !self.layer.top_hides(path)?
                && !self.layer.is_opaque(self.layer.directories[0], path)?;
            if !path.is_root() && !self.is_moved(path) && !is_merged {
                self.ensure(path)?;
            }
        }
        Ok(())
    }

    /// Directories right beneath those of the layer in which files say what is deleted: the kernel compares them with what
    /// is beneath, and shows them where that is nothing.
    fn cover(&self, name: &str) -> Result<Option<OwnedFd>> {
        let mut cover = None;
        for path in &self.unfinished.deleting {
            let is_merged = if path.is_root() {
                !self.below.directories.is_empty()
            } else {
                self.below.find(path)?.is_some_and(|found| found.is_directory())
            };
            if is_merged {
                continue;
            }
            let root = match cover.take() {
                Some(root) => root,
                None => self.work.directory(name)?,
            };
            cover_at(root.as_fd(), path)?;
            cover = Some(root);
        }
        Ok(cover)
    }

    /// Restores the times that making names has changed.
    fn end(self) -> Result<Option<OwnedFd>> {
        let Some(own) = self.own else { return Ok(None) };
        for (path, time) in self.times.iter().rev() {
            let directory = sys::open_beneath(own.as_fd(), path, READ_DIRECTORY).named("open", path.as_path())?;
            set_time(directory.as_fd(), *time, path)?;
        }
        Ok(Some(own))
    }

    fn is_moved(&self, path: &SafePath) -> bool {
        self.moved.keys().any(|moved| path.starts_with(moved))
    }

    /// Where a path of the layer belongs: beneath the directory that its own was moved to, or where it is.
    fn translate(&self, path: &SafePath) -> SafePath {
        let moved = self.moved.iter().rev().find(|(from, _)| path.starts_with(from));
        let Some((from, to)) = moved else { return path.clone() };
        let mut translated = to.clone();
        for part in path.components().skip(from.depth()) {
            translated = translated.join(part).expect("a part of a path is a name");
        }
        translated
    }

    /// Shows the symbolic link again, and the layer's directory where the link leads.
    fn relocate(&mut self, path: &SafePath) -> Result<()> {
        let link = self.translate(path);
        let to = self.destination(&link)?;
        if link == *path
            && let Some(found) = self.below.find(&link)?
        {
            self.ensure(&link.parent().expect("the root is no link"))?;
            let (from, name) = self.below.place(found.index, &link)?;
            self.link(from.as_fd(), &name, &link)?;
        }
        self.moved.insert(path.clone(), to.clone());
        self.ensure(&to)?;
        self.copy_children(path, &to)
    }

    /// Whether the layer has something at a path that does not merge with what is beneath.
    fn replaces(&self, path: &SafePath) -> Result<bool> {
        match self.layer.find(path)? {
            Some(found) if found.is_directory() => self.layer.is_opaque(self.layer.directories[0], path),
            Some(_) => Ok(true),
            None => self.layer.top_tells(path),
        }
    }

    /// Where a symbolic link of a lower layer leads what the layer has in its place.
    fn destination(&self, link: &SafePath) -> Result<SafePath> {
        let to = self.resolve(link, Last::Follow)?;
        if to.starts_with(link) {
            return Err(ambiguous(link, "leads beneath itself, and the layer has files there"));
        }
        if self.replaces(&to)? || self.layer.top_hides(&to)? {
            return Err(ambiguous(&to, "is changed by the layer, and written through a lower layer's symbolic link"));
        }
        Ok(to)
    }

    fn copy_children(&mut self, from: &SafePath, to: &SafePath) -> Result<()> {
        let directory = sys::open_beneath(self.layer.directories[0], from, READ_DIRECTORY);
        let directory = directory.named("open", from.as_path())?;
        let opaque = Object::Open(directory.as_fd()).get(self.layer.namespace.opaque().as_bytes(), from.as_path())?;
        if opaque.as_deref() == Some(b"y") {
            if self.layer.find(to)?.is_some() {
                return Err(ambiguous(to, TWICE));
            }
            self.set_opaque(to)?;
        }
        for name in sys::names(directory.as_fd(), from.as_path())? {
            let source = from.join(&name).expect("the kernel gives single names");
            let target = to.join(&name).expect("the kernel gives single names");
            let name = SafePath::parse(&name).expect("the kernel gives single names");
            let found = scan::stat(directory.as_fd(), &name, &source)?;
            let namespace = self.layer.namespace;
            let is_deleted = is_deletion(directory.as_fd(), &name, &found, namespace, source.as_path())?;
            if is_deleted && self.below.find(&target)?.is_none() {
                continue;
            }
            if is_deleted && !sys::is_whiteout(&found) {
                self.delete(&target)?;
                continue;
            }
            if !sys::is_directory(&found) {
                if self.layer.find(&target)?.is_some() {
                    return Err(ambiguous(&target, TWICE));
                }
                self.link(directory.as_fd(), &name, &target)?;
                continue;
            }
            let is_used_only = self.unfinished.parents.contains(&source);
            let beneath = if is_used_only { self.below.find(&target)? } else { None };
            if beneath.as_ref().is_some_and(scan::Found::is_symlink) {
                let elsewhere = self.destination(&target)?;
                self.moved.insert(source.clone(), elsewhere.clone());
                self.ensure(&elsewhere)?;
                self.copy_children(&source, &elsewhere)?;
                continue;
            }
            let is_named_twice =
                !is_used_only && self.layer.find(&target)?.is_some() && !self.unfinished.parents.contains(&target);
            if is_named_twice || self.replaces(&target)? {
                return Err(ambiguous(&target, TWICE));
            }
            self.ensure(&target)?;
            if !is_used_only {
                let metadata = directory_metadata(&self.layer, 0, &source)?;
                let other = self.named.insert(target.clone(), metadata.clone());
                if other.is_some_and(|other| other != metadata) {
                    return Err(ambiguous(&target, TWICE));
                }
                self.dress(&target, &metadata)?;
            }
            self.copy_children(&source, &target)?;
        }
        Ok(())
    }

    fn set_opaque(&mut self, path: &SafePath) -> Result<()> {
        let own = self.own.as_ref().expect("the directory was ensured");
        let directory = sys::open_beneath(own.as_fd(), path, READ_DIRECTORY).named("open", path.as_path())?;
        let name = self.layer.namespace.opaque();
        Object::Open(directory.as_fd()).set(name.as_bytes(), b"y").named("setxattr", path.as_path())
    }

    /// Says by an attribute that something is deleted.
    fn delete(&mut self, path: &SafePath) -> Result<()> {
        if self.layer.find(path)?.is_some() {
            return Err(ambiguous(path, TWICE));
        }
        let own = self.own.as_ref().expect("the directory of a deletion was ensured");
        let (parent, name) = scan::place(own.as_fd(), path)?;
        let spelling = Spelling { namespace: self.layer.namespace, style: WhiteoutStyle::Attribute };
        match spelling.delete(own.as_fd(), parent.as_fd(), &name, path.as_path()) {
            Err(error) if error.errno() == Some(Errno::EXIST.raw_os_error()) => Err(ambiguous(path, TWICE)),
            deleted => deleted,
        }
    }

    /// One more name of a layer's file, symbolic link or deletion, which costs no second copy.
    fn link(&mut self, from: BorrowedFd<'_>, name: &SafePath, to: &SafePath) -> Result<()> {
        let own = self.own.as_ref().expect("the directory of a new name was ensured");
        let (parent, to_name) = scan::place(own.as_fd(), to)?;
        match rustix::fs::linkat(from, name.as_path(), &parent, to_name.as_path(), AtFlags::empty()) {
            Err(Errno::EXIST) => Err(ambiguous(to, TWICE)),
            // Out of an image, or of another file system that a layer's directory was moved to.
            Err(Errno::XDEV) => self.copy(from, name, to),
            linked => linked.named("linkat", to.as_path()),
        }
    }

    /// A second copy, where one more name is not to be had; names of one file stay names of one file.
    fn copy(&mut self, from: BorrowedFd<'_>, name: &SafePath, to: &SafePath) -> Result<()> {
        let own = self.own.as_ref().expect("the directory of a new name was ensured");
        let found = scan::stat(from, name, to)?;
        let (parent, to_name) = scan::place(own.as_fd(), to)?;
        let source = (found.st_dev, found.st_ino);
        if let Some(first) = self.copied.get(&source) {
            let (first_parent, first_name) = scan::place(own.as_fd(), first)?;
            return rustix::fs::linkat(
                &first_parent,
                first_name.as_path(),
                &parent,
                to_name.as_path(),
                AtFlags::empty(),
            )
            .named("linkat", to.as_path());
        }
        copy(from, name, &scan::entry(from, name, to.clone(), &found)?, parent)?;
        self.copied.insert(source, to.clone());
        Ok(())
    }

    /// Makes a directory of the finishing one, and those above it, as the stack shows them so far.
    fn ensure(&mut self, path: &SafePath) -> Result<()> {
        if self.own.is_none() {
            let own = self.work.directory(&self.name)?;
            dress(own.as_fd(), &directory_metadata(&self.layer, 0, &SafePath::root())?, &SafePath::root())?;
            self.own = Some(own);
        }
        let mut here = SafePath::root();
        for part in path.components() {
            let parent = here.clone();
            here = here.join(part).expect("a part of a path is a name");
            let own = self.own.as_ref().expect("it was just made");
            if sys::open_beneath(own.as_fd(), &here, PLACE).is_ok() {
                continue;
            }
            let parent = sys::open_beneath(own.as_fd(), &parent, PLACE).named("open", parent.as_path())?;
            let name = SafePath::parse(part).expect("a part of a path is a path");
            match rustix::fs::mkdirat(parent, name.as_path(), Mode::RWXU) {
                // The link that leads here, or what another path brought here.
                Err(Errno::EXIST) => return Err(ambiguous(&here, TWICE)),
                made => made.named("mkdirat", here.as_path())?,
            }
            let metadata = self.shown(&here)?;
            self.dress(&here, &metadata)?;
        }
        Ok(())
    }

    /// The metadata of a directory as this layer on the ones beneath shows it.
    fn shown(&self, path: &SafePath) -> Result<Metadata> {
        let in_layer = self.layer.find(path)?.filter(scan::Found::is_directory);
        let is_lent = self.unfinished.parents.contains(path) && !self.layer.top_hides(path)?;
        if in_layer.is_some() && !is_lent {
            return directory_metadata(&self.layer, 0, path);
        }
        if let Some(found) = self.below.find(path)?.filter(scan::Found::is_directory) {
            return directory_metadata(&self.below, found.index, path);
        }
        if in_layer.is_some() {
            return directory_metadata(&self.layer, 0, path);
        }
        let root = directory_metadata(&self.layer, 0, &SafePath::root())?;
        Ok(Metadata { mode: 0o755, uid: root.uid, gid: root.gid, ..Metadata::default() })
    }

    fn dress(&mut self, path: &SafePath, metadata: &Metadata) -> Result<()> {
        let own = self.own.as_ref().expect("the directory was made before");
        let directory = sys::open_beneath(own.as_fd(), path, READ_DIRECTORY).named("open", path.as_path())?;
        self.times.insert(path.clone(), metadata.mtime);
        dress(directory.as_fd(), metadata, path)
    }
}

fn directory_metadata(stack: &Stack<'_>, index: usize, path: &SafePath) -> Result<Metadata> {
    let directory = sys::open_beneath(stack.directories[index], path, READ_DIRECTORY);
    metadata(directory.named("open", path.as_path())?.as_fd(), path)
}

const TWICE: &str = "is in the layer by two ways, of which one leads through a symbolic link of a lower layer";

/// The order of two things in the archive would decide, and is not known any more.
fn ambiguous(path: &SafePath, reason: &'static str) -> Error {
    Error::Ambiguous { path: path.clone(), reason }
}

fn metadata(directory: BorrowedFd<'_>, path: &SafePath) -> Result<Metadata> {
    let stat: Stat = rustix::fs::fstat(directory).named("stat", path.as_path())?;
    let mut xattrs = Object::Open(directory).all(path.as_path())?;
    xattrs.retain(|name, _| !whiteout::is_overlay_xattr(name));
    Ok(Metadata { mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid, mtime: scan::mtime(&stat), xattrs })
}

fn dress(directory: BorrowedFd<'_>, metadata: &Metadata, path: &SafePath) -> Result<()> {
    let object = path.as_path();
    let stat = rustix::fs::fstat(directory).named("stat", object)?;
    // An ordinary user may not even give a file to its own owner where the group is not the user's.
    if (stat.st_uid, stat.st_gid) != (metadata.uid, metadata.gid) {
        let (uid, gid) = (Uid::from_raw(metadata.uid), Gid::from_raw(metadata.gid));
        rustix::fs::fchown(directory, Some(uid), Some(gid)).named("fchown", object)?;
    }
    // It may have been made like what is beneath, before the layer's own was known to belong here.
    for name in Object::Open(directory).all(object)?.keys() {
        if !metadata.xattrs.contains_key(name) && !whiteout::is_overlay_xattr(name) {
            Object::Open(directory).remove(name, object)?;
        }
    }
    for (name, value) in &metadata.xattrs {
        Object::Open(directory).set(name, value).named("setxattr", object)?;
    }
    rustix::fs::fchmod(directory, Mode::from_raw_mode(metadata.mode)).named("fchmod", object)?;
    set_time(directory, metadata.mtime, path)
}

fn set_time(directory: BorrowedFd<'_>, time: Timestamp, path: &SafePath) -> Result<()> {
    let time = Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::futimens(directory, &times).named("futimens", path.as_path())
}
