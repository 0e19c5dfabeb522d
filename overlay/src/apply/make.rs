//! New objects with their owner, mode, attributes and time, in the order that the kernel needs.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps};

use super::attribute;
use super::notice::Notices;
use super::owner::Owner;
use super::place::Place;
use crate::entry::{DeviceKind, Entry, Kind, Timestamp};
use crate::error::Result;
use crate::options::Xattrs;
use crate::path::SafePath;
use crate::sys::{self, Named as _, Object};

/// The mode of a file that only its owner reads until it is dressed.
pub(super) const UNDRESSED: u32 = 0o600;

/// Makes an empty file; the caller sees the bare errno, which decides what comes next.
pub(super) fn file(place: &Place, mode: u32) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&place.parent, place.name.as_path(), flags, Mode::from_raw_mode(mode))
}

/// Gives an open file or directory its owner and attributes. Mode and time come after the last write.
pub(super) fn dress(
    object: BorrowedFd<'_>,
    entry: &Entry,
    owner: Owner,
    xattrs: Xattrs,
    notices: &mut Notices,
) -> Result<()> {
    if let Some((uid, gid)) = owner {
        rustix::fs::fchown(object, Some(uid), Some(gid)).named("fchown", entry.path.as_path())?;
    }
    attributes(Object::Open(object), entry, xattrs, notices)
}

/// Sets mode and time; the mode comes after the owner, because `chown` clears the set-id bits.
pub(super) fn set_mode_and_time(object: BorrowedFd<'_>, path: &SafePath, mode: u32, mtime: Timestamp) -> Result<()> {
    rustix::fs::fchmod(object, Mode::from_raw_mode(mode)).named("fchmod", path.as_path())?;
    set_time(object, path, mtime)
}

/// Sets the time, which every later write into a directory would change.
pub(super) fn set_time(object: BorrowedFd<'_>, path: &SafePath, mtime: Timestamp) -> Result<()> {
    rustix::fs::futimens(object, &times(mtime)).named("futimens", path.as_path())
}

/// Makes a symbolic link, a device or a pipe.
pub(super) fn special(place: &Place, entry: &Entry, owner: Owner, xattrs: Xattrs, notices: &mut Notices) -> Result<()> {
    let (parent, name, object) = (place.parent.as_fd(), place.name.as_path(), place.path.as_path());
    let node = |kind, device| rustix::fs::mknodat(parent, name, kind, Mode::empty(), device).named("mknodat", object);
    match &entry.kind {
        Kind::Symlink(target) => rustix::fs::symlinkat(&**target, parent, name).named("symlinkat", object)?,
        Kind::Device(DeviceKind::Character, number) => {
            node(FileType::CharacterDevice, rustix::fs::makedev(number.major, number.minor))?;
        }
        Kind::Device(DeviceKind::Block, number) => {
            node(FileType::BlockDevice, rustix::fs::makedev(number.major, number.minor))?;
        }
        _ => node(FileType::Fifo, 0)?,
    }
    if let Some((uid, gid)) = owner {
        rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).named("chown", object)?;
    }
    if !matches!(entry.kind, Kind::Symlink(_)) {
        // chmod follows links, so it acts on what was opened without following one.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(parent, name, flags, Mode::empty()).named("open", object)?;
        let stat = rustix::fs::fstat(&opened).named("fstat", object)?;
        if sys::file_type(&stat) == FileType::Symlink {
            return Err(rustix::io::Errno::LOOP).named("chmod", object);
        }
        let mode = Mode::from_raw_mode(entry.metadata.mode);
        rustix::fs::chmodat(CWD, sys::proc_path(&opened), mode, AtFlags::empty()).named("chmod", object)?;
    }
    attributes(Object::Name(parent, &place.name), entry, xattrs, notices)?;
    let times = times(entry.metadata.mtime);
    rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW).named("utimensat", object)
}

fn attributes(object: Object<'_>, entry: &Entry, xattrs: Xattrs, notices: &mut Notices) -> Result<()> {
    for (name, value) in attribute::wanted(entry, xattrs, notices) {
        if let Err(errno) = object.set(name, value) {
            attribute::refused(entry, xattrs, errno, notices)?;
        }
    }
    Ok(())
}

/// The access time is the change time: archives carry no other that is the same everywhere.
fn times(mtime: Timestamp) -> Timestamps {
    let time = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}
