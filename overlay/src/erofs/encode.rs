//! An inventory as the bytes of an image.

use super::inventory::{Data, Inventory, Number, Object};
use super::record::{Bytes, DEVICE_SLOT, DIRENT, FileType, INODE, Inode, SLOT, Superblock, device, dirent, xattrs};
use crate::error::{Error, Result};
use crate::limits::Limit;

/// What an image is made for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout<'a> {
    /// Bytes of a block, as a power of two.
    pub(crate) block_bits: u8,
    /// Where the metadata begins; what is before is data, and the start of the image.
    pub(crate) start: u64,
    /// Lengths of the images that hold the data of a merged one, bottom first.
    pub(crate) devices: &'a [u64],
    /// Tells images apart.
    pub(crate) id: [u8; 16],
}

/// What has to be written.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// Goes to the layout's start.
    pub(crate) bytes: Vec<u8>,
    /// Goes to [`super::SUPERBLOCK_OFFSET`] after all else.
    pub(crate) superblock: Vec<u8>,
    /// Data that no block of the archive starts with, and where it goes.
    pub(crate) copies: Vec<Copy>,
    /// Of the whole image; what nothing is written to is a hole.
    pub(crate) length: u64,
}

/// Bytes to copy from a layer's image into the one that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Copy {
    /// Counted from the bottom.
    pub(crate) layer: usize,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) length: u64,
}

/// One object on its way into the image.
#[derive(Debug)]
struct Item {
    number: Number,
    parent: usize,
    names: u32,
    xattrs: Vec<u8>,
    kind: FileType,
    size: u64,
    /// Where its inode is, from the start of the metadata.
    inode: u64,
    /// Where the whole blocks of its own content are, from there too; only directories and long links have any.
    blocks: u64,
    /// How much of its content follows the inode.
    tail: usize,
    /// Blocks of names, for a directory.
    names_of: Vec<Vec<Name>>,
}

/// A name in a directory, and the item that it names.
#[derive(Debug, Clone)]
struct Name {
    name: Box<[u8]>,
    item: usize,
}

/// Lays an inventory out as an image.
///
/// # Errors
/// [`Error::LimitExceeded`] for an image beyond what 32-bit block numbers reach, [`Error::Invalid`] for a device number
/// that the kernel has no room for.
pub(crate) fn encode(inventory: &Inventory, layout: &Layout<'_>) -> Result<Metadata> {
    let mut encoder = Encoder { inventory, layout, items: Vec::new() };
    encoder.collect()?;
    let head = encoder.head();
    let inodes_end = encoder.place_inodes(head);
    let end = encoder.place_blocks(inodes_end);
    encoder.write(head, end)
}

struct Encoder<'a> {
    inventory: &'a Inventory,
    layout: &'a Layout<'a>,
    items: Vec<Item>,
}

