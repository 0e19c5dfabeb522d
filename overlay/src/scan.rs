//! Directories read back as entries.

mod names;
mod stack;
mod upper;
mod usage;
mod walk;

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Stat};

use crate::entry::{DeviceKind, DeviceNumber, Entry, Kind, Metadata, Timestamp};
use crate::error::{Error, Result};
use crate::path::SafePath;
use crate::sys::{self, Attributes, Named as _, Object};
use crate::whiteout;

pub(crate) use names::names_of;
pub(crate) use stack::{Found, Last, Stack, place};
pub(crate) use upper::{changes, visit};
pub use usage::Usage;
pub(crate) use usage::usage;
pub(crate) use walk::{Root, differences};

/// What a directory has at one name, with its attributes; overlay's own attributes are left out.
pub(crate) fn entry(parent: BorrowedFd<'_>, name: &SafePath, path: SafePath, stat: &Stat) -> Result<Entry> {
    let xattrs = Object::Name(parent, name).all(path.as_path())?;
    entry_with(parent, name, path, stat, xattrs)
}

/// As [`entry`], of something whose attributes are known.
pub(crate) fn entry_with(
    parent: BorrowedFd<'_>,
    name: &SafePath,
    path: SafePath,
    stat: &Stat,
    mut xattrs: Attributes,
) -> Result<Entry> {
    let object = path.as_path();
    let kind = match sys::file_type(stat) {
        FileType::RegularFile => Kind::File { size: u64::try_from(stat.st_size).unwrap_or_default() },
        FileType::Directory => Kind::Directory,
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(parent, name.as_path(), Vec::new()).named("readlinkat", object)?;
            Kind::Symlink(target.into_bytes().into())
        }
        FileType::CharacterDevice => Kind::Device(DeviceKind::Character, device(stat)),
        FileType::BlockDevice => Kind::Device(DeviceKind::Block, device(stat)),
        FileType::Fifo => Kind::Fifo,
        _ => return Err(Error::Unsupported { feature: "sockets in a layer", reason: path.to_string() }),
    };
    xattrs.retain(|name, _| !whiteout::is_overlay_xattr(name));
    let metadata =
        Metadata { mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid, mtime: mtime(stat), xattrs };
    Ok(Entry { path, kind, metadata })
}

/// Stats a name of a directory without following it.
pub(crate) fn stat(parent: BorrowedFd<'_>, name: &SafePath, path: &SafePath) -> Result<Stat> {
    rustix::fs::statat(parent, name.as_path(), AtFlags::SYMLINK_NOFOLLOW).named("stat", path.as_path())
}

/// The time of last change.
pub(crate) fn mtime(stat: &Stat) -> Timestamp {
    Timestamp { seconds: stat.st_mtime, nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or_default() }
}

fn device(stat: &Stat) -> DeviceNumber {
    DeviceNumber { major: rustix::fs::major(stat.st_rdev), minor: rustix::fs::minor(stat.st_rdev) }
}
