//! The fields of an object that a reader of the journal wants to know of.

use std::collections::BTreeMap;

use windlass_pod::Object;
use windlass_pod::kinds::{ContainerState, ContainerStatus, EndpointSlice, Node, Pod, ReplicationController};

/// Field paths and their values.
pub(super) type Fields = BTreeMap<String, String>;

/// The fields of an object that are worth telling.
pub(super) fn fields(object: &Object) -> Fields {
    let mut found = Found(Fields::new());
    let metadata = object.metadata();
    found.add("metadata.deletionTimestamp", metadata.deletion_timestamp);
    match object {
        Object::Pod(pod) => found.pod(pod),
        Object::ReplicationController(controller) => found.replication(controller),
        Object::EndpointSlice(slice) => found.endpoints(slice),
        Object::Node(node) => found.node(node),
        Object::Service(service) => found.add("spec.clusterIP", service.spec.cluster_ip.as_deref()),
        Object::Event(event) => {
            found.add("reason", event.reason.as_deref());
            found.add("message", event.message.as_deref());
            found.add("count", event.count);
        }
        Object::ConfigMap(map) => {
            for (key, value) in &map.data {
                found.add(&format!("data[{key}]"), Some(value));
            }
        }
        _ => {}
    }
    found.0
}

struct Found(Fields);

impl Found {
    fn add(&mut self, field: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.0.insert(field.to_owned(), value.to_string());
        }
    }

    fn pod(&mut self, pod: &Pod) {
        self.add("spec.nodeName", pod.spec.node_name.as_deref());
        self.add("status.phase", pod.status.phase.as_deref());
        self.add("status.podIP", pod.status.pod_ip.as_deref());
        for condition in &pod.status.conditions {
            let Some(kind) = &condition.type_ else {
                continue;
            };
            self.condition(kind, condition.status.as_deref(), condition.reason.as_deref());
        }
        for status in &pod.status.container_statuses {
            self.container(status);
        }
    }

    fn container(&mut self, status: &ContainerStatus) {
        let name = status.name.as_deref().unwrap_or_default();
        self.add(&format!("status.containerStatuses[{name}].ready"), status.ready);
        self.add(&format!("status.containerStatuses[{name}].restartCount"), status.restart_count);
        self.add(&format!("status.containerStatuses[{name}].state"), state(&status.state));
        self.add(&format!("status.containerStatuses[{name}].lastState"), state(&status.last_state));
    }

    fn replication(&mut self, controller: &ReplicationController) {
        self.add("spec.replicas", controller.spec.replicas);
        self.add("status.replicas", controller.status.replicas);
        self.add("status.readyReplicas", controller.status.ready_replicas);
    }

    fn endpoints(&mut self, slice: &EndpointSlice) {
        for endpoint in &slice.endpoints {
            let address = endpoint.addresses.first().map_or("", String::as_str);
            let conditions = &endpoint.conditions;
            let ready = if conditions.ready == Some(false) { "not ready" } else { "ready" };
            let terminating = if conditions.terminating == Some(true) { ", terminating" } else { "" };
            self.add(&format!("endpoints[{address}]"), Some(format!("{ready}{terminating}")));
        }
    }

    fn node(&mut self, node: &Node) {
        self.add("spec.unschedulable", node.spec.unschedulable);
        for taint in &node.spec.taints {
            let key = taint.key.as_deref().unwrap_or_default();
            self.add(&format!("spec.taints[{key}]"), taint.effect.as_deref());
        }
        for condition in &node.status.conditions {
            let Some(kind) = &condition.type_ else {
                continue;
            };
            self.condition(kind, condition.status.as_deref(), condition.reason.as_deref());
        }
    }

    fn condition(&mut self, kind: &str, status: Option<&str>, reason: Option<&str>) {
        let value = match (status, reason) {
            (Some(status), Some(reason)) if !reason.is_empty() => Some(format!("{status} ({reason})")),
            (status, _) => status.map(str::to_owned),
        };
        self.add(&format!("status.conditions[{kind}]"), value);
    }
}

fn state(state: &ContainerState) -> Option<String> {
    let with = |word: &str, reason: Option<&str>| match reason {
        Some(reason) => format!("{word} ({reason})"),
        None => word.to_owned(),
    };
    if state.running.is_some() {
        return Some("running".to_owned());
    }
    if let Some(terminated) = &state.terminated {
        let code = terminated.exit_code.unwrap_or_default();
        return Some(with(&format!("terminated {code}"), terminated.reason.as_deref()));
    }
    state.waiting.as_ref().map(|waiting| with("waiting", waiting.reason.as_deref()))
}
