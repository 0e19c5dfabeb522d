//! Names of directories.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Dir, Mode};
use rustix::io::Errno;

use super::{Named as _, READ_DIRECTORY};
use crate::error::Result;
use crate::path::SafePath;

/// The names in a directory, sorted, without `.` and `..`.
pub(crate) fn names(directory: BorrowedFd<'_>, object: &Path) -> Result<Vec<Box<[u8]>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory).named("read directory", object)? {
        let entry = entry.named("read directory", object)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.into());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Makes a directory of mode 0700 with a name that no other process or thread uses. A number that is likely to be free
/// spares asking for those before it.
pub(crate) fn unique_directory(parent: BorrowedFd<'_>, likely: u64, object: &Path) -> Result<(SafePath, OwnedFd)> {
    let process = rustix::process::getpid().as_raw_nonzero();
    let mut number = likely;
    loop {
        number += 1;
        let name = format!("{process}-{number}");
        let name = SafePath::parse(name.as_bytes()).expect("digits and a dash are a name");
        match rustix::fs::mkdirat(parent, name.as_path(), Mode::RWXU) {
            // Another thread's, or left by an earlier process of the same number.
            Err(Errno::EXIST) => continue,
            made => made.named("mkdirat", object)?,
        }
        match super::open_beneath(parent, &name, READ_DIRECTORY) {
            // Another process took it for an orphan.
            Err(Errno::NOENT) => {}
            opened => return Ok((name, opened.named("open", object)?)),
        }
    }
}
