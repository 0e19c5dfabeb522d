//! The records of the format, as bytes.

use super::inventory::Attribute;
use crate::entry::{DeviceKind, DeviceNumber, Timestamp};

/// Where the superblock is.
pub(crate) const SUPERBLOCK_OFFSET: u64 = 1024;
/// Bytes of the superblock that the checksum covers with blocks of 512 bytes; a superblock has 128.
const CHECKED: usize = 512;

const MAGIC: u32 = 0xe0f5_e1e2;
const COMPAT_CHECKSUM: u32 = 1;
const INCOMPAT_CHUNKED: u32 = 4;
const INCOMPAT_DEVICES: u32 = 8;

/// Data in one stretch of whole blocks.
const FLAT_PLAIN: u16 = 0;
/// As that, with what is left over right behind the inode.
const FLAT_INLINE: u16 = 2;

/// Bytes of an inode with 32-bit owners and a time.
pub(super) const INODE: usize = 64;
/// Inodes are numbered in steps of so many bytes.
pub(super) const SLOT: usize = 32;
/// Bytes of a directory's entry without its name.
pub(super) const DIRENT: usize = 12;
/// Bytes of a device's slot.
pub(super) const DEVICE_SLOT: usize = 128;

/// A growing record of little-endian numbers.
#[derive(Debug, Default)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Bytes {
    pub(super) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(super) fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn zeros(mut self, count: usize) -> Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }
}

/// What the superblock says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Superblock {
    pub(super) block_bits: u8,
    pub(super) root: u16,
    pub(super) inodes: u64,
    pub(super) blocks: u32,
    pub(super) metadata_block: u32,
    pub(super) devices: u16,
    /// In slots from the start of the image.
    pub(super) device_slot: u16,
    pub(super) id: [u8; 16],
}

impl Superblock {
    pub(super) fn encode(self) -> Vec<u8> {
        let incompat = if self.devices > 0 { INCOMPAT_DEVICES | INCOMPAT_CHUNKED } else { 0 };
        let mut record = Bytes::default()
            .u32(MAGIC)
            .u32(0)
            .u32(COMPAT_CHECKSUM)
            .u8(self.block_bits)
            .u8(0)
            .u16(self.root)
            .u64(self.inodes)
            .u64(0)
            .u32(0)
            .u32(self.blocks)
            .u32(self.metadata_block)
            .u32(0);
        record.0.extend(self.id);
        let mut record = record.zeros(16).u32(incompat).u16(0).u16(self.devices).u16(self.device_slot).zeros(38);
        debug_assert_eq!(record.0.len(), 128);
        // Larger blocks are checked to the end of the first one.
        let checked = (1_usize << self.block_bits).saturating_sub(1024).max(CHECKED);
        record.0.resize(checked, 0);
        let sum = crc32c(&record.0);
        record.0[4..8].copy_from_slice(&sum.to_le_bytes());
        record.0
    }
}

/// Castagnoli's polynomial, without the final inversion.
fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg()))
    })
}

/// What an inode says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inode {
    /// Whether what is left over of its data is right behind it.
    pub(super) is_inline: bool,
    pub(super) xattr_units: u16,
    pub(super) mode: u16,
    pub(super) size: u64,
    /// A block, or a device's number.
    pub(super) place: u32,
    pub(super) number: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Timestamp,
    pub(super) names: u32,
}

impl Inode {
    pub(super) fn encode(self) -> Vec<u8> {
        let layout = if self.is_inline { FLAT_INLINE } else { FLAT_PLAIN };
        Bytes::default()
            .u16(layout << 1 | 1)
            .u16(self.xattr_units)
            .u16(self.mode)
            .u16(0)
            .u64(self.size)
            .u32(self.place)
            .u32(self.number)
            .u32(self.uid)
            .u32(self.gid)
            .u64(self.mtime.seconds.cast_unsigned())
            .u32(self.mtime.nanoseconds)
            .u32(self.names)
            .zeros(16)
            .0
    }
}

