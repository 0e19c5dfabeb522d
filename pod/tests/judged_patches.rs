//! Patches against the answers of Kubernetes.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use judge::{differs, judge, records};
use serde_json::{Value, json};
use windlass_pod::patch::{self, PatchKind};

fn case(record: &Value) -> Option<String> {
    let input = &record["in"];
    let kind = match record["type"].as_str() {
        Some("json") => PatchKind::Json,
        Some("merge") => PatchKind::Merge,
        Some("strategic") => PatchKind::Strategic,
        other => return Some(format!("unknown type {other:?}")),
    };
    let names = |field: &str| input["object"][field].as_str().unwrap();
    let patch = input["patch"].to_string();
    let document = input["object"].to_string();
    let result = patch::apply_to_json(&document, names("apiVersion"), names("kind"), kind, patch.as_bytes());
    let difference = match result {
        Ok(text) => {
            let ours: Value = serde_json::from_str(&text).unwrap();
            differs("ok", json!(true), record["ok"].clone())
                .or_else(|| differs("result", ours, record["result"].clone()))
        }
        Err(error) => differs("ok", json!(false), record["ok"].clone())
            .map(|difference| format!("{difference} {error}"))
            .or_else(|| differs("error", error.to_string().as_str(), record["error"].as_str().unwrap())),
    };
    difference.map(|text| format!("{} patch {patch}\n{text}", names("kind")))
}

#[test]
fn patches() {
    judge("patch", &records("patch"), case);
}
