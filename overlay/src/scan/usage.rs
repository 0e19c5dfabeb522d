//! What a tree costs on disk.

use std::collections::HashSet;
use std::os::fd::{AsFd as _, BorrowedFd};

use super::stat;
use crate::error::{Error, Result};
use crate::limits::{Limit, Limits};
use crate::path::SafePath;
use crate::sys::{self, Named as _, READ_DIRECTORY};

/// What a tree costs on disk; a file with several names counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of the blocks in use, holes not counted.
    pub bytes: u64,
    /// Files, directories and everything else.
    pub inodes: u64,
}

/// Walks a tree and adds up.
pub(crate) fn usage(directory: BorrowedFd<'_>) -> Result<Usage> {
    let mut usage = Usage::default();
    let mut seen = HashSet::new();
    let mut ahead = vec![SafePath::root()];
    let depth_max = Limits::default().depth;
    while let Some(path) = ahead.pop() {
        if path.depth() > depth_max {
            return Err(Error::LimitExceeded { limit: Limit::Depth, max: depth_max as u64 });
        }
        let here = sys::open_beneath(directory, &path, READ_DIRECTORY).named("open", path.as_path())?;
        let own = rustix::fs::fstat(&here).named("stat", path.as_path())?;
        usage.add(&own);
        for name in sys::names(here.as_fd(), path.as_path())? {
            let child = path.join(&name).expect("the kernel gives single names");
            let name = SafePath::parse(&name).expect("the kernel gives single names");
            let found = stat(here.as_fd(), &name, &child)?;
            if sys::is_directory(&found) {
                ahead.push(child);
            } else if found.st_nlink == 1 || seen.insert((found.st_dev, found.st_ino)) {
                usage.add(&found);
            }
        }
    }
    Ok(usage)
}

impl Usage {
    fn add(&mut self, stat: &rustix::fs::Stat) {
        // st_blocks counts 512 bytes whatever the file system's blocks are.
        self.bytes += u64::try_from(stat.st_blocks).unwrap_or_default() * 512;
        self.inodes += 1;
    }
}
