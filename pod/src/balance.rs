//! What services mean to a proxy: for each address and port, where connections may go.
//!
//! The rules are plain data; who turns them into nftables or into sockets of a proxy is not this library's business.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::kinds::{Endpoint, EndpointSlice, Service, ServicePort};
use crate::names;
use crate::wire::text::Text as _;

/// Where connections come in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Frontend {
    /// At this address: of the cluster, from outside, or of a load balancer.
    Address {
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
    },
    /// At every address of this node.
    NodePort(u16),
}

/// What becomes of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// They go to one of these.
    Balance(Vec<SocketAddr>),
    /// There is no endpoint at all: they are refused.
    Reject,
    /// There is none on this node, and the service wants no other: they are dropped.
    Drop,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Namespace, name and port name of the service.
    pub service: (String, String, String),
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// Where connections come in.
    pub frontend: Frontend,
    /// From where they may come; from everywhere when it is empty.
    pub sources: Vec<String>,
    /// How long a client stays with its endpoint, if it does.
    pub affinity: Option<Duration>,
    /// What becomes of them.
    pub fate: Fate,
}

/// Where the proxy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Here<'a> {
    /// The node's name.
    pub node: &'a str,
    /// The node's zone; empty when it is not known.
    pub zone: &'a str,
}

/// An endpoint of one port.
struct Backend<'a> {
    address: SocketAddr,
    endpoint: &'a Endpoint,
}

impl Backend<'_> {
    fn is_ready(&self) -> bool {
        self.endpoint.conditions.ready != Some(false)
    }

    /// It still answers, though it is about to end.
    fn is_leaving(&self) -> bool {
        self.endpoint.conditions.serving == Some(true) && self.endpoint.conditions.terminating == Some(true)
    }

    fn is_local(&self, here: Here<'_>) -> bool {
        self.endpoint.node_name.text() == here.node
    }
}

/// The rules for all services on one node, in the order of the services.
///
/// ```
/// use windlass_pod::balance::{Fate, Here, rules};
/// use windlass_pod::decode_yaml_as;
/// use windlass_pod::kinds::{EndpointSlice, Service};
///
/// let service: Service = decode_yaml_as(
///     b"{metadata: {name: web, namespace: a}, spec: {clusterIPs: [10.96.0.9], ports: [{port: 80, protocol: TCP}]}}",
/// )
/// .unwrap();
/// let slice: EndpointSlice = decode_yaml_as(
///     b"{metadata: {namespace: a, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, ports: [{port: 8080}],
///     endpoints: [{addresses: [10.1.0.2]}]}",
/// )
/// .unwrap();
/// let rules = rules(&[service], &[slice], Here::default());
/// assert_eq!(rules[0].fate, Fate::Balance(vec!["10.1.0.2:8080".parse().unwrap()]));
/// ```
pub fn rules(services: &[Service], slices: &[EndpointSlice], here: Here<'_>) -> Vec<Rule> {
    let mut by_service: BTreeMap<(&str, &str), Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in slices {
        if let Some(service) = slice.metadata.labels.get("kubernetes.io/service-name") {
            by_service.entry((slice.metadata.namespace.text(), service)).or_default().push(slice);
        }
    }
    let mut rules = Vec::new();
    for service in services.iter().filter(|service| service.spec.type_.text() != "ExternalName") {
        let key = (service.metadata.namespace.text(), service.metadata.name.text());
        let own = by_service.get(&key).map_or(&[][..], Vec::as_slice);
        for port in &service.spec.ports {
            of_port(service, port, own, here, &mut rules);
        }
    }
    rules
}

fn address(text: &str) -> Option<IpAddr> {
    names::parse_ip(text)
}

/// What the endpoints of a port are, for addresses of one family.
fn backends<'a>(slices: &[&'a EndpointSlice], port: &ServicePort, v6: bool) -> Vec<Backend<'a>> {
    let mut found = Vec::new();
    for slice in slices.iter().filter(|slice| (slice.address_type.text() == "IPv6") == v6) {
        let protocol = |own: &str| if own.is_empty() { "TCP" } else { own }.to_owned();
        let number = slice.ports.iter().find_map(|own| {
            let same =
                own.name.text() == port.name.text() && protocol(own.protocol.text()) == protocol(port.protocol.text());
            own.port.filter(|_| same).and_then(|number| u16::try_from(number).ok())
        });
        let Some(number) = number else { continue };
        for endpoint in &slice.endpoints {
            let addresses = endpoint.addresses.iter().filter_map(|text| address(text));
            found.extend(addresses.map(|ip| Backend { address: SocketAddr::new(ip, number), endpoint }));
        }
    }
    found
}

