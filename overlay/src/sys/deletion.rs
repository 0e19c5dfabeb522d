//! Deletions in a directory tree, as overlay spells them.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{Named as _, Object, READ_DIRECTORY, file_type, is_directory, is_whiteout, names, open_beneath};
use crate::error::Result;
use crate::options::WhiteoutStyle;
use crate::path::SafePath;
use crate::whiteout::XattrNamespace;

/// The value that makes a directory opaque.
const OPAQUE: &[u8] = b"y";
/// The value that says that deletions in a directory are files.
const HAS_FILES: &[u8] = b"x";

/// How a tree spells deletions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spelling {
    pub(crate) namespace: XattrNamespace,
    pub(crate) style: WhiteoutStyle,
}

impl Spelling {
    /// Writes that a name of a directory is deleted, which is in the tree of this root.
    pub(crate) fn delete(
        self,
        root: BorrowedFd<'_>,
        directory: BorrowedFd<'_>,
        name: &SafePath,
        path: &Path,
    ) -> Result<()> {
        if self.style == WhiteoutStyle::Device {
            let kind = FileType::CharacterDevice;
            return rustix::fs::mknodat(directory, name.as_path(), kind, Mode::empty(), 0).named("mknodat", path);
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // Nobody sees the mode, and the attribute is written by who may write the file.
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(directory, name.as_path(), flags, mode).named("create", path)?;
        Object::Open(file.as_fd()).set(self.namespace.whiteout().as_bytes(), b"y").named("setxattr", path)?;
        self.mark(directory, path)?;
        self.mark(root, path)
    }

    /// The kernel looks for files that are deletions only where it is told that there are some.
    fn mark(self, directory: BorrowedFd<'_>, path: &Path) -> Result<()> {
        let (object, name) = (Object::Place(directory), self.namespace.opaque().as_bytes());
        if object.get(name, path)?.as_deref() == Some(HAS_FILES) {
            return Ok(());
        }
        object.set(name, HAS_FILES).named("setxattr", path)
    }

    /// Makes an open directory opaque.
    pub(crate) fn make_opaque(self, directory: BorrowedFd<'_>, path: &Path) -> Result<()> {
        self.forget(directory, path)?;
        Object::Open(directory).set(self.namespace.opaque().as_bytes(), OPAQUE).named("setxattr", path)
    }

    /// Removes the files that are deletions in a directory beneath which nothing is seen any more: the kernel compares
    /// them with nothing there, and would show them.
    pub(crate) fn forget(self, directory: BorrowedFd<'_>, path: &Path) -> Result<()> {
        if self.style == WhiteoutStyle::Device {
            return Ok(());
        }
        for name in names(directory, path)? {
            let name = SafePath::parse(&name).expect("the kernel gives single names");
            let stat = rustix::fs::statat(directory, name.as_path(), AtFlags::SYMLINK_NOFOLLOW).named("stat", path)?;
            if is_deletion(directory, &name, &stat, self.namespace, path)? {
                rustix::fs::unlinkat(directory, name.as_path(), AtFlags::empty()).named("unlinkat", path)?;
            } else if is_directory(&stat) {
                let below = open_beneath(directory, &name, READ_DIRECTORY).named("open", path)?;
                self.forget(below.as_fd(), path)?;
            }
        }
        Ok(())
    }
}

/// Whether what has a name in a directory is a deletion, in either style.
pub(crate) fn is_deletion(
    directory: BorrowedFd<'_>,
    name: &SafePath,
    stat: &Stat,
    namespace: XattrNamespace,
    path: &Path,
) -> Result<bool> {
    if file_type(stat) != FileType::RegularFile || stat.st_size != 0 {
        return Ok(is_whiteout(stat));
    }
    Ok(Object::Name(directory, name).get(namespace.whiteout().as_bytes(), path)?.is_some())
}

/// Makes a directory of a tree, and those above it, without a word about owners and modes: something above covers them.
pub(crate) fn cover_at(root: BorrowedFd<'_>, path: &SafePath) -> Result<()> {
    let mut here = SafePath::root();
    for part in path.components() {
        let parent = open_beneath(root, &here, READ_DIRECTORY).named("open", here.as_path())?;
        let name = SafePath::parse(part).expect("a part of a path is a path");
        here = here.join(part).expect("a part of a path is a name");
        match rustix::fs::mkdirat(parent, name.as_path(), Mode::RWXU) {
            Err(Errno::EXIST) => {}
            made => made.named("mkdirat", here.as_path())?,
        }
    }
    Ok(())
}
