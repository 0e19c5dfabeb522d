//! A megabyte of hostile text costs little memory; the time that it costs is a line of the benchmarks.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod texts;

use std::hint::black_box;
use std::time::Instant;

use texts::{Encoding, texts};
use windlass_pod::{decode_json, decode_protobuf, decode_yaml};

/// What a megabyte may hold at any one time while it is read.
const BYTES_MAX: u64 = 20_000_000;

/// Reads a text and says whether it was taken.
fn read(encoding: Encoding, text: &[u8]) -> bool {
    match encoding {
        Encoding::Json => black_box(decode_json(text)).is_ok(),
        Encoding::Yaml => black_box(decode_yaml(text)).is_ok(),
        Encoding::Protobuf => black_box(decode_protobuf(text)).is_ok(),
    }
}

fn costs_little(encoding: Encoding) {
    let mut dear = Vec::new();
    for (name, text) in texts(encoding) {
        let start = Instant::now();
        let mut taken = false;
        let cost = allocation_counter::measure(|| taken = read(encoding, &text));
        println!(
            "{encoding:?} {:>8} KB {:>8} allocations {:>6} ms taken {taken:<5} {name}",
            cost.bytes_max / 1000,
            cost.count_total,
            start.elapsed().as_millis()
        );
        if cost.bytes_max > BYTES_MAX {
            dear.push((name, cost.bytes_max));
        }
    }
    assert_eq!(dear, []);
}

#[test]
fn json() {
    costs_little(Encoding::Json);
}

#[test]
fn yaml() {
    costs_little(Encoding::Yaml);
}

#[test]
fn protobuf() {
    costs_little(Encoding::Protobuf);
}
