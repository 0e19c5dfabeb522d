//! Services and endpoint slices in, a table out.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use windlass_pod::Kind as _;
use windlass_pod::kinds::{Endpoint, EndpointSlice, EndpointSlicePort, Service, ServicePort as WirePort};

use super::{Frontend, Protocol, ServicePort, Table};

/// The label by which a slice says whose it is.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Something that a service asks for and this proxy does not do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// `NAMESPACE/NAME` of the service.
    pub service: String,
    /// The field that asks for it.
    pub field: &'static str,
    /// What is done instead.
    pub reason: String,
}

/// The table that a node's proxy serves, and what it leaves out.
pub fn build(services: &[Arc<Service>], slices: &[Arc<EndpointSlice>], node: &str) -> (Table, Vec<Notice>) {
    let mut of_service: BTreeMap<(&str, &str), Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in slices.iter().filter(|slice| slice.address_type.as_deref() == Some("IPv4")) {
        if let Some(name) = slice.metadata.labels.get(SERVICE_NAME) {
            of_service.entry((slice.namespace(), name)).or_default().push(slice);
        }
    }
    let mut ports: BTreeMap<Frontend, ServicePort> = BTreeMap::new();
    let mut notices = Vec::new();
    for service in services {
        let name = format!("{}/{}", service.namespace(), service.name());
        let mut notice = |field, reason: String| notices.push(Notice { service: name.clone(), field, reason });
        left_out(service, &mut notice);
        let Some(address) = cluster_address(service, &mut notice) else {
            continue;
        };
        let slices = of_service.get(&(service.namespace(), service.name())).map_or(&[][..], Vec::as_slice);
        for port in &service.spec.ports {
            let Some(frontend) = frontend(address, port) else {
                notice("spec.ports", format!("the port {:?} is no port of tcp, udp or sctp", port.port));
                continue;
            };
            if let Some(taken) = ports.get(&frontend) {
                notice("spec.clusterIP", format!("{} has port {} of {address} already", taken.service, frontend.port));
                continue;
            }
            let backends = backends(service, port, slices, node);
            ports.insert(frontend, ServicePort { service: name.clone(), frontend, backends });
        }
    }
    notices.sort();
    (Table { ports: ports.into_values().collect() }, notices)
}

