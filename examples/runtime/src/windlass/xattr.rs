//! Extended attributes of what is open.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
use rustix::io::{Errno, Result};

/// Attributes by their full names.
pub(super) type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// The kernel's own limit for a list of names, and for a value.
const LENGTH_MAX: usize = 64 << 10;

/// All that this process may see; none on a file system without them.
pub(super) fn read(file: BorrowedFd<'_>) -> Result<Xattrs> {
    let mut names = vec![0; LENGTH_MAX];
    let length = match flistxattr(file, &mut names[..]) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Xattrs::new()),
        length => length?,
    };
    let mut found = Xattrs::new();
    let mut value = vec![0; LENGTH_MAX];
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        match fgetxattr(file, OsStr::from_bytes(name), &mut value[..]) {
            Ok(length) => drop(found.insert(name.into(), value[..length].into())),
            // Taken away since the names were listed.
            Err(Errno::NODATA) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(found)
}

/// Sets these; a file system without any takes none.
pub(super) fn write<'a>(
    file: BorrowedFd<'_>,
    attributes: impl Iterator<Item = (&'a Box<[u8]>, &'a Box<[u8]>)>,
) -> Result<()> {
    for (name, value) in attributes {
        match fsetxattr(file, OsStr::from_bytes(name), value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
