//! Removal of trees of any depth with few descriptors.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::{Named as _, directory::names};
use crate::error::Result;
use crate::path::SafePath;

/// Directories held open at once; what lies deeper is moved up first.
const DEPTH_MAX: usize = 32;

/// Removes one name of a directory and all beneath it; a name that is not there is no error.
///
/// Symbolic links are removed, never followed, and no mount is entered.
pub(crate) fn remove(parent: BorrowedFd<'_>, name: &SafePath) -> Result<()> {
    let object = name.as_path();
    match rustix::fs::unlinkat(parent, object, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno).named("unlinkat", object),
    }
    loop {
        match rustix::fs::unlinkat(parent, object, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY) => {}
            Err(errno) => return Err(errno).named("rmdir", object),
        }
        if let Some(directory) = open(parent, name)? {
            empty_directory(directory.as_fd(), object)?;
        }
    }
}

/// Removes everything in a directory.
fn empty_directory(top: BorrowedFd<'_>, object: &Path) -> Result<()> {
    let mut moved = 0;
    loop {
        let before = moved;
        empty(top, top, 0, &mut moved, object)?;
        if moved == before {
            return Ok(());
        }
    }
}

fn empty(top: BorrowedFd<'_>, here: BorrowedFd<'_>, depth: usize, moved: &mut u64, object: &Path) -> Result<()> {
    for name in names(here, object)? {
        let name = SafePath::parse(&name).expect("the kernel gives single names");
        match rustix::fs::unlinkat(here, name.as_path(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(errno) => return Err(errno).named("unlinkat", name.as_path()),
        }
        let mut place = (here, name.clone());
        if depth == DEPTH_MAX {
            place = (top, move_up(top, here, &name, moved, object)?);
            *moved += 1;
        } else if let Some(directory) = open(here, &name)? {
            empty(top, directory.as_fd(), depth + 1, moved, object)?;
        }
        match rustix::fs::unlinkat(place.0, place.1.as_path(), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            // Moved up with its content: the next round over the top empties it.
            Err(Errno::NOTEMPTY) if depth == DEPTH_MAX => {}
            Err(errno) => return Err(errno).named("rmdir", place.1.as_path()),
        }
    }
    Ok(())
}

fn move_up(
    top: BorrowedFd<'_>,
    here: BorrowedFd<'_>,
    name: &SafePath,
    moved: &mut u64,
    object: &Path,
) -> Result<SafePath> {
    loop {
        let upper = format!(".moved-{moved}");
        let upper = SafePath::parse(upper.as_bytes()).expect("letters and digits are a name");
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(here, name.as_path(), top, upper.as_path(), flags) {
            Ok(()) => return Ok(upper),
            Err(Errno::EXIST) => *moved += 1,
            Err(errno) => return Err(errno).named("renameat", object),
        }
    }
}

/// Opens a directory that may deny its owner, as the kernel's `work/work` does; `None` if it is gone.
fn open(parent: BorrowedFd<'_>, name: &SafePath) -> Result<Option<std::os::fd::OwnedFd>> {
    let object = name.as_path();
    let read = || super::open_beneath(parent, name, super::READ_DIRECTORY);
    let opened = match read() {
        Err(Errno::ACCESS) => {
            let place = super::open_beneath(parent, name, OFlags::PATH | OFlags::NOFOLLOW).named("open", object)?;
            rustix::fs::chmodat(rustix::fs::CWD, super::proc_path(&place), Mode::RWXU, AtFlags::empty())
                .named("chmod", object)?;
            read()
        }
        opened => opened,
    };
    match opened {
        Err(Errno::NOENT) => Ok(None),
        opened => opened.map(Some).named("open", object),
    }
}
