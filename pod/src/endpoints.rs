//! From a service and its pods to the slices that name where it is reached.
//!
//! Source: `staging/src/k8s.io/endpointslice`.

use std::collections::BTreeMap;

use crate::kinds::{
    Container, Endpoint, EndpointConditions, EndpointSlice, EndpointSlicePort, Node, ObjectMeta, ObjectReference,
    OwnerReference, Pod, Service, ServicePort,
};
use crate::names;
use crate::selector::Selector;
use crate::status::is_sidecar;
use crate::wire::scalar::IntOrString;
use crate::wire::text::Text as _;
use crate::wire::time::Time;

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const HEADLESS: &str = "service.kubernetes.io/headless";
const CONTROLLER: &str = "endpointslice-controller.k8s.io";
const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
const ZONE: &str = "topology.kubernetes.io/zone";

/// How slices are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The most endpoints of a slice.
    pub per_slice_max: usize,
    /// When what the slices tell has changed, if that is known.
    pub changed: Option<Time>,
}

impl Default for Options {
    /// 100 endpoints a slice, as the controller has it.
    fn default() -> Self {
        Self { per_slice_max: 100, changed: None }
    }
}

/// The slices of a service, and the pods that are none of its endpoints though they match.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wanted {
    /// The slices, without names: `generateName` says how they begin.
    pub slices: Vec<EndpointSlice>,
    /// Pods whose node is not known, one message each.
    pub skipped: Vec<Skipped>,
}

/// A pod that cannot be an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("skipping Pod {pod} for Service {namespace}/{service}: Node {node} Not Found")]
pub struct Skipped {
    /// The name of the pod.
    pub pod: String,
    /// The namespace of both.
    pub namespace: String,
    /// The name of the service.
    pub service: String,
    /// The node that the pod names.
    pub node: String,
}

/// The families of addresses that slices have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    fn holds(self, address: &str) -> bool {
        names::parse_ip(address).is_some_and(|address| address.is_ipv6() == (self == Self::V6))
    }
}

/// The families of a service; where it names none, those of its cluster addresses.
fn families(service: &Service) -> Vec<Family> {
    let spec = &service.spec;
    let named = spec.ip_families.iter().filter_map(|family| match family.as_str() {
        "IPv4" => Some(Family::V4),
        "IPv6" => Some(Family::V6),
        _ => None,
    });
    let named: Vec<Family> = named.collect();
    if !named.is_empty() {
        return named;
    }
    let address = spec.cluster_ip.text();
    vec![if Family::V6.holds(address) { Family::V6 } else { Family::V4 }]
}

fn is_headless(service: &Service) -> bool {
    service.spec.cluster_ip.text() == "None"
}

/// The slices that should exist for a service.
///
/// Of `pods` those of the service's namespace count that its selector matches; `node` finds a node by its name. A
/// service without a selector has no slices: somebody else keeps them.
pub fn slices<'p, 'n>(
    service: &Service,
    pods: impl IntoIterator<Item = &'p Pod>,
    node: impl Fn(&str) -> Option<&'n Node>,
    options: &Options,
) -> Wanted {
    let mut wanted = Wanted::default();
    if service.spec.selector.is_empty() || service.spec.type_.text() == "ExternalName" {
        return wanted;
    }
    let selector = Selector::from_labels(&service.spec.selector);
    let matching: Vec<&Pod> = pods
        .into_iter()
        .filter(|pod| pod.metadata.namespace == service.metadata.namespace)
        .filter(|pod| selector.matches(&pod.metadata.labels) && has_address(pod))
        .collect();
    for family in families(service) {
        family_slices(service, &matching, &node, family, options, &mut wanted);
    }
    wanted.skipped.sort();
    wanted.skipped.dedup();
    wanted
}

fn has_address(pod: &Pod) -> bool {
    !pod.is_terminal() && (!pod.status.pod_ip.text().is_empty() || !pod.status.pod_ips.is_empty())
}

type PortKey = Vec<(String, i32, String, String)>;

