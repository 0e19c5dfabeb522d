//! An upper directory as the changes that it makes to what lies beneath.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{OFlags, Stat};

use super::{entry, stat};
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
    let mut first_names = HashMap::new();
    let mut ahead = vec![SafePath::root()];
    let depth_max = Limits::default().depth;
    while let Some(path) = ahead.pop() {
        if path.depth() > depth_max {
            return Err(Error::LimitExceeded { limit: Limit::Depth, max: depth_max as u64 });
        }
        if !path.is_root() {
            let (parent, name) = super::place(upper, &path)?;
            let found = stat(parent.as_fd(), &name, &path)?;
            let change = change(parent.as_fd(), &name, &path, &found, namespace)?;
            let is_directory = sys::is_directory(&found);
            changes.push(linked(change, &found, &mut first_names));
            if !is_directory {
                continue;
            }
        }
        let directory = sys::open_beneath(upper, &path, READ_DIRECTORY).named("open", path.as_path())?;
        let xattr = |name: &str| Object::Open(directory.as_fd()).get(name.as_bytes(), path.as_path());
        let opaque = xattr(namespace.opaque())?;
        if xattr(namespace.redirect())?.is_some() {
            return Err(Error::NotNative { path, attribute: namespace.redirect() });
        }
        if opaque.as_deref() == Some(b"y") {
            changes.push(Change::Opaque(path.clone()));
        }
        let names = sys::names(directory.as_fd(), path.as_path())?;
        for name in names.iter().rev() {
            ahead.push(path.join(name).expect("the kernel gives single names"));
        }
    }
    Ok(changes)
}

fn change(
    parent: BorrowedFd<'_>,
    name: &SafePath,
    path: &SafePath,
    found: &Stat,
    namespace: XattrNamespace,
) -> Result<Change> {
    if sys::is_whiteout(found) {
        return Ok(Change::Delete(path.clone()));
    }
    if sys::file_type(found) == rustix::fs::FileType::RegularFile {
        let file = sys::open_beneath(parent, name, OFlags::RDONLY | OFlags::NOFOLLOW).named("open", path.as_path())?;
        let object = Object::Open(file.as_fd());
        if object.get(namespace.metacopy().as_bytes(), path.as_path())?.is_some() {
            return Err(Error::NotNative { path: path.clone(), attribute: namespace.metacopy() });
        }
        if found.st_size == 0 && object.get(namespace.whiteout().as_bytes(), path.as_path())?.is_some() {
            return Ok(Change::Delete(path.clone()));
        }
    }
    if whiteout::is_whiteout_name(name.as_bytes()) {
        return Err(Error::Unrepresentable { path: path.clone() });
    }
    entry(parent, name, path.clone(), found).map(Change::Put)
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
