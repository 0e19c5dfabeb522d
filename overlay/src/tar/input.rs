//! The byte stream below the reader: buffers, counts, limits, and tells an end from an error.

use std::io::{self, Read, Seek};

use super::BLOCK;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::limits::Limit;

/// Bytes read ahead; whatever is larger is read to where it belongs.
const AHEAD: usize = 128 << 10;
/// Of a stream that can be moved in, whose files are passed over.
const AHEAD_OF_SEEKING: usize = 4 << 10;

/// A stream that knows its offset.
pub(super) struct Input<R> {
    stream: R,
    /// Of what was taken out, not of what was read ahead.
    offset: u64,
    bytes_max: u64,
    ahead: Box<[u8]>,
    start: usize,
    end: usize,
    /// Moves in the stream without reading; says how far.
    pass: fn(&mut R, u64) -> io::Result<u64>,
}

impl<R> std::fmt::Debug for Input<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl<R: Read + Seek> Input<R> {
    /// Passes over what is skipped.
    pub(super) fn seeking(stream: R, bytes_max: u64) -> Self {
        let pass = |stream: &mut R, count| {
            let step = i64::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
            stream.seek(io::SeekFrom::Current(step))?;
            Ok(count)
        };
        Self { ahead: vec![0; AHEAD_OF_SEEKING].into(), pass, ..Self::new(stream, bytes_max) }
    }
}

impl<R: Read> Input<R> {
    pub(super) fn new(stream: R, bytes_max: u64) -> Self {
        let ahead = vec![0; AHEAD].into();
        Self { stream, offset: 0, bytes_max, ahead, start: 0, end: 0, pass: |_, _| Ok(0) }
    }

    pub(super) fn into_inner(self) -> R {
        self.stream
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads up to a whole buffer; 0 only at the end of the stream.
    pub(super) fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = if self.start == self.end && buffer.len() >= self.ahead.len() {
            read(&mut self.stream, buffer, self.offset)?
        } else {
            if self.start == self.end {
                self.fill()?;
            }
            let count = buffer.len().min(self.end - self.start);
            buffer[..count].copy_from_slice(&self.ahead[self.start..self.start + count]);
            self.start += count;
            count
        };
        self.count(count as u64)?;
        Ok(count)
    }

    fn count(&mut self, count: u64) -> Result<()> {
        self.offset += count;
        if self.offset > self.bytes_max {
            return Err(Error::LimitExceeded { limit: Limit::ArchiveBytes, max: self.bytes_max });
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        self.start = 0;
        self.end = 0;
        self.end = read(&mut self.stream, &mut self.ahead, self.offset)?;
        Ok(())
    }

    /// Fills the whole buffer or reports where the archive was cut.
    pub(super) fn read_all(&mut self, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..])? {
                0 => return Err(Error::archive(self.offset, Fault::Truncated)),
                count => filled += count,
            }
        }
        Ok(())
    }

    /// One block, or `None` at a clean end of the stream.
    pub(super) fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let first = self.read_some(&mut block)?;
        if first == 0 {
            return Ok(None);
        }
        self.read_all(&mut block[first..])?;
        Ok(Some(block))
    }

    /// Reads and drops bytes.
    pub(super) fn skip(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            if self.start == self.end {
                let passed = (self.pass)(&mut self.stream, count);
                let passed = passed.map_err(|source| Error::Read { offset: self.offset, source })?;
                self.count(passed)?;
                count -= passed;
                if count == 0 {
                    return Ok(());
                }
                self.fill()?;
            }
            if self.start == self.end {
                return Err(Error::archive(self.offset, Fault::Truncated));
            }
            let held = self.end - self.start;
            let step = usize::try_from(count).map_or(held, |count| count.min(held));
            self.start += step;
            self.count(step as u64)?;
            count -= step as u64;
        }
        Ok(())
    }
}

fn read(stream: &mut impl Read, buffer: &mut [u8], offset: u64) -> Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read.map_err(|source| Error::Read { offset, source }),
        }
    }
}

/// Bytes between the end of `size` bytes of data and the next block.
pub(super) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}
