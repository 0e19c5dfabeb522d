//! Two whole trees compared, where an upper directory does not tell what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::OFlags;

use super::{entry, mtime, stat};
use crate::diff::Change;
use crate::entry::{Entry, Kind, Metadata};
use crate::error::{Error, Result};
use crate::limits::{Limit, Limits};
use crate::path::SafePath;
use crate::sys::{self, Named as _, Object, READ_DIRECTORY};
use crate::whiteout;

/// One object of a tree.
#[derive(Debug)]
struct Seen {
    entry: Entry,
    /// The same for all names of one file.
    file: (u64, u64),
}

/// A tree by path, the root apart.
#[derive(Debug)]
struct Listing {
    root: Metadata,
    seen: BTreeMap<SafePath, Seen>,
}

/// The changes that make `lower` into `upper`, by path: a directory before what it holds.
///
/// A file whose metadata, content or set of names changed is put whole, with all its names. Deletions in overlay's own
/// spelling mean nothing beneath everything else and are passed over.
pub(crate) fn differences(lower: BorrowedFd<'_>, upper: BorrowedFd<'_>, root: Root) -> Result<Vec<Change>> {
    let (before, after) = (Listing::read(lower)?, Listing::read(upper)?);
    let (names_before, names_after) = (before.names(), after.names());
    let mut changes = Vec::new();
    if root == Root::Compared && before.root != after.root {
        let entry = Entry { path: SafePath::root(), kind: Kind::Directory, metadata: after.root.clone() };
        changes.push(Change::Put(entry));
    }
    let paths: BTreeSet<&SafePath> = before.seen.keys().chain(after.seen.keys()).collect();
    for path in paths {
        let old = before.seen.get(path);
        let Some(new) = after.seen.get(path) else {
            let parent = path.parent().filter(|parent| !parent.is_root());
            let stays = parent
                .is_none_or(|parent| after.seen.get(&parent).is_some_and(|seen| seen.entry.kind == Kind::Directory));
            if stays {
                changes.push(Change::Delete(path.clone()));
            }
            continue;
        };
        let names = &names_after[&new.file];
        let is_same = match old {
            Some(old) if old.entry == new.entry => {
                new.entry.kind == Kind::Directory
                    || (names_before[&old.file] == *names && same_content(lower, upper, old, new)?)
            }
            _ => false,
        };
        if is_same {
            continue;
        }
        if path.components().any(whiteout::is_whiteout_name) {
            return Err(Error::Unrepresentable { path: path.clone() });
        }
        let mut put = new.entry.clone();
        if names[0] != *path && put.kind != Kind::Directory {
            put.kind = Kind::HardLink(names[0].clone());
        }
        changes.push(Change::Put(put));
    }
    Ok(changes)
}

/// Whether the roots themselves are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    Compared,
    Ignored,
}

impl Listing {
    fn read(directory: BorrowedFd<'_>) -> Result<Self> {
        let here = SafePath::root();
        let found = rustix::fs::fstat(directory).named("stat", here.as_path())?;
        let mut xattrs = Object::Open(directory).all(here.as_path())?;
        xattrs.retain(|name, _| !whiteout::is_overlay_xattr(name));
        let (mode, uid, gid) = (found.st_mode & 0o7777, found.st_uid, found.st_gid);
        let mut listing =
            Self { root: Metadata { mode, uid, gid, mtime: mtime(&found), xattrs }, seen: BTreeMap::new() };
        let mut ahead = vec![here];
        let depth_max = Limits::default().depth;
        while let Some(path) = ahead.pop() {
            if path.depth() > depth_max {
                return Err(Error::LimitExceeded { limit: Limit::Depth, max: depth_max as u64 });
            }
            let open = sys::open_beneath(directory, &path, READ_DIRECTORY).named("open", path.as_path())?;
            for name in sys::names(open.as_fd(), path.as_path())? {
                let child = path.join(&name).expect("the kernel gives single names");
                let name = SafePath::parse(&name).expect("the kernel gives single names");
                let found = stat(open.as_fd(), &name, &child)?;
                if sys::is_whiteout(&found) {
                    continue;
                }
                if sys::is_directory(&found) {
                    ahead.push(child.clone());
                }
                let entry = entry(open.as_fd(), &name, child.clone(), &found)?;
                listing.seen.insert(child, Seen { entry, file: (found.st_dev, found.st_ino) });
            }
        }
        Ok(listing)
    }

    /// All names of each file, sorted.
    fn names(&self) -> BTreeMap<(u64, u64), Vec<SafePath>> {
        let mut names: BTreeMap<(u64, u64), Vec<SafePath>> = BTreeMap::new();
        for (path, seen) in &self.seen {
            names.entry(seen.file).or_default().push(path.clone());
        }
        names
    }
}

/// Whether two objects with the same metadata also hold the same bytes.
fn same_content(lower: BorrowedFd<'_>, upper: BorrowedFd<'_>, old: &Seen, new: &Seen) -> Result<bool> {
    let Kind::File { size } = new.entry.kind else { return Ok(true) };
    if old.file == new.file {
        return Ok(true);
    }
    let object = new.entry.path.as_path();
    let open = |root| sys::open_beneath(root, &new.entry.path, OFlags::RDONLY | OFlags::NOFOLLOW).named("open", object);
    let (one, other) = (open(lower)?, open(upper)?);
    let mut buffers = [vec![0; 64 << 10], vec![0; 64 << 10]];
    let mut offset = 0;
    while offset < size {
        let [left, right] = &mut buffers;
        let count = sys::read_at(one.as_fd(), left, offset).named("pread", object)?;
        let mut held = 0;
        while held < count {
            match sys::read_at(other.as_fd(), &mut right[held..count], offset + held as u64).named("pread", object)? {
                0 => return Ok(false),
                more => held += more,
            }
        }
        if count == 0 || left[..count] != right[..count] {
            return Ok(count == 0 && offset == size);
        }
        offset += count as u64;
    }
    Ok(true)
}
