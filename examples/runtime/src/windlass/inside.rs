//! Files of a container's root file system, of which everything may be hostile: resolved beneath a descriptor, with
//! that as the root of every link.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat2};
use rustix::io::Errno;

const RESOLVE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// Opens a path with `root` as the root of the walk.
pub(super) fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    openat2(root, below(path), flags | OFlags::CLOEXEC, Mode::empty(), RESOLVE)
}

/// A relative spelling, because an empty path is none to the kernel.
fn below(path: &Path) -> PathBuf {
    let path = path.strip_prefix("/").unwrap_or(path);
    if path.as_os_str().is_empty() { ".".into() } else { path.to_owned() }
}

/// Makes a directory with its parents where they are missing, and opens it.
pub(super) fn make_directory(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let mut walked = PathBuf::new();
    let mut current = open(root, Path::new("/"), flags)?;
    for component in path.components() {
        let Component::Normal(name) = component else { continue };
        walked.push(name);
        current = match open(root, &walked, flags) {
            Err(Errno::NOENT) => {
                match mkdirat(&current, name, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno.into()),
                }
                open(root, &walked, flags)?
            }
            opened => opened?,
        };
    }
    Ok(current)
}

/// Makes an empty file, with its parents, where nothing is.
pub(super) fn make_file(root: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    match open(root, path, OFlags::PATH) {
        Err(Errno::NOENT) => {}
        opened => return opened.map(drop).map_err(io::Error::from),
    }
    let (parent, name) = parent_and_name(path)?;
    let parent = make_directory(root, &parent)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(parent.as_fd(), &name, flags, Mode::from_raw_mode(0o644)) {
        // A link that leads nowhere: what is mounted over it is for the mounting to follow.
        Err(Errno::EXIST) => Ok(()),
        opened => opened.map(drop).map_err(io::Error::from),
    }
}

/// The directory that holds a path, and the name in it.
pub(super) fn parent_and_name(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent.to_owned(), name.into())),
        _ => Err(io::Error::other(format!("{} has no name", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let canary = folder.path().join("canary");
        std::fs::write(&canary, "outside").unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        symlink(&canary, root.join("absolute")).unwrap();
        symlink("../canary", root.join("relative")).unwrap();
        symlink("/made", root.join("link")).unwrap();
        let fd = std::fs::File::open(&root).unwrap();
        for name in ["absolute", "relative", "../canary"] {
            assert!(open(fd.as_fd(), Path::new(name), OFlags::RDONLY).is_err(), "{name}");
        }
        make_directory(fd.as_fd(), Path::new("/made")).unwrap();
        make_file(fd.as_fd(), Path::new("/link/deeper/file")).unwrap();
        assert!(root.join("made/deeper/file").is_file());
        assert_eq!(std::fs::read_to_string(canary).unwrap(), "outside");
    }
}
