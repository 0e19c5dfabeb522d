//! Strict and lenient decoding against the answers of Kubernetes, and round trips of all their inputs.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use judge::{differs, judge, records};
use serde_json::{Value, json};
use windlass_pod::{Decoded, Decoder, Error, ProblemKind, Result, Strictness, Style, decode_json, decode_yaml};

fn decode(strictness: Strictness, record: &Value) -> Result<Decoded> {
    let text = record["in"].as_str().unwrap().as_bytes();
    let decoder = Decoder::new(strictness);
    if record["format"] == json!("yaml") {
        Ok(decoder.yaml(text)?.pop().ok_or(Error::KindMissing { field: "kind" })?)
    } else {
        decoder.json(text)
    }
}

/// What the original reports of a duplicate in YAML is a message of its YAML reader, about the key alone.
fn messages(error: &str) -> Vec<String> {
    let Some(list) = error.strip_prefix("strict decoding error: ") else { return Vec::new() };
    let mut messages: Vec<String> = list
        .replace("yaml: unmarshal errors:\n  ", "")
        .split(", ")
        .map(|message| match message.split_once(": key ") {
            Some((_, key)) => format!("duplicate key {}", key.trim_end_matches(" already set in map")),
            None => message.to_owned(),
        })
        .collect();
    messages.sort();
    messages
}

fn ours(record: &Value, error: &Error) -> Vec<String> {
    let Error::Strict { problems } = error else { return Vec::new() };
    let is_yaml = record["format"] == json!("yaml");
    let mut messages: Vec<String> = problems
        .iter()
        .map(|problem| {
            let key = problem.path.rsplit('.').next().unwrap_or_default();
            if is_yaml && problem.kind == ProblemKind::DuplicateField {
                format!("duplicate key {key:?}")
            } else {
                problem.to_string()
            }
        })
        .collect();
    messages.sort();
    messages
}

/// Whether a text is taken, which of its fields are unknown or stand twice, and the object that comes of it.
///
/// The words for values of a wrong type are not compared: those of the original name its own types and the first of
/// several errors without its path.
fn case(record: &Value) -> Option<String> {
    // Exception: the original passes over what follows a flow map in YAML; here text after the object is an error.
    if record["in"].as_str().is_some_and(|text| text.ends_with("}x")) {
        return differs("refused", decode(Strictness::Lenient, record).is_err(), true);
    }
    let strict = decode(Strictness::Strict, record);
    let lenient = decode(Strictness::Lenient, record);
    let theirs = record["strict"]["error"].as_str().map(messages).unwrap_or_default();
    let own = strict.as_ref().err().map(|error| ours(record, error)).unwrap_or_default();
    differs("strict ok", strict.is_ok(), record["strict"]["ok"] == json!(true))
        .or_else(|| differs("lenient ok", lenient.is_ok(), record["lenient"]["ok"] == json!(true)))
        .or_else(|| differs("problems", own, theirs))
        .or_else(|| {
            let object = lenient.ok()?.object;
            let ours: Value = serde_json::from_str(&object.encode_json_in(Style::AsServed)).unwrap();
            lost("", &record["lenient"]["object"], &ours)
        })
}

/// The first path of the original's object that ours has not, or has otherwise; ours keeps unknown fields besides.
fn lost(path: &str, theirs: &Value, ours: &Value) -> Option<String> {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => theirs
            .iter()
            .find_map(|(key, value)| lost(&format!("{path}.{key}"), value, ours.get(key).unwrap_or(&Value::Null))),
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => theirs
            .iter()
            .zip(ours)
            .enumerate()
            .find_map(|(index, (theirs, ours))| lost(&format!("{path}[{index}]"), theirs, ours)),
        (theirs, ours) => differs(path, ours, theirs),
    }
}

#[test]
fn strict() {
    judge("strict", &records("strict"), case);
}

/// JSON, YAML and back, with every byte where it was.
#[test]
fn every_judged_object_survives_both_encodings() {
    for name in ["defaults", "validation"] {
        for record in records(name) {
            let text = record["in"].to_string();
            if text.len() > 50_000 {
                // A few hold a megabyte of one letter.
                continue;
            }
            let object = decode_json(text.as_bytes()).unwrap();
            let json = object.encode_json();
            let yaml = object.encode_yaml();
            let from_json = decode_json(json.as_bytes()).unwrap();
            assert_eq!(from_json.encode_json(), json);
            let from_yaml = decode_yaml(yaml.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{yaml}")).remove(0);
            assert_eq!(from_yaml.encode_json(), json, "{yaml}");
            let served = object.encode_json_in(Style::AsServed);
            assert_eq!(decode_json(served.as_bytes()).unwrap().encode_json_in(Style::AsServed), served);
        }
    }
}
