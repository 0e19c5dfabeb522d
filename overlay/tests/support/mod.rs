//! What the kernel tests share: archives from changes, trees read back with plain `std`, random layers.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use windlass_overlay::{
    Change, DeviceKind, DeviceNumber, Entry, Kind, Metadata, SafePath, Timestamp, Tree, tar, whiteout,
};

pub(crate) type Layer = Vec<(Change, Arc<[u8]>)>;
pub(crate) type Listing = Vec<(Entry, Arc<[u8]>)>;

/// The `tar` here is GNU's, not that of a small system.
pub(crate) fn gnu_tar() -> Result<(), String> {
    let output = std::process::Command::new("tar")
        .arg("--version")
        .output()
        .map_err(|error| format!("needs GNU tar: {error}"))?;
    let is_gnu = output.status.success() && String::from_utf8_lossy(&output.stdout).contains("GNU tar");
    if is_gnu { Ok(()) } else { Err("needs GNU tar".to_owned()) }
}

/// A new directory that is removed at the end, on the disk and not in memory.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("windlass-overlay-").tempdir().unwrap()
}

/// The archive of a layer.
pub(crate) fn archive(layer: &[(Change, Arc<[u8]>)]) -> Vec<u8> {
    let mut writer = tar::Writer::new(Vec::new());
    for (change, content) in layer {
        match change {
            Change::Put(entry) => writer.append(entry, &mut &content[..]).unwrap(),
            Change::Opaque(path) => writer.opaque(path).unwrap(),
            Change::Delete(path) => writer.whiteout(path).unwrap(),
        }
    }
    writer.finish().unwrap()
}

pub(crate) fn tree(layers: &[Layer]) -> windlass_overlay::Result<Tree> {
    let mut tree = Tree::new();
    for layer in layers {
        tree.apply(layer.iter().cloned())?;
    }
    Ok(tree)
}

pub(crate) fn put(path: &str, kind: Kind, mode: u32) -> (Change, Arc<[u8]>) {
    let metadata = Metadata { mode, ..Metadata::default() };
    (Change::Put(Entry { path: path.parse().unwrap(), kind, metadata }), Arc::default())
}

pub(crate) fn file(path: &str, content: &str) -> (Change, Arc<[u8]>) {
    let (change, _) = put(path, Kind::File { size: content.len() as u64 }, 0o644);
    (change, content.as_bytes().into())
}

pub(crate) fn directory(path: &str, mode: u32) -> (Change, Arc<[u8]>) {
    put(path, Kind::Directory, mode)
}

pub(crate) fn symlink(path: &str, target: &str) -> (Change, Arc<[u8]>) {
    put(path, Kind::Symlink(target.as_bytes().into()), 0o777)
}

pub(crate) fn hard_link(path: &str, target: &str) -> (Change, Arc<[u8]>) {
    put(path, Kind::HardLink(target.parse().unwrap()), 0o644)
}

pub(crate) fn delete(path: &str) -> (Change, Arc<[u8]>) {
    (Change::Delete(path.parse().unwrap()), Arc::default())
}

pub(crate) fn opaque(path: &str) -> (Change, Arc<[u8]>) {
    (Change::Opaque(path.parse().unwrap()), Arc::default())
}

/// A path by which `std` reaches what a descriptor holds.
pub(crate) fn by_descriptor(descriptor: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/.", descriptor.as_fd().as_raw_fd()))
}

/// Reads a directory with plain `std` calls, in the form of [`Tree::entries`].
pub(crate) fn listing(root: &Path) -> Listing {
    let mut found = BTreeMap::new();
    let mut ahead = vec![SafePath::root()];
    while let Some(path) = ahead.pop() {
        let at = root.join(path.as_path());
        let metadata = std::fs::symlink_metadata(&at).unwrap();
        if metadata.is_dir() {
            for entry in std::fs::read_dir(&at).unwrap() {
                ahead.push(path.join(entry.unwrap().file_name().as_bytes()).unwrap());
            }
        }
        found.insert(path, (at, metadata));
    }
    let mut first_names: HashMap<(u64, u64), SafePath> = HashMap::new();
    let mut entries = Vec::new();
    for (path, (at, metadata)) in found {
        let (kind, content) = object(&at, &metadata);
        let number = (metadata.dev(), metadata.ino());
        let (kind, content) = match first_names.get(&number) {
            Some(first) if !metadata.is_dir() => (Kind::HardLink(first.clone()), Arc::default()),
            _ => (kind, content),
        };
        first_names.entry(number).or_insert_with(|| path.clone());
        let metadata = Metadata {
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            mtime: Timestamp { seconds: metadata.mtime(), nanoseconds: u32::try_from(metadata.mtime_nsec()).unwrap() },
            xattrs: xattrs(&at),
        };
        entries.push((Entry { path, kind, metadata }, content));
    }
    entries
}

/// As [`listing`], of a layer's own files: a deletion has no time that anyone promised.
pub(crate) fn layer_listing(store: &windlass_overlay::LayerStore, layer: windlass_overlay::LayerId) -> Listing {
    let tree = store.open_tree(layer).unwrap();
    let mut entries = listing(&by_descriptor(&tree));
    for (entry, _) in &mut entries {
        if matches!(entry.kind, Kind::Device(kind, number) if whiteout::is_whiteout_device(kind, number)) {
            entry.metadata.mtime = Timestamp::default();
        }
    }
    entries
}

