//! Replica sets and endpoint slices against the answers of Kubernetes.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use std::collections::BTreeMap;
use std::time::Duration;

use judge::{differs, judge, records};
use serde_json::{Value, json};
use windlass_pod::endpoints::{self, Options};
use windlass_pod::kinds::{EndpointSlice, Node, Pod, Service};
use windlass_pod::replication::{self, Decision, Failure, Presence, Wanted};
use windlass_pod::{Kind, Selector, Time, decode_json_as, encode_json};

fn read<K: Kind>(value: &Value) -> K {
    decode_json_as(value.to_string().as_bytes()).unwrap()
}

fn read_all<K: Kind>(list: &Value) -> Vec<K> {
    list.as_array().into_iter().flatten().map(read).collect()
}

fn names(pods: &[&Pod]) -> Vec<String> {
    pods.iter().map(|pod| pod.name().to_owned()).collect()
}

fn crowd(pod: &Pod, all: &[&Pod]) -> usize {
    all.iter().filter(|other| other.is_active() && other.spec.node_name == pod.spec.node_name).count()
}

fn status(input: &Value, wanted: &Wanted, pods: &[Pod], now: Time) -> Value {
    let counts = replication::count(wanted, pods, now);
    let mut status = json!({"replicas": counts.replicas});
    for (name, number) in [
        ("fullyLabeledReplicas", counts.fully_labeled),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.available),
    ] {
        if number > 0 {
            status[name] = json!(number);
        }
    }
    let had = if input["hadFailureCondition"] == json!(true) { Presence::Present } else { Presence::Absent };
    let error = (input["error"] == json!(true)).then_some("quota exceeded");
    match replication::failure(error, had, counts.replicas, wanted.replicas) {
        Failure::Set { reason, message } => {
            let mut condition = json!({"message": message, "status": "True", "type": "ReplicaFailure"});
            if !reason.is_empty() {
                condition["reason"] = json!(reason);
            }
            status["conditions"] = json!([condition]);
        }
        Failure::Keep if had == Presence::Present => status["conditions"] = json!("kept"),
        Failure::Keep | Failure::Clear => {}
    }
    status
}

fn replicaset_case(record: &Value) -> Option<String> {
    let input = &record["in"];
    let pods: Vec<Pod> = read_all(&input["pods"]);
    let related: Vec<Pod> = read_all(&input["related"]);
    let now: Time = input["now"].as_str().unwrap().parse().unwrap();
    let labels = input["templateLabels"].as_object().into_iter().flatten();
    let wanted = Wanted {
        replicas: usize::try_from(input["replicas"].as_u64().unwrap()).unwrap(),
        selector: Selector::everything(),
        template_labels: labels.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect(),
        min_ready: Duration::from_secs(input["minReadySeconds"].as_u64().unwrap()),
    };
    let active: Vec<&Pod> = pods.iter().filter(|pod| pod.is_active()).collect();
    let all: Vec<&Pod> = pods.iter().chain(&related).collect();
    let ranked = replication::rank(&active, &related, now);
    let ranks: Vec<usize> = ranked.iter().map(|pod| crowd(pod, &all)).collect();
    let decision = replication::decide(wanted.replicas, &pods, &related, now);
    let create = if let Decision::Create(count) = decision { count } else { 0 };
    let delete = if let Decision::Delete(pods) = &decision { names(pods) } else { Vec::new() };
    let order = names(&ranked);
    let mut theirs = record["status"].clone();
    if theirs["conditions"][0]["message"] == json!("old") {
        theirs["conditions"] = json!("kept");
    }
    differs("active", json!(names(&active)), record["active"].clone())
        .or_else(|| differs("ranks", json!(ranks), record["ranks"].clone()))
        .or_else(|| differs("order", json!(order), record["deletionOrder"].clone()))
        .or_else(|| differs("create", json!(create), record["create"].clone()))
        .or_else(|| differs("batches", json!(decision.batches()), record["createBatches"].clone()))
        .or_else(|| differs("delete", json!(delete), record["delete"].clone()))
        .or_else(|| differs("status", status(input, &wanted, &pods, now), theirs))
}

#[test]
fn replicaset() {
    judge("replicaset", &records("replicaset"), replicaset_case);
}

fn sorted(mut values: Vec<Value>) -> Value {
    values.sort_by_key(Value::to_string);
    json!(values)
}

/// The original orders the ports of a slice by a hash of its own; here they stand as in the service.
fn with_sorted_ports(slice: &Value) -> Value {
    let mut slice = slice.clone();
    if let Some(ports) = slice["ports"].as_array() {
        slice["ports"] = sorted(ports.clone());
    }
    slice
}

/// The numbers of endpoints in the slices of the same family and ports.
fn sizes(slices: Vec<EndpointSlice>) -> Value {
    let mut groups: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for slice in slices {
        let count = slice.endpoints.len();
        let ports = serde_json::from_str::<Value>(&encode_json(&slice)).unwrap()["ports"].clone();
        let ports = with_sorted_ports(&json!({"ports": if ports.is_null() { json!([]) } else { ports }}));
        groups.entry((slice.address_type.unwrap(), ports["ports"].to_string())).or_default().push(count);
    }
    let group = |((family, ports), mut sizes): ((String, String), Vec<usize>)| {
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        json!({"addressType": family, "endpoints": sizes, "ports": serde_json::from_str::<Value>(&ports).unwrap()})
    };
    sorted(groups.into_iter().map(group).collect())
}

fn endpointslice_case(record: &Value) -> Option<String> {
    let input = &record["in"];
    let service: Service = read(&input["service"]);
    let pods: Vec<Pod> = read_all(&input["pods"]);
    let nodes: Vec<Node> = read_all(&input["nodes"]);
    let options = Options {
        per_slice_max: usize::try_from(input["maxEndpointsPerSlice"].as_u64().unwrap()).unwrap(),
        changed: Some("2025-06-15T15:06:40Z".parse().unwrap()),
    };
    let wanted = endpoints::slices(&service, &pods, |name| nodes.iter().find(|node| node.name() == name), &options);
    let errors: Vec<String> = wanted.skipped.iter().map(ToString::to_string).collect();
    let error = match errors.as_slice() {
        [] => Value::Null,
        [one] => json!(one),
        many => json!(format!("[{}]", many.join(", "))),
    };
    if let Some(theirs) = record.get("sliceSizes") {
        return differs(
            "sizes",
            sizes(wanted.slices),
            sorted(theirs.as_array().unwrap().iter().map(with_sorted_ports).collect()),
        );
    }
    let ours = wanted.slices.into_iter().map(|mut slice| {
        slice.endpoints.sort_by_key(|one| one.target_ref.as_ref().and_then(|target| target.name.clone()));
        let mut value: Value = serde_json::from_str(&encode_json(&slice)).unwrap();
        let fields = value.as_object_mut().unwrap();
        fields.remove("apiVersion");
        fields.remove("kind");
        for list in ["endpoints", "ports"] {
            fields.entry(list).or_insert(json!([]));
        }
        with_sorted_ports(&value)
    });
    let theirs = record["slices"].as_array().unwrap().iter().map(with_sorted_ports).collect();
    differs("error", error, record["error"].clone())
        .or_else(|| differs("slices", sorted(ours.collect()), sorted(theirs)))
}

#[test]
fn endpointslice() {
    judge("endpointslice", &records("endpointslice"), endpointslice_case);
}
