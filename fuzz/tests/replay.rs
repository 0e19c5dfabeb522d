//! Replays the corpus of every target, and its truncations, which break decoders most often.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::Path;

use fuzz::target::{TARGETS, find};

fn names(folder: &str, extension: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(extension).map(str::to_owned))
        .collect()
}

#[test]
fn every_target_has_a_corpus_and_a_wrapper() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(targets, names("corpus", ""));
    assert_eq!(targets, names("fuzz_targets/fuzz_targets", ".rs"));
}

#[test]
fn the_corpus_replays() {
    for (target, body) in TARGETS {
        let seeds = names(&format!("corpus/{target}"), "");
        assert!(!seeds.is_empty(), "{target} has no seed");
        for seed in seeds {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target).join(&seed);
            let data = std::fs::read(path).unwrap();
            let step = (data.len() / 200).max(1);
            for end in (0..=data.len()).rev().step_by(step) {
                let replay = std::panic::catch_unwind(|| body(&data[..end]));
                assert!(replay.is_ok(), "{target}/{seed}, its first {end} bytes");
            }
        }
    }
}

#[test]
fn a_name_finds_its_body() {
    assert!(find("pod_quantity").is_some());
    assert!(find("absent").is_none());
}
