//! Archives from entries.

use std::fmt;
use std::io::{self, Read, Write};

use super::BLOCK;
use super::input::padding;
use crate::entry::{DeviceKind, DeviceNumber, Entry, Kind, Metadata};
use crate::error::{Error, Result};
use crate::path::SafePath;
use crate::whiteout;

/// Writes entries as ustar, with a pax header where ustar has no room; the same entries give the same bytes.
///
/// ```
/// use windlass_overlay::{Entry, Kind, Limits, Metadata, tar};
///
/// let mut archive = Vec::new();
/// let mut writer = tar::Writer::new(&mut archive);
/// let entry = Entry { path: "greeting".parse()?, kind: Kind::File { size: 5 }, metadata: Metadata::default() };
/// writer.append(&entry, &mut &b"hello"[..])?;
/// writer.whiteout(&"old".parse()?)?;
/// writer.finish()?;
/// let mut reader = tar::Reader::new(&archive[..], Limits::default());
/// assert_eq!(reader.next_entry()?, Some(entry));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What is written is kept until a buffer is full: without [`Writer::finish`] the last of it is lost.
pub struct Writer<W> {
    stream: W,
    buffer: Box<[u8]>,
    filled: usize,
}

/// Bytes written at once: a small file costs one read and a part of a write.
const BUFFER: usize = 256 << 10;

impl<W> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("filled", &self.filled).finish_non_exhaustive()
    }
}

impl<W: Write> Writer<W> {
    /// Starts an archive.
    pub fn new(stream: W) -> Self {
        Self { stream, buffer: vec![0; BUFFER].into(), filled: 0 }
    }

    /// Writes one entry; `content` gives exactly the bytes of a file and is not read for anything else.
    ///
    /// # Errors
    /// [`Error::Unrepresentable`] for a name that a reader would take for a whiteout.
    pub fn append(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        if entry.path.components().any(whiteout::is_whiteout_name) {
            return Err(Error::Unrepresentable { path: entry.path.clone() });
        }
        self.write(entry, content)
    }

    /// Writes that lower layers' `path` is deleted; the root cannot be.
    pub fn whiteout(&mut self, path: &SafePath) -> Result<()> {
        let marked = whiteout::whiteout_path(path).ok_or(Error::Invalid {
            field: "whiteout",
            value: path.to_string(),
            reason: "the root cannot be deleted",
        })?;
        self.marker(marked)
    }

    /// Writes that nothing of lower layers is seen in `directory`.
    pub fn opaque(&mut self, directory: &SafePath) -> Result<()> {
        self.marker(whiteout::opaque_path(directory))
    }

    /// Writes the end mark and gives the stream back.
    pub fn finish(mut self) -> Result<W> {
        self.put(&SafePath::root(), &[0; 2 * BLOCK])?;
        self.flush(&SafePath::root())?;
        self.stream.flush().map_err(|source| Error::Write { path: SafePath::root(), source })?;
        Ok(self.stream)
    }

    fn marker(&mut self, path: SafePath) -> Result<()> {
        let entry = Entry { path, kind: Kind::File { size: 0 }, metadata: Metadata::default() };
        self.write(&entry, &mut io::empty())
    }

    fn write(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let path = &entry.path;
        let mut records = Vec::new();
        let block = header(entry, &mut records)?;
        for (name, value) in &entry.metadata.xattrs {
            let key = std::str::from_utf8(name).ok().filter(|name| !name.contains('='));
            let key = key.ok_or_else(|| invalid("extended attribute", &name.escape_ascii()))?;
            record(&mut records, &format!("SCHILY.xattr.{key}"), value);
        }
        if !records.is_empty() {
            let size = records.len() as u64;
            let mut block = Block::new(b"././@PaxHeader", b'x');
            block.octal(100..108, 0o644);
            block.octal(124..136, size);
            self.put(path, &block.summed())?;
            self.put(path, &records)?;
            self.pad(path, size)?;
        }
        self.put(path, &block)?;
        if let Kind::File { size } = entry.kind {
            self.content(path, content, size)?;
            self.pad(path, size)?;
        }
        Ok(())
    }

    /// Reads straight into the buffer, of which as much is free as the content can use.
    fn content(&mut self, path: &SafePath, content: &mut dyn Read, size: u64) -> Result<()> {
        let error = |source| Error::Write { path: path.clone(), source };
        let mut left = size;
        while left > 0 {
            let wanted = usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER));
            if wanted > BUFFER - self.filled {
                self.flush(path)?;
            }
            match content.read(&mut self.buffer[self.filled..self.filled + wanted]) {
                Ok(0) => return Err(error(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => {
                    self.filled += count;
                    left -= count as u64;
                }
                Err(again) if again.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(error(source)),
            }
        }
        Ok(())
    }

    fn put(&mut self, path: &SafePath, bytes: &[u8]) -> Result<()> {
        for part in bytes.chunks(BUFFER) {
            if part.len() > BUFFER - self.filled {
                self.flush(path)?;
            }
            self.buffer[self.filled..self.filled + part.len()].copy_from_slice(part);
            self.filled += part.len();
        }
        Ok(())
    }

