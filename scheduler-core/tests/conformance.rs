//! What kube-scheduler 1.34.1 decided about 600 random clusters, compared with what this scheduler decides.
//!
//! `K8S_VECTORS` names another file of records, plain or gzip.
#![expect(clippy::print_stdout, reason = "the counts are what the test is run for")]
#![expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "small")]

mod judge;
mod plain;
mod wire;

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use judge::Tally;
use serde_json::Value;

fn main() -> ExitCode {
    trial::main(vec![
        trial::Test::new("decides_as_kube_scheduler_does", decides_as_kube_scheduler_does),
        trial::Test::new("the_plain_scheduler_decides_so_too", the_plain_scheduler_decides_so_too),
    ])
}

fn records() -> Vec<Value> {
    let kept = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/k8s-1.34.1-600.jsonl.gz");
    let path = std::env::var_os("K8S_VECTORS").map_or(kept, PathBuf::from);
    let mut bytes = Vec::new();
    File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("the records can be read");
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).expect("the records decompress");
        bytes = plain;
    }
    let text = String::from_utf8(bytes).expect("records are text");
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).expect("a record is a JSON object")).collect()
}

fn decides_as_kube_scheduler_does() {
    let mut tally = Tally::default();
    for record in records() {
        tally.add(&record, &record["result"]);
    }
    for mismatch in tally.mismatches.iter().take(20) {
        println!("{mismatch}");
    }
    println!(
        "\nscenarios {}, verdicts {}, scores {}, best sets {}, preemptions {}, mismatches {}",
        tally.scenarios,
        tally.verdicts,
        tally.scores,
        tally.best_sets,
        tally.preemptions,
        tally.mismatches.len()
    );
    assert!(tally.scenarios > 0, "no record was read");
    assert!(tally.mismatches.is_empty(), "{} mismatches", tally.mismatches.len());
}

/// Every fifth record: the plain scheduler takes its time.
fn the_plain_scheduler_decides_so_too() {
    for record in records().iter().step_by(5) {
        let (theirs, seed) = (&record["result"], &record["seed"]);
        let mut plain = plain::result(record);
        assert_eq!(plain["filter"], theirs["filter"], "seed {seed}");
        assert_eq!(plain["postFilter"], theirs["postFilter"], "seed {seed}");
        for (node, points) in theirs["scores"].as_object().into_iter().flatten() {
            let mut points = points.clone();
            points.as_object_mut().expect("scores are objects").retain(|_, points| *points != 0);
            assert_eq!(plain["scores"][node], points, "seed {seed} {node}");
        }
        if theirs["postFilter"] == "Success" {
            let mut victims: Vec<&str> = plain::items(&theirs["victims"]).filter_map(Value::as_str).collect();
            victims.sort_unstable();
            let nominated = theirs["nominated"].as_str().unwrap_or_default();
            assert_eq!(plain["evictions"][nominated].take(), Value::from(victims), "seed {seed}");
        }
    }
}
