//! The target directory: finds and makes the place of each entry, and never leaves it.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Mode, Stat};
use rustix::io::Errno;

use super::birth::Birth;
use super::make;
use super::owner::{self, Owner};
use super::place::Place;
use super::unlinkable;
use crate::entry::{Entry, Timestamp};
use crate::error::{Error, Result};
use crate::limits::Limit;
use crate::options::{ApplyOptions, WhiteoutStyle};
use crate::path::SafePath;
use crate::subtree::{Placed, remove_subtree};
use crate::sys::{self, Named as _, Object, PLACE, READ_DIRECTORY, Spelling, is_deletion};
use crate::unfinished::Unfinished;
use crate::whiteout;

/// A directory, without any symbolic link on the way.
#[derive(Debug, Clone)]
struct Directory {
    path: SafePath,
    descriptor: Rc<OwnedFd>,
}

/// What a directory gets once nothing more is written into it.
#[derive(Debug, Clone, Copy)]
struct Finish {
    /// `None` for one that was there before and that no entry names.
    mode: Option<u32>,
    mtime: Timestamp,
}

/// A file that has just been made.
#[derive(Debug)]
pub(super) struct NewFile {
    pub(super) place: Place,
    pub(super) file: OwnedFd,
    /// Whether it has the entry's owner already.
    pub(super) is_owned: bool,
    /// Whether it has the entry's mode already.
    pub(super) has_mode: bool,
}

/// The directory that a layer is written into.
#[derive(Debug)]
pub(super) struct Target {
    root: Directory,
    /// `None` where deletions are executed.
    overlay: Option<Spelling>,
    root_owner: Owner,
    links_max: usize,
    /// What new files have from the start; `None` where each is told.
    birth: Option<Birth>,
    /// The directory of the entry before, by the path that the archive used.
    recent: Option<(SafePath, Directory)>,
    finishes: BTreeMap<SafePath, Finish>,
    /// What this layer put there; only where deletions are executed, since elsewhere that is everything.
    placed: Placed,
    unfinished: Unfinished,
}

impl Target {
    pub(super) fn new(root: OwnedFd, overlay: Option<Spelling>, options: &ApplyOptions) -> Result<Self> {
        let mut unfinished = Unfinished::default();
        if overlay.is_some() {
            unfinished.parents.insert(SafePath::root());
        }
        // Where a whole tree is changed, its directories are others'.
        let birth = if overlay.is_some() { Birth::of(root.as_fd())? } else { None };
        Ok(Self {
            root: Directory { path: SafePath::root(), descriptor: Rc::new(root) },
            birth,
            overlay,
            root_owner: owner::root(&options.id_map),
            links_max: options.limits.links_followed,
            recent: None,
            finishes: BTreeMap::new(),
            placed: Placed::default(),
            unfinished,
        })
    }

    /// Gives directories their mode and time, deepest first.
    pub(super) fn finish(mut self) -> Result<Unfinished> {
        if self.unfinished.parents.contains(&SafePath::root()) {
            let root = self.root.descriptor.clone();
            self.dress_parent(root.as_fd(), &SafePath::root())?;
        }
        for (path, finish) in self.finishes.iter().rev() {
            let directory = self.open(path, READ_DIRECTORY).named("open", path.as_path())?;
            match finish.mode {
                Some(mode) => make::set_mode_and_time(directory.as_fd(), path, mode, finish.mtime)?,
                None => make::set_time(directory.as_fd(), path, finish.mtime)?,
            }
        }
        Ok(self.unfinished)
    }

    /// The place of a new object; what has its name is removed.
    pub(super) fn place(&mut self, path: &SafePath) -> Result<Place> {
        let place = self.locate(path)?;
        let found = stat(&place)?;
        self.vacate(&place, found)?;
        self.mark(&place.path);
        Ok(place)
    }

