//! zstd:chunked: the table, the archive's skeleton and where both are lie in frames that decompressors skip.

use std::io::{Read, Write};

use super::entry::{self, Entry};
use super::tar_split::TarSplit;
use crate::codec::{DigestWriter, Encoder};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Fault, Result};
use crate::limits::Limits;
use crate::media_type::Codec;

/// The annotation with the digest of the compressed table.
pub(super) const CHECKSUM: &str = "io.github.containers.zstd-chunked.manifest-checksum";
/// The annotation with the place of the table: offset, length, uncompressed length, type.
pub(super) const POSITION: &str = "io.github.containers.zstd-chunked.manifest-position";
/// The annotation with the place of the skeleton.
const SKELETON: &str = "io.github.containers.zstd-chunked.tarsplit-position";

/// What the annotation says, under its name or the one that it had at first.
pub(super) fn annotation<'d>(layer: &'d Descriptor, name: &str) -> Option<&'d String> {
    let former = || layer.annotations.get(&name.replacen("io.github.containers.", "io.containers.", 1));
    layer.annotations.get(name).or_else(former)
}

const FRAME: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
const FRAME_HEADER: u64 = 8;
const MAGIC: &[u8; 8] = b"GNUlInUx";
/// The type of tables that both formats have.
const TYPE: u64 = 1;

/// Writes the frames behind the archive; what the layer's descriptor says of them.
pub(super) fn finish<W: Write>(
    entries: &[Entry],
    split: TarSplit,
    out: &mut DigestWriter<W>,
) -> Result<Vec<(&'static str, String)>> {
    let failed = |error| Error::sys("write", "a layer")(error);
    let (skeleton, skeleton_bytes) = split.finish().map_err(failed)?;
    let table = entry::print(entries, [("tarSplitDigest", Digest::of(&skeleton).to_string())]);
    let mut encoder = Encoder::new(Codec::Zstd, Vec::new())?;
    encoder.write_all(&table).map_err(failed)?;
    let compressed = encoder.finish().map_err(failed)?;

    let table_at = out.bytes() + FRAME_HEADER;
    frame(out, &compressed)?;
    let skeleton_at = out.bytes() + FRAME_HEADER;
    frame(out, &skeleton)?;
    let (length, table_bytes, skeleton_length) = (compressed.len() as u64, table.len() as u64, skeleton.len() as u64);
    let mut footer = Vec::new();
    for number in [table_at, length, table_bytes, TYPE, skeleton_at, skeleton_length, skeleton_bytes] {
        footer.extend_from_slice(&number.to_le_bytes());
    }
    footer.extend_from_slice(MAGIC);
    frame(out, &footer)?;
    Ok(vec![
        (CHECKSUM, Digest::of(&compressed).to_string()),
        (POSITION, format!("{table_at}:{length}:{table_bytes}:{TYPE}")),
        (SKELETON, format!("{skeleton_at}:{skeleton_length}:{skeleton_bytes}")),
    ])
}

fn frame(out: &mut impl Write, content: &[u8]) -> Result<()> {
    let too_long = |_| Error::LimitExceeded { limit: "frame of a zstd layer", max: u32::MAX.into() };
    let length = u32::try_from(content.len()).map_err(too_long)?;
    let parts = [&FRAME[..], &length.to_le_bytes(), content];
    parts.into_iter().try_for_each(|part| out.write_all(part)).map_err(Error::sys("write", "a layer"))
}

/// Where the compressed table is, and how long it will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) offset: u64,
    pub(super) end: u64,
    pub(super) bytes: u64,
}

impl Position {
    /// Reads the annotation of a layer.
    pub(super) fn parse(text: &str, layer: &Descriptor) -> Result<Self> {
        let wrong = |reason: &str| Fault::new(reason).within(POSITION).of("descriptor");
        let numbers: Vec<Option<u64>> = text.split(':').map(|number| number.parse().ok()).collect();
        let [Some(offset), Some(length), Some(bytes), Some(kind)] = numbers[..] else {
            return Err(wrong("is not four numbers"));
        };
        if kind != TYPE {
            return Err(Error::Unsupported { feature: format!("a table of contents of type {kind}") });
        }
        match offset.checked_add(length).filter(|end| *end <= layer.size && length > 0) {
            Some(end) => Ok(Self { offset, end, bytes }),
            None => Err(wrong("lies outside the layer")),
        }
    }
}

/// The table, uncompressed.
pub(super) fn table(compressed: &[u8], bytes: u64, limits: &Limits) -> Result<Vec<u8>> {
    if bytes > limits.table_bytes {
        return Err(Error::LimitExceeded { limit: "table of contents", max: limits.table_bytes });
    }
    let mut table = Vec::new();
    let decoder = crate::codec::member_decoder(Codec::Zstd, compressed, limits)?;
    decoder.take(bytes).read_to_end(&mut table).map_err(Error::sys("decompress", "a table of contents"))?;
    Ok(table)
}
