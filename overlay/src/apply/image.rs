//! Archives into EROFS images.

use std::cell::Cell;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;

use super::attribute;
use super::digest::Hashing;
use super::notice::Notices;
use super::owner::{self, Owner};
use super::{Applied, BUFFER, Destination, entries, expected};
use crate::entry::{Entry, Kind};
use crate::erofs::{
    ARCHIVE_OFFSET, Attributes, Copy, Data, Inventory, Layout, Metadata, Piece, SUPERBLOCK_OFFSET, TAR_BLOCK_BITS,
    encode,
};
use crate::error::{Error, Result};
use crate::layer_id::LayerId;
use crate::options::{ApplyOptions, Xattrs};
use crate::path::SafePath;
use crate::sys::{self, Named as _};
use crate::tar::Reader;
use crate::whiteout::XattrNamespace;

/// Writes an archive into an empty file, and makes the file an image of the layer.
///
/// The superblock is the last thing that is written: without it the file is no image.
pub(crate) fn apply_to_image(
    stream: impl Read,
    image: BorrowedFd<'_>,
    namespace: XattrNamespace,
    options: &ApplyOptions,
) -> Result<Applied> {
    let refused = Cell::new(None);
    let keeping = Keeping { stream: Hashing::new(stream), image, offset: ARCHIVE_OFFSET, refused: &refused };
    let mut destination = InImage::new(Some(namespace), options);
    let mut reader = Reader::new(keeping, options.limits);
    let (entries, notices) = match entries(&mut reader, &mut destination, options) {
        // The disk's refusal, which came out of the stream.
        Err(Error::Read { .. }) if refused.get().is_some() => {
            let errno = refused.get().expect("it was just there");
            return Err(errno).named("pwrite", IMAGE.as_ref());
        }
        put => put?,
    };
    let bytes = reader.offset();
    let diff_id = reader.into_inner().stream.finish();
    expected(diff_id, options)?;
    let id = diff_id.as_bytes()[..16].try_into().expect("sixteen of the digest's bytes");
    let start = (ARCHIVE_OFFSET + bytes).next_multiple_of(1 << TAR_BLOCK_BITS);
    let layout = Layout { block_bits: TAR_BLOCK_BITS, start, devices: &[], id };
    write(image, &layout, &encode(&destination.inventory, &layout)?, &[image])?;
    let unfinished = destination.inventory.take_unfinished();
    Ok(Applied { diff_id, entries, bytes, notices: notices.into_vec(), unfinished })
}

/// Makes one image of a chain; its data stays in the images of the layers, bottom first.
pub(crate) fn merge(
    layers: &[(BorrowedFd<'_>, u64)],
    image: BorrowedFd<'_>,
    id: [u8; 16],
    options: &ApplyOptions,
) -> Result<()> {
    let mut destination = InImage::new(None, options);
    let mut devices = Vec::with_capacity(layers.len());
    for (number, (layer, bytes)) in layers.iter().enumerate() {
        if number > 0 {
            destination.inventory.next_layer();
        }
        let archive = Archive::new(*layer, *bytes);
        let mut reader = Reader::seeking(archive, options.limits);
        // What is left out was said when the layer was taken in.
        let (_, _) = entries(&mut reader, &mut destination, options)?;
        devices.push((ARCHIVE_OFFSET + bytes).next_multiple_of(1 << TAR_BLOCK_BITS));
    }
    let layout = Layout { block_bits: TAR_BLOCK_BITS, start: ARCHIVE_OFFSET, devices: &devices, id };
    let images: Vec<BorrowedFd<'_>> = layers.iter().map(|(layer, _)| *layer).collect();
    write(image, &layout, &encode(&destination.inventory, &layout)?, &images)
}

/// For messages: which one it is is known to the caller.
const IMAGE: &str = "the image";

fn write(image: BorrowedFd<'_>, layout: &Layout<'_>, metadata: &Metadata, layers: &[BorrowedFd<'_>]) -> Result<()> {
    let named = |written: rustix::io::Result<()>| written.named("pwrite", IMAGE.as_ref());
    named(sys::write_at(image, &metadata.bytes, layout.start))?;
    rustix::fs::ftruncate(image, metadata.length).named("ftruncate", IMAGE.as_ref())?;
    let mut buffer = vec![0; BUFFER];
    for Copy { layer, mut from, mut to, mut length } in metadata.copies.iter().copied() {
        while length > 0 {
            let step = usize::try_from(length).map_or(buffer.len(), |length| length.min(buffer.len()));
            let count = sys::read_at(layers[layer], &mut buffer[..step], from).named("pread", IMAGE.as_ref())?;
            if count == 0 {
                return Err(Errno::IO).named("pread", IMAGE.as_ref());
            }
            named(sys::write_at(image, &buffer[..count], to))?;
            (from, to, length) = (from + count as u64, to + count as u64, length - count as u64);
        }
    }
    named(sys::write_at(image, &metadata.superblock, SUPERBLOCK_OFFSET))
}

/// Writes what is read from a stream behind the start of an image.
struct Keeping<'a, R> {
    stream: Hashing<R>,
    image: BorrowedFd<'a>,
    offset: u64,
    /// Why the image could not be written.
    refused: &'a Cell<Option<Errno>>,
}

impl<R: Read> Read for Keeping<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        sys::write_at(self.image, &buffer[..count], self.offset).inspect_err(|errno| self.refused.set(Some(*errno)))?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// The archive inside an image.
#[derive(Debug)]
pub(crate) struct Archive<F> {
    image: F,
    offset: u64,
    end: u64,
}

impl<F: AsFd> Archive<F> {
    /// Its length is in the layer's record.
    pub(crate) fn new(image: F, bytes: u64) -> Self {
        Self { image, offset: ARCHIVE_OFFSET, end: ARCHIVE_OFFSET + bytes }
    }

    /// Reads what is left and gives its digest.
    pub(crate) fn digest(self) -> Result<LayerId> {
        let mut stream = Hashing::new(self);
        let mut buffer = vec![0; BUFFER];
        while stream.read(&mut buffer).named("pread", IMAGE.as_ref())? > 0 {}
        Ok(stream.finish())
    }
}

impl<F: AsFd> Read for Archive<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let count = sys::read_at(self.image.as_fd(), &mut buffer[..wanted], self.offset)?;
        if count == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += count as u64;
        Ok(count)
    }
}

