//! Folders and files of the node, resolved beneath the node's root whatever a container has put there.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use super::super::error::{Error, Result};

/// What must be there, or is made.
///
/// Source: Kubernetes API, `HostPathVolumeSource.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum HostPathType {
    Unchecked,
    DirectoryOrCreate,
    FileOrCreate,
    There(FileType),
}

impl HostPathType {
    /// `None` for a word that Kubernetes does not have.
    pub(in super::super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "" => Self::Unchecked,
            "DirectoryOrCreate" => Self::DirectoryOrCreate,
            "FileOrCreate" => Self::FileOrCreate,
            "Directory" => Self::There(FileType::Directory),
            "File" => Self::There(FileType::RegularFile),
            "Socket" => Self::There(FileType::Socket),
            "CharDevice" => Self::There(FileType::CharacterDevice),
            "BlockDevice" => Self::There(FileType::BlockDevice),
            _ => return None,
        })
    }
}

/// Makes what is asked for where it is missing, and checks what is there.
pub(in super::super) fn prepare(root: &Path, path: &Path, kind: HostPathType) -> Result<()> {
    let root_fd = open_root(root)?;
    let fail = |op| move |errno: Errno| Error::io(op, path)(errno.into());
    match kind {
        HostPathType::Unchecked => Ok(()),
        HostPathType::DirectoryOrCreate => make_folders(root_fd.as_fd(), path).map_err(fail("create")),
        HostPathType::FileOrCreate => {
            make_folders(root_fd.as_fd(), path.parent().unwrap_or(Path::new("/"))).map_err(fail("create"))?;
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::openat2(&root_fd, path, flags, Mode::from_raw_mode(0o644), ResolveFlags::IN_ROOT)
                .map(drop)
                .map_err(fail("create"))
        }
        HostPathType::There(expected) => {
            let found = open(root_fd.as_fd(), path).map_err(fail("open"))?;
            let stat = rustix::fs::fstat(&found).map_err(fail("look at"))?;
            let is = FileType::from_raw_mode(stat.st_mode);
            if is == expected { Ok(()) } else { Err(Error::HostPath { path: path.to_owned(), expected, found: is }) }
        }
    }
}

/// A detached copy of the tree at `path` beneath `root`.
pub(in super::super) fn tree(root: &Path, path: &Path) -> Result<OwnedFd> {
    let fail = |op| move |errno: Errno| Error::io(op, path)(errno.into());
    let root_fd = open_root(root)?;
    let found = open(root_fd.as_fd(), path).map_err(fail("open"))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(&found, "", flags).map_err(fail("take the mount of"))
}

fn open_root(root: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, root, flags, Mode::empty()).map_err(|errno| Error::io("open", root)(errno.into()))
}

fn open(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    rustix::fs::openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT)
}

/// Each missing folder of `path`, one after the other, each beneath the root.
fn make_folders(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<()> {
    let mut parent = open(root, Path::new("."))?;
    let mut so_far = std::path::PathBuf::from("/");
    for component in path.components() {
        let Component::Normal(name) = component else { continue };
        match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        so_far.push(name);
        parent = open(root, &so_far)?;
    }
    let stat = rustix::fs::statat(&parent, "", AtFlags::EMPTY_PATH)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory { Ok(()) } else { Err(Errno::NOTDIR) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_link_does_not_lead_out() {
        let outside = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("srv")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("srv/link")).unwrap();
        prepare(root.path(), Path::new("/srv/link/new"), HostPathType::DirectoryOrCreate).unwrap_err();
        prepare(root.path(), Path::new("/srv/../../../made"), HostPathType::DirectoryOrCreate).unwrap();
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0, "the canary's folder is untouched");
        assert!(root.path().join("srv/made").is_dir() || root.path().join("made").is_dir());
    }

    #[test]
    fn what_is_there_is_checked() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        let check = |kind| prepare(root.path(), Path::new("/file"), kind);
        check(HostPathType::There(FileType::RegularFile)).unwrap();
        check(HostPathType::There(FileType::Directory)).unwrap_err();
        check(HostPathType::FileOrCreate).unwrap();
        check(HostPathType::DirectoryOrCreate).unwrap_err();
        prepare(root.path(), Path::new("/none"), HostPathType::There(FileType::RegularFile)).unwrap_err();
    }
}
