//! Defaults against the answers of Kubernetes.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use judge::{judge, records};
use serde_json::Value;
use windlass_pod::{Decoder, Strictness, Style, defaults};

/// The first path at which two values differ.
fn difference(path: &str, ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                difference(&format!("{path}.{key}"), a, b)
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(index, (a, b))| difference(&format!("{path}[{index}]"), a, b))
        }
        (a, b) => (a != b).then(|| format!("{path}: ours {a}, theirs {b}")),
    }
}

fn case(record: &Value) -> Option<String> {
    let decoder = Decoder::new(Strictness::Strict);
    let mut object = match decoder.json(record["in"].to_string().as_bytes()) {
        Ok(decoded) => decoded.object,
        Err(error) => return Some(error.to_string()),
    };
    defaults::apply(&mut object);
    let ours: Value = serde_json::from_str(&object.encode_json_in(Style::AsServed)).unwrap();
    difference("", &ours, &record["defaulted"])
}

#[test]
fn defaults() {
    judge("defaults", &records("defaults"), case);
}
