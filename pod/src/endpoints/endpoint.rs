//! What a pod is to a service.

use super::family::Family;
use super::hints::{self, ZONE};
use crate::kinds::{
    Container, Endpoint, EndpointConditions, EndpointSlicePort, Node, ObjectReference, Pod, Service, ServicePort,
};
use crate::status::is_sidecar;
use crate::wire::scalar::IntOrString;
use crate::wire::text::Text as _;

/// What of the ports of a pod tells its slices from others.
pub(super) type PortKey = Vec<(String, i32, String, String)>;

/// Whether a pod is reached at all.
pub(super) fn has_address(pod: &Pod) -> bool {
    !pod.is_terminal() && (!pod.status.pod_ip.text().is_empty() || !pod.status.pod_ips.is_empty())
}

pub(super) fn port_key(ports: &[EndpointSlicePort]) -> PortKey {
    let key = |port: &EndpointSlicePort| {
        let text = |value: &Option<String>| value.text().to_owned();
        (text(&port.name), port.port.unwrap_or(0), text(&port.protocol), text(&port.app_protocol))
    };
    let mut keys: PortKey = ports.iter().map(key).collect();
    keys.sort();
    keys
}

pub(super) fn endpoint(service: &Service, pod: &Pod, node: Option<&Node>, family: Family) -> Endpoint {
    let serving = pod.is_ready();
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let published = service.spec.publish_not_ready_addresses == Some(true);
    let zone = node.and_then(|node| node.metadata.labels.get(ZONE)).filter(|zone| !zone.is_empty());
    let node_name = pod.spec.node_name.clone().filter(|name| !name.is_empty());
    let has_hostname =
        !pod.spec.hostname.text().is_empty() && pod.spec.subdomain.text() == service.metadata.name.text();
    let addresses = pod.status.pod_ips.iter().map(|one| one.ip.text()).filter(|address| family.holds(address));
    let ready = published || (serving && !terminating);
    Endpoint {
        addresses: addresses.map(str::to_owned).collect(),
        conditions: EndpointConditions {
            ready: Some(ready),
            serving: Some(serving),
            terminating: Some(terminating),
            ..EndpointConditions::default()
        },
        hints: hints::close(service, node_name.as_deref(), zone.map(String::as_str)).filter(|_| ready).map(Box::new),
        hostname: pod.spec.hostname.clone().filter(|_| has_hostname),
        node_name,
        target_ref: Some(Box::new(ObjectReference {
            kind: Some("Pod".to_owned()),
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        })),
        zone: zone.cloned(),
        ..Endpoint::default()
    }
}

/// The ports of a service as this pod has them; a name that the pod does not have is left out.
pub(super) fn ports(service: &Service, pod: &Pod) -> Vec<EndpointSlicePort> {
    let port = |port: &ServicePort| {
        let number = target_port(pod, port)?;
        Some(EndpointSlicePort {
            name: Some(port.name.text().to_owned()),
            port: Some(number),
            protocol: Some(port.protocol.text().to_owned()),
            app_protocol: port.app_protocol.clone(),
            ..EndpointSlicePort::default()
        })
    };
    service.spec.ports.iter().filter_map(port).collect()
}

/// The number of the port that a service's port leads to in a pod.
pub fn target_port(pod: &Pod, port: &ServicePort) -> Option<i32> {
    let name = match &port.target_port {
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) => name,
        // Defaulting sets it; without, it is the port itself.
        None => return port.port,
    };
    let sidecars = pod.spec.init_containers.iter().filter(|container| is_sidecar(container));
    let has = |container: &Container| {
        let mut ports = container.ports.iter();
        ports.find(|own| own.name.text() == name && own.protocol == port.protocol).and_then(|own| own.container_port)
    };
    pod.spec.containers.iter().chain(sidecars).find_map(has)
}
