//! Tables against the answers of Kubernetes.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use judge::{differs, judge, records};
use serde_json::{Value, json};
use windlass_pod::table::{self, Cell};
use windlass_pod::{Time, decode_json, defaults};

fn case(record: &Value) -> Option<String> {
    let mut object = decode_json(record["in"]["object"].to_string().as_bytes()).unwrap();
    defaults::apply(&mut object);
    let now: Time = record["in"]["now"].as_str().unwrap().parse().unwrap();
    let columns: Vec<Value> = table::columns(&object)
        .iter()
        .map(|one| {
            json!({"name": one.name, "type": one.kind.as_str(), "format": one.format(), "priority": one.priority})
        })
        .collect();
    let row = table::row(&object, now);
    let cells: Vec<Value> = row
        .cells
        .iter()
        .map(|cell| match cell {
            Cell::Text(text) => json!(text),
            Cell::Number(number) => json!(number),
        })
        .collect();
    let conditions: Vec<Value> = row
        .conditions
        .iter()
        .map(|one| json!({"type": one.kind, "status": "True", "reason": one.reason, "message": one.message}))
        .collect();
    differs("columns", json!(columns), record["columns"].clone())
        .or_else(|| differs("rows", json!([{"cells": cells, "conditions": conditions}]), record["rows"].clone()))
}

#[test]
fn tables() {
    judge("table", &records("table"), case);
}
