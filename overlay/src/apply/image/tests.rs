//! Images against the tools that others wrote. The kernel's own reading is in `tests/erofs.rs`.

use std::io::Write as _;
use std::process::Command;

use crate::entry::{DeviceKind, DeviceNumber, Entry, Kind, Metadata as EntryMetadata, Timestamp};
use crate::erofs::{ARCHIVE_OFFSET, Attributes, Data, Inventory, Layout, encode};
use crate::path::SafePath;

fn path(text: &str) -> SafePath {
    text.parse().unwrap()
}

fn attributes(mode: u32) -> Attributes {
    let xattrs = vec![(b"user.name"[..].into(), b"value"[..].into())];
    Attributes { mode, uid: 70_000, gid: 5, mtime: Timestamp { seconds: 1_700_000_000, nanoseconds: 5 }, xattrs }
}

fn put(inventory: &mut Inventory, name: &str, kind: Kind, mode: u32) {
    let entry = Entry { path: path(name), kind, metadata: EntryMetadata::default() };
    inventory.put(&entry, attributes(mode), Data::Whole(0)).unwrap();
}

/// Everything that needs no archive behind it, in blocks of 4 KiB, which every version of the tools reads.
fn image() -> Vec<u8> {
    let mut inventory = Inventory::new(None, (0, 0), 40);
    put(&mut inventory, "d", Kind::Directory, 0o1777);
    put(&mut inventory, "link", Kind::Symlink(b"d/f0".as_slice().into()), 0o777);
    put(&mut inventory, "long", Kind::Symlink(vec![b'x'; 4000].into()), 0o777);
    put(&mut inventory, "fifo", Kind::Fifo, 0o600);
    put(&mut inventory, "null", Kind::Device(DeviceKind::Character, DeviceNumber { major: 1, minor: 3 }), 0o666);
    for number in 0..1500 {
        put(&mut inventory, &format!("d/f{number}"), Kind::File { size: 0 }, 0o644);
    }
    inventory.hard_link(&path("e/hard"), &path("d/f7"), 0).unwrap();
    inventory.whiteout(&path("d/f8")).unwrap();
    let layout = Layout { block_bits: 12, start: ARCHIVE_OFFSET, devices: &[], id: [7; 16] };
    let metadata = encode(&inventory, &layout).unwrap();
    let mut image = vec![0; usize::try_from(metadata.length).unwrap()];
    image[4096..4096 + metadata.bytes.len()].copy_from_slice(&metadata.bytes);
    image[1024..1024 + metadata.superblock.len()].copy_from_slice(&metadata.superblock);
    image
}

#[test]
fn the_tools_of_others_find_nothing_wrong() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&image()).unwrap();
    let checked = match Command::new("fsck.erofs").arg(file.path()).output() {
        // The kernel reads every image in `tests/erofs.rs`; this is a second opinion where it is installed.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        checked => checked.unwrap(),
    };
    let said = [checked.stdout, checked.stderr].concat();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&said));
    let shown = Command::new("dump.erofs").args(["-s", "-S"]).arg(file.path()).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    // 1,499 files, of which one has two names, two symbolic links, a pipe, a device and three directories.
    let inodes = shown.lines().find(|line| line.contains("inode count") || line.contains("total inodes")).unwrap();
    assert!(inodes.ends_with(" 1507"), "{shown}");
}
