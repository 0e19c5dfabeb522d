//! Zstandard.

use std::io::{BufRead, Write};

use crate::error::{Error, Result};
use crate::limits::Limits;

pub(super) type Decoder<R> = ::zstd::stream::read::Decoder<'static, R>;
pub(super) type Encoder<W> = ::zstd::stream::write::Encoder<'static, W>;

const LEVEL: i32 = 3;

pub(super) fn decoder<R: BufRead>(input: R, limits: &Limits) -> Result<Decoder<R>> {
    let mut decoder = Decoder::with_buffer(input).map_err(Error::sys("start", "a zstd decompressor"))?;
    decoder.window_log_max(limits.zstd_window_log).map_err(Error::sys("bound", "a zstd decompressor"))?;
    Ok(decoder)
}

pub(super) fn encoder<W: Write>(out: W) -> Result<Encoder<W>> {
    Encoder::new(out, LEVEL).map_err(Error::sys("start", "a zstd compressor"))
}
