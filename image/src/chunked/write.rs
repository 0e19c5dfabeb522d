//! Writing layers whose files are compressed one by one.

use std::io::{self, Read, Write};

use super::entry::{Chunk, Content, Entry, plain};
use super::pieces::{Piece, Pieces};
use super::tar_split::{Checksum, TarSplit};
use super::{Format, estargz, zstd_chunked};
use crate::codec::{DigestWriter, Encoder};
use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::media_type::{Codec, MediaType};

/// Uncompressed bytes of the pieces that large files are cut into.
const CHUNK: u64 = 4 << 20;
const BUFFER: usize = 64 << 10;

/// Compresses an uncompressed layer so that its files can be read one by one; the same archive gives the same bytes.
///
/// # Errors
/// An archive that is none or holds what a table cannot say: sparse files, names that are not UTF-8, kinds of entries
/// that layers have not; a reader or writer that fails; [`Error::Unsupported`] for zstd in a build without it.
pub fn write(tar: impl Read, out: impl Write, format: Format) -> Result<Layer> {
    let mut writer = Writer::new(out, format)?;
    let mut pieces = Pieces::new(tar);
    // Whether the last entry is an earlier table, whose place the new one takes.
    let mut left_out = false;
    loop {
        let Piece { padding, raw, entry } = pieces.next()?;
        if !left_out {
            writer.skeleton(&padding)?;
        }
        let Some((entry, size)) = entry else { return writer.end(&raw, pieces.into_rest()) };
        left_out = format == Format::Estargz && plain(&entry.path) == estargz::TABLE;
        let mut content = pieces.content(size);
        if left_out {
            io::copy(&mut content, &mut io::sink()).map_err(Error::sys("read", "a layer"))?;
        } else {
            writer.entry(&raw, entry, &mut content, size)?;
        }
    }
}

struct Writer<W: Write> {
    members: Members<W>,
    /// Of zstd:chunked only.
    split: Option<TarSplit>,
    /// What the next line of `split` begins with.
    segment: Vec<u8>,
    entries: Vec<Entry>,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    fn new(out: W, format: Format) -> Result<Self> {
        Ok(Self {
            members: Members::new(out, format.codec())?,
            split: if format == Format::ZstdChunked { Some(TarSplit::new()?) } else { None },
            segment: Vec::new(),
            entries: Vec::new(),
            buffer: vec![0; BUFFER],
        })
    }

    /// Writes what is no file's content.
    fn skeleton(&mut self, raw: &[u8]) -> Result<()> {
        if self.split.is_some() {
            self.segment.extend_from_slice(raw);
        }
        self.members.write(raw)
    }

    fn entry(&mut self, raw: &[u8], mut entry: Entry, content: &mut impl Read, size: u64) -> Result<()> {
        self.skeleton(raw)?;
        let mut checksum = Checksum::new();
        entry.content = self.content(content, size, &mut checksum)?;
        if let Some(split) = &mut self.split {
            split.segment(&std::mem::take(&mut self.segment))?;
            split.file(&entry.path, size, checksum)?;
        }
        self.entries.push(entry);
        Ok(())
    }

    fn content(&mut self, content: &mut impl Read, size: u64, checksum: &mut Checksum) -> Result<Content> {
        if size == 0 {
            return Ok(Content::default());
        }
        let mut whole = Hasher::new(Algorithm::Sha256);
        let mut chunks = Vec::new();
        let mut offset = self.members.cut()?;
        let mut left = size;
        while left > 0 {
            let size = left.min(CHUNK);
            let digest = self.chunk(&mut content.take(size), &mut whole, checksum)?;
            let end = self.members.cut()?;
            chunks.push(Chunk { offset, end, skip: 0, size, digest: Some(digest) });
            offset = end;
            left -= size;
        }
        let digest = whole.finish();
        if let [only] = chunks.as_mut_slice() {
            only.digest = Some(digest);
        }
        Ok(Content { digest: Some(digest), chunks })
    }