fn object(at: &Path, metadata: &std::fs::Metadata) -> (Kind, Arc<[u8]>) {
    let kind = metadata.file_type();
    let number = DeviceNumber { major: rustix::fs::major(metadata.rdev()), minor: rustix::fs::minor(metadata.rdev()) };
    if kind.is_file() {
        (Kind::File { size: metadata.len() }, std::fs::read(at).unwrap().into())
    } else if kind.is_dir() {
        (Kind::Directory, Arc::default())
    } else if kind.is_symlink() {
        let target = std::fs::read_link(at).unwrap();
        (Kind::Symlink(target.as_os_str().as_bytes().into()), Arc::default())
    } else if kind.is_fifo() {
        (Kind::Fifo, Arc::default())
    } else if kind.is_char_device() {
        (Kind::Device(DeviceKind::Character, number), Arc::default())
    } else {
        assert!(kind.is_block_device(), "{}", at.display());
        (Kind::Device(DeviceKind::Block, number), Arc::default())
    }
}

fn xattrs(at: &Path) -> BTreeMap<Box<[u8]>, Box<[u8]>> {
    let mut names = vec![0; 65536];
    let length = rustix::fs::llistxattr(at, &mut names).unwrap();
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .filter(|name| !whiteout::is_overlay_xattr(name) && !name.starts_with(b"security.selinux"))
        .map(|name| {
            let mut value = vec![0; 65536];
            let length = rustix::fs::lgetxattr(at, name, &mut value).unwrap();
            (name.into(), value[..length].into())
        })
        .collect()
}

/// The modes of symbolic links are the kernel's, not the archive's.
pub(crate) fn comparable(entries: Listing) -> Listing {
    let mut entries = entries;
    let mut links = HashSet::new();
    for (entry, _) in &mut entries {
        let is_symlink = match &entry.kind {
            Kind::Symlink(_) => true,
            Kind::HardLink(first) => links.contains(first),
            _ => false,
        };
        if is_symlink {
            entry.metadata.mode = 0o777;
            links.insert(entry.path.clone());
        }
    }
    entries
}

/// Says where two trees differ, which a printed pair of them does not.
pub(crate) fn assert_same(found: Listing, expected: Listing) {
    let (found, expected) = (comparable(found), comparable(expected));
    let by_path = |entries: Listing| -> BTreeMap<SafePath, (Entry, Arc<[u8]>)> {
        entries.into_iter().map(|(entry, content)| (entry.path.clone(), (entry, content))).collect()
    };
    let (found, expected) = (by_path(found), by_path(expected));
    for path in found.keys().chain(expected.keys()) {
        assert_eq!(found.get(path), expected.get(path), "found against expected at {path}");
    }
}

fn path() -> impl Strategy<Value = SafePath> {
    vec("[abc]", 1..4).prop_map(|parts| parts.join("/").parse().unwrap())
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let value = vec(any::<u8>(), 0..3).prop_map(Into::into);
    let xattrs = btree_map(Just(b"trusted.x"[..].into()), value, 0..2);
    (0..=0o7777_u32, 0..3_u32, 0..3_i64, 0..2_u32, xattrs).prop_map(|(mode, uid, seconds, nanoseconds, xattrs)| {
        // Writable by its owner, so that the tests also say something of what an ordinary user can do.
        Metadata { mode: mode | 0o700, uid, gid: uid + 1, mtime: Timestamp { seconds, nanoseconds }, xattrs }
    })
}

fn change() -> impl Strategy<Value = (Change, Arc<[u8]>)> {
    let target = prop_oneof![Just("/a"), Just("b/c"), Just("../a"), Just("c"), Just("/b")];
    (0..14, path(), path(), metadata(), vec(any::<u8>(), 0..3), target).prop_map(
        |(which, path, other, metadata, content, target)| {
            let kind = match which {
                0 => return (Change::Delete(path), Arc::default()),
                1 => return (Change::Opaque(path), Arc::default()),
                2..=4 => Kind::Directory,
                5 => Kind::Symlink(target.as_bytes().into()),
                6 | 7 => Kind::HardLink(other),
                8 => Kind::Fifo,
                9 => Kind::Device(DeviceKind::Character, DeviceNumber { major: 1, minor: 3 }),
                _ => Kind::File { size: content.len() as u64 },
            };
            let content = if matches!(kind, Kind::File { .. }) { content } else { Vec::new() };
            (Change::Put(Entry { path, kind, metadata }), content.into())
        },
    )
}

/// Layers over few names, so that they meet each other's; without the changes that the model refuses.
pub(crate) fn layers() -> impl Strategy<Value = Vec<Layer>> {
    vec(vec(change(), 0..9), 1..5).prop_map(|layers| {
        let mut before = Tree::new();
        let mut kept = Vec::new();
        for layer in layers {
            let mut good: Layer = Vec::new();
            for change in layer {
                let mut tried = before.clone();
                good.push(change);
                if tried.apply(good.iter().cloned()).is_err() {
                    good.pop();
                }
            }
            before.apply(good.iter().cloned()).unwrap();
            kept.push(good);
        }
        kept
    })
}

/// Runs a property in a test without the standard harness.
pub(crate) fn check<S: Strategy>(cases: u32, strategy: &S, property: impl Fn(S::Value)) {
    let wanted = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config =
        ProptestConfig { cases: wanted.unwrap_or(cases), failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(strategy, |value| {
        property(value);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
