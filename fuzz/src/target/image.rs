//! References, documents and compressed layers.

use std::io::Read as _;

use windlass_image::chunked::{Format, Kind, Lazy};
use windlass_image::layout::Durability;
use windlass_image::registry::docker_config::{DockerConfig, Source, with_credential};
use windlass_image::registry::{Challenge, Credential};
use windlass_image::{
    Algorithm, Codec, Descriptor, Digest, Hasher, ImageConfig, Index, LayerReader, Layout, Limits, Manifest, MediaType,
    Reference,
};

/// What a reference prints is read as the same reference.
pub(super) fn reference(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(reference) = Reference::parse(text) {
        let again = Reference::parse(reference.canonical()).expect("a canonical form is a reference");
        assert_eq!(again.canonical(), reference.canonical());
        // The familiar form is for people: `docker.io/a.b/c` is shown as `a.b/c`, which reads as the registry `a.b`.
        assert!(reference.canonical().ends_with(reference.familiar()), "{text:?}");
    }
}

/// A manifest keeps its bytes.
pub(super) fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        assert_eq!(manifest.raw(), data);
        assert_eq!(manifest.descriptor().size, data.len() as u64);
    }
}

/// An index keeps its bytes.
pub(super) fn index(data: &[u8]) {
    if let Ok(index) = Index::parse(data) {
        assert_eq!(index.raw(), data);
    }
}

/// A configuration keeps its bytes.
pub(super) fn config(data: &[u8]) {
    if let Ok(config) = ImageConfig::parse(data, &Limits::default()) {
        assert_eq!(config.raw(), data);
    }
}

/// What a challenge prints is read as the same challenge.
pub(super) fn challenge(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(challenges) = Challenge::parse(text) {
        let printed: Vec<String> = challenges.iter().map(ToString::to_string).collect();
        // Escapes may make what is printed longer than a header may be.
        if let Ok(again) = Challenge::parse(&printed.join(", ")) {
            assert_eq!(again, challenges);
        }
    }
}

/// A login is read back from whatever file it was written into, and logging out leaves none.
pub(super) fn docker_config(data: &[u8]) {
    const REGISTRY: &str = "registry.example";
    let Ok(config) = DockerConfig::parse(data) else { return };
    // It ends, whatever is found.
    drop(config.source("docker.io"));
    let credential = Credential::Basic { user: "user".into(), password: "pass:word".into() };
    let Ok(raw) = with_credential(data, REGISTRY, Some(&credential)) else { return };
    let written = DockerConfig::parse(&raw).expect("what was written is read");
    if !matches!(config.source(REGISTRY), Source::Helper(_)) {
        assert_eq!(written.source(REGISTRY), Source::Here(credential));
        let without = with_credential(&raw, REGISTRY, None).expect("what was written is changed");
        let without = DockerConfig::parse(&without).expect("what was written is read");
        assert!(!matches!(without.source(REGISTRY), Source::Here(_)));
    }
}

/// A gzip layer ends in bounded output.
pub(super) fn gzip(data: &[u8]) {
    layer(data, Codec::Gzip);
}

/// A zstd layer ends in bounded output.
pub(super) fn zstd(data: &[u8]) {
    layer(data, Codec::Zstd);
}

/// A table of contents keeps every file inside of the blob, or is none.
pub(super) fn table(data: &[u8]) {
    let Some((blob, descriptor)) = table_layer(data) else { return };
    let Ok(lazy) = Lazy::open(blob, &descriptor, &Limits::default()) else { return };
    for entry in lazy.entries() {
        if let (Kind::File(size @ 0..0x10_0000), Ok(mut reader)) = (&entry.kind, lazy.file(&entry.path)) {
            let mut content = Vec::new();
            if reader.read_to_end(&mut content).is_ok() {
                // Of several with one path the last counts.
                assert!(content.len() as u64 == *size || lazy.entry(&entry.path) != Some(entry));
            }
        }
    }
}

