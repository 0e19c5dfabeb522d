//! Reads the accounts of a root file system that is not trusted.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;

use crate::account::Accounts;
use crate::error::{Error, Result};

/// No image has more users than fit.
const SIZE_MAX: u64 = 4 << 20;

impl Accounts {
    /// Of the root file system whose directory or mount this is; a file that is missing has no entries.
    ///
    /// Links in it are followed inside it and lead nowhere else; what is no regular file is not opened.
    ///
    /// # Errors
    /// [`Error::Sys`] when a file cannot be read; [`Error::Invalid`] for one that is not a regular file, or larger than
    /// 4 MiB.
    pub fn read(root: impl AsFd) -> Result<Self> {
        let root = root.as_fd();
        let read = |path| read(root, path).map(Option::unwrap_or_default);
        Ok(Self::parse(&read("etc/passwd")?, &read("etc/group")?))
    }
}

fn read(root: impl AsFd, path: &str) -> Result<Option<Vec<u8>>> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let place = match openat2(&root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
        Ok(place) => place,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(Error::sys("open", path, errno)),
    };
    let status = fstat(&place).map_err(|errno| Error::sys("fstat", path, errno))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(Error::invalid("rootfs", path, "is not a regular file"));
    }
    let mut bytes = Vec::new();
    let file = reopened(&place).map_err(|source| Error::sys("open", path, source))?;
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes).map_err(|source| Error::sys("read", path, source))?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(Error::invalid("rootfs", path, "is larger than 4 MiB"));
    }
    Ok(Some(bytes))
}

/// The file that was looked at, and no other that is there by now.
fn reopened(place: &OwnedFd) -> std::io::Result<File> {
    File::open(format!("/proc/thread-self/fd/{}", place.as_raw_fd()))
}
