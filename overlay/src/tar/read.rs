//! The stream of entries.

use std::collections::VecDeque;
use std::io::Read;

use super::BLOCK;
use super::header::{Dialect, Header};
use super::input::{Input, padding};
use super::pax::Overrides;
use super::sparse::{self, Map, Segment};
use crate::entry::{DeviceKind, DeviceNumber, Entry, Kind, Metadata, Timestamp};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::limits::{Limit, Limits};
use crate::path::SafePath;

/// Reads a tar archive entry by entry, in one pass and in bounded memory.
///
/// [`Reader::next_entry`] skips what was not read of the entry before. After it gave `None` the stream has been read to
/// its end, padding included. After an error nothing more is read.
///
/// ```
/// use windlass_overlay::{Limits, tar};
///
/// let archive = [0; 1024]; // two blocks of zeros: an archive without entries
/// let mut reader = tar::Reader::new(&archive[..], Limits::default());
/// assert_eq!(reader.next_entry()?, None);
/// # Ok::<(), windlass_overlay::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    input: Input<R>,
    limits: Limits,
    globals: Overrides,
    entries: u64,
    entry_offset: u64,
    /// What is stored of the current file and not yet read.
    segments: VecDeque<Segment>,
    padding: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Failed,
}

/// Where bytes of a file belong that [`Reader::read_chunk`] put into the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Place in the file.
    pub offset: u64,
    /// How many bytes of the buffer are filled.
    pub length: usize,
}

/// Headers that come before the header of the entry they speak of.
#[derive(Debug, Default)]
struct Extensions {
    pax: Option<Overrides>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl Extensions {
    fn is_empty(&self) -> bool {
        self.pax.is_none() && self.long_name.is_none() && self.long_link.is_none()
    }
}

impl<R: Read> Reader<R> {
    /// Starts at the first header of an uncompressed archive.
    pub fn new(stream: R, limits: Limits) -> Self {
        Self::over(Input::new(stream, limits.archive_bytes), limits)
    }

    /// As [`Reader::new`], passing over the content of files that is not read.
    pub(crate) fn seeking(stream: R, limits: Limits) -> Self
    where
        R: std::io::Seek,
    {
        Self::over(Input::seeking(stream, limits.archive_bytes), limits)
    }

    fn over(input: Input<R>, limits: Limits) -> Self {
        Self {
            input,
            limits,
            globals: Overrides::default(),
            entries: 0,
            entry_offset: 0,
            segments: VecDeque::new(),
            padding: 0,
            state: State::Reading,
        }
    }

    /// The next entry, or `None` after the last one.
    ///
    /// # Errors
    /// [`Error::Archive`] with the offset of the wrong header, [`Error::LimitExceeded`], [`Error::Read`].
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        match self.state {
            State::Ended => return Ok(None),
            State::Failed => {
                return Err(Error::archive(self.entry_offset, Fault::Contradiction("read after an error")));
            }
            State::Reading => {}
        }
        self.state = State::Failed;
        let entry = self.advance()?;
        self.state = if entry.is_some() { State::Reading } else { State::Ended };
        Ok(entry)
    }

    /// Fills the buffer with the next stored bytes of the current file; `None` at its end. Holes are passed over.
    pub fn read_chunk(&mut self, buffer: &mut [u8]) -> Result<Option<Chunk>> {
        let Some(segment) = self.segments.front_mut() else { return Ok(None) };
        let length = usize::try_from(segment.length).map_or(buffer.len(), |left| left.min(buffer.len()));
        let offset = segment.offset;
        if let Err(error) = self.input.read_all(&mut buffer[..length]) {
            self.state = State::Failed;
            return Err(error);
        }
        segment.offset += length as u64;
        segment.length -= length as u64;
        if segment.length == 0 {
            self.segments.pop_front();
        }
        Ok(Some(Chunk { offset, length }))
    }

    /// What the archive holds of the current file and was not read yet: each place in the file and its length. The first
    /// starts at [`Reader::offset`], each other one where the one before ends.
    pub(crate) fn stored(&self) -> impl Iterator<Item = (u64, u64)> {
        self.segments.iter().map(|segment| (segment.offset, segment.length))
    }

    /// Where the header of the current entry starts, the headers before it that belong to it included.
    pub fn entry_offset(&self) -> u64 {
        self.entry_offset
    }

    /// The stream, read as far as the archive was and some bytes ahead; after the last entry that is its end.
    pub fn into_inner(self) -> R {
        self.input.into_inner()
    }

