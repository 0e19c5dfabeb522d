//! The digest of all bytes that pass.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use crate::layer_id::LayerId;

/// Hashes what is read from a stream.
#[derive(Debug)]
pub(super) struct Hashing<R> {
    stream: R,
    hash: Sha256,
}

impl<R> Hashing<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, hash: Sha256::new() }
    }

    pub(super) fn finish(self) -> LayerId {
        LayerId::from_bytes(self.hash.finalize().into())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}