    /// A new file where an entry says; what has its name is removed.
    pub(super) fn file(&mut self, entry: &Entry, owner: Owner) -> Result<NewFile> {
        let place = self.locate(&entry.path)?;
        let object = place.path.as_path();
        let birth = self.birth.as_ref();
        let mut is_owned = birth.is_some_and(|birth| birth.gives_owner(owner));
        let mut has_mode = is_owned && birth.is_some_and(|birth| birth.gives_mode(entry.metadata.mode));
        let mode = if has_mode { entry.metadata.mode } else { make::UNDRESSED };
        self.unfinished.links.remove(&place.path);
        let file = match make::file(&place, mode) {
            Err(Errno::EXIST) => {
                let found = stat(&place)?;
                self.vacate(&place, found)?;
                make::file(&place, mode)
            }
            file => file,
        };
        let file = file.named("create", object)?;
        if is_owned && let Some(birth) = &mut self.birth {
            (is_owned, has_mode) = birth.confirm(&file, has_mode.then_some(mode))?;
        }
        self.mark(&place.path);
        Ok(NewFile { place, file, is_owned, has_mode })
    }

    /// The directory that an entry names, new unless there is one.
    pub(super) fn directory(&mut self, entry: &Entry) -> Result<OwnedFd> {
        if !Birth::survives(entry) {
            self.birth = None;
        }
        let (path, opened) = if entry.path.is_root() {
            let opened = self.open(&entry.path, READ_DIRECTORY).named("open", entry.path.as_path())?;
            clear_attributes(opened.as_fd(), &entry.path)?;
            (SafePath::root(), opened)
        } else {
            let place = self.locate(&entry.path)?;
            let found = stat(&place)?;
            let opened = if found.is_some_and(|stat| sys::is_directory(&stat)) {
                let opened = sys::open_beneath(place.parent.as_fd(), &place.name, READ_DIRECTORY)
                    .named("open", place.path.as_path())?;
                clear_attributes(opened.as_fd(), &place.path)?;
                opened
            } else {
                let made = self.make_directory(&place, found)?;
                if self.birth.is_none() {
                    // What the directory above passed on.
                    clear_attributes(made.as_fd(), &place.path)?;
                }
                made
            };
            (place.path, opened)
        };
        self.mark(&path);
        if self.unfinished.parents.remove(&path) && !path.is_root() {
            self.unfinished.passed.insert(path.clone());
        }
        self.finishes.insert(path, Finish { mode: Some(entry.metadata.mode), mtime: entry.metadata.mtime });
        Ok(opened)
    }

    /// Gives an earlier file one more name, or notes that a lower layer must have it.
    pub(super) fn hard_link(&mut self, path: &SafePath, target: &SafePath, offset: u64) -> Result<()> {
        if target.is_root() {
            return Err(unlinkable(offset));
        }
        let from = self.locate(target)?;
        let to = self.locate(path)?;
        if from.path == to.path {
            return Err(unlinkable(offset));
        }
        match stat(&from)? {
            Some(stat) if sys::is_directory(&stat) => return Err(unlinkable(offset)),
            Some(stat) if self.is_deletion(&from, &stat)? => return Err(unlinkable(offset)),
            Some(_) => {}
            None if self.overlay.is_none() || self.is_hidden(&from.path)? => {
                return Err(Error::LinkTarget { path: path.clone(), target: target.clone() });
            }
            None => {
                let target = self.unfinished.links.get(&from.path).cloned().unwrap_or(from.path);
                let place = self.place(path)?;
                self.unfinished.links.insert(place.path, target);
                return Ok(());
            }
        }
        let place = self.place(path)?;
        let linked = rustix::fs::linkat(
            &from.parent,
            from.name.as_path(),
            &place.parent,
            place.name.as_path(),
            AtFlags::empty(),
        );
        match linked {
            // The target was beneath what the link replaced.
            Err(Errno::NOENT) => Err(unlinkable(offset)),
            linked => linked.named("linkat", place.path.as_path()),
        }
    }

    /// Whether this layer only says at a place that something is deleted.
    fn is_deletion(&self, place: &Place, found: &Stat) -> Result<bool> {
        let Some(Spelling { namespace, .. }) = self.overlay else { return Ok(false) };
        is_deletion(place.parent.as_fd(), &place.name, found, namespace, place.path.as_path())
    }