impl<F: AsFd> io::Seek for Archive<F> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let offset = match to {
            io::SeekFrom::Start(offset) => ARCHIVE_OFFSET.checked_add(offset),
            io::SeekFrom::Current(step) => self.offset.checked_add_signed(step),
            io::SeekFrom::End(step) => self.end.checked_add_signed(step),
        };
        self.offset = offset.filter(|offset| *offset >= ARCHIVE_OFFSET).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.offset - ARCHIVE_OFFSET)
    }
}

/// An image as destination.
struct InImage {
    inventory: Inventory,
    xattrs: Xattrs,
}

impl InImage {
    fn new(namespace: Option<XattrNamespace>, options: &ApplyOptions) -> Self {
        let root_owner = owner::numbers(owner::root(&options.id_map));
        Self { inventory: Inventory::new(namespace, root_owner, options.limits.links_followed), xattrs: options.xattrs }
    }

    fn attributes(&self, entry: &Entry, owner: Owner, notices: &mut Notices) -> Result<Attributes> {
        let mut xattrs = Vec::new();
        for (name, value) in attribute::wanted(entry, self.xattrs, notices) {
            if crate::erofs::is_xattr(name) {
                xattrs.push((name.into(), value.into()));
            } else {
                attribute::refused(entry, self.xattrs, Errno::OPNOTSUPP, notices)?;
            }
        }
        let (uid, gid) = owner::numbers(owner);
        Ok(Attributes { mode: entry.metadata.mode, uid, gid, mtime: entry.metadata.mtime, xattrs })
    }
}

impl Destination for InImage {
    fn whiteout(&mut self, path: &SafePath) -> Result<()> {
        self.inventory.whiteout(path)
    }

    fn opaque(&mut self, directory: &SafePath) -> Result<()> {
        self.inventory.opaque(directory)
    }

    fn hard_link(&mut self, path: &SafePath, target: &SafePath, offset: u64) -> Result<()> {
        self.inventory.hard_link(path, target, offset)
    }

    fn put<R: Read>(
        &mut self,
        entry: &Entry,
        owner: Owner,
        reader: &mut Reader<R>,
        notices: &mut Notices,
    ) -> Result<()> {
        let attributes = self.attributes(entry, owner, notices)?;
        let data = match entry.kind {
            Kind::File { size } => data(size, ARCHIVE_OFFSET + reader.offset(), reader.stored()),
            _ => Data::Whole(0),
        };
        self.inventory.put(entry, attributes, data)
    }
}

/// Where a file's bytes are in the image: one stretch, or pieces that have to be put together.
fn data(size: u64, start: u64, stored: impl Iterator<Item = (u64, u64)>) -> Data {
    let mut image = start;
    let mut pieces = Vec::new();
    for (file, length) in stored {
        pieces.push(Piece { file, image, length });
        image += length;
    }
    match pieces[..] {
        [Piece { file: 0, length, .. }] if length == size && start.is_multiple_of(1 << TAR_BLOCK_BITS) => {
            Data::Whole(start)
        }
        _ => Data::Pieces(pieces),
    }
}

#[cfg(test)]
mod tests;
