//! What a stack of directories shows at a path, as overlay would show it.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::limits::{Limit, Limits};
use crate::path::SafePath;
use crate::sys::{self, Named as _, Object, PLACE, READ_DIRECTORY, is_deletion};
use crate::whiteout::XattrNamespace;

/// Directories, topmost first.
#[derive(Debug, Clone)]
pub(crate) struct Stack<'a> {
    pub(crate) directories: Vec<BorrowedFd<'a>>,
    pub(crate) namespace: XattrNamespace,
}

/// What one directory of a stack says about a path.
enum Answer {
    Here(Stat),
    /// Neither this directory nor any beneath it shows the path.
    Hidden,
    /// A directory beneath may have it.
    Below,
}

/// What a stack shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// Which directory, counted from the topmost.
    pub(crate) index: usize,
    pub(crate) stat: Stat,
}

/// Where a path leads.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) path: SafePath,
    /// The symbolic links on the way.
    pub(crate) links: Vec<SafePath>,
}

impl Found {
    pub(crate) fn is_directory(&self) -> bool {
        sys::is_directory(&self.stat)
    }

    pub(crate) fn is_symlink(&self) -> bool {
        sys::file_type(&self.stat) == FileType::Symlink
    }
}

impl Stack<'_> {
    /// The topmost object at a path; no symbolic link is followed.
    pub(crate) fn find(&self, path: &SafePath) -> Result<Option<Found>> {
        for (index, directory) in self.directories.iter().enumerate() {
            match self.ask(*directory, path)? {
                Answer::Here(stat) => return Ok(Some(Found { index, stat })),
                Answer::Hidden => return Ok(None),
                Answer::Below => {}
            }
        }
        Ok(None)
    }

    /// The root as an entry: what the topmost directory says of it.
    pub(crate) fn root(&self) -> Result<Option<Entry>> {
        let Some(top) = self.directories.first() else { return Ok(None) };
        let here = SafePath::root();
        let found = rustix::fs::fstat(top).named("stat", here.as_path())?;
        let xattrs = Object::Open(*top).all(here.as_path())?;
        super::entry_with(*top, &here, here.clone(), &found, xattrs).map(Some)
    }

    /// All names in a directory of the stack, those of deletions among them.
    pub(crate) fn names(&self, path: &SafePath) -> Result<BTreeSet<Box<[u8]>>> {
        let mut names = BTreeSet::new();
        for directory in &self.directories {
            match self.ask(*directory, path)? {
                Answer::Here(stat) if sys::is_directory(&stat) => {}
                Answer::Here(_) | Answer::Hidden => break,
                Answer::Below => continue,
            }
            let opened = sys::open_beneath(*directory, path, READ_DIRECTORY).named("open", path.as_path())?;
            names.extend(sys::names(opened.as_fd(), path.as_path())?);
            if !path.is_root() && self.is_opaque(*directory, path)? {
                break;
            }
        }
        Ok(names)
    }

    /// Whether the topmost directory has something at a path, or deletes it.
    pub(crate) fn top_tells(&self, path: &SafePath) -> Result<bool> {
        let Some(top) = self.directories.first() else { return Ok(false) };
        Ok(!matches!(self.ask(*top, path)?, Answer::Below))
    }

    /// Whether the topmost directory keeps what is beneath it from being seen at a path.
    pub(crate) fn top_hides(&self, path: &SafePath) -> Result<bool> {
        let Some(top) = self.directories.first() else { return Ok(false) };
        // Its own object does not count, only what stands above it or in its place.
        let Some(parent) = path.parent().filter(|parent| !parent.is_root()) else { return Ok(false) };
        match self.ask(*top, &parent)? {
            Answer::Hidden => Ok(true),
            Answer::Below => Ok(false),
            Answer::Here(stat) if !sys::is_directory(&stat) => Ok(true),
            Answer::Here(_) => {
                let mut above = Some(parent);
                while let Some(directory) = above.filter(|directory| !directory.is_root()) {
                    if self.is_opaque(*top, &directory)? {
                        return Ok(true);
                    }
                    above = directory.parent();
                }
                Ok(false)
            }
        }
    }

    fn ask(&self, directory: BorrowedFd<'_>, path: &SafePath) -> Result<Answer> {
        let mut here = SafePath::root();
        let mut answer = rustix::fs::fstat(directory).named("stat", path.as_path())?;
        let mut is_opaque = false;
        let mut is_deleted = sys::is_whiteout(&answer);
        for part in path.components() {
            if !sys::is_directory(&answer) {
                return Ok(Answer::Hidden);
            }
            if !here.is_root() && !is_opaque {
                is_opaque = self.is_opaque(directory, &here)?;
            }
            let parent = sys::open_beneath(directory, &here, PLACE).named("open", here.as_path())?;
            let name = SafePath::parse(part).expect("a part of a path is a path");
            here = here.join(part).expect("a part of a path is a name");
            answer = match rustix::fs::statat(&parent, name.as_path(), AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) if is_opaque => return Ok(Answer::Hidden),
                Err(Errno::NOENT) => return Ok(Answer::Below),
                stat => stat.named("stat", here.as_path())?,
            };
            is_deleted = is_deletion(parent.as_fd(), &name, &answer, self.namespace, here.as_path())?;
        }
        Ok(if is_deleted { Answer::Hidden } else { Answer::Here(answer) })
    }

    pub(crate) fn is_opaque(&self, directory: BorrowedFd<'_>, path: &SafePath) -> Result<bool> {
        let opened = sys::open_beneath(directory, path, READ_DIRECTORY).named("open", path.as_path())?;
        let value = Object::Open(opened.as_fd()).get(self.namespace.opaque().as_bytes(), path.as_path())?;
        Ok(value.as_deref() == Some(b"y"))
    }

    /// The path that a path leads to once symbolic links among its parts are followed, its last part too if `last` says
    /// so; inside the stack, as in a container. What is not there is taken by its name.
    pub(crate) fn resolve(&self, path: &SafePath, last: Last) -> Result<Resolved> {
        let mut ahead: VecDeque<Box<[u8]>> = path.components().map(Into::into).collect();
        let mut here = SafePath::root();
        let mut links = Vec::new();
        let links_max = Limits::default().links_followed;
        while let Some(part) = ahead.pop_front() {
            match &*part {
                b"" | b"." => continue,
                b".." => {
                    here = here.parent().unwrap_or_default();
                    continue;
                }
                _ => {}
            }
            let below = here.join(&part).map_err(|_| Error::Invalid {
                field: "symbolic link",
                value: path.to_string(),
                reason: "a part of its target is no name",
            })?;
            let is_last = ahead.is_empty() && last == Last::Keep;
            let link = if is_last { None } else { self.find(&below)?.filter(Found::is_symlink) };
            let Some(link) = link else {
                here = below;
                continue;
            };
            links.push(below.clone());
            if links.len() > links_max {
                return Err(Error::LimitExceeded { limit: Limit::LinksFollowed, max: links_max as u64 });
            }
            let (parent, name) = self.place(link.index, &below)?;
            let target =
                rustix::fs::readlinkat(&parent, name.as_path(), Vec::new()).named("readlinkat", below.as_path())?;
            if target.as_bytes().starts_with(b"/") {
                here = SafePath::root();
            }
            for part in target.as_bytes().split(|byte| *byte == b'/').rev() {
                ahead.push_front(part.into());
            }
        }
        Ok(Resolved { path: here, links })
    }

    /// The directory that holds a path's last name in one of the stack's directories, and that name.
    pub(crate) fn place(&self, index: usize, path: &SafePath) -> Result<(OwnedFd, SafePath)> {
        place(self.directories[index], path)
    }
}

/// Whether the last part of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    Follow,
    Keep,
}

/// The directory that holds a path's last name, and that name.
pub(crate) fn place(directory: BorrowedFd<'_>, path: &SafePath) -> Result<(OwnedFd, SafePath)> {
    let name = path.file_name().expect("the root is in no directory");
    let name = SafePath::parse(name).expect("a part of a path is a path");
    let parent = path.parent().expect("a path with a name has a parent");
    let parent = sys::open_beneath(directory, &parent, PLACE).named("open", parent.as_path())?;
    Ok((parent, name))
}
