//! References, documents and compressed layers.

use std::io::Read as _;

use windlass_image::registry::docker_config::{DockerConfig, Source, with_credential};
use windlass_image::registry::{Challenge, Credential};
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