impl Encoder<'_> {
    fn block(&self) -> u64 {
        1 << self.layout.block_bits
    }

    /// Walks what is reached from the root, a directory before what it holds.
    fn collect(&mut self) -> Result<()> {
        let mut known = vec![None; self.inventory.nodes.len()];
        known[0] = Some(0);
        self.add(0, 0)?;
        let mut at = 0;
        while at < self.items.len() {
            let node = &self.inventory.nodes[self.items[at].number];
            if let Object::Directory(children) = &node.object {
                let mut names = vec![
                    Name { name: b"."[..].into(), item: at },
                    Name { name: b".."[..].into(), item: self.items[at].parent },
                ];
                for (name, child) in children {
                    let item = match known[*child] {
                        Some(item) => item,
                        None => self.add(*child, at)?,
                    };
                    known[*child] = Some(item);
                    self.items[item].names += 1;
                    if matches!(self.items[item].kind, FileType::Directory) {
                        // Its own dot is one name more, its dots one of its parent.
                        self.items[item].names = 2;
                        self.items[at].names += 1;
                    }
                    names.push(Name { name: name.clone(), item });
                }
                // The kernel looks names up by halving.
                names.sort_by(|a, b| a.name.cmp(&b.name));
                self.items[at].names_of = self.pack(names);
                self.items[at].size = self.directory_size(&self.items[at].names_of);
            }
            at += 1;
        }
        self.items[0].names += 2;
        Ok(())
    }

    fn add(&mut self, number: Number, parent: usize) -> Result<usize> {
        let node = &self.inventory.nodes[number];
        let (kind, size) = match &node.object {
            Object::Directory(_) => (FileType::Directory, 0),
            Object::File { size, .. } => (FileType::Regular, *size),
            Object::Symlink(target) => (FileType::Symlink, target.len() as u64),
            Object::Device(kind, _) => (FileType::Device(*kind), 0),
            Object::Fifo => (FileType::Fifo, 0),
        };
        let xattrs = xattrs(&node.attributes.xattrs).filter(|body| body.len() <= XATTR_BYTES_MAX);
        let xattrs = xattrs.ok_or(Error::LimitExceeded { limit: Limit::XattrBytes, max: XATTR_BYTES_MAX as u64 })?;
        self.items.push(Item {
            number,
            parent,
            names: 0,
            xattrs,
            kind,
            size,
            inode: 0,
            blocks: 0,
            tail: 0,
            names_of: Vec::new(),
        });
        Ok(self.items.len() - 1)
    }

    /// Fills blocks with names one after the other.
    fn pack(&self, names: Vec<Name>) -> Vec<Vec<Name>> {
        let block = usize::try_from(self.block()).expect("a block fits in memory");
        let (mut blocks, mut used) = (vec![Vec::new()], 0);
        for name in names {
            let needed = DIRENT + name.name.len();
            if used + needed > block {
                blocks.push(Vec::new());
                used = 0;
            }
            used += needed;
            blocks.last_mut().expect("there is always one").push(name);
        }
        blocks
    }

    fn directory_size(&self, blocks: &[Vec<Name>]) -> u64 {
        let last: usize = blocks.last().map_or(0, |names| names.iter().map(|name| DIRENT + name.name.len()).sum());
        (blocks.len() as u64 - 1) * self.block() + last as u64
    }

    /// The device slots of a merged image come before the inodes, and some room, so that no inode has number 0.
    fn head(&self) -> u64 {
        let slots = (self.layout.devices.len() * DEVICE_SLOT) as u64;
        slots.next_multiple_of(self.block())
    }

    /// Gives every inode its place, with what is left over of its content behind it where a block has the room.
    fn place_inodes(&mut self, head: u64) -> u64 {
        let block = self.block();
        let mut at = head + INODE as u64;
        for item in &mut self.items {
            at = at.next_multiple_of(SLOT as u64);
            let own = (INODE + item.xattrs.len()) as u64;
            let has_content = matches!(item.kind, FileType::Directory | FileType::Symlink);
            let tail = if has_content { item.size % block } else { 0 };
            if tail > 0 {
                let fits = |at: u64| (at + own) % block + tail <= block;
                let next = at.next_multiple_of(block);
                if fits(at) || fits(next) {
                    at = if fits(at) { at } else { next };
                    item.tail = usize::try_from(tail).expect("less than a block");
                }
            }
            item.inode = at;
            at += own + item.tail as u64;
        }
        at.next_multiple_of(block)
    }

    fn place_blocks(&mut self, mut at: u64) -> u64 {
        let block = self.block();
        for item in &mut self.items {
            if matches!(item.kind, FileType::Directory | FileType::Symlink) {
                item.blocks = at;
                at += (item.size - item.tail as u64).next_multiple_of(block);
            }
        }
        at
    }

    fn write(&self, head: u64, end: u64) -> Result<Metadata> {
        let mut bytes = vec![0; usize::try_from(end).expect("metadata is in memory")];
        let mut length = self.layout.start + end;
        let mut copies = Vec::new();
        // A merged image's files have their addresses behind its own blocks, layer after layer.
        let own = self.own_length(length);
        let devices = self.devices(own)?;
        for (slot, (blocks, first)) in devices.iter().enumerate() {
            let record = Bytes::default().zeros(64).u32(*blocks).u32(*first).zeros(56).0;
            bytes[slot * DEVICE_SLOT..][..DEVICE_SLOT].copy_from_slice(&record);
        }
        for (number, item) in self.items.iter().enumerate() {
            let place = self.place(item, &devices, &mut length, &mut copies)?;
            let content = self.content(item, head);
            let inode = self.inode(item, number, place).encode();
            let at = usize::try_from(item.inode).expect("metadata is in memory");
            let (blocks, tail) = content.split_at(content.len() - item.tail);
            for (at, part) in [
                (at, &inode[..]),
                (at + INODE, &item.xattrs),
                (at + INODE + item.xattrs.len(), tail),
                (usize::try_from(item.blocks).expect("metadata is in memory"), blocks),
            ] {
                bytes[at..at + part.len()].copy_from_slice(part);
            }
        }
        debug_assert_eq!(length, own);
        let superblock = Superblock {
            block_bits: self.layout.block_bits,
            root: u16::try_from((self.items[0].inode - head) / SLOT as u64).expect("the root is the first inode"),
            inodes: self.items.len() as u64,
            blocks: self.blocks(length)?,
            metadata_block: self.blocks(self.layout.start + head)?,
            devices: u16::try_from(devices.len()).map_err(|_| too_large())?,
            device_slot: u16::try_from(self.layout.start / DEVICE_SLOT as u64).unwrap_or_default(),
            id: self.layout.id,
        };
        if !devices.is_empty() && u64::from(superblock.device_slot) * DEVICE_SLOT as u64 != self.layout.start {
            return Err(too_large());
        }
        Ok(Metadata { bytes, superblock: superblock.encode(), copies, length })
    }

    /// The image's own length: metadata, and room for the files that are in pieces.
    fn own_length(&self, metadata_end: u64) -> u64 {
        let in_pieces = self.items.iter().filter_map(|item| match &self.inventory.nodes[item.number].object {
            Object::File { size, data: Data::Pieces(_), .. } => Some(*size),
            _ => None,
        });
        in_pieces.fold(metadata_end, |length, size| length.saturating_add(size.next_multiple_of(self.block())))
    }

    /// Blocks of each device and the first of its addresses.
    fn devices(&self, own: u64) -> Result<Vec<(u32, u32)>> {
        let mut first = self.blocks(own)?;
        let mut devices = Vec::new();
        for length in self.layout.devices {
            let blocks = self.blocks(*length)?;
            devices.push((blocks, first));
            first = first.checked_add(blocks).ok_or_else(too_large)?;
        }
        Ok(devices)
    }

    /// The first block of an object's data, or a device's number.
    fn place(&self, item: &Item, devices: &[(u32, u32)], length: &mut u64, copies: &mut Vec<Copy>) -> Result<u32> {
        match &self.inventory.nodes[item.number].object {
            Object::File { size: 0, .. } | Object::Fifo => Ok(0),
            Object::File { data: Data::Whole(offset), layer, .. } => {
                let first = devices.get(*layer).map_or(0, |(_, first)| *first);
                first.checked_add(self.blocks(*offset)?).ok_or_else(too_large)
            }
            Object::File { size, data: Data::Pieces(pieces), layer } => {
                let to = *length;
                *length = to.checked_add(size.next_multiple_of(self.block())).ok_or_else(too_large)?;
                copies.extend(pieces.iter().map(|piece| Copy {
                    layer: *layer,
                    from: piece.image,
                    to: to + piece.file,
                    length: piece.length,
                }));
                self.blocks(to)
            }
            Object::Device(_, number) => device(*number).ok_or(Error::Invalid {
                field: "device number",
                value: format!("{}:{}", number.major, number.minor),
                reason: "is beyond what the kernel has",
            }),
            Object::Directory(_) | Object::Symlink(_) => self.blocks(self.layout.start + item.blocks),
        }
    }

    fn inode(&self, item: &Item, number: usize, place: u32) -> Inode {
        let attributes = &self.inventory.nodes[item.number].attributes;
        let units = item.xattrs.len().checked_sub(12).map_or(0, |entries| entries / 4 + 1);
        Inode {
            is_inline: item.tail > 0,
            xattr_units: u16::try_from(units).expect("the size of attributes was checked"),
            mode: item.kind.mode() | u16::try_from(attributes.mode & 0o7777).expect("twelve bits"),
            size: item.size,
            place,
            number: u32::try_from(number + 1).unwrap_or(u32::MAX),
            uid: attributes.uid,
            gid: attributes.gid,
            mtime: attributes.mtime,
            names: item.names,
        }
    }

    /// What a directory or a symbolic link holds, blocks of names filled up.
    fn content(&self, item: &Item, head: u64) -> Vec<u8> {
        if let Object::Symlink(target) = &self.inventory.nodes[item.number].object {
            return target.to_vec();
        }
        let block = usize::try_from(self.block()).expect("a block fits in memory");
        let mut content = Vec::new();
        for (number, names) in item.names_of.iter().enumerate() {
            content.resize(number * block, 0);
            let mut offset = names.len() * DIRENT;
            for name in names {
                let target = &self.items[name.item];
                let node = (target.inode - head) / SLOT as u64;
                content.extend(dirent(node, u16::try_from(offset).expect("inside a block"), target.kind));
                offset += name.name.len();
            }
            for name in names {
                content.extend(&*name.name);
            }
        }
        content
    }

    fn blocks(&self, bytes: u64) -> Result<u32> {
        u32::try_from(bytes.div_ceil(self.block())).map_err(|_| too_large())
    }
}

/// What sixteen bits of units of four bytes hold.
const XATTR_BYTES_MAX: usize = 12 + 4 * 65_534;

fn too_large() -> Error {
    Error::LimitExceeded { limit: Limit::ImageBytes, max: u64::from(u32::MAX) << super::TAR_BLOCK_BITS }
}
