//! Limit ranges, quotas and access rules against the answers of Kubernetes.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

mod judge;

use judge::errors::lists;
use judge::{differs, judge, records};
use serde_json::{Value, json};
use windlass_pod::kinds::{LimitRange, Pod, ResourceQuota};
use windlass_pod::rbac::{Action, Authorizer, Policy, Request};
use windlass_pod::resources::ResourceList;
use windlass_pod::{Kind, Object, Time, decode_json, decode_json_as, defaults, limit_range, quota};

fn object(value: &Value) -> Object {
    let mut object = decode_json(value.to_string().as_bytes()).unwrap();
    defaults::apply(&mut object);
    object
}

fn printed(list: &ResourceList) -> Value {
    list.iter()
        .map(|(name, amount)| (name.clone(), json!(amount.to_string())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn limitrange_case(record: &Value) -> Option<String> {
    let range: LimitRange = object(&record["in"]["limitRange"]).try_into().unwrap();
    let mut pod: Pod = object(&record["in"]["pod"]).try_into().unwrap();
    limit_range::fill(&range, &mut pod);
    let mut resources = json!({});
    for container in pod.spec.containers.iter().chain(&pod.spec.init_containers) {
        let mut own = json!({});
        for (field, list) in [("limits", &container.resources.limits), ("requests", &container.resources.requests)] {
            if !list.is_empty() {
                own[field] = printed(list);
            }
        }
        resources[container.name.as_deref().unwrap()] = own;
    }
    let annotations = json!(pod.metadata.annotations);
    let theirs = &record["annotations"];
    let faults: Vec<Value> = limit_range::pod_faults(&range, &pod).into_iter().map(Value::from).collect();
    differs("resources", resources, record["resources"].clone())
        .or_else(|| differs("annotations", annotations, if theirs.is_null() { json!({}) } else { theirs.clone() }))
        .or_else(|| lists("errors", &faults, record["errors"].as_array().unwrap()))
}

#[test]
fn limitrange() {
    judge("limitrange", &records("limitrange"), limitrange_case);
}

fn quota_case(record: &Value) -> Option<String> {
    let input = &record["in"];
    let own: ResourceQuota = object(&input["quota"]).try_into().unwrap();
    let objects: Vec<Object> = input["objects"].as_array().into_iter().flatten().map(object).collect();
    let candidate = object(&input["candidate"]);
    let now = Time::from_unix_seconds(0);
    let used = quota::used(&own, &objects, now);
    let admitted = quota::admit(&own, &used, &candidate, now);
    let resource = match &candidate {
        Object::Pod(_) => "pods",
        Object::Service(_) => "services",
        _ => "persistentvolumeclaims",
    };
    let message =
        admitted.as_ref().err().map_or(Value::Null, |error| json!(format!("{resource} \"x\" is forbidden: {error}")));
    let after = admitted.as_ref().map_or(Value::Null, printed);
    differs("used", printed(&used), record["used"].clone())
        .or_else(|| differs("usage", printed(&quota::usage(&candidate, now)), record["candidate_usage"].clone()))
        .or_else(|| differs("matches", json!(quota::matches(&own, &candidate)), record["matches"].clone()))
        .or_else(|| differs("allowed", json!(admitted.is_ok()), record["allowed"].clone()))
        .or_else(|| differs("message", message, record.get("message").cloned().unwrap_or_default()))
        .or_else(|| differs("used after", after, record.get("used_after").cloned().unwrap_or_default()))
}

#[test]
fn resource_quota() {
    judge("quota", &records("quota"), quota_case);
}

fn all<K: Kind>(list: &Value) -> Vec<K> {
    let read = |value: &Value| decode_json_as(value.to_string().as_bytes()).unwrap();
    list.as_array().into_iter().flatten().map(read).collect()
}

fn rbac_case(record: &Value) -> Option<String> {
    let input = &record["in"];
    let policy = Policy {
        roles: all(&input["roles"]),
        role_bindings: all(&input["roleBindings"]),
        cluster_roles: all(&input["clusterRoles"]),
        cluster_role_bindings: all(&input["clusterRoleBindings"]),
    };
    let authorizer = Authorizer::new(&policy);
    record["requests"].as_array().unwrap().iter().find_map(|asked| {
        let text = |field: &str| asked[field].as_str().unwrap_or_default();
        let groups: Vec<&str> = asked["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let action = match asked.get("path") {
            Some(path) => Action::Path(path.as_str().unwrap()),
            None => Action::Resource {
                namespace: text("namespace"),
                api_group: text("apiGroup"),
                resource: text("resource"),
                subresource: text("subresource"),
                name: text("name"),
            },
        };
        let answer = authorizer.decide(&Request { user: text("user"), groups: &groups, verb: text("verb"), action });
        differs("allowed", answer.is_allowed(), asked["allowed"] == json!(true))
            .or_else(|| differs("reason", answer.reason(), text("reason").to_owned()))
            .map(|difference| format!("{difference}\n  asked {asked}"))
    })
}

#[test]
fn rbac() {
    judge("rbac", &records("rbac"), rbac_case);
}
