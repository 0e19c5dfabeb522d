//! References, documents and compressed layers.

use std::io::Read as _;

use windlass_image::{
    Algorithm, Codec, Descriptor, Digest, Hasher, ImageConfig, Index, LayerReader, Limits, Manifest, MediaType,
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

/// A gzip layer ends in bounded output.
pub(super) fn gzip(data: &[u8]) {
    layer(data, Codec::Gzip);
}

/// A zstd layer ends in bounded output.
pub(super) fn zstd(data: &[u8]) {
    layer(data, Codec::Zstd);
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