    fn chunk<R: Read>(
        &mut self,
        content: &mut io::Take<R>,
        whole: &mut Hasher,
        checksum: &mut Checksum,
    ) -> Result<Digest> {
        let mut own = Hasher::new(Algorithm::Sha256);
        while content.limit() > 0 {
            let count = match content.read(&mut self.buffer) {
                Ok(0) => return Err(Error::sys("read", "a layer")(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::sys("read", "a layer")(error)),
            };
            let piece = &self.buffer[..count];
            own.update(piece);
            whole.update(piece);
            if self.split.is_some() {
                checksum.update(piece);
            }
            self.members.write(piece)?;
        }
        Ok(own.finish())
    }

    /// Writes the end of the archive and the table.
    fn end(mut self, raw: &[u8], rest: impl Read) -> Result<Layer> {
        match self.split.take() {
            Some(split) => self.end_with_frames(split, raw, rest),
            None => self.end_with_file(rest),
        }
    }

    /// The table is in frames behind the archive.
    fn end_with_frames(mut self, mut split: TarSplit, raw: &[u8], mut rest: impl Read) -> Result<Layer> {
        self.members.write(raw)?;
        self.segment.extend_from_slice(raw);
        loop {
            let count = rest.read(&mut self.buffer).map_err(Error::sys("read", "a layer"))?;
            if count == 0 {
                break;
            }
            self.members.write(&self.buffer[..count])?;
            split.segment(&std::mem::take(&mut self.segment))?;
            self.segment.extend_from_slice(&self.buffer[..count]);
        }
        split.segment(&self.segment)?;
        let (mut out, diff_id, bytes) = self.members.finish()?;
        let annotations = zstd_chunked::finish(&self.entries, split, &mut out)?;
        layer(out, Format::ZstdChunked, annotations, (diff_id, bytes))
    }

    /// The table is the last file; the end of the archive comes behind it.
    fn end_with_file(mut self, mut rest: impl Read) -> Result<Layer> {
        io::copy(&mut rest, &mut io::sink()).map_err(Error::sys("read", "a layer"))?;
        let offset = self.members.cut()?;
        let (file, table) = estargz::archived(&self.entries)?;
        self.members.write(&file)?;
        let (mut out, diff_id, bytes) = self.members.finish()?;
        out.write_all(&estargz::footer(offset)).map_err(Error::sys("write", "a layer"))?;
        let annotations = [(estargz::DIGEST, table.to_string()), (estargz::SIZE, bytes.to_string())];
        layer(out, Format::Estargz, annotations, (diff_id, bytes))
    }
}

fn layer<W: Write>(
    mut out: DigestWriter<W>,
    format: Format,
    annotations: impl IntoIterator<Item = (&'static str, String)>,
    (diff_id, bytes): (Digest, u64),
) -> Result<Layer> {
    out.flush().map_err(Error::sys("write", "a layer"))?;
    let (digest, size) = out.finish();
    let mut descriptor = Descriptor::new(MediaType::layer(format.codec()), digest, size);
    descriptor.annotations.extend(annotations.into_iter().map(|(name, text)| (name.to_owned(), text)));
    Ok(Layer { descriptor, diff_id, bytes })
}

/// Compressed streams one behind the other.
struct Members<W: Write> {
    /// `None` only while one is replaced by the next.
    encoder: Option<Encoder<DigestWriter<W>>>,
    codec: Codec,
    archive: DigestWriter<io::Sink>,
}

impl<W: Write> Members<W> {
    fn new(out: W, codec: Codec) -> Result<Self> {
        let encoder = Encoder::new(codec, DigestWriter::new(out, Algorithm::Sha256))?;
        let archive = DigestWriter::new(io::sink(), Algorithm::Sha256);
        Ok(Self { encoder: Some(encoder), codec, archive })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let encoder = self.encoder.as_mut().expect("only a cut takes it, and puts the next one there");
        let failed = |error| Error::sys("write", "a layer")(error);
        encoder.write_all(bytes).map_err(failed)?;
        self.archive.write_all(bytes).map_err(failed)
    }

    /// Ends one stream and begins the next, at the offset that is returned.
    fn cut(&mut self) -> Result<u64> {
        let encoder = self.encoder.take().expect("only a cut takes it, and puts the next one there");
        let out = encoder.finish().map_err(Error::sys("write", "a layer"))?;
        let offset = out.bytes();
        self.encoder = Some(Encoder::new(self.codec, out)?);
        Ok(offset)
    }

    /// The blob so far, and the digest and length of what it holds.
    fn finish(mut self) -> Result<(DigestWriter<W>, Digest, u64)> {
        let encoder = self.encoder.take().expect("only a cut takes it, and puts the next one there");
        let out = encoder.finish().map_err(Error::sys("write", "a layer"))?;
        let (digest, bytes) = self.archive.finish();
        Ok((out, digest, bytes))
    }
}
