//! Layers with a table of contents: one file of them is read without the rest.
//!
//! In both formats every file is compressed on its own and the table lies at the end, so that any tool reads such a
//! layer as an ordinary one. estargz is gzip, with the table as the last file of the archive; zstd:chunked keeps it in
//! frames that decompressors skip, so that the archive stays as it was. The digest of the table is an annotation of the
//! layer's descriptor, hence covered by the manifest's own digest: [`Lazy::open`] believes no other table.
//!
//! ```
//! use windlass_image::chunked::{self, Lazy};
//! use windlass_image::layer::{Builder, Metadata, Source};
//! use windlass_image::{Codec, Limits};
//!
//! let mut files = Builder::new(0);
//! files.file("etc/motd", Metadata::root(0o644), Source::Bytes(b"hello\n".to_vec()))?;
//! let (mut tar, mut blob) = (Vec::new(), Vec::new());
//! files.write(&mut tar, Codec::None)?;
//! let layer = chunked::write(&tar[..], &mut blob, chunked::Format::Estargz)?;
//!
//! let lazy = Lazy::open(blob, &layer.descriptor, &Limits::DEFAULT)?;
//! let mut text = String::new();
//! std::io::Read::read_to_string(&mut lazy.file("etc/motd")?, &mut text).expect("it is in memory");
//! assert_eq!(text, "hello\n");
//! # Ok::<(), windlass_image::Error>(())
//! ```

mod entry;
mod estargz;
mod lazy;
mod pieces;
mod tar_split;
mod write;
mod zstd_chunked;

pub use entry::{Entry, Kind};
pub use lazy::{FileReader, Lazy, Ranges};
pub use write::write;

use crate::media_type::Codec;

/// A format of layers with a table of contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// gzip; the table is the last file of the archive, so that the layer's `diff_id` is another one with it.
    Estargz,
    /// Zstandard; the archive, and with it the `diff_id`, stays as it is.
    ZstdChunked,
}

impl Format {
    /// How layers of this format are compressed.
    pub const fn codec(self) -> Codec {
        match self {
            Self::Estargz => Codec::Gzip,
            Self::ZstdChunked => Codec::Zstd,
        }
    }
}
