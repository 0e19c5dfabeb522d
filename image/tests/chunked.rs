//! Layers with a table of contents: read as any other, and file by file.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and tells what it counted")]

mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

use support::{directory, run, store_image};
use trial::{Test, need};
use windlass_image::chunked::{self, Format, Kind, Lazy, Ranges};
use windlass_image::codec::verify_diff_id;
use windlass_image::layer::Layer;
use windlass_image::{Digest, Error, LayerReader, Layout, Limits};

fn main() -> ExitCode {
    let skopeo = || need::program("skopeo");
    trial::main(vec![
        Test::new("a_layer_is_read_whole_and_file_by_file", both_ways),
        Test::new("the_same_archive_gives_the_same_bytes", reproducible),
        Test::new("a_file_costs_its_own_bytes_and_the_table", costs),
        Test::new("what_was_changed_is_not_believed", changed),
        Test::new("an_earlier_table_gives_way", again),
        Test::new("an_archive_that_is_none_is_refused", broken),
        Test::new("skopeo_copies_such_layers", to_skopeo).needs(skopeo()),
    ])
}

const FORMATS: [Format; 2] = [Format::Estargz, Format::ZstdChunked];

/// Bytes that gzip does not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    // More than it looks back.
    let some: Vec<u8> = (0..48 << 10).map(|_| next()).collect();
    some.iter().copied().cycle().take(length).collect()
}

fn long() -> String {
    format!("usr/share/{}/{}", "d".repeat(90), "f".repeat(140))
}

/// Two chunks.
const LARGE: usize = (4 << 20) + 13;

/// What the archive's files hold.
fn files() -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([
        ("etc/motd".to_owned(), b"hello\n".to_vec()),
        ("etc/empty".to_owned(), Vec::new()),
        ("etc/block".to_owned(), vec![b'x'; 512]),
        ("usr/large".to_owned(), noise(LARGE)),
        (long(), b"behind a long name".to_vec()),
    ])
}

fn archive() -> &'static [u8] {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    ARCHIVE.get_or_init(make_archive)
}

/// An archive of every kind of entry.
fn make_archive() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let header = |kind, size| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o4755);
        header.set_uid(12);
        header.set_gid(34);
        header.set_mtime(1_709_208_000);
        header.set_size(size);
        header
    };
    let mut entry = |kind, name: &str, content: &[u8]| {
        archive.append_data(&mut header(kind, content.len() as u64), name, content).unwrap();
    };
    entry(tar::EntryType::Directory, "./etc/", b"");
    // A record that holds an attribute, in front of the file that has it.
    let mut record = Vec::new();
    let line = b"SCHILY.xattr.user.k=\0\xff\n";
    record.extend_from_slice(format!("{} ", line.len() + 3).as_bytes());
    record.extend_from_slice(line);
    entry(tar::EntryType::XHeader, "records", &record);
    for (name, content) in files() {
        entry(tar::EntryType::Regular, &name, &content);
    }
    for (kind, name, target) in
        [(tar::EntryType::Symlink, "link", "etc/motd"), (tar::EntryType::Link, "hard", "usr/large")]
    {
        archive.append_link(&mut header(kind, 0), name, target).unwrap();
    }
    let mut device = header(tar::EntryType::Char, 0);
    device.set_device_major(1).unwrap();
    device.set_device_minor(3).unwrap();
    archive.append_data(&mut device, "null", io::empty()).unwrap();
    archive.append_data(&mut header(tar::EntryType::Fifo, 0), "pipe", io::empty()).unwrap();
    archive.into_inner().unwrap()
}

fn written(format: Format) -> (Layer, Vec<u8>) {
    let mut blob = Vec::new();
    let layer = chunked::write(archive(), &mut blob, format).unwrap();
    assert_eq!((layer.descriptor.digest, layer.descriptor.size), (Digest::of(&blob), blob.len() as u64));
    (layer, blob)
}

fn read(mut reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map(|_| bytes)
}

fn both_ways() {
    for format in FORMATS {
        let (layer, blob) = written(format);
        let whole = LayerReader::new(&blob[..], &layer.descriptor, &Limits::DEFAULT).unwrap();
        assert_eq!(verify_diff_id(whole, &layer.diff_id).unwrap(), layer.bytes);
        assert_eq!(layer.diff_id == Digest::of(archive()), format == Format::ZstdChunked);
        // The oracle reads the archive that came out.
        let mut expected = BTreeMap::new();
        let whole = LayerReader::new(&blob[..], &layer.descriptor, &Limits::DEFAULT).unwrap();
        for entry in tar::Archive::new(whole).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let content = read(&mut entry).unwrap();
            expected.insert(name, (entry.header().entry_type(), content));
        }
        let table = expected.remove("stargz.index.json");
        assert_eq!(table.is_some(), format == Format::Estargz);

        let lazy = Lazy::open(blob, &layer.descriptor, &Limits::DEFAULT).unwrap();
        assert_eq!(lazy.format(), format);
        assert_eq!(lazy.entries().len(), expected.len());
        for (name, (kind, content)) in expected {
            let entry = lazy.entry(&name).unwrap();
            let size = content.len() as u64;
            assert_eq!(
                entry.kind,
                match kind {
                    tar::EntryType::Regular => Kind::File(size),
                    tar::EntryType::Symlink => Kind::Symlink("etc/motd".into()),
                    tar::EntryType::Link => Kind::HardLink("usr/large".into()),
                    tar::EntryType::Char => Kind::CharacterDevice(1, 3),
                    tar::EntryType::Fifo => Kind::Fifo,
                    _ => Kind::Directory,
                }
            );
            assert_eq!((entry.mode, entry.uid, entry.gid), (0o4755, 12, 34));
            assert_eq!(entry.modified.as_deref(), Some("2024-02-29T12:00:00Z"));
            if let Kind::File(_) = entry.kind {
                assert!(read(lazy.file(&name).unwrap()).unwrap() == content, "{name}");
            }
        }
        assert!(read(lazy.file("/hard").unwrap()).unwrap() == files()["usr/large"]);
        assert_eq!(lazy.entry("etc/block").unwrap().attributes["user.k"], [0, 0xff]);
        for absent in ["etc", "absent", "link", "pipe"] {
            assert!(matches!(lazy.file(absent), Err(Error::NotFound { .. })), "{absent}");
        }
    }
}

