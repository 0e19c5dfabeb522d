//! Validation against the answers of Kubernetes, for the kinds that stand at zero mismatches.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use judge::{judge, records};
use serde_json::{Value, json};
use windlass_pod::{decode_json, defaults, validate};

/// The kinds that are judged.
const KINDS: [&str; 17] = [
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "DaemonSet",
    "Service",
    "Endpoints",
    "EndpointSlice",
    "ConfigMap",
    "Secret",
    "Namespace",
    "StatefulSet",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "Node",
    "LimitRange",
    "ResourceQuota",
];

fn key(error: &Value) -> (String, String, String) {
    (error["field"].to_string(), error["type"].to_string(), error["body"].to_string())
}

fn case(record: &Value) -> Option<String> {
    let mut object = match decode_json(record["in"].to_string().as_bytes()) {
        Ok(object) => object,
        Err(error) => return Some(error.to_string()),
    };
    defaults::apply(&mut object);
    let mut ours: Vec<Value> = validate(&object)
        .iter()
        .map(|one| json!({"field": one.path, "type": one.kind.reason(), "detail": one.detail, "body": one.body()}))
        .collect();
    let mut theirs = record["errors"].as_array().unwrap().clone();
    // What the server's own random choices lead to is no property of the object.
    theirs.retain(|error| error.get("body").is_some());
    ours.sort_by_key(key);
    theirs.sort_by_key(key);
    let missing: Vec<&Value> = theirs.iter().filter(|one| !ours.contains(one)).collect();
    let surplus: Vec<&Value> = ours.iter().filter(|one| !theirs.contains(one)).collect();
    (ours != theirs).then(|| format!("missing {}\nsurplus {}", json!(missing), json!(surplus)))
}

#[test]
fn validation() {
    let kinds = std::env::var("POD_KINDS").unwrap_or_else(|_| KINDS.join(","));
    let kinds: Vec<&str> = kinds.split(',').collect();
    let all = records("validation");
    // What an allocator of addresses and ports says is no property of the object.
    let judged: Vec<Value> = all
        .into_iter()
        .filter(|record| kinds.contains(&record["kind"].as_str().unwrap()) && record["stage"] != json!("allocate"))
        .collect();
    judge(&format!("validation({})", kinds.join(",")), &judged, case);
}
