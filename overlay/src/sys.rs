//! System calls by the names of what they act on. What rustix has no safe call for is in `loop_device` and `namespace`.

mod copy;
mod deletion;
mod directory;
mod durable;
mod lease;
mod loop_device;
mod namespace;
mod remove;
mod xattr;

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::path::SafePath;

pub(crate) use copy::copy;
pub(crate) use deletion::{Spelling, cover_at, is_deletion};
pub(crate) use directory::{names, unique_directory};
pub(crate) use durable::sync_tree;
pub(crate) use lease::{Lease, Sharing};
pub(crate) use loop_device::LoopDevice;
pub(crate) use namespace::{clone_mount, idmap, in_private_namespace};
pub(crate) use remove::remove;
pub(crate) use xattr::{Attributes, Object, native_namespace};

/// Gives a failed call its operation and object.
pub(crate) trait Named<T> {
    fn named(self, op: &'static str, object: &Path) -> Result<T>;
}

impl<T> Named<T> for rustix::io::Result<T> {
    fn named(self, op: &'static str, object: &Path) -> Result<T> {
        self.map_err(|errno| Error::Sys { op, object: object.to_owned(), source: errno.into() })
    }
}

impl<T> Named<T> for std::io::Result<T> {
    fn named(self, op: &'static str, object: &Path) -> Result<T> {
        self.map_err(|source| Error::Sys { op, object: object.to_owned(), source })
    }
}

/// Neither a symbolic link nor a mount is crossed, and nothing above the directory is reached.
pub(crate) fn beneath() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV
}

/// Opens a directory beneath another; the caller sees the bare errno, which decides what comes next.
pub(crate) fn open_beneath(directory: BorrowedFd<'_>, path: &SafePath, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    loop {
        let opened = rustix::fs::openat2(directory, path.as_path(), flags | OFlags::CLOEXEC, Mode::empty(), beneath());
        // The kernel saw a rename on the way and cannot tell whether the path left the directory.
        if !matches!(opened, Err(Errno::AGAIN | Errno::INTR)) {
            return opened;
        }
    }
}

/// Flags for a directory that is only a place.
pub(crate) const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);
/// Flags for a directory that is read, or whose metadata is changed.
pub(crate) const READ_DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);

/// Opens a directory that the caller names.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).named("open", path)
}

/// Writes all bytes at an offset; the caller sees the bare errno.
pub(crate) fn write_at(file: BorrowedFd<'_>, mut bytes: &[u8], mut offset: u64) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        let written = match rustix::io::pwrite(file, bytes, offset) {
            Err(Errno::INTR) => continue,
            Ok(0) => return Err(Errno::IO),
            written => written?,
        };
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

/// Reads up to a whole buffer at an offset; the caller sees the bare errno.
pub(crate) fn read_at(file: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> rustix::io::Result<usize> {
    loop {
        match rustix::io::pread(file, &mut *buffer, offset) {
            Err(Errno::INTR) => {}
            read => return read,
        }
    }
}

/// A path to what a descriptor holds, for calls that take no descriptor.
pub(crate) fn proc_path(descriptor: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd()))
}

/// Which boot of the machine this is.
pub(crate) fn boot() -> Result<String> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    std::fs::read_to_string(path).map(|text| text.trim().to_owned()).named("read", path)
}

/// Whether the kernel is this old or newer.
pub(crate) fn kernel_has(version: (u32, u32)) -> bool {
    release(&rustix::system::uname().release().to_string_lossy()).is_some_and(|found| found >= version)
}

/// The two first numbers of a release.
fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Whether the object is a character device 0:0.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    file_type(stat) == rustix::fs::FileType::CharacterDevice && stat.st_rdev == 0
}

/// Whether the descriptor is of an EROFS file system.
pub(crate) fn is_image(descriptor: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    const MAGIC: i64 = 0xe0f5_e1e2;
    rustix::fs::fstatfs(descriptor).map(|found| found.f_type == MAGIC)
}

pub(crate) fn file_type(stat: &Stat) -> rustix::fs::FileType {
    rustix::fs::FileType::from_raw_mode(stat.st_mode)
}

pub(crate) fn is_directory(stat: &Stat) -> bool {
    file_type(stat) == rustix::fs::FileType::Directory
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn releases() {
        let table = [
            ("6.12.38+deb13-cloud-amd64", Some((6, 12))),
            ("6.8", Some((6, 8))),
            ("5.10.0-21-amd64", Some((5, 10))),
            ("7.0-rc1", Some((7, 0))),
            ("six", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(release(text), expected, "{text}");
        }
    }
}
