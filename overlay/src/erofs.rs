//! Layers as EROFS images: the metadata that makes a mountable file system of the bytes of an archive.
//!
//! An image is one file. Its first 4 KiB are empty but for the superblock, which is written last: before that there is
//! nothing to mount. Then comes the archive itself, byte for byte, and behind it the inodes and directories, whose files
//! are the stretches of the archive that hold them: with blocks of 512 bytes a tar file's data begins a block.
//! A merged image holds inodes and directories only; its files are in the images of its layers, one device each.
//!
//! Source: the kernel's `fs/erofs/erofs_fs.h`.

mod encode;
mod inventory;
mod record;

pub(crate) use encode::{Copy, Layout, Metadata, encode};
pub(crate) use inventory::{Attributes, Data, Inventory, Piece};
pub(crate) use record::SUPERBLOCK_OFFSET;

/// Whether an attribute's name has a place in an image.
pub(crate) fn is_xattr(name: &[u8]) -> bool {
    record::xattr_name(name).is_some()
}

/// Where the archive starts in an image.
pub(crate) const ARCHIVE_OFFSET: u64 = 4096;

/// Blocks of a tar archive, as a power of two.
pub(crate) const TAR_BLOCK_BITS: u8 = 9;
