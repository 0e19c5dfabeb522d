//! The byte stream below the reader: counts, limits, and tells an end from an error.

use std::io::{self, Read};

use super::BLOCK;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::limits::Limit;

/// A stream that knows its offset.
#[derive(Debug)]
pub(super) struct Input<R> {
    stream: R,
    offset: u64,
    bytes_max: u64,
}

impl<R: Read> Input<R> {
    pub(super) fn new(stream: R, bytes_max: u64) -> Self {
        Self { stream, offset: 0, bytes_max }
    }

    pub(super) fn into_inner(self) -> R {
        self.stream
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads up to a whole buffer; 0 only at the end of the stream.
    pub(super) fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Ok(count) => {
                    self.offset += count as u64;
                    if self.offset > self.bytes_max {
                        return Err(Error::LimitExceeded { limit: Limit::ArchiveBytes, max: self.bytes_max });
                    }
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Read { offset: self.offset, source }),
            }
        }
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
        let mut scratch = [0; 16 * BLOCK];
        while count > 0 {
            let step = usize::try_from(count).map_or(scratch.len(), |count| count.min(scratch.len()));
            self.read_all(&mut scratch[..step])?;
            count -= step as u64;
        }
        Ok(())
    }
}

/// Bytes between the end of `size` bytes of data and the next block.
pub(super) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}