fn family_slices<'n>(
    service: &Service,
    pods: &[&Pod],
    node: &impl Fn(&str) -> Option<&'n Node>,
    family: Family,
    options: &Options,
    wanted: &mut Wanted,
) {
    // Pods with the same ports share slices.
    let mut groups: BTreeMap<PortKey, (Vec<EndpointSlicePort>, Vec<Endpoint>)> = BTreeMap::new();
    for pod in pods {
        let node_name = pod.spec.node_name.text();
        let found = node(node_name);
        if found.is_none() && service.spec.publish_not_ready_addresses != Some(true) {
            wanted.skipped.push(Skipped {
                pod: pod.metadata.name.text().to_owned(),
                namespace: service.metadata.namespace.text().to_owned(),
                service: service.metadata.name.text().to_owned(),
                node: node_name.to_owned(),
            });
            continue;
        }
        let endpoint = endpoint(service, pod, found, family);
        if !endpoint.addresses.is_empty() {
            let ports = ports(service, pod);
            groups.entry(port_key(&ports)).or_insert_with(|| (ports, Vec::new())).1.push(endpoint);
        }
    }
    let before = wanted.slices.len();
    for (ports, endpoints) in groups.into_values() {
        for chunk in endpoints.chunks(options.per_slice_max.max(1)) {
            wanted.slices.push(slice(service, family, ports.clone(), chunk.to_vec(), options));
        }
    }
    if wanted.slices.len() == before {
        // An empty slice tells that the service is known and has no endpoint.
        wanted.slices.push(slice(service, family, Vec::new(), Vec::new(), options));
    }
}

fn port_key(ports: &[EndpointSlicePort]) -> PortKey {
    let key = |port: &EndpointSlicePort| {
        let text = |value: &Option<String>| value.text().to_owned();
        (text(&port.name), port.port.unwrap_or(0), text(&port.protocol), text(&port.app_protocol))
    };
    let mut keys: PortKey = ports.iter().map(key).collect();
    keys.sort();
    keys
}

fn endpoint(service: &Service, pod: &Pod, node: Option<&Node>, family: Family) -> Endpoint {
    let serving = pod.is_ready();
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let published = service.spec.publish_not_ready_addresses == Some(true);
    let zone = node.and_then(|node| node.metadata.labels.get(ZONE)).filter(|zone| !zone.is_empty());
    let has_hostname =
        !pod.spec.hostname.text().is_empty() && pod.spec.subdomain.text() == service.metadata.name.text();
    let addresses = pod.status.pod_ips.iter().map(|one| one.ip.text()).filter(|address| family.holds(address));
    Endpoint {
        addresses: addresses.map(str::to_owned).collect(),
        conditions: EndpointConditions {
            ready: Some(published || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
            ..EndpointConditions::default()
        },
        hostname: pod.spec.hostname.clone().filter(|_| has_hostname),
        node_name: pod.spec.node_name.clone().filter(|name| !name.is_empty()),
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
fn ports(service: &Service, pod: &Pod) -> Vec<EndpointSlicePort> {
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

fn slice(
    service: &Service,
    family: Family,
    ports: Vec<EndpointSlicePort>,
    endpoints: Vec<Endpoint>,
    options: &Options,
) -> EndpointSlice {
    let name = service.metadata.name.text();
    let reserved = |key: &str| matches!(key, SERVICE_NAME | MANAGED_BY | HEADLESS);
    let mut labels = service.metadata.labels.clone();
    labels.retain(|key, _| !reserved(key));
    labels.insert(SERVICE_NAME.to_owned(), name.to_owned());
    labels.insert(MANAGED_BY.to_owned(), CONTROLLER.to_owned());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    let annotations = options.changed.map(|time| (TRIGGER_TIME.to_owned(), time.to_string()));
    EndpointSlice {
        address_type: Some(family.as_str().to_owned()),
        endpoints,
        metadata: ObjectMeta {
            annotations: annotations.into_iter().collect(),
            generate_name: Some(format!("{name}-")),
            labels,
            namespace: service.metadata.namespace.clone(),
            owner_references: vec![OwnerReference {
                api_version: Some("v1".to_owned()),
                block_owner_deletion: Some(true),
                controller: Some(true),
                kind: Some("Service".to_owned()),
                name: Some(name.to_owned()),
                uid: service.metadata.uid.clone(),
                ..OwnerReference::default()
            }],
            ..ObjectMeta::default()
        },
        ports,
        ..EndpointSlice::default()
    }
}