    /// Whether a directory of this layer hides what lower layers have at a path.
    fn is_hidden(&self, path: &SafePath) -> Result<bool> {
        let Some(spelling) = self.overlay else { return Ok(false) };
        if self.unfinished.opaque_root {
            return Ok(true);
        }
        let mut above = path.parent();
        while let Some(directory) = above.filter(|directory| !directory.is_root()) {
            let opened = self.open(&directory, READ_DIRECTORY).named("open", directory.as_path())?;
            let name = spelling.namespace.opaque().as_bytes();
            if Object::Open(opened.as_fd()).get(name, directory.as_path())?.as_deref() == Some(b"y") {
                return Ok(true);
            }
            above = directory.parent();
        }
        Ok(false)
    }

    /// Deletes what lower layers have at a path; what this layer has there stays.
    pub(super) fn whiteout(&mut self, path: &SafePath) -> Result<()> {
        let place = self.locate(path)?;
        let object = place.path.as_path();
        let found = stat(&place)?;
        let Some(spelling) = self.overlay else {
            return match found {
                Some(_) if !self.placed.contains(&place.path) => self.remove(&place),
                Some(stat) if sys::is_directory(&stat) => self.renew(&place),
                Some(_) | None => Ok(()),
            };
        };
        match found {
            None if self.unfinished.links.contains_key(&place.path) => Ok(()),
            // Nothing beneath is seen here anyway, and the kernel would show the file.
            None if spelling.style == WhiteoutStyle::Attribute && self.is_hidden(&place.path)? => Ok(()),
            None => {
                self.unfinished.deleting.extend(place.path.parent());
                spelling.delete(self.root.descriptor.as_fd(), place.parent.as_fd(), &place.name, object)
            }
            Some(stat) if sys::is_directory(&stat) => {
                self.unfinished.pass(&place.path);
                let directory =
                    sys::open_beneath(place.parent.as_fd(), &place.name, READ_DIRECTORY).named("open", object)?;
                spelling.make_opaque(directory.as_fd(), object)
            }
            Some(_) => Ok(()),
        }
    }

    /// Deletes all that lower layers have in a directory; what this layer has there stays.
    pub(super) fn opaque(&mut self, path: &SafePath) -> Result<()> {
        let directory = self.resolve(path)?;
        match self.overlay {
            None => {
                let opened = self.open(&directory.path, READ_DIRECTORY).named("open", directory.path.as_path())?;
                self.keep_only_placed(opened.as_fd(), &directory.path)
            }
            Some(spelling) if directory.path.is_root() => {
                self.unfinished.opaque_root = true;
                let opened = self.open(&directory.path, READ_DIRECTORY).named("open", directory.path.as_path())?;
                spelling.forget(opened.as_fd(), directory.path.as_path())
            }
            Some(spelling) => {
                let opened = self.open(&directory.path, READ_DIRECTORY).named("open", directory.path.as_path())?;
                // The directory itself is still lent its metadata; those beneath it are not.
                let is_lent = self.unfinished.parents.remove(&directory.path);
                self.unfinished.pass(&directory.path);
                if is_lent {
                    self.unfinished.parents.insert(directory.path.clone());
                }
                spelling.make_opaque(opened.as_fd(), directory.path.as_path())
            }
        }
    }

    /// A directory that this layer uses and also deletes: its lower content and its lower metadata go.
    fn renew(&mut self, place: &Place) -> Result<()> {
        let directory =
            sys::open_beneath(place.parent.as_fd(), &place.name, READ_DIRECTORY).named("open", place.path.as_path())?;
        self.keep_only_placed(directory.as_fd(), &place.path)?;
        self.renew_metadata(directory.as_fd(), &place.path)
    }

    fn renew_metadata(&mut self, directory: BorrowedFd<'_>, path: &SafePath) -> Result<()> {
        let is_named = self.finishes.get(path).is_some_and(|finish| finish.mode.is_some());
        if is_named {
            return Ok(());
        }
        clear_attributes(directory, path)?;
        self.dress_parent(directory, path)
    }

