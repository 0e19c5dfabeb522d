//! Services, nodes and what stands around them.

use std::collections::{BTreeMap, BTreeSet};

use super::age::since;
use super::{Cell, NONE, UNKNOWN};
use crate::kinds::{EndpointSlice, Endpoints, Ingress, Node, Service, ServiceSpec};
use crate::wire::text::Text as _;
use crate::wire::time::Time;

/// Labels as `key=value`, sorted.
pub(super) fn labels(labels: &BTreeMap<String, String>) -> String {
    let list: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if list.is_empty() { NONE.to_owned() } else { list.join(",") }
}

fn or_none(list: &[String]) -> String {
    if list.is_empty() { NONE.to_owned() } else { list.join(",") }
}

fn balancer(service: &Service) -> Vec<String> {
    let ingress = &service.status.load_balancer.ingress;
    let names = ingress.iter().map(|one| if one.ip.text().is_empty() { one.hostname.text() } else { one.ip.text() });
    let names: BTreeSet<String> = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    names.into_iter().collect()
}

fn external(service: &Service) -> String {
    let spec = &service.spec;
    match spec.type_.text() {
        "ClusterIP" | "NodePort" => or_none(&spec.external_ips),
        "LoadBalancer" => {
            let all = [balancer(service), spec.external_ips.clone()].concat();
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        "ExternalName" => spec.external_name.text().to_owned(),
        _ => UNKNOWN.to_owned(),
    }
}

fn ports(spec: &ServiceSpec) -> String {
    let port = |port: &crate::kinds::ServicePort| match port.node_port.unwrap_or(0) {
        1.. => format!("{}:{}/{}", port.port.unwrap_or(0), port.node_port.unwrap_or(0), port.protocol.text()),
        _ => format!("{}/{}", port.port.unwrap_or(0), port.protocol.text()),
    };
    or_none(&spec.ports.iter().map(port).collect::<Vec<_>>())
}

pub(super) fn service(service: &Service, now: Time) -> Vec<Cell> {
    vec![
        service.metadata.name.text().into(),
        service.spec.type_.text().into(),
        service.spec.cluster_ips.first().map_or(NONE, String::as_str).into(),
        external(service).into(),
        ports(&service.spec).into(),
        since(service.metadata.creation_timestamp, now).into(),
        labels(&service.spec.selector).into(),
    ]
}

pub(super) fn node(node: &Node, now: Time) -> Vec<Cell> {
    let ready = node.status.conditions.iter().find(|condition| condition.type_.text() == "Ready");
    let mut status = match ready.map(|condition| condition.status.text()) {
        None => "Unknown",
        Some("True") => "Ready",
        Some(_) => "NotReady",
    }
    .to_owned();
    if node.spec.unschedulable == Some(true) {
        status.push_str(",SchedulingDisabled");
    }
    let role = |(key, value): (&String, &String)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) => Some(role.to_owned()).filter(|role| !role.is_empty()),
        None => Some(value.clone()).filter(|value| key == "kubernetes.io/role" && !value.is_empty()),
    };
    let roles: BTreeSet<String> = node.metadata.labels.iter().filter_map(role).collect();
    let address = |kind: &str| {
        let found = node.status.addresses.iter().find(|address| address.type_.text() == kind);
        Cell::from(found.map_or(NONE, |address| address.address.text()))
    };
    let info = &node.status.node_info;
    let known = |text: &str| Cell::from(if text.is_empty() { UNKNOWN } else { text });
    vec![
        node.metadata.name.text().into(),
        status.into(),
        or_none(&roles.into_iter().collect::<Vec<_>>()).into(),
        since(node.metadata.creation_timestamp, now).into(),
        info.kubelet_version.text().into(),
        address("InternalIP"),
        address("ExternalIP"),
        known(info.os_image.text()),
        known(info.kernel_version.text()),
        known(info.container_runtime_version.text()),
    ]
}

/// The first three, and how many more there are.
fn some(list: &[String]) -> String {
    const SHOWN: usize = 3;
    match list.len() {
        0 => NONE.to_owned(),
        count if count > SHOWN => format!("{} + {} more...", list[..SHOWN].join(","), count - SHOWN),
        _ => list.join(","),
    }
}

pub(super) fn endpoints(endpoints: &Endpoints, now: Time) -> Vec<Cell> {
    let mut list = Vec::new();
    for subset in &endpoints.subsets {
        for address in &subset.addresses {
            let ip = address.ip.text();
            let shown = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
            if subset.ports.is_empty() {
                list.push(ip.to_owned());
            }
            list.extend(subset.ports.iter().map(|port| format!("{shown}:{}", port.port.unwrap_or(0))));
        }
    }
    vec![
        endpoints.metadata.name.text().into(),
        some(&list).into(),
        since(endpoints.metadata.creation_timestamp, now).into(),
    ]
}

pub(super) fn endpoint_slice(slice: &EndpointSlice, now: Time) -> Vec<Cell> {
    let ports: Vec<String> =
        slice.ports.iter().map(|port| port.port.map_or_else(|| "*".to_owned(), |port| port.to_string())).collect();
    let addresses: Vec<String> = slice.endpoints.iter().flat_map(|endpoint| endpoint.addresses.clone()).collect();
    let unset = |text: String| if text == NONE { "<unset>".to_owned() } else { text };
    vec![
        slice.metadata.name.text().into(),
        slice.address_type.text().into(),
        unset(some(&ports)).into(),
        unset(some(&addresses)).into(),
        since(slice.metadata.creation_timestamp, now).into(),
    ]
}

pub(super) fn ingress(ingress: &Ingress, now: Time) -> Vec<Cell> {
    let hosts: Vec<String> =
        ingress.spec.rules.iter().map(|rule| rule.host.text().to_owned()).filter(|host| !host.is_empty()).collect();
    let hosts = if hosts.is_empty() { "*".to_owned() } else { some(&hosts) };
    let all = &ingress.status.load_balancer.ingress;
    let addresses: Vec<&str> =
        all.iter().map(|one| if one.ip.text().is_empty() { one.hostname.text() } else { one.ip.text() }).collect();
    let ports = if ingress.spec.tls.is_empty() { "80" } else { "80, 443" };
    vec![
        ingress.metadata.name.text().into(),
        ingress.spec.ingress_class_name.as_deref().unwrap_or(NONE).into(),
        hosts.into(),
        addresses.join(",").into(),
        ports.into(),
        since(ingress.metadata.creation_timestamp, now).into(),
    ]
}
