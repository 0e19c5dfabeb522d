//! Layers while they are written, from an archive that somebody else makes.

use std::fmt;
use std::io::{self, Write};

use super::blob::BlobWriter;
use super::root::Root;
use crate::codec::{DigestWriter, Encoder};
use crate::digest::Algorithm;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::media_type::{Codec, MediaType};

/// A layer that is being written, as an uncompressed archive; it is in the layout only once [`LayerWriter::finish`]
/// returned.
pub struct LayerWriter<'l> {
    archive: DigestWriter<Encoder<BlobWriter<'l>>>,
    codec: Codec,
}

impl<'l> LayerWriter<'l> {
    pub(super) fn new(root: &'l Root, codec: Codec) -> Result<Self> {
        let blob = BlobWriter::new(root, Algorithm::Sha256)?;
        Ok(Self { archive: DigestWriter::new(Encoder::new(codec, blob)?, Algorithm::Sha256), codec })
    }

    /// Completes the layer and gives it its name.
    pub fn finish(self) -> Result<Layer> {
        let (encoder, diff_id, bytes) = self.archive.into_parts();
        let blob = encoder.finish().map_err(Error::sys("write", "a layer"))?;
        Ok(Layer { descriptor: blob.finish(MediaType::layer(self.codec))?, diff_id, bytes })
    }
}

impl Write for LayerWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.archive.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.archive.flush()
    }
}

impl fmt::Debug for LayerWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerWriter").field("codec", &self.codec).finish_non_exhaustive()
    }
}
