//! Services, endpoints and network policies.

use super::{text, text_if_unset, value};
use crate::kinds::{
    ClientIPConfig, EndpointSlice, Endpoints, NetworkPolicy, Service, ServicePort, SessionAffinityConfig,
};
use crate::wire::scalar::IntOrString;
use crate::wire::text::Text as _;

/// How long a client stays with its endpoint.
const AFFINITY_SECONDS: i32 = 10_800;

pub(super) fn service(service: &mut Service) {
    let spec = &mut service.spec;
    text(&mut spec.session_affinity, "None");
    match spec.session_affinity.text() {
        "None" => spec.session_affinity_config = None,
        "ClientIP" => {
            let timeout =
                spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref()?.timeout_seconds);
            if timeout.is_none() {
                let client_ip = ClientIPConfig { timeout_seconds: Some(AFFINITY_SECONDS), ..Default::default() };
                let config = SessionAffinityConfig { client_ip: Some(Box::new(client_ip)), ..Default::default() };
                spec.session_affinity_config = Some(Box::new(config));
            }
        }
        _ => {}
    }
    text(&mut spec.type_, "ClusterIP");
    spec.ports.iter_mut().for_each(port);
    let kind = spec.type_.text().to_owned();
    let external =
        matches!(kind.as_str(), "LoadBalancer" | "NodePort") || (kind == "ClusterIP" && !spec.external_ips.is_empty());
    if external {
        text(&mut spec.external_traffic_policy, "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        text_if_unset(&mut spec.internal_traffic_policy, "Cluster");
    }
    if kind == "LoadBalancer" {
        value(&mut spec.allocate_load_balancer_node_ports, true);
        for ingress in &mut service.status.load_balancer.ingress {
            if !ingress.ip.text().is_empty() {
                text_if_unset(&mut ingress.ip_mode, "VIP");
            }
        }
    }
}

fn port(port: &mut ServicePort) {
    text(&mut port.protocol, "TCP");
    let unset = match &port.target_port {
        None => true,
        Some(IntOrString::Int(number)) => *number == 0,
        Some(IntOrString::String(name)) => name.is_empty(),
    };
    if unset {
        port.target_port = Some(IntOrString::Int(port.port.unwrap_or(0)));
    }
}

pub(super) fn endpoints(endpoints: &mut Endpoints) {
    for port in endpoints.subsets.iter_mut().flat_map(|subset| &mut subset.ports) {
        text(&mut port.protocol, "TCP");
    }
}

pub(super) fn endpoint_slice(slice: &mut EndpointSlice) {
    for port in &mut slice.ports {
        text_if_unset(&mut port.name, "");
        text_if_unset(&mut port.protocol, "TCP");
    }
}

pub(super) fn network_policy(policy: &mut NetworkPolicy) {
    let spec = &mut policy.spec;
    let ports = spec.ingress.iter_mut().flat_map(|rule| &mut rule.ports);
    for port in ports.chain(spec.egress.iter_mut().flat_map(|rule| &mut rule.ports)) {
        text_if_unset(&mut port.protocol, "TCP");
    }
    if spec.policy_types.is_empty() {
        spec.policy_types.push("Ingress".to_owned());
        if !spec.egress.is_empty() {
            spec.policy_types.push("Egress".to_owned());
        }
    }
}
