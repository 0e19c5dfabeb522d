//! Streams of layers: verified, decompressed and bounded while they pass.

mod gzip;
mod verify;
#[cfg(feature = "zstd")]
mod zstd;

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};

pub(crate) use verify::DigestWriter;
pub use verify::{VerifyReader, verify_diff_id};

use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::media_type::Codec;

const BUFFER: usize = 128 << 10;

/// The uncompressed tar of a layer, checked while it is read.
///
/// The last read, which returns 0, comes only after the whole compressed content had the length and the digest of
/// its descriptor. Whatever was read before an error must be thrown away.
///
/// Memory is bounded by the decompressor's window; output by [`Limits`].
///
/// # Errors
/// An [`io::Error`] that holds an [`Error`]: see [`Error::unwrap_io`].
pub struct LayerReader<R: Read> {
    decoder: Decoder<R>,
    codec: Codec,
    bytes: u64,
    limits: Limits,
    compressed: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Finished,
    Failed,
}

enum Decoder<R: Read> {
    None(Box<VerifyReader<R>>),
    Gzip(Box<gzip::Decoder<BufReader<VerifyReader<R>>>>),
    #[cfg(feature = "zstd")]
    Zstd(Box<zstd::Decoder<BufReader<VerifyReader<R>>>>),
}

impl<R: Read> LayerReader<R> {
    /// Reads `blob`, the compressed content that `descriptor` describes.
    ///
    /// # Errors
    /// A media type that is no layer, and zstd in a build without it.
    pub fn new(blob: R, descriptor: &Descriptor, limits: &Limits) -> Result<Self> {
        let codec = descriptor
            .media_type
            .layer_codec()
            .ok_or_else(|| Error::Unsupported { feature: format!("a layer of type {}", descriptor.media_type) })?;
        let verified = VerifyReader::new(blob, descriptor);
        let buffered = |verified| BufReader::with_capacity(BUFFER, verified);
        let decoder = match codec {
            Codec::None => Decoder::None(Box::new(verified)),
            Codec::Gzip => Decoder::Gzip(Box::new(gzip::decoder(buffered(verified)))),
            #[cfg(feature = "zstd")]
            Codec::Zstd => Decoder::Zstd(Box::new(zstd::decoder(buffered(verified), limits)?)),
            #[cfg(not(feature = "zstd"))]
            Codec::Zstd => return Err(Error::Unsupported { feature: "zstd in a build without it".into() }),
        };
        let (compressed, limits) = (descriptor.size, *limits);
        Ok(Self { decoder, codec, bytes: 0, limits, compressed, state: State::Reading })
    }

    /// Uncompressed bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn verified(&mut self) -> &mut VerifyReader<R> {
        match &mut self.decoder {
            Decoder::None(reader) => reader,
            Decoder::Gzip(decoder) => decoder.get_mut().get_mut(),
            #[cfg(feature = "zstd")]
            Decoder::Zstd(decoder) => decoder.get_mut().get_mut(),
        }
    }

    fn decode(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.decoder {
            Decoder::None(reader) => reader.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer),
            #[cfg(feature = "zstd")]
            Decoder::Zstd(decoder) => decoder.read(buffer),
        }
    }

    /// What a decompressor's failure means: a wrong digest explains it better than the nonsense it made.
    fn explain(&mut self, error: io::Error) -> io::Error {
        let codec = self.codec;
        let source = match Error::unwrap_io(error) {
            Ok(own) => return own.into(),
            Err(source) if source.raw_os_error().is_some() => return source,
            Err(source) => source,
        };
        match self.verified().finish() {
            Err(error) => error,
            Ok(()) => Error::Decode { codec, source }.into(),
        }
    }

    fn check_limits(&self) -> Result<()> {
        let Limits { layer_bytes, layer_expansion, layer_expansion_free, .. } = self.limits;
        if self.bytes > layer_bytes {
            return Err(Error::LimitExceeded { limit: "uncompressed layer", max: layer_bytes });
        }
        if self.bytes > layer_expansion_free && self.bytes / layer_expansion.max(1) > self.compressed {
            return Err(Error::LimitExceeded { limit: "expansion of a layer", max: layer_expansion });
        }
        Ok(())
    }
}

impl<R: Read> Read for LayerReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.state == State::Finished {
            return Ok(0);
        }
        if self.state == State::Failed {
            return Err(io::Error::other("the layer was found to be wrong by an earlier read"));
        }
        let outcome = match self.decode(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => Err(self.explain(error)),
            Ok(0) => self.verified().finish().map(|()| 0),
            Ok(count) => {
                self.bytes += count as u64;
                self.check_limits().map(|()| count).map_err(Into::into)
            }
        };
        match &outcome {
            Ok(0) => self.state = State::Finished,
            Ok(_) => {}
            Err(_) => self.state = State::Failed,
        }
        outcome
    }
}

impl<R: Read> fmt::Debug for LayerReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerReader").field("codec", &self.codec).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Decompresses one of the streams of which a layer may consist, and those behind it; nothing is verified.
pub(crate) fn member_decoder<'r>(
    codec: Codec,
    input: impl BufRead + 'r,
    limits: &Limits,
) -> Result<Box<dyn Read + 'r>> {
    match codec {
        Codec::None => Ok(Box::new(input)),
        Codec::Gzip => Ok(Box::new(gzip::decoder(input))),
        #[cfg(feature = "zstd")]
        Codec::Zstd => Ok(Box::new(zstd::decoder(input, limits)?)),
        #[cfg(not(feature = "zstd"))]
        Codec::Zstd => {
            let _ = limits; // of no decompressor that is here
            Err(Error::Unsupported { feature: "zstd in a build without it".into() })
        }
    }
}

/// Compresses so that the same content gives the same bytes: no time, no name, no operating system in the header.
pub(crate) enum Encoder<W: Write> {
    None(W),
    Gzip(Box<gzip::Encoder<W>>),
    #[cfg(feature = "zstd")]
    Zstd(zstd::Encoder<W>),
}

impl<W: Write> Encoder<W> {
    pub(crate) fn new(codec: Codec, out: W) -> Result<Self> {
        match codec {
            Codec::None => Ok(Self::None(out)),
            Codec::Gzip => Ok(Self::Gzip(Box::new(gzip::encoder(out)))),
            #[cfg(feature = "zstd")]
            Codec::Zstd => Ok(Self::Zstd(zstd::encoder(out)?)),
            #[cfg(not(feature = "zstd"))]
            Codec::Zstd => Err(Error::Unsupported { feature: "zstd in a build without it".into() }),
        }
    }

    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::None(out) => Ok(out),
            Self::Gzip(encoder) => encoder.finish(),
            #[cfg(feature = "zstd")]
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(out) => out.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            #[cfg(feature = "zstd")]
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(out) => out.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            #[cfg(feature = "zstd")]
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}
