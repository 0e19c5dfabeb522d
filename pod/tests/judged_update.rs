//! Validation of changes against the answers of Kubernetes.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use judge::errors::{allocation, cluster, lists, messages};
use judge::{differs, judge, records};
use serde_json::Value;
use windlass_pod::{Object, decode_json, defaults, validate_update};

fn read(value: &Value) -> Object {
    decode_json(value.to_string().as_bytes()).unwrap()
}

fn case(record: &Value) -> Option<String> {
    let old = read(&record["in"]["old"]);
    let mut new = read(&record["in"]["new"]);
    defaults::apply(&mut new);
    let theirs = record["errors"].as_array().unwrap().clone();
    if let (Object::Service(new), Object::Service(old)) = (&mut new, &old)
        && let Err(error) = cluster().update(new, old)
    {
        return differs("stage", "allocate", record["stage"].as_str().unwrap())
            .or_else(|| lists("allocate", &allocation(&error), &theirs));
    }
    lists("errors", &messages(&validate_update(&new, &old)), &theirs)
}

#[test]
fn update() {
    judge("update", &records("update"), case);
}