/// An estargz layer of one stream of ten bytes and a table, in stored blocks.
fn table_layer(table: &[u8]) -> Option<(Vec<u8>, Descriptor)> {
    let mut file = vec![0; 512];
    let size = format!("{:011o}", table.len());
    file.get_mut(124..135)?.copy_from_slice(size.as_bytes());
    file.extend_from_slice(table);
    let mut blob = Vec::new();
    stored(b"0123456789", &mut blob)?;
    let offset = format!("{:016x}STARGZ", blob.len());
    stored(&file, &mut blob)?;
    blob.extend_from_slice(&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0, b'S', b'G', 22, 0]);
    blob.extend_from_slice(offset.as_bytes());
    blob.extend_from_slice(&[1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut descriptor = Descriptor::new(MediaType::LAYER_GZIP, digest(&blob), blob.len() as u64);
    let name = "containerd.io/snapshot/stargz/toc.digest".to_owned();
    descriptor.annotations.insert(name, digest(table).to_string());
    Some((blob, descriptor))
}

/// A gzip stream that compresses nothing; nobody reads on to its checksum.
fn stored(content: &[u8], blob: &mut Vec<u8>) -> Option<()> {
    blob.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
    for block in content.chunks(0xffff) {
        let length = u16::try_from(block.len()).ok()?;
        blob.push(0);
        blob.extend_from_slice(&length.to_le_bytes());
        blob.extend_from_slice(&(!length).to_le_bytes());
        blob.extend_from_slice(block);
    }
    blob.extend_from_slice(&[1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    Some(())
}

/// An archive that is taken comes back, whole and file by file.
pub(super) fn chunked(data: &[u8]) {
    for format in [Format::Estargz, Format::ZstdChunked] {
        let mut blob = Vec::new();
        let Ok(layer) = windlass_image::chunked::write(data, &mut blob, format) else { continue };
        let limits = Limits::default();
        let mut whole = Vec::new();
        let mut reader = LayerReader::new(&blob[..], &layer.descriptor, &limits).expect("it is a layer");
        reader.read_to_end(&mut whole).expect("what was written is read");
        assert_eq!(digest(&whole), layer.diff_id);
        assert!(format == Format::Estargz || whole == data);
        let lazy = Lazy::open(blob, &layer.descriptor, &limits).expect("what was written is read");
        for entry in lazy.entries() {
            if let (Kind::File(_), Some(Kind::File(size))) =
                (&entry.kind, lazy.entry(&entry.path).map(|last| &last.kind))
            {
                let mut content = Vec::new();
                lazy.file(&entry.path).expect("it is a file").read_to_end(&mut content).expect("it is read");
                assert_eq!(content.len() as u64, *size);
            }
        }
    }
}

/// Archives of images, of every format, end; what they hold stays in a layout.
pub(super) fn archive(data: &[u8]) {
    thread_local! {
        static FOLDER: Option<Scratch> = Scratch::new();
    }
    FOLDER.with(|folder| {
        let Some(folder) = folder else { return };
        let layout = Layout::create(&folder.0).expect("a folder of ours").with_durability(Durability::Lazy);
        if let Ok(loaded) = windlass_image::archive::load(&layout, data) {
            for image in loaded {
                layout.get(&image.descriptor).expect("what was loaded is there");
            }
        }
        std::fs::remove_dir_all(&folder.0).expect("a folder of ours");
    });
}

/// A folder in memory, which goes with its owner.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> Option<Self> {
        let name = format!("windlass-fuzz-{}-{:?}", std::process::id(), std::thread::current().id());
        let place = std::path::Path::new("/dev/shm");
        place.is_dir().then(|| Self(place.join(name)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0)); // it may have gone already
    }
}

fn layer(data: &[u8], codec: Codec) {
    const MAX: u64 = 1 << 20;
    let descriptor = Descriptor::new(MediaType::layer(codec), digest(data), data.len() as u64);
    let mut limits = Limits::default();
    limits.layer_bytes = MAX;
    let Ok(mut reader) = LayerReader::new(data, &descriptor, &limits) else { return };
    let mut read = 0_u64;
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        read += count as u64;
        assert!(read <= MAX, "the limit on a layer's bytes holds");
    }
}

fn digest(data: &[u8]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(data);
    hasher.finish()
}