/// A device's number as an inode holds it; `None` for one that no kernel knows.
pub(super) fn device(DeviceNumber { major, minor }: DeviceNumber) -> Option<u32> {
    (major < 1 << 12 && minor < 1 << 20).then_some(minor & 0xff | major << 8 | (minor & !0xff) << 12)
}

/// The file type bits of a mode, and a directory entry's own number for them.
#[derive(Debug, Clone, Copy)]
pub(super) enum FileType {
    Regular,
    Directory,
    Device(DeviceKind),
    Fifo,
    Symlink,
}

impl FileType {
    pub(super) fn mode(self) -> u16 {
        match self {
            Self::Regular => 0o100_000,
            Self::Directory => 0o040_000,
            Self::Device(DeviceKind::Character) => 0o020_000,
            Self::Device(DeviceKind::Block) => 0o060_000,
            Self::Fifo => 0o010_000,
            Self::Symlink => 0o120_000,
        }
    }

    pub(super) fn number(self) -> u8 {
        match self {
            Self::Regular => 1,
            Self::Directory => 2,
            Self::Device(DeviceKind::Character) => 3,
            Self::Device(DeviceKind::Block) => 4,
            Self::Fifo => 5,
            Self::Symlink => 7,
        }
    }
}

/// Where a directory entry's name starts, what it is and whose it is.
pub(super) fn dirent(node: u64, name_offset: u16, kind: FileType) -> Vec<u8> {
    Bytes::default().u64(node).u16(name_offset).u8(kind.number()).u8(0).0
}

/// The extended attributes of one inode, as they follow it; `None` for a name that the format has no number for.
pub(super) fn xattrs(attributes: &[Attribute]) -> Option<Vec<u8>> {
    if attributes.is_empty() {
        return Some(Vec::new());
    }
    let mut body = Bytes::default().zeros(12);
    for (name, value) in attributes {
        let (prefix, rest) = xattr_name(name)?;
        body = body.u8(u8::try_from(rest.len()).ok()?).u8(prefix).u16(u16::try_from(value.len()).ok()?);
        body.0.extend(rest);
        body.0.extend(&**value);
        let padded = body.0.len().next_multiple_of(4);
        body.0.resize(padded, 0);
    }
    Some(body.0)
}

/// The number of a name's prefix, and the rest.
pub(super) fn xattr_name(name: &[u8]) -> Option<(u8, &[u8])> {
    const WHOLE: [(&[u8], u8); 2] = [(b"system.posix_acl_access", 2), (b"system.posix_acl_default", 3)];
    const PREFIXES: [(&[u8], u8); 3] = [(b"user.", 1), (b"trusted.", 4), (b"security.", 6)];
    let whole = WHOLE.iter().find(|(whole, _)| *whole == name).map(|(_, number)| (*number, &[][..]));
    let mut prefixes = PREFIXES.iter();
    whole.or_else(|| prefixes.find_map(|(prefix, number)| name.strip_prefix(*prefix).map(|rest| (*number, rest))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value that every description of CRC-32C gives, inverted in the end as usual.
        assert_eq!(!crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn records_have_their_sizes() {
        let inode = Inode {
            is_inline: false,
            xattr_units: 0,
            mode: 0,
            size: 0,
            place: 0,
            number: 0,
            uid: 0,
            gid: 0,
            mtime: Timestamp::default(),
            names: 1,
        };
        assert_eq!(inode.encode().len(), INODE);
        assert_eq!(dirent(0, 0, FileType::Fifo).len(), DIRENT);
        let attributes = [(b"user.a"[..].into(), b"12345"[..].into())];
        assert_eq!(xattrs(&attributes).unwrap().len(), 12 + 4 + 8);
        assert_eq!(xattrs(&[(b"odd.a"[..].into(), b""[..].into())]), None);
    }

    #[test]
    fn devices_are_numbered_as_by_the_kernel() {
        let number = |major, minor| device(DeviceNumber { major, minor });
        assert_eq!(number(1, 3), Some(0x103));
        assert_eq!(number(8, 0x1_2345), Some(0x1230_0845));
        assert_eq!(number(1 << 12, 0), None);
    }
}
