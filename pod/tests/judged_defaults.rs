//! Defaults against the answers of Kubernetes.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use judge::errors::cluster;
use judge::{judge, records};
use serde_json::{Value, json};
use windlass_pod::{Decoder, Object, Strictness, Style, defaults, strategy};

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
    difference("", &ours, &record["defaulted"]).or_else(|| prepared(&mut object, record))
}

/// What the server goes on with, without what it takes from a clock and without the values that it is free to choose.
fn prepared(object: &mut Object, record: &Value) -> Option<String> {
    let job_uid = "aaaaaaaa-0000-4000-8000-000000000001";
    object.metadata_mut().uid = Some(job_uid.to_owned());
    let asked = match object {
        Object::Service(service) => {
            let asked = service.clone();
            if let Err(error) = cluster().create(service) {
                return Some(error.to_string());
            }
            Some(asked)
        }
        _ => None,
    };
    strategy::prepare_for_create(object);
    object.metadata_mut().uid = None;
    let mut ours: Value = serde_json::from_str(&object.encode_json_in(Style::AsServed)).unwrap();
    if let Some(asked) = asked {
        let spec = &mut ours["spec"];
        if asked.spec.cluster_ip.is_none() && spec.get("clusterIP").is_some() {
            spec["clusterIP"] = json!("ALLOCATED");
            spec["clusterIPs"][0] = json!("ALLOCATED");
        }
        for (index, port) in asked.spec.ports.iter().enumerate() {
            if port.node_port.is_none() && spec["ports"][index].get("nodePort").is_some() {
                spec["ports"][index]["nodePort"] = json!("ALLOCATED");
            }
        }
        if asked.spec.health_check_node_port.is_none() && spec.get("healthCheckNodePort").is_some() {
            spec["healthCheckNodePort"] = json!("ALLOCATED");
        }
    }
    let mut theirs = record["prepared"].clone();
    for value in [&mut ours, &mut theirs] {
        without_times(value);
    }
    difference("prepared", &ours, &theirs)
}

fn without_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !matches!(name.as_str(), "lastTransitionTime" | "lastProbeTime"));
            fields.values_mut().for_each(without_times);
        }
        Value::Array(list) => list.iter_mut().for_each(without_times),
        _ => {}
    }
}

#[test]
fn defaults() {
    judge("defaults", &records("defaults"), case);
}
