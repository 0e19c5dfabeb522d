//! Archives.

use std::fs;
use std::path::PathBuf;

use windlass_overlay::tar::{Reader, parse_records};
use windlass_overlay::whiteout::Marker;
use windlass_overlay::{ApplyOptions, Entry, IdMap, Kind, Limits, Metadata, SafePath, Tree, Xattrs, whiteout};

/// What the reader accepts stays within its limits and inside the layer.
pub(super) fn tar(data: &[u8]) {
    const FILE_BYTES: u64 = 1 << 20;
    let limits = Limits { entries: 1000, file_bytes: FILE_BYTES, ..Limits::default() };
    let mut reader = Reader::new(data, limits);
    let mut entries = 0;
    let mut buffer = [0; 4096];
    while let Ok(Some(entry)) = reader.next_entry() {
        entries += 1;
        assert!(entries <= 1000, "the limit on entries holds");
        assert!(!entry.path.as_bytes().split(|byte| *byte == b'/').any(|part| part == b".."), "{:?}", entry.path);
        drop(whiteout::marker(&entry)); // an error is a fine answer; a panic is not
        while let Ok(Some(chunk)) = reader.read_chunk(&mut buffer) {
            assert!(chunk.offset + chunk.length as u64 <= FILE_BYTES, "the limit on a file's bytes holds");
        }
    }
}

/// Records lie inside the header that they were read from.
pub(super) fn pax(data: &[u8]) {
    if let Ok(records) = parse_records(data) {
        let bytes: usize = records.iter().map(|record| record.key.len() + record.value.len()).sum();
        assert!(bytes <= data.len());
    }
}

/// A marker's path is spelled back as it was read, and what is deleted is gone. Each NUL ends a name; the first byte of a
/// name says what it is the name of.
pub(super) fn whiteouts(data: &[u8]) {
    let mut tree = Tree::new();
    let entries: Vec<Entry> = data.split(|byte| *byte == 0).take(40).filter_map(named).collect();
    for entry in &entries {
        match whiteout::marker(entry) {
            Ok(Some(Marker::Whiteout(path))) => {
                assert_eq!(whiteout::whiteout_path(&path).as_ref(), Some(&entry.path));
                assert!(!path.file_name().is_some_and(whiteout::is_whiteout_name), "{path:?} is a marker itself");
            }
            Ok(Some(Marker::Opaque(directory))) => assert_eq!(whiteout::opaque_path(&directory), entry.path),
            Ok(None) => assert!(!entry.path.components().any(whiteout::is_whiteout_name), "{:?}", entry.path),
            Ok(Some(Marker::AufsPrivate)) | Err(_) => {} // refusing is a fine answer
        }
    }
    let (lower, upper) = entries.split_at(entries.len() / 2);
    for layer in [lower, upper] {
        // A layer that is refused may be there in part; the next one meets that.
        drop(tree.apply_archive(layer.iter().map(|entry| (entry.clone(), [][..].into()))));
    }
    let shown = tree.entries();
    assert!(!shown.iter().any(|(entry, _)| entry.path.components().any(whiteout::is_whiteout_name)));
}

fn named(bytes: &[u8]) -> Option<Entry> {
    let (kind, name) = bytes.split_first()?;
    let kind = match kind % 4 {
        0 => Kind::Directory,
        1 => Kind::Symlink(b"d"[..].into()),
        2 => Kind::Fifo,
        _ => Kind::File { size: 0 },
    };
    Some(Entry { path: SafePath::from_archive(name).ok()?, kind, metadata: Metadata::default() })
}

/// Nothing outside the target changes, whatever the archive says.
pub(super) fn apply(data: &[u8]) {
    let place = Place::new();
    let options = ApplyOptions {
        limits: Limits { entries: 1000, file_bytes: 1 << 20, archive_bytes: 1 << 22, ..Limits::default() },
        id_map: IdMap::CurrentUser,
        xattrs: Xattrs::BestEffort,
        ..ApplyOptions::default()
    };
    let applied = windlass_overlay::apply(data, &place.0.join("target"), &options);
    drop(applied); // an error is a fine answer; reaching outside is not
    let mut outside: Vec<_> = fs::read_dir(&place.0)
        .expect("the place is there")
        .map(|entry| entry.expect("it is readable").file_name())
        .collect();
    outside.sort();
    assert_eq!(outside, ["canary", "target"]);
    assert_eq!(fs::read_link(place.0.join("canary")).expect("the canary is a link"), PathBuf::from("target"));
}

/// A folder in memory with a canary beside the target, removed in the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let place = PathBuf::from(format!("/dev/shm/windlass-fuzz-{}-{number}", std::process::id()));
        fs::create_dir(&place).expect("/dev/shm is writable");
        let place = Self(place);
        fs::create_dir(place.0.join("target")).expect("it is new");
        std::os::unix::fs::symlink("target", place.0.join("canary")).expect("it is new");
        place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("what an archive made can be removed");
    }
}
