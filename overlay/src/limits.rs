//! How much an archive may ask for.

use std::fmt;

/// Bounds on one layer; reaching one is [`crate::Error::LimitExceeded`].
///
/// The defaults let every public base image pass and stop what was made to exhaust a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes of the archive itself, its trailer included.
    pub archive_bytes: u64,
    /// Bytes of one file, holes included.
    pub file_bytes: u64,
    /// Bytes of one path.
    pub path_bytes: usize,
    /// Bytes of one name.
    pub name_bytes: usize,
    /// Directories above one path.
    pub depth: usize,
    /// Bytes of all extended attributes of one entry, names included.
    pub xattr_bytes: usize,
    /// Bytes of one pax header, GNU long name or sparse map.
    pub extension_bytes: u64,
    /// Records of one pax header.
    pub pax_records: usize,
    /// Data segments of one sparse file.
    pub sparse_segments: usize,
    /// Symbolic links followed on the way to one entry's directory.
    pub links_followed: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 4_000_000,
            archive_bytes: 256 << 30,
            file_bytes: 256 << 30,
            path_bytes: 4095,
            name_bytes: 255,
            depth: 512,
            xattr_bytes: 256 << 10,
            extension_bytes: 1 << 20,
            pax_records: 4096,
            sparse_segments: 100_000,
            links_followed: 40,
        }
    }
}

/// Which bound of [`Limits`] was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::entries`].
    Entries,
    /// [`Limits::archive_bytes`].
    ArchiveBytes,
    /// [`Limits::file_bytes`].
    FileBytes,
    /// [`Limits::path_bytes`].
    PathBytes,
    /// [`Limits::name_bytes`].
    NameBytes,
    /// [`Limits::depth`].
    Depth,
    /// [`Limits::xattr_bytes`].
    XattrBytes,
    /// [`Limits::extension_bytes`].
    ExtensionBytes,
    /// [`Limits::pax_records`].
    PaxRecords,
    /// [`Limits::sparse_segments`].
    SparseSegments,
    /// [`Limits::links_followed`].
    LinksFollowed,
    /// Bytes of an image, with the holes of its files.
    ImageBytes,
    /// Lower directories that one mount takes in the way this kernel offers.
    LowerDirectories,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entries => "entries of an archive",
            Self::ArchiveBytes => "bytes of an archive",
            Self::FileBytes => "bytes of a file",
            Self::PathBytes => "bytes of a path",
            Self::NameBytes => "bytes of a name",
            Self::Depth => "directories above a path",
            Self::XattrBytes => "bytes of extended attributes",
            Self::ExtensionBytes => "bytes of a pax header, a long name or a sparse map",
            Self::PaxRecords => "records of a pax header",
            Self::SparseSegments => "segments of a sparse file",
            Self::LinksFollowed => "symbolic links followed for one path",
            Self::ImageBytes => "bytes of an image",
            Self::LowerDirectories => "lower directories of one mount",
        })
    }
}
