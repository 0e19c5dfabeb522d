//! What an archive or a directory holds at one path.

use std::collections::BTreeMap;

use crate::path::SafePath;

/// One object of a layer, without the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub path: SafePath,
    /// What it is.
    pub kind: Kind,
    /// Whose it is, and when it changed; of no meaning for a hard link, which shares its target's.
    pub metadata: Metadata,
}

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Length in bytes, holes included.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link and its text.
    Symlink(Box<[u8]>),
    /// One more name of an earlier file.
    HardLink(SafePath),
    /// A character or block device.
    Device(DeviceKind, DeviceNumber),
    /// A named pipe.
    Fifo,
}

/// The two kinds of device file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceKind {
    /// Read byte by byte.
    Character,
    /// Read block by block.
    Block,
}

/// Which device a device file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    /// The driver.
    pub major: u32,
    /// The device of that driver.
    pub minor: u32,
}

/// Owner, mode, times and extended attributes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Permission, set-id and sticky bits: `0o7777` at most.
    pub mode: u32,
    /// Owner, as the archive numbers users.
    pub uid: u32,
    /// Group, as the archive numbers groups.
    pub gid: u32,
    /// Last change of the content.
    pub mtime: Timestamp,
    /// Extended attributes by full name (`user.x`, `security.capability`).
    pub xattrs: BTreeMap<Box<[u8]>, Box<[u8]>>,
}

/// A point in time as archives write it.
///
/// # Units
/// Seconds since 1970-01-01 00:00 UTC, and nanoseconds after that second (below 10^9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// The rest.
    pub nanoseconds: u32,
}

impl Kind {
    /// The word for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Directory => "directory",
            Self::Symlink(_) => "symbolic link",
            Self::HardLink(_) => "hard link",
            Self::Device(DeviceKind::Character, _) => "character device",
            Self::Device(DeviceKind::Block, _) => "block device",
            Self::Fifo => "named pipe",
        }
    }
}
