//! What is written, on disk.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{Named as _, READ_DIRECTORY, directory::names, open_beneath};
use crate::error::Result;
use crate::path::SafePath;

/// Up to so many entries are synced one by one; more of them are cheaper with everything else on the file system.
const EACH_MAX: u64 = 64;

/// Returns once all of a tree with about so many entries is on disk.
///
/// `syncfs` also waits for what every other process has written to the file system, which may be a lot.
pub(crate) fn sync_tree(directory: BorrowedFd<'_>, entries: u64, object: &Path) -> Result<()> {
    if entries > EACH_MAX {
        return rustix::fs::syncfs(directory).named("syncfs", object);
    }
    let mut ahead = vec![SafePath::root()];
    while let Some(path) = ahead.pop() {
        let here = match open_beneath(directory, &path, READ_DIRECTORY) {
            // Something that denies its owner: only all can be synced.
            Err(Errno::ACCESS) => return rustix::fs::syncfs(directory).named("syncfs", object),
            here => here.named("open", path.as_path())?,
        };
        for name in names(here.as_fd(), path.as_path())? {
            let child = path.join(&name).expect("the kernel gives single names");
            let name = SafePath::parse(&name).expect("the kernel gives single names");
            let found = rustix::fs::statat(&here, name.as_path(), rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
                .named("stat", child.as_path())?;
            match super::file_type(&found) {
                rustix::fs::FileType::Directory => ahead.push(child),
                rustix::fs::FileType::RegularFile => {
                    match open_beneath(here.as_fd(), &name, OFlags::RDONLY | OFlags::NOFOLLOW) {
                        Err(Errno::ACCESS) => return rustix::fs::syncfs(directory).named("syncfs", object),
                        file => rustix::fs::fsync(file.named("open", child.as_path())?),
                    }
                    .named("fsync", child.as_path())?;
                }
                // Links, devices and pipes are in their directory.
                _ => {}
            }
        }
        rustix::fs::fsync(&here).named("fsync", path.as_path())?;
    }
    Ok(())
}
