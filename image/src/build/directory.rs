//! A directory that somebody else filled: read beneath its descriptor, with it as the root of every link.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

use crate::error::{Error, Result};

/// As many as the kernel follows.
const LINKS_MAX: usize = 40;

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    Symlink,
    /// A device, a pipe or a socket.
    Special,
}

/// What is at a path, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    /// Of a file that has other names, too.
    pub(super) identity: Option<Identity>,
}

/// A file, whatever its names: by its file system and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity(u64, u64);

/// The directory; paths in it begin at it.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    root: Arc<OwnedFd>,
    /// For messages.
    name: String,
}

impl Directory {
    pub(super) fn new(root: OwnedFd, name: impl Into<String>) -> Self {
        Self { root: Arc::new(root), name: name.into() }
    }

    pub(super) fn descriptor(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.root)
    }

    fn shown(&self, path: &Path) -> PathBuf {
        Path::new(&self.name).join(path)
    }

    /// Opens a path without following a link anywhere; `None` where nothing is.
    fn open(&self, path: &Path, flags: OFlag) -> Result<Option<OwnedFd>> {
        match open_plain(self.root.as_fd(), path, flags) {
            Ok(descriptor) => Ok(Some(descriptor)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(Error::errno("open", self.shown(path))(errno)),
        }
    }

    /// What is at a path itself, be it a link; the way to it holds none.
    pub(super) fn examine(&self, path: &Path) -> Result<Option<Found>> {
        let Some(descriptor) = self.open(path, OFlag::O_PATH)? else { return Ok(None) };
        let status = fstat(&descriptor).map_err(Error::errno("examine", self.shown(path)))?;
        Ok(Some(found(&status)))
    }

    pub(super) fn read_link(&self, path: &Path) -> Result<PathBuf> {
        let missing = || Error::NotFound { object: self.shown(path).display().to_string() };
        let link = self.open(path, OFlag::O_PATH)?.ok_or_else(missing)?;
        let target = readlinkat(&link, c"").map_err(Error::errno("read the link", self.shown(path)))?;
        Ok(target.into())
    }

    /// Where a path leads when each link is followed; names beyond what is there stay as they are.
    pub(super) fn resolve(&self, path: &Path) -> Result<PathBuf> {
        let mut left: Vec<Vec<u8>> = names(path.as_os_str()).rev().map(<[u8]>::to_vec).collect();
        let mut current = PathBuf::new();
        let mut links = 0;
        while let Some(name) = left.pop() {
            if name == b".." {
                current.pop();
                continue;
            }
            let next = current.join(OsStr::from_bytes(&name));
            if self.examine(&next)?.is_none_or(|found| found.kind != Kind::Symlink) {
                current = next;
                continue;
            }
            links += 1;
            if links > LINKS_MAX {
                return Err(Error::LimitExceeded { limit: "chain of symbolic links", max: LINKS_MAX as u64 });
            }
            let target = self.read_link(&next)?;
            if target.is_absolute() {
                current = PathBuf::new();
            }
            left.extend(names(target.as_os_str()).rev().map(<[u8]>::to_vec));
        }
        Ok(current)
    }

    /// The names in a directory, sorted.
    pub(super) fn list(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let failed = |errno| Error::errno("list", self.shown(path))(errno);
        let missing = || Error::NotFound { object: self.shown(path).display().to_string() };
        let opened = self.open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?.ok_or_else(missing)?;
        let mut directory = Dir::from_fd(opened).map_err(failed)?;
        let mut names = Vec::new();
        for entry in directory.iter() {
            let entry = entry.map_err(failed)?;
            let name: &CStr = entry.file_name();
            if ![c".", c".."].contains(&name) {
                names.push(PathBuf::from(OsStr::from_bytes(name.to_bytes())));
            }
        }
        names.sort();
        Ok(names)
    }

    /// The extended attributes of a file or directory that are its own, wherever it is.
    pub(super) fn attributes(&self, path: &Path) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let failed = |errno: rustix::io::Errno| Error::sys("read the attributes of", self.shown(path))(errno.into());
        let mut found = BTreeMap::new();
        let Some(opened) = self.open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)? else { return Ok(found) };
        // Most have none, and need no room for a list.
        match rustix::fs::flistxattr_query(&opened) {
            Ok(0) | Err(rustix::io::Errno::OPNOTSUPP) => return Ok(found),
            Ok(_) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let mut names = vec![0; ATTRIBUTES_MAX];
        let length = rustix::fs::flistxattr(&opened, &mut names[..]).map_err(failed)?;
        names.truncate(length);
        for name in names.split(|byte| *byte == 0).filter(|name| is_portable(name)) {
            let mut value = vec![0; ATTRIBUTES_MAX];
            match rustix::fs::fgetxattr(&opened, name, &mut value[..]) {
                Ok(length) => value.truncate(length),
                // It went away meanwhile.
                Err(rustix::io::Errno::NODATA) => continue,
                Err(errno) => return Err(failed(errno)),
            }
            found.insert(name.to_vec(), value);
        }
        Ok(found)
    }

    /// A small text; `None` where no regular file is.
    pub(super) fn read_text(&self, path: &Path, max: u64) -> Result<Option<String>> {
        let path = self.resolve(path)?;
        if self.examine(&path)?.is_none_or(|found| found.kind != Kind::File) {
            return Ok(None);
        }
        let Some(file) = self.open(&path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)? else { return Ok(None) };
        let mut bytes = Vec::new();
        File::from(file).take(max + 1).read_to_end(&mut bytes).map_err(Error::sys("read", self.shown(&path)))?;
        if bytes.len() as u64 > max {
            return Err(Error::LimitExceeded { limit: "text file of an image", max });
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// The kernel's own limit on a list of names, and on a value.
const ATTRIBUTES_MAX: usize = 64 << 10;

/// Whether an attribute means the same in an image: labels of this machine's policy and marks of its overlays do not.
fn is_portable(name: &[u8]) -> bool {
    let kept: [&[u8]; 3] = [b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default"];
    let is_overlays = [&b"user.overlay."[..], b"trusted.overlay."].iter().any(|prefix| name.starts_with(prefix));
    let is_free = name.starts_with(b"user.") || name.starts_with(b"trusted.");
    kept.contains(&name) || is_free && !is_overlays
}

/// Opens beneath a descriptor, through no link.
pub(super) fn open_plain(root: BorrowedFd<'_>, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let how = OpenHow::new()
        .flags(flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NOCTTY)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    // O_PATH refuses to combine with what it makes meaningless.
    let how = if flags.contains(OFlag::O_PATH) {
        how.flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
    } else {
        how
    };
    loop {
        match openat2(root, path, how.mode(Mode::empty())) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            opened => return opened,
        }
    }
}

fn found(status: &FileStat) -> Found {
    let kind = match SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => Kind::Directory,
        SFlag::S_IFREG => Kind::File,
        SFlag::S_IFLNK => Kind::Symlink,
        _ => Kind::Special,
    };
    let identity = (kind == Kind::File && status.st_nlink > 1).then_some(Identity(status.st_dev, status.st_ino));
    Found { kind, mode: status.st_mode & 0o7777, uid: status.st_uid.into(), gid: status.st_gid.into(), identity }
}

fn names(path: &OsStr) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.as_bytes().split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("real/deep")).unwrap();
        std::fs::write(root.join("real/file"), "text").unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        symlink("/real", root.join("absolute")).unwrap();
        symlink("../../../secret", root.join("out")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let directory = Directory::new(File::open(&root).unwrap().into(), "root");
        let resolve = |path: &str| directory.resolve(Path::new(path)).unwrap();
        assert_eq!(resolve("/absolute/./deep/../file"), Path::new("real/file"));
        assert_eq!(resolve("absolute/new/name"), Path::new("real/new/name"));
        assert_eq!(resolve("out"), Path::new("secret"));
        assert_eq!(directory.read_text(Path::new("out"), 100).unwrap(), None);
        assert_eq!(directory.read_text(Path::new("absolute/file"), 100).unwrap().as_deref(), Some("text"));
        assert!(directory.read_text(Path::new("absolute/file"), 3).is_err());
        assert!(directory.resolve(Path::new("loop")).is_err());
        assert_eq!(directory.list(Path::new("real")).unwrap(), [Path::new("deep"), Path::new("file")]);
        assert!(directory.list(Path::new("absolute")).is_err(), "a link is not followed without being resolved");
    }
}