/// Those that are ready, or where there are none those that still answer.
fn usable<'b, 'a>(all: &'b [Backend<'a>]) -> Vec<&'b Backend<'a>> {
    let ready: Vec<&Backend<'a>> = all.iter().filter(|one| one.is_ready()).collect();
    if ready.is_empty() { all.iter().filter(|one| one.is_leaving()).collect() } else { ready }
}

/// The nodes, or the zones, that an endpoint is meant for.
fn hinted(endpoint: &Endpoint, of: Hint) -> Vec<&str> {
    let Some(hints) = &endpoint.hints else { return Vec::new() };
    match of {
        Hint::Nodes => hints.for_nodes.iter().map(|one| one.name.text()).collect(),
        Hint::Zones => hints.for_zones.iter().map(|one| one.name.text()).collect(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hint {
    Nodes,
    Zones,
}

/// Where there are hints for all, those that are meant for this node or its zone.
fn near<'b, 'a>(usable: Vec<&'b Backend<'a>>, here: Here<'_>) -> Vec<&'b Backend<'a>> {
    for (of, wanted) in [(Hint::Nodes, here.node), (Hint::Zones, here.zone)] {
        if wanted.is_empty() || usable.iter().any(|one| hinted(one.endpoint, of).is_empty()) {
            continue;
        }
        let chosen: Vec<&Backend<'a>> =
            usable.iter().filter(|one| hinted(one.endpoint, of).contains(&wanted)).copied().collect();
        if !chosen.is_empty() {
            return chosen;
        }
    }
    usable
}

/// Whose endpoints a frontend takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Cluster,
    Local,
}

fn fate(all: &[Backend<'_>], reach: Reach, here: Here<'_>) -> Fate {
    let chosen: Vec<&Backend<'_>> = match reach {
        Reach::Cluster => near(usable(all), here),
        Reach::Local => {
            let local: Vec<&Backend<'_>> = all.iter().filter(|one| one.is_local(here)).collect();
            let ready: Vec<&Backend<'_>> = local.iter().filter(|one| one.is_ready()).copied().collect();
            if ready.is_empty() { local.into_iter().filter(|one| one.is_leaving()).collect() } else { ready }
        }
    };
    let mut addresses: Vec<SocketAddr> = chosen.into_iter().map(|one| one.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if !addresses.is_empty() {
        Fate::Balance(addresses)
    } else if reach == Reach::Local && !usable(all).is_empty() {
        Fate::Drop
    } else {
        Fate::Reject
    }
}

fn of_port(service: &Service, port: &ServicePort, slices: &[&EndpointSlice], here: Here<'_>, rules: &mut Vec<Rule>) {
    let spec = &service.spec;
    let Ok(number) = u16::try_from(port.port.unwrap_or(0)) else { return };
    let local = |policy: &Option<String>| if policy.text() == "Local" { Reach::Local } else { Reach::Cluster };
    let (inside, outside) = (local(&spec.internal_traffic_policy), local(&spec.external_traffic_policy));
    let affinity = (spec.session_affinity.text() == "ClientIP").then(|| {
        let seconds =
            spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref()?.timeout_seconds);
        Duration::from_secs(seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(10_800))
    });
    let mut push = |frontend: Frontend, reach: Reach, sources: &[String], v6: bool| {
        rules.push(Rule {
            service: (
                service.metadata.namespace.text().to_owned(),
                service.metadata.name.text().to_owned(),
                port.name.text().to_owned(),
            ),
            protocol: port.protocol.as_deref().unwrap_or("TCP").to_owned(),
            frontend,
            sources: sources.to_vec(),
            affinity,
            fate: fate(&backends(slices, port, v6), reach, here),
        });
    };
    let at = |ip: IpAddr| Frontend::Address { address: ip, port: number };
    for ip in spec.cluster_ips.iter().filter_map(|text| address(text)) {
        push(at(ip), inside, &[], ip.is_ipv6());
    }
    for ip in spec.external_ips.iter().filter_map(|text| address(text)) {
        push(at(ip), outside, &[], ip.is_ipv6());
    }
    let ingress = service.status.load_balancer.ingress.iter().filter(|one| one.ip_mode.text() != "Proxy");
    for ip in ingress.filter_map(|one| address(one.ip.text())) {
        push(at(ip), outside, &spec.load_balancer_source_ranges, ip.is_ipv6());
    }
    if let Some(node_port) = port.node_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0) {
        let v6 = spec.cluster_ips.first().and_then(|text| address(text)).is_some_and(|ip| ip.is_ipv6());
        push(Frontend::NodePort(node_port), outside, &[], v6);
    }
}
