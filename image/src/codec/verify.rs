//! Content against its digest, in passing.

use std::io::{self, Read, Write};

use crate::descriptor::Descriptor;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};

/// Reads content and checks its length and digest against a descriptor.
///
/// A read of 0 bytes means that the content is complete and right. Nothing beyond the descriptor's length is ever
/// returned.
#[derive(Debug)]
pub struct VerifyReader<R> {
    inner: R,
    hasher: Hasher,
    digest: Digest,
    size: u64,
    seen: u64,
}

impl<R: Read> VerifyReader<R> {
    /// Reads `inner` as the content of `descriptor`.
    pub fn new(inner: R, descriptor: &Descriptor) -> Self {
        let hasher = Hasher::new(descriptor.digest.algorithm());
        Self { inner, hasher, digest: descriptor.digest, size: descriptor.size, seen: 0 }
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.seen
    }

    /// Reads what is left, to learn whether the content as a whole is right.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let mut rest = [0; 4096];
        loop {
            match self.read(&mut rest) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn wrong_size(&self) -> io::Error {
        Error::SizeMismatch { digest: self.digest, expected: self.size, actual: self.seen }.into()
    }
}

impl<R: Read> Read for VerifyReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.seen > self.size {
            return Err(self.wrong_size());
        }
        let count = self.inner.read(buffer)?;
        self.seen += count as u64;
        if self.seen > self.size || (count == 0 && self.seen < self.size) {
            return Err(self.wrong_size());
        }
        self.hasher.update(&buffer[..count]);
        if count == 0 {
            let actual = self.hasher.clone().finish();
            if actual != self.digest {
                return Err(mismatch(self.digest, actual).into());
            }
        }
        Ok(count)
    }
}

fn mismatch(expected: Digest, actual: Digest) -> Error {
    Error::DigestMismatch { expected: Box::new(expected), actual: Box::new(actual) }
}

/// Reads an uncompressed layer to its end and checks that it is the one of this `diff_id`.
///
/// For consumers that do not compute the digest themselves.
pub fn verify_diff_id(mut layer: impl Read, diff_id: &Digest) -> Result<u64> {
    let (mut hasher, mut bytes) = (Hasher::new(diff_id.algorithm()), 0);
    // A decompressor keeps a copy of the end of whatever it is asked for: of much, that is little.
    let mut buffer = vec![0; 256 << 10];
    loop {
        match layer.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(&buffer[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::sys("read", "a layer")(error)),
        }
    }
    let actual = hasher.finish();
    if actual == *diff_id { Ok(bytes) } else { Err(mismatch(*diff_id, actual)) }
}

/// Passes content on and computes its digest.
#[derive(Debug)]
pub(crate) struct DigestWriter<W> {
    inner: W,
    hasher: Hasher,
    bytes: u64,
}

impl<W: Write> DigestWriter<W> {
    pub(crate) fn new(inner: W, algorithm: crate::digest::Algorithm) -> Self {
        Self { inner, hasher: Hasher::new(algorithm), bytes: 0 }
    }

    /// Bytes passed on so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.bytes)
    }

    pub(crate) fn into_parts(self) -> (W, Digest, u64) {
        (self.inner, self.hasher.finish(), self.bytes)
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