    fn flush(&mut self, path: &SafePath) -> Result<()> {
        let filled = std::mem::take(&mut self.filled);
        self.stream.write_all(&self.buffer[..filled]).map_err(|source| Error::Write { path: path.clone(), source })
    }

    fn pad(&mut self, path: &SafePath, size: u64) -> Result<()> {
        let count = usize::try_from(padding(size)).expect("padding is below one block");
        self.put(path, &[0; BLOCK][..count])
    }
}

fn invalid(field: &'static str, value: &dyn fmt::Display) -> Error {
    Error::Invalid { field, value: value.to_string(), reason: "has no place in a tar header" }
}

/// The header block; what does not fit goes to the records of a pax header.
fn header(entry: &Entry, records: &mut Vec<u8>) -> Result<[u8; BLOCK]> {
    let metadata = &entry.metadata;
    let (kind, size, link) = match &entry.kind {
        Kind::File { size } => (b'0', *size, &[][..]),
        Kind::HardLink(target) => (b'1', 0, target.as_bytes()),
        Kind::Symlink(target) => (b'2', 0, &**target),
        Kind::Device(DeviceKind::Character, _) => (b'3', 0, &[][..]),
        Kind::Device(DeviceKind::Block, _) => (b'4', 0, &[][..]),
        Kind::Directory => (b'5', 0, &[][..]),
        Kind::Fifo => (b'6', 0, &[][..]),
    };
    let mut name = entry.path.as_path().as_os_str().as_encoded_bytes().to_vec();
    if entry.kind == Kind::Directory {
        name.push(b'/');
    }
    let mut block = Block::new(b"", kind);
    block.text(0..100, &name, "path", records);
    block.text(157..257, link, "linkpath", records);
    block.octal(100..108, u64::from(metadata.mode & 0o7777));
    block.number(108..116, u64::from(metadata.uid), "uid", records);
    block.number(116..124, u64::from(metadata.gid), "gid", records);
    block.number(124..136, size, "size", records);
    match u64::try_from(metadata.mtime.seconds) {
        Ok(seconds) if metadata.mtime.nanoseconds == 0 => block.number(136..148, seconds, "mtime", records),
        _ => {
            block.octal(136..148, 0);
            record(records, "mtime", decimal(metadata.mtime.seconds, metadata.mtime.nanoseconds).as_bytes());
        }
    }
    if let Kind::Device(_, DeviceNumber { major, minor }) = entry.kind {
        for (range, number) in [(329..337, major), (337..345, minor)] {
            if number > 0o777_7777 {
                return Err(invalid("device number", &number));
            }
            block.octal(range, u64::from(number));
        }
    }
    Ok(block.summed())
}

/// Seconds and nanoseconds after them, as a signed decimal fraction.
fn decimal(seconds: i64, nanoseconds: u32) -> String {
    if seconds < 0 && nanoseconds > 0 {
        // -2 s and 750 ms after it is -1.25.
        let whole = (seconds + 1).unsigned_abs();
        return format!("-{whole}.{:09}", 1_000_000_000 - nanoseconds);
    }
    if nanoseconds == 0 { seconds.to_string() } else { format!("{seconds}.{nanoseconds:09}") }
}

fn record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    // The length counts its own digits.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length.to_string().len() + rest != length {
        length += 1;
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

struct Block([u8; BLOCK]);

impl Block {
    fn new(name: &[u8], kind: u8) -> Self {
        let mut block = [0; BLOCK];
        block[..name.len()].copy_from_slice(name);
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        let mut block = Self(block);
        for range in [100..108, 108..116, 116..124, 124..136, 136..148, 329..337, 337..345] {
            block.octal(range, 0);
        }
        block
    }

    /// Digits to the last place but one, then NUL.
    fn octal(&mut self, range: std::ops::Range<usize>, value: u64) {
        let width = range.len() - 1;
        let digits = format!("{value:0width$o}\0");
        self.0[range].copy_from_slice(digits.as_bytes());
    }

    fn number(&mut self, range: std::ops::Range<usize>, value: u64, key: &str, records: &mut Vec<u8>) {
        let bits = 3 * (range.len() - 1);
        if value >> bits == 0 {
            return self.octal(range, value);
        }
        self.octal(range, 0);
        record(records, key, value.to_string().as_bytes());
    }

    fn text(&mut self, range: std::ops::Range<usize>, value: &[u8], key: &str, records: &mut Vec<u8>) {
        let place = &mut self.0[range];
        if value.len() > place.len() {
            record(records, key, value);
        }
        let shown = value.len().min(place.len());
        place[..shown].copy_from_slice(&value[..shown]);
    }

    fn summed(mut self) -> [u8; BLOCK] {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.0[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_the_epoch() {
        assert_eq!(decimal(-2, 750_000_000), "-1.250000000");
        assert_eq!(decimal(-1, 750_000_000), "-0.250000000");
        assert_eq!(decimal(-3, 0), "-3");
        assert_eq!(decimal(3, 5), "3.000000005");
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for length in 0..2000 {
            let mut records = Vec::new();
            record(&mut records, "key", &vec![b'x'; length]);
            let digits = records.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let stated: usize = std::str::from_utf8(&records[..digits]).unwrap().parse().unwrap();
            assert_eq!(stated, records.len());
        }
    }
}
