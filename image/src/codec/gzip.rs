//! gzip.

use std::io::{BufRead, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

pub(super) type Decoder<R> = MultiGzDecoder<R>;
pub(super) type Encoder<W> = GzEncoder<W>;

/// "Unknown" in RFC 1952.
const OPERATING_SYSTEM: u8 = 255;

pub(super) fn decoder<R: BufRead>(input: R) -> Decoder<R> {
    MultiGzDecoder::new(input)
}

pub(super) fn encoder<W: Write>(out: W) -> Encoder<W> {
    GzBuilder::new().mtime(0).operating_system(OPERATING_SYSTEM).write(out, Compression::new(6))
}
