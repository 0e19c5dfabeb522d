//! Blobs that arrive in several attempts.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::root::{Root, blob_path};
use crate::descriptor::Descriptor;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};

const BUFFER: usize = 64 << 10;

/// A blob that is being written and knows what it must become; see [`Layout::resume_ingest`](super::Layout::resume_ingest).
#[derive(Debug)]
pub struct Ingest<'l> {
    root: &'l Root,
    file: File,
    name: PathBuf,
    digest: Digest,
    size: u64,
    hasher: Hasher,
    offset: u64,
    // Whether a later attempt will find the file.
    found_again: bool,
    finished: bool,
}

impl<'l> Ingest<'l> {
    pub(super) fn open(root: &'l Root, descriptor: &Descriptor) -> Result<Self> {
        let (file, name, found_again) = if let Some((file, name)) = root.open_partial(&descriptor.digest)? {
            (file, name, true)
        } else {
            let (file, name) = root.create_unfinished()?;
            (file, name, false)
        };
        let (digest, size) = (descriptor.digest, descriptor.size);
        let hasher = Hasher::new(digest.algorithm());
        let mut ingest = Self { root, file, name, digest, size, hasher, offset: 0, found_again, finished: false };
        ingest.hash_what_is_there()?;
        Ok(ingest)
    }

    /// The file is read again rather than a stored hash state believed: what is hashed is what is on the disk.
    fn hash_what_is_there(&mut self) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    self.offset += count as u64;
                    self.hasher.update(&buffer[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::sys("read", self.root.path.join(&self.name))(error)),
            }
            // Longer than the blob: it cannot be its beginning.
            if self.offset > self.size {
                return self.restart();
            }
        }
        Ok(())
    }

    /// Bytes that are there.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What is there, from its beginning, for a reader that needs all of the content.
    ///
    /// # Errors
    /// [`Error::Sys`].
    pub fn written(&self) -> Result<impl Read + use<>> {
        let path = || self.root.path.join(&self.name);
        let file = self.root.open_regular(&self.name)?.0;
        let mut reader = file.take(self.offset);
        reader.get_mut().seek(SeekFrom::Start(0)).map_err(Error::sys("seek in", path()))?;
        Ok(reader)
    }

    /// Throws away what is there.
    pub fn restart(&mut self) -> Result<()> {
        let path = || self.root.path.join(&self.name);
        self.file.set_len(0).map_err(Error::sys("truncate", path()))?;
        self.file.seek(SeekFrom::Start(0)).map_err(Error::sys("seek in", path()))?;
        self.offset = 0;
        self.hasher = Hasher::new(self.digest.algorithm());
        Ok(())
    }

    /// Checks the whole and gives it its name.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] if something is missing: it stays for another attempt. [`Error::DigestMismatch`]: nothing
    /// of it is kept.
    pub fn finish(mut self) -> Result<()> {
        self.check_size()?;
        let actual = self.hasher.clone().finish();
        if actual != self.digest {
            self.found_again = false;
            return Err(Error::DigestMismatch { expected: Box::new(self.digest), actual: Box::new(actual) });
        }
        self.publish()
    }

    /// Gives the whole its name; its digest was computed on the way and is right.
    pub(crate) fn finish_verified(self) -> Result<()> {
        self.check_size()?;
        self.publish()
    }

    fn check_size(&self) -> Result<()> {
        if self.offset == self.size {
            return Ok(());
        }
        Err(Error::SizeMismatch { digest: self.digest, expected: self.size, actual: self.offset })
    }

    fn publish(mut self) -> Result<()> {
        self.root.make_blob_directory(self.digest.algorithm())?;
        self.root.publish(&self.file, &self.name, &blob_path(&self.digest))?;
        self.finished = true;
        Ok(())
    }

    /// The digest of what is there, for someone who goes on with it.
    pub(crate) fn lend_hasher(&mut self) -> Hasher {
        std::mem::replace(&mut self.hasher, Hasher::new(self.digest.algorithm()))
    }

    /// The digest of what is there now.
    pub(crate) fn give_back_hasher(&mut self, hasher: Hasher) {
        self.hasher = hasher;
    }

    /// Writes what someone else adds to the digest.
    pub(crate) fn store(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.check_room(bytes)?;
        self.file.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn check_room(&self, bytes: &[u8]) -> io::Result<()> {
        let actual = self.offset + bytes.len() as u64;
        if actual <= self.size {
            return Ok(());
        }
        Err(Error::SizeMismatch { digest: self.digest, expected: self.size, actual }.into())
    }
}

impl Write for Ingest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check_room(bytes)?;
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.offset += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Ingest<'_> {
    fn drop(&mut self) {
        if !self.finished && (!self.found_again || self.offset == 0) {
            // A destructor cannot report; what stays is recognisable as unfinished and goes with the next collection.
            let _ = self.root.remove(&self.name);
        }
    }
}
