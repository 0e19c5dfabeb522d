//! References against the answers of the distribution project's parser.

#![expect(clippy::print_stdout, reason = "the counts are the test's result")]

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;
use trial::Test;
use windlass_image::Reference;

fn main() -> ExitCode {
    trial::main(vec![Test::new("references_equal_the_reference_implementation", references)])
}

fn references() {
    let path = std::env::var_os("IMAGE_REFERENCES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/references-1500.jsonl"),
        PathBuf::from,
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut count, mut mismatches) = (0, 0);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let expected: Value = serde_json::from_str(line).expect("each line is a JSON object");
        count += 1;
        if let Err(difference) = compare(&expected) {
            mismatches += 1;
            println!("{difference}: {line}");
        }
    }
    println!("references {count}, mismatches {mismatches}");
    assert!(count > 0, "{} holds no references", path.display());
    assert_eq!(mismatches, 0);
}

fn compare(expected: &Value) -> Result<(), String> {
    let input = expected["input"].as_str().expect("input is a string");
    let reference = match (Reference::parse(input), expected["ok"].as_bool()) {
        (Ok(reference), Some(true)) => reference,
        (Err(_), Some(false)) => return Ok(()),
        (Ok(reference), _) => return Err(format!("accepted as {reference}")),
        (Err(error), _) => return Err(error.to_string()),
    };
    let digest = reference.digest().map(ToString::to_string);
    for (field, got) in [
        ("registry", Some(reference.registry())),
        ("repository", Some(reference.repository())),
        ("tag", reference.tag()),
        ("digest", digest.as_deref()),
        ("familiar", Some(reference.familiar())),
        ("canonical", Some(reference.canonical())),
    ] {
        let wanted = expected[field].as_str().filter(|text| !text.is_empty());
        if got.filter(|text| !text.is_empty()) != wanted {
            return Err(format!("{field} is {got:?} and not {wanted:?}"));
        }
    }
    Ok(())
}
