//! Reading single files of a layer, wherever its blob is.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::vec;

use super::entry::{self, Chunk, Entry, Kind, plain};
use super::zstd_chunked::Position;
use super::{Format, estargz, zstd_chunked};
use crate::codec::{VerifyReader, member_decoder};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::media_type::MediaType;

const BUFFER: usize = 64 << 10;
/// Names of one file that lead to each other.
const LINKS_MAX: usize = 16;

/// A blob of which parts can be read: a file, content in memory, or what a registry has.
pub trait Ranges {
    /// Reads the bytes from `start` up to `end`.
    ///
    /// # Errors
    /// Also when there are fewer.
    fn range(&self, start: u64, end: u64) -> Result<Box<dyn Read + '_>>;
}

impl Ranges for File {
    fn range(&self, start: u64, end: u64) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(FileRange { file: self, at: start, end }))
    }
}

impl Ranges for Vec<u8> {
    fn range(&self, start: u64, end: u64) -> Result<Box<dyn Read + '_>> {
        let index = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let missing = || Error::NotFound { object: format!("bytes {start} to {end} of a blob") };
        Ok(Box::new(self.get(index(start)..index(end)).ok_or_else(missing)?))
    }
}

struct FileRange<'f> {
    file: &'f File,
    at: u64,
    end: u64,
}

impl Read for FileRange<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let count = self.file.read_at(&mut buffer[..wanted], self.at)?;
        if count == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        Ok(count)
    }
}

/// A layer with a table of contents, of which only the table was read.
#[derive(Debug)]
pub struct Lazy<R> {
    blob: R,
    format: Format,
    entries: Vec<Entry>,
    by_path: HashMap<String, usize>,
    limits: Limits,
}

impl<R: Ranges> Lazy<R> {
    /// Reads the table of the layer that `descriptor` describes.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a layer without one; [`Error::DigestMismatch`] for another than the descriptor's
    /// annotations say; [`Error::LimitExceeded`], [`Error::Document`] for one that is none.
    pub fn open(blob: R, descriptor: &Descriptor, limits: &Limits) -> Result<Self> {
        let table_digest = descriptor.annotations.get(estargz::DIGEST);
        let (format, table, end) = if let Some(position) = zstd_chunked::annotation(descriptor, zstd_chunked::POSITION)
        {
            let position = Position::parse(position, descriptor)?;
            let compressed = bounded(&blob, position.offset, position.end, limits)?;
            let checksum = zstd_chunked::annotation(descriptor, zstd_chunked::CHECKSUM);
            check(&compressed, checksum, zstd_chunked::CHECKSUM)?;
            (Format::ZstdChunked, zstd_chunked::table(&compressed, position.bytes, limits)?, position.offset)
        } else if table_digest.is_some() {
            let footer_at = descriptor.size.checked_sub(estargz::FOOTER as u64).ok_or_else(|| lacks(descriptor))?;
            let offset = estargz::table_offset(&bounded(&blob, footer_at, descriptor.size, limits)?)?;
            if offset >= footer_at {
                return Err(lacks(descriptor));
            }
            let table = estargz::table(&bounded(&blob, offset, footer_at, limits)?, limits)?;
            check(&table, table_digest, estargz::DIGEST)?;
            (Format::Estargz, table, offset)
        } else {
            return Err(lacks(descriptor));
        };
        let entries = entry::parse(&table, end, limits)?;
        let by_path = entries.iter().enumerate().map(|(at, entry)| (plain(&entry.path).into_owned(), at)).collect();
        Ok(Self { blob, format, entries, by_path, limits: *limits })
    }

    /// The layer's format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// All that the layer has, in the order of its archive.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry with this path; of several the last, as unpacking would leave it.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.by_path.get(&*plain(path)).map(|at| &self.entries[*at])
    }

    /// Opens a file, of which only the compressed bytes are fetched; a hard link is the file that it names.
    ///
    /// # Errors
    /// [`Error::NotFound`] for what is not there or no file; [`Error::Unsupported`] for a file without a digest. When
    /// reading: [`Error::DigestMismatch`] and [`Error::Decode`] inside of [`io::Error`]s.
    pub fn file(&self, path: &str) -> Result<FileReader<'_, R>> {
        let missing = || Error::NotFound { object: format!("file {path} in the layer") };
        let mut entry = self.entry(path).ok_or_else(missing)?;
        for _ in 0..LINKS_MAX {
            let Kind::HardLink(target) = &entry.kind else { break };
            entry = self.entry(target).ok_or_else(missing)?;
        }
        if !matches!(entry.kind, Kind::File(_)) {
            return Err(missing());
        }
        let parts = parts(entry)?;
        Ok(FileReader { layer: self, parts: parts.into_iter(), current: None, failed: false })
    }
}