    fn keep_only_placed(&mut self, directory: BorrowedFd<'_>, path: &SafePath) -> Result<()> {
        for name in sys::names(directory, path.as_path())? {
            let name = SafePath::parse(&name).expect("the kernel gives single names");
            let child = path.join(name.as_bytes()).expect("the kernel gives single names");
            if !self.placed.contains(&child) {
                sys::remove(directory, &name)?;
                self.forget(&child);
                continue;
            }
            match sys::open_beneath(directory, &name, READ_DIRECTORY) {
                Ok(below) => {
                    self.keep_only_placed(below.as_fd(), &child)?;
                    self.renew_metadata(below.as_fd(), &child)?;
                }
                Err(Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(errno).named("open", child.as_path()),
            }
        }
        Ok(())
    }

    /// The parent's place and the last name, every directory on the way made.
    fn locate(&mut self, path: &SafePath) -> Result<Place> {
        let parent = path.parent().expect("the root is dealt with before");
        let name = path.file_name().expect("a path with a parent has a name");
        let directory = self.resolve(&parent)?;
        let path = directory.path.join(name).expect("a part of a path is a name");
        let name = SafePath::parse(name).expect("a part of a path is a path");
        Ok(Place { parent: directory.descriptor, name, path })
    }

    /// Opens a directory by the path that the archive uses, symbolic links followed as inside a container.
    fn resolve(&mut self, path: &SafePath) -> Result<Directory> {
        if path.is_root() {
            self.keep_time(&self.root.clone())?;
            return Ok(self.root.clone());
        }
        if let Some((recent, directory)) = &self.recent
            && recent == path
        {
            return Ok(directory.clone());
        }
        let directory = match self.open(path, PLACE) {
            Ok(opened) => Directory { path: path.clone(), descriptor: Rc::new(opened) },
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => self.walk(path)?,
            Err(errno) => return Err(errno).named("open", path.as_path()),
        };
        self.keep_time(&directory)?;
        self.mark(&directory.path);
        self.recent = Some((path.clone(), directory.clone()));
        Ok(directory)
    }

    /// Part by part: symbolic links are read and followed by hand, so that the kernel is only ever asked for one plain
    /// name; what is missing, or is no directory, becomes one.
    fn walk(&mut self, path: &SafePath) -> Result<Directory> {
        let mut ahead: VecDeque<Box<[u8]>> = path.components().map(Into::into).collect();
        let mut here = self.root.clone();
        let mut followed = 0;
        while let Some(part) = ahead.pop_front() {
            match &*part {
                b"" | b"." => continue,
                b".." => {
                    if self.unfinished.parents.contains(&here.path) && !here.path.is_root() {
                        self.unfinished.passed.insert(here.path.clone());
                    }
                    let above = here.path.parent().unwrap_or_default();
                    here = self.reopen(&above)?;
                    continue;
                }
                _ => {}
            }
            let name = SafePath::parse(&part).map_err(|_| invalid_link(path))?;
            let below = here.path.join(&part).map_err(|_| invalid_link(path))?;
            let place = Place { parent: here.descriptor.clone(), name, path: below };
            match stat(&place)? {
                Some(stat) if sys::is_directory(&stat) => {}
                Some(stat) if sys::file_type(&stat) == FileType::Symlink => {
                    followed += 1;
                    if followed > self.links_max {
                        return Err(Error::LimitExceeded { limit: Limit::LinksFollowed, max: self.links_max as u64 });
                    }
                    let target = rustix::fs::readlinkat(&*place.parent, place.name.as_path(), Vec::new())
                        .named("readlinkat", place.path.as_path())?;
                    let target = target.as_bytes();
                    if target.starts_with(b"/") {
                        here = self.root.clone();
                    }
                    for part in target.split(|byte| *byte == b'/').rev() {
                        ahead.push_front(part.into());
                    }
                    continue;
                }
                found => {
                    self.keep_time(&here)?;
                    self.make_parent(&place, found)?;
                }
            }
            let opened =
                sys::open_beneath(place.parent.as_fd(), &place.name, PLACE).named("open", place.path.as_path())?;
            here = Directory { path: place.path, descriptor: Rc::new(opened) };
        }
        Ok(here)
    }

    fn reopen(&self, path: &SafePath) -> Result<Directory> {
        let opened = self.open(path, PLACE).named("open", path.as_path())?;
        Ok(Directory { path: path.clone(), descriptor: Rc::new(opened) })
    }

    /// Makes a directory that no entry named so far.
    fn make_parent(&mut self, place: &Place, found: Option<Stat>) -> Result<()> {
        let link = self.unfinished.links.get(&place.path).cloned();
        let replaces = found.is_some() || link.is_some();
        // A lower layer's file gives way to a directory; a symbolic link would have been followed.
        self.unfinished.passed.extend(link);
        let opened = self.make_directory(place, found)?;
        self.dress_parent(opened.as_fd(), &place.path)?;
        self.mark(&place.path);
        if self.overlay.is_some() && !replaces && !self.is_hidden(&place.path)? {
            self.unfinished.parents.insert(place.path.clone());
        }
        Ok(())
    }

    fn dress_parent(&mut self, directory: BorrowedFd<'_>, path: &SafePath) -> Result<()> {
        if let Some((uid, gid)) = self.root_owner {
            rustix::fs::fchown(directory, Some(uid), Some(gid)).named("fchown", path.as_path())?;
        }
        self.finishes.insert(path.clone(), Finish { mode: Some(0o755), mtime: Timestamp::default() });
        Ok(())
    }

    /// What replaces a deletion, or anything else, does not merge with the lower layers' directory.
    fn make_directory(&mut self, place: &Place, found: Option<Stat>) -> Result<OwnedFd> {
        let replaces = self.vacate(place, found)?;
        let (parent, name, object) = (place.parent.as_fd(), &place.name, place.path.as_path());
        rustix::fs::mkdirat(parent, name.as_path(), Mode::RWXU).named("mkdirat", object)?;
        let opened = sys::open_beneath(parent, name, READ_DIRECTORY).named("open", object)?;
        if let Some(spelling) = self.overlay.filter(|_| replaces) {
            spelling.make_opaque(opened.as_fd(), object)?;
        }
        Ok(opened)
    }

    /// Removes what this layer has at a place, a link to a lower layer included; says whether there was anything.
    fn vacate(&mut self, place: &Place, found: Option<Stat>) -> Result<bool> {
        let is_linked = self.unfinished.links.remove(&place.path).is_some();
        if found.is_some() {
            self.remove(place)?;
        }
        Ok(is_linked || found.is_some())
    }

    fn open(&self, path: &SafePath, flags: rustix::fs::OFlags) -> rustix::io::Result<OwnedFd> {
        sys::open_beneath(self.root.descriptor.as_fd(), path, flags)
    }

    fn remove(&mut self, place: &Place) -> Result<()> {
        self.forget(&place.path);
        sys::remove(place.parent.as_fd(), &place.name)
    }

    fn forget(&mut self, path: &SafePath) {
        self.recent = None;
        remove_subtree(&mut self.finishes, path);
        self.placed.forget(path);
        self.unfinished.forget(path);
    }

    /// Notes what this layer put somewhere.
    fn mark(&mut self, path: &SafePath) {
        if self.overlay.is_none() {
            self.placed.add(path);
        }
    }

    /// Notes the time of a directory that was there before: writing into it changes it.
    fn keep_time(&mut self, directory: &Directory) -> Result<()> {
        if self.overlay.is_some() || self.finishes.contains_key(&directory.path) {
            return Ok(());
        }
        let stat = rustix::fs::fstat(&*directory.descriptor).named("stat", directory.path.as_path())?;
        let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
        let mtime = Timestamp { seconds: stat.st_mtime, nanoseconds };
        self.finishes.insert(directory.path.clone(), Finish { mode: None, mtime });
        Ok(())
    }
}

/// What is at a place, not followed.
fn stat(place: &Place) -> Result<Option<Stat>> {
    match rustix::fs::statat(&*place.parent, place.name.as_path(), AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        stat => stat.map(Some).named("stat", place.path.as_path()),
    }
}

/// Removes what the directory's earlier self was given; security modules keep theirs.
fn clear_attributes(directory: BorrowedFd<'_>, path: &SafePath) -> Result<()> {
    let object = Object::Open(directory);
    for name in object.all(path.as_path())?.keys() {
        let is_kept =
            whiteout::is_overlay_xattr(name) || (name.starts_with(b"security.") && &**name != b"security.capability");
        if !is_kept {
            object.remove(name, path.as_path())?;
        }
    }
    Ok(())
}

fn invalid_link(path: &SafePath) -> Error {
    Error::Invalid { field: "symbolic link", value: path.to_string(), reason: "a part of its target is no name" }
}
