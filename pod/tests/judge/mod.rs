//! Reads the judged files and counts mismatches.
#![expect(clippy::print_stdout, reason = "the counts are what a reader of the test wants to see")]

pub(crate) mod errors;

use std::io::Read as _;
use std::path::PathBuf;

use serde_json::Value;

/// The records of a judged file, plain or gzip, from `POD_VECTORS` or from `tests/data`.
pub(crate) fn records(name: &str) -> Vec<Value> {
    let folder = std::env::var_os("POD_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data"), PathBuf::from);
    let plain = folder.join(format!("{name}.jsonl"));
    let text = if plain.exists() {
        std::fs::read_to_string(plain).unwrap()
    } else {
        let path = folder.join(format!("{name}.jsonl.gz"));
        let packed = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
        text
    };
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Judges each record, prints the count and fails on a mismatch.
///
/// `check` returns what differs, or nothing.
pub(crate) fn judge(name: &str, records: &[Value], check: impl Fn(&Value) -> Option<String>) {
    assert!(!records.is_empty(), "{name}: no cases");
    let mismatches: Vec<String> = records
        .iter()
        .filter_map(|record| check(record).map(|difference| format!("{difference}\n  in {}", short(&record["in"]))))
        .collect();
    println!("{name}: cases {}, mismatches {}", records.len(), mismatches.len());
    for mismatch in mismatches.iter().take(shown()) {
        println!("{mismatch}");
    }
    assert!(mismatches.is_empty(), "{name}: {} mismatches", mismatches.len());
}

/// How many mismatches are printed.
fn shown() -> usize {
    std::env::var("POD_MISMATCHES").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

fn short(value: &Value) -> String {
    let mut text = value.to_string();
    if let Some((at, _)) = text.char_indices().nth(2000) {
        text.truncate(at);
    }
    text
}

/// Says what differs, if anything does.
#[allow(dead_code, reason = "not every test that includes this file compares values")]
#[expect(clippy::needless_pass_by_value, reason = "the values are made for this call")]
pub(crate) fn differs<T: PartialEq + std::fmt::Debug>(what: &str, ours: T, theirs: T) -> Option<String> {
    (ours != theirs).then(|| format!("{what}:\n  ours   {ours:?}\n  theirs {theirs:?}"))
}
