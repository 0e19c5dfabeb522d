//! Blobs while they are written.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use super::root::{Root, blob_path};
use crate::codec::DigestWriter;
use crate::descriptor::Descriptor;
use crate::digest::Algorithm;
use crate::error::{Error, Result};
use crate::media_type::MediaType;

const BUFFER: usize = 128 << 10;

/// A blob that is being written; it is in the layout only once [`BlobWriter::finish`] returned.
#[derive(Debug)]
pub struct BlobWriter<'l> {
    root: &'l Root,
    // `None` once finished, so that dropping removes only what was given up.
    state: Option<(DigestWriter<BufWriter<File>>, PathBuf)>,
}

impl<'l> BlobWriter<'l> {
    pub(super) fn new(root: &'l Root, algorithm: Algorithm) -> Result<Self> {
        let (file, name) = root.create_unfinished()?;
        let writer = DigestWriter::new(BufWriter::with_capacity(BUFFER, file), algorithm);
        Ok(Self { root, state: Some((writer, name)) })
    }

    /// Completes the blob and gives it its name.
    pub fn finish(mut self, media_type: MediaType) -> Result<Descriptor> {
        let (writer, name) = self.state.take().expect("only this method takes the state, and it takes self");
        let (buffered, digest, size) = writer.into_parts();
        let target = blob_path(&digest);
        let published = buffered
            .into_inner()
            .map_err(|error| Error::sys("write", self.root.path.join(&name))(error.into_error()))
            .and_then(|file| {
                self.root.make_blob_directory(digest.algorithm())?;
                self.root.publish(&file, &name, &target)
            });
        if published.is_err() {
            // The first failure is the one to report; the file is recognisable as unfinished.
            let _ = self.root.remove(&name);
        }
        published.map(|()| Descriptor::new(media_type, digest, size))
    }
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (writer, _) = self.state.as_mut().expect("the state is taken only by finish, which takes self");
        writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let (writer, _) = self.state.as_mut().expect("the state is taken only by finish, which takes self");
        writer.flush()
    }
}

impl Drop for BlobWriter<'_> {
    fn drop(&mut self) {
        if let Some((_, name)) = self.state.take() {
            // A destructor cannot report; what stays is recognisable as unfinished and goes with the next collection.
            let _ = self.root.remove(&name);
        }
    }
}
