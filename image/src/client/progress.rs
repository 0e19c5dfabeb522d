//! What happens meanwhile.

use crate::descriptor::Descriptor;
use crate::digest::Digest;

/// Something that a caller may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'d> {
    /// A blob begins to move; `offset` bytes of it are there from an earlier attempt.
    Begin {
        /// Which blob.
        blob: &'d Descriptor,
        /// Bytes that are there.
        offset: u64,
    },
    /// So many bytes more have moved.
    Moved {
        /// Which blob.
        digest: &'d Digest,
        /// Bytes since the last time.
        bytes: u64,
    },
    /// A blob is where it should be, verified.
    Done {
        /// Which blob.
        digest: &'d Digest,
    },
    /// A blob was there before.
    Exists {
        /// Which blob.
        blob: &'d Descriptor,
    },
}