    /// Bytes of the archive read so far.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    fn advance(&mut self) -> Result<Option<Entry>> {
        let left: u64 = self.segments.drain(..).map(|segment| segment.length).sum();
        self.input.skip(left)?;
        self.input.skip(std::mem::take(&mut self.padding))?;
        self.entry_offset = self.input.offset();
        let mut extensions = Extensions::default();
        loop {
            let offset = self.input.offset();
            let block = self.input.block()?.ok_or_else(|| Error::archive(offset, Fault::Truncated))?;
            if block == [0; BLOCK] {
                if !extensions.is_empty() {
                    return Err(Error::archive(offset, Fault::Contradiction("the end follows an extension header")));
                }
                self.end()?;
                return Ok(None);
            }
            let header = Header::parse(&block).map_err(|fault| Error::archive(offset, fault))?;
            if !matches!(header.kind, b'x' | b'g' | b'L' | b'K') {
                return self.entry(&header, extensions, offset).map(Some);
            }
            self.extension(&header, &mut extensions, offset)?;
        }
    }

    /// Reads an extension header. Where two kinds meet, readers disagree on which one counts: refused.
    fn extension(&mut self, header: &Header, extensions: &mut Extensions, offset: u64) -> Result<()> {
        let contradiction = |what| Err(Error::archive(offset, Fault::Contradiction(what)));
        if header.size > self.limits.extension_bytes {
            return Err(Error::LimitExceeded { limit: Limit::ExtensionBytes, max: self.limits.extension_bytes });
        }
        let gnu = extensions.long_name.is_some() || extensions.long_link.is_some();
        match header.kind {
            b'g' if !extensions.is_empty() => return contradiction("a global header follows an extension header"),
            b'x' if extensions.pax.is_some() => return contradiction("two pax headers for one entry"),
            b'x' if gnu => return contradiction("a pax header follows a GNU long name"),
            b'L' | b'K' if extensions.pax.is_some() => return contradiction("a GNU long name follows a pax header"),
            b'L' if extensions.long_name.is_some() => return contradiction("two GNU long names for one entry"),
            b'K' if extensions.long_link.is_some() => return contradiction("two GNU long links for one entry"),
            _ => {}
        }
        let mut content = vec![0; usize::try_from(header.size).expect("the limit on extensions fits in memory")];
        self.input.read_all(&mut content)?;
        self.input.skip(padding(header.size))?;
        match header.kind {
            b'g' => self.globals.merge_global(&content, offset, &self.limits)?,
            b'x' => extensions.pax = Some(Overrides::local(&content, offset, &self.limits)?),
            kind => {
                let end = content.iter().position(|byte| *byte == 0).unwrap_or(content.len());
                if end == 0 || content[end..].iter().any(|byte| *byte != 0) {
                    return contradiction("a GNU long name is empty or holds NUL");
                }
                content.truncate(end);
                *(if kind == b'L' { &mut extensions.long_name } else { &mut extensions.long_link }) = Some(content);
            }
        }
        Ok(())
    }

    fn entry(&mut self, header: &Header, extensions: Extensions, offset: u64) -> Result<Entry> {
        let fault = |fault| Error::archive(offset, fault);
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Error::LimitExceeded { limit: Limit::Entries, max: self.limits.entries });
        }
        let mut pax = extensions.pax.unwrap_or_default();
        if let Some(size) = pax.size
            && header.size != 0
            && header.size != size
        {
            return Err(fault(Fault::Contradiction("the pax size is not the header's")));
        }
        let stored = pax.size.unwrap_or(header.size);
        // Also where all that it says is a name, which other readers then take or leave.
        let is_sparse = pax.sparse.is_used();
        let name = pax.sparse.name.take().or(pax.path.take()).or(extensions.long_name);
        let name = name.unwrap_or_else(|| header.name.clone());
        let path = self.path(&name, offset)?;
        let link = pax.link.take().or(extensions.long_link).unwrap_or_else(|| header.link.clone());
        let sparse = std::mem::take(&mut pax.sparse);
        let is_file = matches!(header.kind, b'0' | b'\0' | b'7' | b'S');
        if is_sparse && !matches!(header.kind, b'0' | b'\0' | b'7') {
            return Err(fault(Fault::Contradiction("a sparse map for what is no plain file")));
        }
        if !is_file && stored != 0 {
            return Err(fault(Fault::Contradiction("data in an entry that has none")));
        }
        let metadata = self.metadata(header, pax);
        let kind = match header.kind {
            // Before POSIX a directory was a file whose name ends in a slash.
            b'\0' if name.ends_with(b"/") && stored == 0 && !is_sparse => Kind::Directory,
            _ if is_file && (name.ends_with(b"/") || path.is_root()) => {
                return Err(fault(Fault::Contradiction("a file with the name of a directory")));
            }
            b'S' if header.dialect != Dialect::Gnu => return Err(fault(Fault::Type(b'S'))),
            b'S' => {
                let map = sparse::gnu_map(header, &mut self.input, &self.limits)?;
                self.file(map, header.size)?
            }
            _ if is_sparse => {
                let (map, left) = sparse.map(&mut self.input, stored, &self.limits)?;
                self.file(map, left)?
            }
            _ if is_file => self.file(sparse::whole(stored), stored)?,
            _ => self.other(header, &path, link, offset)?,
        };
        Ok(Entry { path, kind, metadata })
    }

    fn other(&self, header: &Header, path: &SafePath, link: Vec<u8>, offset: u64) -> Result<Kind> {
        let fault = |fault| Error::archive(offset, fault);
        if path.is_root() && header.kind != b'5' {
            return Err(fault(Fault::Root));
        }
        let device = |kind| {
            let (major, minor) = header.device().map_err(fault)?;
            Ok(Kind::Device(kind, DeviceNumber { major, minor }))
        };
        match header.kind {
            b'1' if link.is_empty() => Err(fault(Fault::HardLink)),
            b'1' => Ok(Kind::HardLink(self.path(&link, offset)?)),
            b'2' if link.is_empty() => Err(fault(Fault::Contradiction("a symbolic link without a target"))),
            b'2' if link.len() > self.limits.path_bytes => Err(self.too_long(Limit::PathBytes)),
            b'2' => Ok(Kind::Symlink(link.into())),
            b'3' => device(DeviceKind::Character),
            b'4' => device(DeviceKind::Block),
            b'5' => Ok(Kind::Directory),
            b'6' => Ok(Kind::Fifo),
            kind => Err(fault(Fault::Type(kind))),
        }
    }

    fn path(&self, name: &[u8], offset: u64) -> Result<SafePath> {
        // Before the parts are walked: a name of megabytes costs nothing more.
        if name.len() > self.limits.path_bytes {
            return Err(self.too_long(Limit::PathBytes));
        }
        let path = SafePath::from_archive(name).map_err(|error| Error::archive(offset, Fault::Path(error)))?;
        if name.is_empty() {
            return Err(Error::archive(offset, Fault::Contradiction("an entry without a name")));
        }
        if path.components().any(|part| part.len() > self.limits.name_bytes) {
            return Err(self.too_long(Limit::NameBytes));
        }
        if path.depth() > self.limits.depth {
            return Err(self.too_long(Limit::Depth));
        }
        Ok(path)
    }

    fn too_long(&self, limit: Limit) -> Error {
        let max = match limit {
            Limit::PathBytes => self.limits.path_bytes,
            Limit::NameBytes => self.limits.name_bytes,
            _ => self.limits.depth,
        };
        Error::LimitExceeded { limit, max: max as u64 }
    }

    fn metadata(&self, header: &Header, pax: Overrides) -> Metadata {
        Metadata {
            mode: header.mode,
            uid: pax.uid.or(self.globals.uid).unwrap_or(header.uid),
            gid: pax.gid.or(self.globals.gid).unwrap_or(header.gid),
            mtime: pax.mtime.or(self.globals.mtime).unwrap_or(Timestamp { seconds: header.mtime, nanoseconds: 0 }),
            xattrs: pax.xattrs,
        }
    }

    fn file(&mut self, map: Map, stored: u64) -> Result<Kind> {
        if map.size > self.limits.file_bytes || stored > self.limits.file_bytes {
            return Err(Error::LimitExceeded { limit: Limit::FileBytes, max: self.limits.file_bytes });
        }
        self.padding = padding(stored);
        self.segments = map.segments.into_iter().filter(|segment| segment.length > 0).collect();
        Ok(Kind::File { size: map.size })
    }

    /// After the first block of zeros: a second one, then zeros to the end of the stream.
    fn end(&mut self) -> Result<()> {
        let mut buffer = [0; 16 * BLOCK];
        loop {
            let offset = self.input.offset();
            match self.input.read_some(&mut buffer)? {
                0 => return Ok(()),
                count if buffer[..count].iter().any(|byte| *byte != 0) => {
                    return Err(Error::archive(offset, Fault::Trailing));
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
