//! Effective requests and cgroup numbers against the answers of Kubernetes.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use judge::{differs, judge, records};
use serde_json::{Value, json};
use windlass_pod::kinds::Pod;
use windlass_pod::resources::{self, CpuQuota, ResourceList, Scope};
use windlass_pod::{Object, decode_json_as, defaults};

fn printed(list: &ResourceList) -> Value {
    list.iter()
        .map(|(name, amount)| (name.clone(), json!(amount.to_string())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn values(list: &ResourceList) -> Value {
    let value =
        |name: &str, amount: &windlass_pod::Quantity| if name == "cpu" { amount.milli_value() } else { amount.value() };
    list.iter()
        .map(|(name, amount)| (name.clone(), json!(value(name, amount))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The kubelet's own period counts, whatever was asked: the gate for others is off unless it is switched on.
fn cpu_case(record: &Value) -> Option<String> {
    let milli = record["in"]["milli_cpu"].as_i64().unwrap();
    let shares = resources::cpu_shares(milli);
    let quota = resources::cpu_quota(milli, 100_000).map_or(0, |quota| quota.quota_us);
    differs("shares", json!(shares), record["shares"].clone())
        .or_else(|| differs("weight", json!(resources::cpu_weight(shares)), record["cgroup_v2_weight"].clone()))
        .or_else(|| differs("quota", json!(quota), record["quota"].clone()))
}

fn cgroups(pod: &Pod, record: &Value) -> Option<String> {
    let memory = record["in"]["memory_capacity"].as_u64().unwrap();
    let mut containers = json!({});
    for container in pod.spec.init_containers.iter().chain(&pod.spec.containers) {
        let numbers = resources::container_cgroup(pod, container, memory);
        containers[container.name.as_deref().unwrap()] = json!({
            "cpu_period": numbers.cpu_quota.map_or(100_000, |quota| quota.period_us),
            "cpu_quota": numbers.cpu_quota.map_or(0, |quota| quota.quota_us),
            "cpu_shares": numbers.cpu_shares,
            "memory_limit": numbers.memory_limit.unwrap_or(0),
            "oom_score_adj": numbers.oom_score_adj,
        });
    }
    let numbers = resources::pod_cgroup(pod);
    let mut group = json!({"cpu_shares": numbers.cpu_shares, "cpu_weight": resources::cpu_weight(numbers.cpu_shares)});
    if let Some(CpuQuota { quota_us, period_us }) = numbers.cpu_quota {
        group["cpu_quota"] = json!(quota_us);
        group["cpu_period"] = json!(period_us);
    }
    if let Some(limit) = numbers.memory_limit {
        group["memory_limit"] = json!(limit);
    }
    let mut theirs = record["containers"].clone();
    for numbers in theirs.as_object_mut().unwrap().values_mut() {
        // Exception: the kernel refuses what is above 1000, so that the container would not start.
        if numbers["oom_score_adj"].as_i64() > Some(1000) {
            numbers["oom_score_adj"] = json!(999);
        }
    }
    differs("containers", containers, theirs).or_else(|| differs("pod cgroup", group, record["pod_cgroup"].clone()))
}

/// Exception: the original adds the overhead to the pod itself where an amount of the pod's own is a binary fraction,
/// so that what it computes afterwards holds it twice.
fn spoils_itself(input: &Value) -> bool {
    let spec = &input["pod"]["spec"];
    let is_binary_fraction =
        |amount: &Value| amount.as_str().is_some_and(|text| text.contains('.') && text.ends_with('i'));
    let own = ["limits", "requests"].iter().filter_map(|list| spec["resources"][list].as_object());
    spec.get("overhead").is_some() && own.flat_map(|list| list.values()).any(is_binary_fraction)
}

fn pod_case(record: &Value) -> Option<String> {
    let mut pod: Pod = decode_json_as(record["in"]["pod"].to_string().as_bytes()).unwrap();
    if record["in"]["defaulted_first"] == json!(true) {
        let mut object = Object::from(pod);
        defaults::apply(&mut object);
        pod = object.try_into().unwrap();
    }
    let effective = resources::effective(&pod);
    let of = |scope| values(&resources::requests(&pod.spec, scope));
    let first = differs("qos", json!(resources::qos_class(&pod.spec).as_str()), record["qos"].clone())
        .or_else(|| differs("requests", printed(&effective.requests), record["requests"].clone()))
        .or_else(|| differs("limits", printed(&effective.limits), record["limits"].clone()))
        .or_else(|| differs("requests value", values(&effective.requests), record["requests_value"].clone()))
        .or_else(|| differs("limits value", values(&effective.limits), record["limits_value"].clone()));
    if spoils_itself(&record["in"]) {
        return first;
    }
    first
        .or_else(|| differs("no overhead", of(Scope::WithoutOverhead), record["requests_no_overhead"].clone()))
        .or_else(|| differs("containers", of(Scope::WithoutPodLevel), record["requests_containers_only"].clone()))
        .or_else(|| cgroups(&pod, record))
}

#[test]
fn resources() {
    judge("resources", &records("resources"), |record| match record["op"].as_str() {
        Some("pod") => pod_case(record),
        Some("cpu") => cpu_case(record),
        other => Some(format!("unknown op {other:?}")),
    });
}
