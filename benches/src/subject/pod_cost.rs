//! What the crate costs at the worst: hostile text, and its build.

#[path = "../../../pod/tests/hostile/texts.rs"]
mod texts;

use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use texts::{Encoding, texts};
use windlass_pod::{decode_json, decode_protobuf, decode_yaml};

use crate::measure::{Baseline, Contest, Sample, Skipped, cpu_time};

/// The dearest megabyte of an encoding, each read three times, in the processor's time.
fn hostile(encoding: Encoding) -> Result<Contest, Skipped> {
    let read = |text: &[u8]| match encoding {
        Encoding::Json => drop(black_box(decode_json(text))),
        Encoding::Yaml => drop(black_box(decode_yaml(text))),
        Encoding::Protobuf => drop(black_box(decode_protobuf(text))),
    };
    let mut worst = 0.0;
    for (_, text) in texts(encoding) {
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let start = cpu_time();
            read(black_box(&text));
            best = best.min(cpu_time().saturating_sub(start).as_secs_f64() * 1e6);
        }
        worst = best.max(worst);
    }
    held(worst, 50_000.0)
}

fn held(value: f64, baseline: f64) -> Result<Contest, Skipped> {
    let subject = Box::new(|| Ok(()));
    Ok(Contest { calls: 1, rounds: 1, subject, baseline: Baseline::Held(Sample { value, baseline }) })
}

pub(super) fn hostile_json() -> Result<Contest, Skipped> {
    hostile(Encoding::Json)
}

pub(super) fn hostile_yaml() -> Result<Contest, Skipped> {
    hostile(Encoding::Yaml)
}

pub(super) fn hostile_protobuf() -> Result<Contest, Skipped> {
    hostile(Encoding::Protobuf)
}

/// A build from nothing, as a program has it that adds the crate: the crates that it needs, and itself, on the two
/// processors that the promise is about.
pub(super) fn build() -> Result<Contest, Skipped> {
    let target = tempfile::tempdir().map_err(Skipped::because("make a folder"))?;
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let start = std::time::Instant::now();
    let output = Command::new("cargo")
        .args(["build", "--quiet", "--offline", "--jobs", "2", "--package", "windlass-pod", "--manifest-path"])
        .arg(&manifest)
        .env("CARGO_TARGET_DIR", target.path())
        .output()
        .map_err(Skipped::because("run cargo"))?;
    let taken = start.elapsed().as_secs_f64() * 1e6;
    if !output.status.success() {
        return Err(Skipped(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned()));
    }
    held(taken, 10e6)
}
