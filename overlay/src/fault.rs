//! What can be wrong with an archive.

use crate::path::PathError;

/// What is wrong at one byte offset of an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The stream ends inside a header, inside a file or before the end mark.
    #[error("the archive ends before its end mark")]
    Truncated,
    /// The checksum of a header does not match: this is no tar archive, or a damaged one.
    #[error("the checksum of the header is wrong")]
    Checksum,
    /// The header is of a dialect that is none of ustar, GNU and the seventh edition's.
    #[error("the header's magic is unknown")]
    Magic,
    /// A number in a header is not octal and not base-256, negative where it may not be, or too large.
    #[error("the header's field `{0}` is not a number in range")]
    Number(&'static str),
    /// The entry is of a type that is not read.
    #[error("entries of type {:?} are not read", char::from(*.0))]
    Type(u8),
    /// A name is not a path beneath the root.
    #[error("a name leaves the root or is no name")]
    Path(#[source] PathError),
    /// A pax header is not a sequence of `LENGTH KEY=VALUE` records.
    #[error("a pax record is malformed")]
    PaxRecord,
    /// The value of a pax record is not one for its key.
    #[error("the pax record `{0}` holds a wrong value")]
    PaxValue(String),
    /// A pax key changes the meaning of the archive in a way that is not read here.
    #[error("the pax record `{0}` is not understood")]
    PaxKey(String),
    /// A pax key may not stand in a global header.
    #[error("the pax record `{0}` may not be global")]
    PaxGlobal(String),
    /// Two headers say different things, or one stands where it may not.
    #[error("contradictory headers: {0}")]
    Contradiction(&'static str),
    /// The map of a sparse file is out of order, overlaps, or does not match the stored size.
    #[error("the map of a sparse file is wrong")]
    SparseMap,
    /// Bytes follow the end mark.
    #[error("data follows the end mark")]
    Trailing,
    /// A whiteout's name or type is none that OCI defines.
    #[error("a whiteout is malformed")]
    Whiteout,
    /// A hard link names itself, a directory or a whiteout.
    #[error("a hard link has no usable target")]
    HardLink,
    /// The root is something else than a directory.
    #[error("the root must be a directory")]
    Root,
}
