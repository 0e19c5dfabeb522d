//! An upper directory as the changes that it makes to what lies beneath.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, OFlags, Stat};

use super::{entry, entry_with, stat};
use crate::diff::Change;
use crate::entry::{Entry, Kind};
use crate::error::{Error, Result};
use crate::limits::{Limit, Limits};
use crate::path::SafePath;
use crate::sys::{self, Named as _, Object, READ_DIRECTORY};
use crate::whiteout::{self, XattrNamespace};

/// All changes in the order of their paths: a directory before what it holds, the first name of a file before others.
///
/// The root's own metadata is left out: it is the snapshot's, not a change of anyone.
pub(crate) fn changes(upper: BorrowedFd<'_>, namespace: XattrNamespace) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    visit(upper, namespace, |change, _| {
        changes.push(change);
        Ok(())
    })?;
    Ok(changes)
}

/// The directory that is looked at: most of what comes next is in it.
struct Here {
    path: SafePath,
    directory: OwnedFd,
}

/// Shows all changes in their order, each with the open file if it is one.
pub(crate) fn visit(
    upper: BorrowedFd<'_>,
    namespace: XattrNamespace,
    mut take: impl FnMut(Change, Option<OwnedFd>) -> Result<()>,
) -> Result<()> {
    let open = |path: &SafePath| sys::open_beneath(upper, path, READ_DIRECTORY).named("open", path.as_path());
    let mut first_names = HashMap::new();
    let mut here = Here { path: SafePath::root(), directory: open(&SafePath::root())? };
    let mut ahead = Vec::new();
    enter(&here, namespace, &mut ahead, &mut take)?;
    let depth_max = Limits::default().depth;
    while let Some(path) = ahead.pop() {
        if path.depth() > depth_max {
            return Err(Error::LimitExceeded { limit: Limit::Depth, max: depth_max as u64 });
        }
        let parent = path.parent().expect("the root was entered first");
        if parent != here.path {
            here = Here { directory: open(&parent)?, path: parent };
        }
        let name = SafePath::parse(path.file_name().expect("the root was entered first"));
        let name = name.expect("a part of a path is a path");
        let found = stat(here.directory.as_fd(), &name, &path)?;
        let is_directory = sys::is_directory(&found);
        let (change, file) = change(here.directory.as_fd(), &name, &path, &found, namespace)?;
        let change = linked(change, &found, &mut first_names);
        if is_directory {
            take(change, None)?;
            let directory = file.expect("a directory was opened");
            here = Here { path, directory };
            enter(&here, namespace, &mut ahead, &mut take)?;
        } else {
            take(change, file)?;
        }
    }
    Ok(())
}

/// Notes the names in a directory, and shows what the directory itself hides.
fn enter(
    here: &Here,
    namespace: XattrNamespace,
    ahead: &mut Vec<SafePath>,
    take: &mut impl FnMut(Change, Option<OwnedFd>) -> Result<()>,
) -> Result<()> {
    let Here { path, directory } = here;
    let xattr = |name: &str| Object::Open(directory.as_fd()).get(name.as_bytes(), path.as_path());
    if xattr(namespace.redirect())?.is_some() {
        return Err(Error::NotNative { path: path.clone(), attribute: namespace.redirect() });
    }
    if xattr(namespace.opaque())?.as_deref() == Some(b"y") {
        take(Change::Opaque(path.clone()), None)?;
    }
    let names = sys::names(directory.as_fd(), path.as_path())?;
    ahead.extend(names.iter().rev().map(|name| path.join(name).expect("the kernel gives single names")));
    Ok(())
}

/// What is at a name, and the open file or directory if it is one.
fn change(
    parent: BorrowedFd<'_>,
    name: &SafePath,
    path: &SafePath,
    found: &Stat,
    namespace: XattrNamespace,
) -> Result<(Change, Option<OwnedFd>)> {
    if sys::is_whiteout(found) {
        return Ok((Change::Delete(path.clone()), None));
    }
    let flags = match sys::file_type(found) {
        FileType::RegularFile => OFlags::RDONLY | OFlags::NOFOLLOW,
        FileType::Directory => READ_DIRECTORY,
        _ => {
            representable(name, path)?;
            return Ok((Change::Put(entry(parent, name, path.clone(), found)?), None));
        }
    };
    let opened = sys::open_beneath(parent, name, flags).named("open", path.as_path())?;
    let xattrs = Object::Open(opened.as_fd()).all(path.as_path())?;
    if flags != READ_DIRECTORY {
        if xattrs.contains_key(namespace.metacopy().as_bytes()) {
            return Err(Error::NotNative { path: path.clone(), attribute: namespace.metacopy() });
        }
        if found.st_size == 0 && xattrs.contains_key(namespace.whiteout().as_bytes()) {
            return Ok((Change::Delete(path.clone()), None));
        }
    }
    representable(name, path)?;
    Ok((Change::Put(entry_with(parent, name, path.clone(), found, xattrs)?), Some(opened)))
}

fn representable(name: &SafePath, path: &SafePath) -> Result<()> {
    if whiteout::is_whiteout_name(name.as_bytes()) {
        return Err(Error::Unrepresentable { path: path.clone() });
    }
    Ok(())
}

/// Makes every later name of a file a hard link to its first one.
fn linked(change: Change, found: &Stat, first_names: &mut HashMap<(u64, u64), SafePath>) -> Change {
    match change {
        Change::Put(Entry { path, kind, metadata }) if kind != Kind::Directory && found.st_nlink > 1 => {
            let number = (found.st_dev, found.st_ino);
            if let Some(first) = first_names.get(&number) {
                return Change::Put(Entry { path, kind: Kind::HardLink(first.clone()), metadata });
            }
            first_names.insert(number, path.clone());
            Change::Put(Entry { path, kind, metadata })
        }
        change => change,
    }
}
