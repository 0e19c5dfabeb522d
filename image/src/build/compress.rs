//! The same layers, compressed otherwise.

use std::io::{self, Read};

use crate::chunked;
use crate::descriptor::Descriptor;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::layout::Layout;
use crate::media_type::Codec;

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As one stream.
    Plain(Codec),
    /// File by file, with a table of contents.
    Chunked(chunked::Format),
}

/// Writes a layer anew.
///
/// # Errors
/// [`Error::DigestMismatch`] for another layer than the one of this `diff_id`.
pub(super) fn compress(layout: &Layout, blob: &Descriptor, diff_id: &Digest, with: Compression) -> Result<Layer> {
    let mut tar = Hashed { inner: layout.layer(blob)?, hasher: Hasher::new(diff_id.algorithm()) };
    let layer = match with {
        Compression::Plain(codec) => {
            let mut writer = layout.layer_writer(codec)?;
            io::copy(&mut tar, &mut writer).map_err(Error::sys("compress", "a layer"))?;
            writer.finish()?
        }
        Compression::Chunked(format) => layout.put_chunked_layer(&mut tar, format)?,
    };
    let actual = tar.hasher.finish();
    if actual == *diff_id {
        Ok(layer)
    } else {
        Err(Error::DigestMismatch { expected: Box::new(*diff_id), actual: Box::new(actual) })
    }
}

/// A layer on its way, and its digest.
struct Hashed<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