/// Tells the fields that ask for more than a cluster address.
fn left_out(service: &Service, notice: &mut impl FnMut(&'static str, String)) {
    let spec = &service.spec;
    if spec.session_affinity.as_deref() == Some("ClientIP") {
        notice("spec.sessionAffinity", "each connection of a client goes to a random backend".to_owned());
    }
    if matches!(spec.type_.as_deref(), Some("NodePort" | "LoadBalancer")) {
        notice("spec.type", "served at its cluster address only".to_owned());
    }
    if !spec.external_ips.is_empty() {
        notice("spec.externalIPs", "served at its cluster address only".to_owned());
    }
}

fn cluster_address(service: &Service, notice: &mut impl FnMut(&'static str, String)) -> Option<Ipv4Addr> {
    let is_a_name = service.spec.type_.as_deref() == Some("ExternalName");
    let address = service.spec.cluster_ip.as_deref().filter(|ip| !is_a_name && !matches!(*ip, "" | "None"))?;
    let parsed = address.parse().ok();
    if parsed.is_none() {
        notice("spec.clusterIP", format!("{address:?} is not an IPv4 address: not served"));
    }
    parsed
}

fn frontend(address: Ipv4Addr, port: &WirePort) -> Option<Frontend> {
    let protocol = match port.protocol.as_deref() {
        None | Some("" | "TCP") => Protocol::Tcp,
        Some("UDP") => Protocol::Udp,
        Some("SCTP") => Protocol::Sctp,
        Some(_) => return None,
    };
    let port = u16::try_from(port.port?).ok().filter(|port| *port != 0)?;
    Some(Frontend { address, protocol, port })
}

/// The ready endpoints; if there are none, those that end but still serve.
fn backends(service: &Service, port: &WirePort, slices: &[&EndpointSlice], node: &str) -> Vec<SocketAddrV4> {
    let is_local_only = service.spec.internal_traffic_policy.as_deref() == Some("Local");
    let is_reachable = |endpoint: &&Endpoint| !is_local_only || endpoint.node_name.as_deref() == Some(node);
    let with = |is_wanted: fn(&Endpoint) -> bool| {
        let mut found: Vec<SocketAddrV4> = slices
            .iter()
            .filter_map(|slice| Some((slice, target(&slice.ports, port)?)))
            .flat_map(|(slice, target)| slice.endpoints.iter().map(move |endpoint| (endpoint, target)))
            .filter(|(endpoint, _)| is_reachable(endpoint) && is_wanted(endpoint))
            .filter_map(|(endpoint, target)| Some(SocketAddrV4::new(endpoint.addresses.first()?.parse().ok()?, target)))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let ready = with(|endpoint| endpoint.conditions.ready != Some(false));
    if ready.is_empty() {
        with(|endpoint| endpoint.conditions.serving == Some(true) && endpoint.conditions.terminating == Some(true))
    } else {
        ready
    }
}

/// The number of the slice's port that bears the name of the service's port.
fn target(ports: &[EndpointSlicePort], port: &WirePort) -> Option<u16> {
    let name = port.name.as_deref().unwrap_or_default();
    let found = ports.iter().find(|found| found.name.as_deref().unwrap_or_default() == name)?;
    u16::try_from(found.port?).ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80}, {name: metrics, port: 9090, protocol: UDP}]}
";
    const SLICE: &str = "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints:
- {addresses: [10.1.0.3], nodeName: node-1, conditions: {ready: true}}
- {addresses: [10.1.0.2], nodeName: node-2, conditions: {ready: true}}
- {addresses: [10.1.0.4], nodeName: node-1, conditions: {ready: false, serving: true, terminating: true}}
- {addresses: [10.1.0.5], nodeName: node-1, conditions: {ready: false, serving: false, terminating: true}}
";

    fn object<K: TryFrom<windlass_pod::Object>>(text: &str) -> Arc<K> {
        let object = windlass_pod::decode_yaml(text.as_bytes()).unwrap().remove(0);
        Arc::new(object.try_into().unwrap_or_else(|_| panic!("another kind: {text}")))
    }

    fn lines(services: &[&str], slices: &[&str], node: &str) -> (Vec<String>, Vec<String>) {
        let services: Vec<Arc<Service>> = services.iter().map(|text| object(text)).collect();
        let slices: Vec<Arc<EndpointSlice>> = slices.iter().map(|text| object(text)).collect();
        let (table, notices) = build(&services, &slices, node);
        let ports = table.ports.iter().map(|port| {
            let Frontend { address, protocol, port: number } = port.frontend;
            format!("{} {address} {protocol} {number} -> {:?}", port.service, port.backends)
        });
        let notices = notices.iter().map(|notice| format!("{} {}: {}", notice.service, notice.field, notice.reason));
        (ports.collect(), notices.collect())
    }

    #[test]
    fn ports_lead_to_ready_endpoints_and_those_without_any_to_nobody() {
        let expected = [
            "default/web 10.96.0.10 tcp 80 -> [10.1.0.2:8080, 10.1.0.3:8080]",
            "default/web 10.96.0.10 udp 9090 -> []",
        ];
        assert_eq!(lines(&[SERVICE], &[SLICE], "node-1"), (expected.map(String::from).to_vec(), Vec::new()));
    }

    #[test]
    fn endpoints_that_end_serve_only_while_no_other_does() {
        let slice = SLICE.replace("{ready: true}", "{ready: false, serving: false}");
        assert_eq!(lines(&[SERVICE], &[&slice], "node-1").0[0], "default/web 10.96.0.10 tcp 80 -> [10.1.0.4:8080]");
    }

    #[test]
    fn a_local_policy_keeps_to_the_node() {
        let service = SERVICE.replace("clusterIP", "internalTrafficPolicy: Local, clusterIP");
        assert_eq!(lines(&[&service], &[SLICE], "node-2").0[0], "default/web 10.96.0.10 tcp 80 -> [10.1.0.2:8080]");
    }

    #[test]
    fn slices_of_others_do_not_count_and_an_endpoint_in_two_slices_counts_once() {
        let again = SLICE.replace("name: web-1", "name: web-2");
        let foreign = SLICE.replace("namespace: default", "namespace: other").replace("10.1.0", "10.9.0");
        let nameless = SLICE.replace("service-name: web", "service-name: db").replace("10.1.0", "10.9.0");
        let v6 = SLICE.replace("IPv4", "IPv6").replace("10.1.0", "10.9.0");
        let (ports, _) = lines(&[SERVICE], &[SLICE, &again, &foreign, &nameless, &v6], "node-1");
        assert_eq!(ports[0], "default/web 10.96.0.10 tcp 80 -> [10.1.0.2:8080, 10.1.0.3:8080]");
    }

    #[test]
    fn services_without_a_cluster_address_are_passed_over() {
        for other in ["clusterIP: None", "clusterIP: \"\"", "type: ExternalName, clusterIP: 10.96.0.10"] {
            let service = SERVICE.replace("clusterIP: 10.96.0.10", other);
            assert_eq!(lines(&[&service], &[SLICE], "node-1"), (Vec::new(), Vec::new()), "{other}");
        }
    }

    #[test]
    fn what_is_left_out_is_told() {
        let asks = "type: NodePort, sessionAffinity: ClientIP, externalIPs: [192.0.2.1], clusterIP";
        let service = SERVICE.replace("clusterIP", asks).replace("port: 9090", "port: 99090");
        let twin = SERVICE.replace("name: web,", "name: zweb,");
        let v6 = SERVICE.replace("name: web,", "name: six,").replace("10.96.0.10", "fd00::10");
        let (ports, notices) = lines(&[&service, &twin, &v6], &[SLICE], "node-1");
        assert_eq!(ports.len(), 2, "{ports:?}");
        let expected = [
            "default/six spec.clusterIP: \"fd00::10\" is not an IPv4 address: not served",
            "default/web spec.externalIPs: served at its cluster address only",
            "default/web spec.ports: the port Some(99090) is no port of tcp, udp or sctp",
            "default/web spec.sessionAffinity: each connection of a client goes to a random backend",
            "default/web spec.type: served at its cluster address only",
            "default/zweb spec.clusterIP: default/web has port 80 of 10.96.0.10 already",
        ];
        assert_eq!(notices, expected);
    }
}
