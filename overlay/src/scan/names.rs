//! All names of a file.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::Stat;

use super::stat;
use crate::error::Result;
use crate::path::SafePath;
use crate::sys::{self, Named as _, READ_DIRECTORY};

/// Every path beneath a directory that names a file, by walking all of it.
pub(crate) fn names_of(directory: BorrowedFd<'_>, file: &Stat) -> Result<Vec<SafePath>> {
    let mut names = Vec::new();
    let mut ahead = vec![SafePath::root()];
    while let Some(path) = ahead.pop() {
        let here = sys::open_beneath(directory, &path, READ_DIRECTORY).named("open", path.as_path())?;
        for name in sys::names(here.as_fd(), path.as_path())? {
            let child = path.join(&name).expect("the kernel gives single names");
            let name = SafePath::parse(&name).expect("the kernel gives single names");
            let found = stat(here.as_fd(), &name, &child)?;
            if sys::is_directory(&found) {
                ahead.push(child);
            } else if (found.st_dev, found.st_ino) == (file.st_dev, file.st_ino) {
                names.push(child);
            }
        }
    }
    Ok(names)
}