fn reproducible() {
    for format in FORMATS {
        assert!(written(format) == written(format));
    }
}

/// Counts what is fetched.
struct Counted {
    blob: Vec<u8>,
    fetched: RefCell<Vec<(u64, u64)>>,
}

impl Ranges for &Counted {
    fn range(&self, start: u64, end: u64) -> Result<Box<dyn Read + '_>, Error> {
        self.fetched.borrow_mut().push((start, end));
        self.blob.range(start, end)
    }
}

fn costs() {
    for format in FORMATS {
        let (layer, blob) = written(format);
        let blob = Counted { blob, fetched: RefCell::default() };
        let lazy = Lazy::open(&blob, &layer.descriptor, &Limits::DEFAULT).unwrap();
        assert_eq!(read(lazy.file("etc/motd").unwrap()).unwrap(), b"hello\n");
        let fetched: u64 = blob.fetched.borrow().iter().map(|(start, end)| end - start).sum();
        assert!(fetched < 4096, "{format:?}: {fetched} bytes of {}", blob.blob.len());
        // A file in several chunks comes at once.
        let before = blob.fetched.borrow().len();
        assert_eq!(read(lazy.file("usr/large").unwrap()).unwrap().len(), LARGE);
        assert_eq!(blob.fetched.borrow().len(), before + 1);
        println!("{format:?}: {fetched} of {} bytes for the table and a file", layer.descriptor.size);
    }
}

fn changed() {
    for format in FORMATS {
        let (layer, blob) = written(format);
        let open = |blob: Vec<u8>| Lazy::open(blob, &layer.descriptor, &Limits::DEFAULT);
        // Every byte at the end is of the table, of what says where it is, or of the skeleton, which is not read.
        let mut refused = 0;
        let right = open(blob.clone()).unwrap();
        for at in (blob.len() - 400..blob.len()).step_by(11) {
            let mut changed = blob.clone();
            changed[at] ^= 1;
            if let Ok(lazy) = open(changed) {
                assert!(lazy.entries() == right.entries());
            } else {
                refused += 1;
            }
        }
        assert!(refused > 0 || format == Format::ZstdChunked);
        let table = match format {
            Format::Estargz => blob.len() - 200,
            Format::ZstdChunked => {
                let position = &layer.descriptor.annotations["io.github.containers.zstd-chunked.manifest-position"];
                position.split(':').next().unwrap().parse().unwrap()
            }
        };
        let mut wrong = blob.clone();
        wrong[table] ^= 1;
        assert!(open(wrong).is_err());
        // In the middle of the large file.
        let mut wrong = blob.clone();
        wrong[blob.len() / 2] ^= 1;
        let lazy = open(wrong).unwrap();
        let error = read(lazy.file("usr/large").unwrap()).unwrap_err();
        assert_eq!(read(lazy.file("etc/motd").unwrap()).unwrap(), b"hello\n");
        assert!(error.kind() != io::ErrorKind::UnexpectedEof, "{error}");

        let mut bare = layer.descriptor.clone();
        bare.annotations.clear();
        assert!(matches!(Lazy::open(blob.clone(), &bare, &Limits::DEFAULT), Err(Error::Unsupported { .. })));
        let mut limits = Limits::DEFAULT;
        limits.table_bytes = 100;
        assert!(matches!(Lazy::open(blob, &layer.descriptor, &limits), Err(Error::LimitExceeded { .. })));
    }
}

fn again() {
    let (first, blob) = written(Format::Estargz);
    let tar = read(LayerReader::new(&blob[..], &first.descriptor, &Limits::DEFAULT).unwrap()).unwrap();
    let mut second = Vec::new();
    let layer = chunked::write(&tar[..], &mut second, Format::Estargz).unwrap();
    assert!(layer == first && second == blob);
}

fn broken() {
    let whole = archive();
    for format in FORMATS {
        for end in [100, 512 + 100, whole.len() / 2] {
            assert!(chunked::write(&whole[..end], io::sink(), format).is_err(), "{end}");
        }
        let mut wrong = whole.to_vec();
        wrong[3] ^= 1;
        assert!(matches!(chunked::write(&wrong[..], io::sink(), format), Err(Error::Document { .. })));
    }
}

fn to_skopeo() {
    let folder = directory();
    let layout = Layout::create(folder.path().join("layout")).unwrap();
    for format in FORMATS {
        let layer = layout.put_chunked_layer(archive(), format).unwrap();
        let name = format!("{format:?}").to_lowercase();
        store_image(&layout, &name, std::slice::from_ref(&layer));
        assert_eq!(layout.lazy_layer(&layer.descriptor).unwrap().entries().len(), 10);
        let place = |kind: &str, name: &str| format!("{kind}:{}:{name}", folder.path().join(kind).display());
        let from = format!("oci:{}:{name}", layout.path().display());
        // Into uncompressed layers, whose digests it checks against the configuration; its Docker has no zstd.
        let kind = if format == Format::Estargz { "docker-archive" } else { "oci" };
        run(Command::new("skopeo").args(["copy", "-q", "--insecure-policy", &from, &place(kind, &name)]));
    }
}