fn lacks(descriptor: &Descriptor) -> Error {
    Error::Unsupported {
        feature: format!("reading single files of {}, which has no table of contents", descriptor.digest),
    }
}

fn bounded(blob: &impl Ranges, start: u64, end: u64, limits: &Limits) -> Result<Vec<u8>> {
    if end - start > limits.table_bytes {
        return Err(Error::LimitExceeded { limit: "table of contents", max: limits.table_bytes });
    }
    let mut bytes = Vec::new();
    let failed = Error::sys("read", "the table of contents of a layer");
    let read = blob.range(start, end)?.take(end - start).read_to_end(&mut bytes).map_err(failed)?;
    if read as u64 == end - start {
        Ok(bytes)
    } else {
        Err(Error::sys("read", "the table of contents of a layer")(io::ErrorKind::UnexpectedEof.into()))
    }
}

fn check(table: &[u8], annotation: Option<&String>, name: &'static str) -> Result<()> {
    let unsupported = || Error::Unsupported { feature: format!("a table of contents without {name}") };
    let expected = Digest::parse(annotation.ok_or_else(unsupported)?)?;
    let actual = Digest::of(table);
    if actual == expected {
        Ok(())
    } else {
        Err(Error::DigestMismatch { expected: Box::new(expected), actual: Box::new(actual) })
    }
}

/// What is fetched and verified at once.
#[derive(Debug, Clone)]
struct Part {
    chunk: Chunk,
    digest: Digest,
}

/// The whole file, if its chunks lie behind each other; else each chunk, which then needs a digest.
fn parts(entry: &Entry) -> Result<Vec<Part>> {
    let chunks = &entry.content.chunks;
    let Some((first, last)) = chunks.first().zip(chunks.last()) else { return Ok(Vec::new()) };
    let unsupported = || Error::Unsupported { feature: format!("the file {} without a digest", entry.path) };
    let adjoin = chunks.windows(2).all(|pair| pair[0].end == pair[1].offset && pair[1].skip == 0);
    if let Some(digest) = entry.content.digest.filter(|_| adjoin) {
        let size = chunks.iter().map(|chunk| chunk.size).sum();
        return Ok(vec![Part { chunk: Chunk { end: last.end, size, ..first.clone() }, digest }]);
    }
    let whole = entry.content.digest.filter(|_| chunks.len() == 1);
    let part =
        |chunk: &Chunk| Ok(Part { chunk: chunk.clone(), digest: chunk.digest.or(whole).ok_or_else(unsupported)? });
    chunks.iter().map(part).collect()
}

/// A file of a layer. The last read, which returns 0, comes only after the content was verified.
pub struct FileReader<'l, R> {
    layer: &'l Lazy<R>,
    parts: vec::IntoIter<Part>,
    current: Option<VerifyReader<Box<dyn Read + 'l>>>,
    failed: bool,
}

impl<R> std::fmt::Debug for FileReader<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileReader").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl<'l, R: Ranges> FileReader<'l, R> {
    fn open(&self, part: &Part) -> Result<VerifyReader<Box<dyn Read + 'l>>> {
        let Part { chunk, digest } = part;
        let layer = self.layer;
        let compressed = layer.blob.range(chunk.offset, chunk.end)?.take(chunk.end - chunk.offset);
        let buffered = BufReader::with_capacity(BUFFER, compressed);
        let mut content = member_decoder(layer.format.codec(), buffered, &layer.limits)?;
        io::copy(&mut (&mut content).take(chunk.skip), &mut io::sink()).map_err(Error::sys("read", "a layer"))?;
        // What follows is another file's.
        let content: Box<dyn Read + 'l> = Box::new(content.take(chunk.size));
        Ok(VerifyReader::new(content, &Descriptor::new(MediaType::LAYER, *digest, chunk.size)))
    }

    fn step(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.current.is_none() {
                let Some(part) = self.parts.next() else { return Ok(0) };
                self.current = Some(self.open(&part)?);
            }
            let count = match &mut self.current {
                Some(current) => current.read(buffer)?,
                None => 0,
            };
            if count > 0 {
                return Ok(count);
            }
            self.current = None;
        }
    }
}

impl<R: Ranges> Read for FileReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.failed {
            return Err(io::Error::other("the file was found to be wrong by an earlier read"));
        }
        let read = self.step(buffer);
        self.failed = read.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        read
    }
}
