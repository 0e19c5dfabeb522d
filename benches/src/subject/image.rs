//! References, documents and layer streams.

use std::hint::black_box;
use std::io::Write as _;
use std::rc::Rc;

use sha2::Digest as _;
use windlass_image::{Algorithm, Codec, Descriptor, Hasher, LayerReader, Limits, Manifest, MediaType, Reference};

use crate::measure::{Baseline, Contest, Skipped};

const REFERENCES: [&str; 4] = [
    "debian",
    "library/nginx:1.27",
    "registry.example.org:5000/team/app/web:v1.2.3",
    "ghcr.io/owner/name@sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
];

/// Four references a call, against the reference type of `oci-spec`.
pub(super) fn reference() -> Result<Contest, Skipped> {
    Ok(Contest {
        calls: 2000,
        rounds: 15,
        subject: Box::new(|| {
            for text in REFERENCES {
                black_box(Reference::parse(black_box(text)).map_err(Skipped::because(text))?);
            }
            Ok(())
        }),
        baseline: Baseline::Run(Box::new(|| {
            for text in REFERENCES {
                let reference: oci_spec::distribution::Reference =
                    black_box(text).parse().map_err(Skipped::because(text))?;
                black_box(reference);
            }
            Ok(())
        })),
    })
}

/// The same references, against what is promised: 200 ns each.
pub(super) fn reference_time() -> Result<Contest, Skipped> {
    const PROMISED_US: f64 = 0.2;
    let Contest { calls, rounds, subject, .. } = reference()?;
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let promised = PROMISED_US * REFERENCES.len() as f64;
    Ok(Contest { calls, rounds, subject, baseline: Baseline::Figure(promised) })
}

/// The same manifest, against what is promised: a byte in a nanosecond.
pub(super) fn manifest_rate() -> Result<Contest, Skipped> {
    let raw = sample_manifest()?;
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let promised = raw.len() as f64 / 1e3;
    Ok(Contest {
        calls: 500,
        rounds: 15,
        subject: Box::new(move || {
            black_box(Manifest::parse(black_box(&*raw)).map_err(Skipped::because("manifest"))?);
            Ok(())
        }),
        baseline: Baseline::Figure(promised),
    })
}

/// Four blobs of 4 MiB on one core, against what is promised: 3.2 GB/s.
pub(super) fn sha256() -> Result<Contest, Skipped> {
    const BLOB: usize = 4 << 20;
    let blobs = vec![0x5a_u8; BLOB * 4];
    #[expect(clippy::cast_precision_loss, reason = "a few million are exact")]
    let promised = (BLOB * 4) as f64 / 3.2e3;
    Ok(Contest {
        calls: 1,
        rounds: 15,
        subject: Box::new(move || {
            let mut hashers = [Algorithm::Sha256; 4].map(Hasher::new);
            let mut pieces: Vec<_> = hashers.iter_mut().zip(black_box(&blobs).chunks(BLOB)).collect();
            Hasher::update_together(&mut pieces);
            black_box(hashers.map(Hasher::finish));
            Ok(())
        }),
        baseline: Baseline::Figure(promised),
    })
}

fn sample_manifest() -> Result<Rc<[u8]>, Skipped> {
    let layers: Vec<Descriptor> = (0..12_u8).map(|byte| descriptor(&[byte], MediaType::LAYER_GZIP)).collect();
    let config = descriptor(b"{}", MediaType::CONFIG);
    let manifest = Manifest::build(&config, &layers, &std::collections::BTreeMap::new())
        .map_err(Skipped::because("build a manifest"))?;
    Ok(manifest.raw().into())
}

/// A manifest of twelve layers, against the typed manifest of `oci-spec`.
pub(super) fn manifest() -> Result<Contest, Skipped> {
    let ours = sample_manifest()?;
    let theirs = Rc::clone(&ours);
    Ok(Contest {
        calls: 500,
        rounds: 15,
        subject: Box::new(move || {
            black_box(Manifest::parse(black_box(&*ours)).map_err(Skipped::because("manifest"))?);
            Ok(())
        }),
        baseline: Baseline::Run(Box::new(move || {
            let manifest = oci_spec::image::ImageManifest::from_reader(black_box(&*theirs))
                .map_err(Skipped::because("manifest"))?;
            black_box(manifest);
            Ok(())
        })),
    })
}

/// A gzip layer of 16 MiB read with its digest verified, against bare inflate and SHA-256 of the same bytes.
pub(super) fn layer() -> Result<Contest, Skipped> {
    let blob: Rc<[u8]> = compressed().map_err(Skipped::because("compress the sample"))?.into();
    let descriptor = descriptor(&blob, MediaType::layer(Codec::Gzip));
    let theirs = Rc::clone(&blob);
    Ok(Contest {
        calls: 1,
        rounds: 15,
        subject: Box::new(move || {
            let reader =
                LayerReader::new(&*blob, &descriptor, &Limits::default()).map_err(Skipped::because("layer"))?;
            drain(reader)
        }),
        baseline: Baseline::Run(Box::new(move || {
            black_box(sha2::Sha256::digest(&*theirs));
            drain(flate2::read::GzDecoder::new(&*theirs))
        })),
    })
}

fn drain(mut reader: impl std::io::Read) -> Result<(), Skipped> {
    let mut buffer = vec![0; 64 << 10];
    while reader.read(&mut buffer).map_err(Skipped::because("read the layer"))? > 0 {
        black_box(&buffer);
    }
    Ok(())
}

/// Text of words from a fixed generator: it compresses about as program code does.
fn compressed() -> std::io::Result<Vec<u8>> {
    let mut state = 1_u64;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for _ in 0..(16 << 20) / 8 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        encoder.write_all(format!("{:07} ", (state >> 48) % 5000).as_bytes())?;
    }
    encoder.finish()
}

fn descriptor(content: &[u8], media_type: MediaType) -> Descriptor {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(content);
    Descriptor::new(media_type, hasher.finish(), content.len() as u64)
}
