//! What the kernel gives a new file by itself, so that a call to set it can be spared.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use super::owner::Owner;
use crate::entry::Entry;
use crate::error::Result;
use crate::path::SafePath;
use crate::sys::{Named as _, Object};

/// Owner and mode of new files in directories that were all made by this process, with neither a set-group bit nor a
/// default access list to pass on.
#[derive(Debug)]
pub(super) struct Birth {
    owner: Owner,
    /// Bits of a mode that a file was seen to get.
    granted: u32,
    /// Bits of a mode that the kernel was seen to take away, as the umask says, or that come after the owner.
    refused: u32,
    /// Whether the owner was seen on a file.
    is_seen: bool,
}

/// A default access list, which decides the modes of what is made in its directory.
const DEFAULT_LIST: &[u8] = b"system.posix_acl_default";

impl Birth {
    /// What is known of a new layer's directory; `None` where it passes something on.
    pub(super) fn of(root: BorrowedFd<'_>) -> Result<Option<Self>> {
        let here = SafePath::root();
        let stat = rustix::fs::fstat(root).named("stat", here.as_path())?;
        let has_list = Object::Open(root).get(DEFAULT_LIST, here.as_path())?.is_some();
        if stat.st_mode & 0o2000 != 0 || has_list {
            return Ok(None);
        }
        let owner = Some((rustix::process::geteuid(), rustix::process::getegid()));
        Ok(Some(Self { owner, granted: 0, refused: 0o7000, is_seen: false }))
    }

    /// Whether a new file belongs to whom it should without being told.
    pub(super) fn gives_owner(&self, owner: Owner) -> bool {
        owner.is_none() || owner == self.owner
    }

    /// Whether a new file can be made with its mode.
    pub(super) fn gives_mode(&self, mode: u32) -> bool {
        mode & self.refused == 0
    }

    /// Whether an entry's attributes leave what was known as it was.
    pub(super) fn survives(entry: &Entry) -> bool {
        !entry.metadata.xattrs.contains_key(DEFAULT_LIST)
    }

    /// Looks at a new file, unless another one told the same before: whether it has the owner, and the mode it was made
    /// with. Some file systems give files the group of their directory.
    pub(super) fn confirm(&mut self, file: &OwnedFd, mode: Option<u32>) -> Result<(bool, bool)> {
        if self.is_seen && mode.unwrap_or_default() & !self.granted == 0 {
            return Ok((true, mode.is_some()));
        }
        let stat = rustix::fs::fstat(file.as_fd()).named("stat", SafePath::root().as_path())?;
        let found = (stat.st_uid, stat.st_gid);
        self.is_seen = self.owner.is_some_and(|(uid, gid)| found == (uid.as_raw(), gid.as_raw()));
        let missing = mode.map(|mode| mode & !stat.st_mode);
        match (mode, missing) {
            (Some(mode), Some(0)) => self.granted |= mode,
            (_, missing) => self.refused |= missing.unwrap_or_default(),
        }
        Ok((self.is_seen, self.is_seen && missing == Some(0)))
    }
}
