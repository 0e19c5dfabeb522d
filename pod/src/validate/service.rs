//! Services.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::at::At;
use super::meta::{Scope, each, labels, object_meta, one_of, one_of_word, port_number, port_number_or_name, texts};
use crate::kinds::{Service, ServicePort, ServiceSpec};
use crate::names;
use crate::violation::{Violations, quoted};
use crate::wire::text::Text as _;

pub(super) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const KUBELET_PORT: i32 = 10250;

/// The addresses in the cluster; one that is only named in the singular counts too.
fn cluster_ips(spec: &ServiceSpec) -> Vec<String> {
    let single = spec.cluster_ip.clone().filter(|address| !address.is_empty());
    if spec.cluster_ips.is_empty() { single.into_iter().collect() } else { spec.cluster_ips.clone() }
}

fn is_headless(spec: &ServiceSpec) -> bool {
    cluster_ips(spec) == ["None"]
}

fn is_external(spec: &ServiceSpec) -> bool {
    let kind = spec.type_.text();
    matches!(kind, "LoadBalancer" | "NodePort") || (kind == "ClusterIP" && !spec.external_ips.is_empty())
}

pub(super) fn service(service: &Service, out: &mut Violations) {
    object_meta(&service.metadata, Scope::Namespaced, names::dns1035_label, out);
    service_spec(service, out);
}

pub(super) fn service_spec(service: &Service, out: &mut Violations) {
    let spec = &service.spec;
    let root = At::root();
    let at = root.field("spec");
    if spec.ports.is_empty() && !is_headless(spec) && spec.type_.text() != "ExternalName" {
        out.required(at.field("ports"), "");
    }
    kind(spec, &at, out);
    ports(spec, &at, out);
    labels(&spec.selector, &at.field("selector"), out);
    affinity(spec, &at, out);
    if spec.type_.text() != "ExternalName" {
        addresses(spec, &at, out);
    }
    for (index, address) in spec.external_ips.iter().enumerate() {
        let external = at.field("externalIPs");
        let messages = names::legacy_ip(address);
        if messages.is_empty() {
            ordinary_ip(address, &external.index(index), out);
        }
        each(&external.index(index), address, messages, out);
    }
    one_of(spec.type_.as_deref(), &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], &at.field("type"), out);
    load_balancer(service, &at, out);
    traffic(spec, &at, out);
}

fn kind(spec: &ServiceSpec, at: &At<'_>, out: &mut Violations) {
    let cluster_ips_at = at.field("clusterIPs");
    let kind = spec.type_.text();
    match kind {
        "LoadBalancer" => {
            for (index, port) in spec.ports.iter().enumerate().filter(|(_, port)| port.port == Some(KUBELET_PORT)) {
                let detail = format!("may not expose port {KUBELET_PORT} externally since it is used by kubelet");
                out.invalid_literal(at.field("ports").index(index), port.port.unwrap_or(0), detail);
            }
        }
        "ExternalName" => {
            let forbidden = "may not be set for ExternalName services";
            if !cluster_ips(spec).is_empty() {
                out.forbidden(cluster_ips_at, forbidden);
            }
            if !spec.ip_families.is_empty() {
                out.forbidden(at.field("ipFamilies"), forbidden);
            }
            if spec.ip_family_policy.is_some() {
                out.forbidden(at.field("ipFamilyPolicy"), forbidden);
            }
            let name = spec.external_name.text();
            match name.strip_suffix('.').unwrap_or(name) {
                "" => out.required(at.field("externalName"), ""),
                name => each(&at.field("externalName"), name, names::dns1123_subdomain(name), out),
            }
        }
        _ => {}
    }
    if matches!(kind, "LoadBalancer" | "NodePort") && is_headless(spec) {
        out.invalid(cluster_ips_at.index(0), "None", format!("may not be set to 'None' for {kind} services"));
    }
}

fn ports(spec: &ServiceSpec, at: &At<'_>, out: &mut Violations) {
    let at = at.field("ports");
    let mut names_seen = BTreeSet::new();
    let mut ports_seen = BTreeSet::new();
    let mut node_ports_seen = BTreeSet::new();
    for (index, port) in spec.ports.iter().enumerate() {
        let at = at.index(index);
        service_port(port, spec.ports.len() > 1, &mut names_seen, &at, out);
        let node_port = port.node_port.unwrap_or(0);
        if node_port != 0 {
            if spec.type_.text() == "ClusterIP" {
                out.forbidden(at.field("nodePort"), "may not be used when `type` is 'ClusterIP'");
            }
            if !node_ports_seen.insert((port.protocol.text(), node_port)) {
                out.duplicate_literal(at.field("nodePort"), node_port);
            }
        }
        let number = port.port.unwrap_or(0);
        if !ports_seen.insert((port.protocol.text(), number)) {
            // The original prints its own type with nothing but these two set.
            let protocol = quoted(port.protocol.text());
            let value = format!(
                "{{\"Name\":\"\",\"Protocol\":{protocol},\"AppProtocol\":null,\"Port\":{number},\"TargetPort\":0,\"NodePort\":0}}"
            );
            out.duplicate_literal(at, value);
        }
    }
}

fn service_port<'a>(
    port: &'a ServicePort,
    needs_name: bool,
    seen: &mut BTreeSet<&'a str>,
    at: &At<'_>,
    out: &mut Violations,
) {
    match port.name.text() {
        "" if needs_name => out.required(at.field("name"), ""),
        "" => {}
        name => {
            each(&at.field("name"), name, names::dns1123_label(name), out);
            if !seen.insert(name) {
                out.duplicate(at.field("name"), name);
            }
        }
    }
    port_number(port.port.unwrap_or(0), &at.field("port"), out);
    one_of(port.protocol.as_deref(), &PROTOCOLS, &at.field("protocol"), out);
    port_number_or_name(&port.target_port.clone().unwrap_or_default(), &at.field("targetPort"), out);
    if let Some(protocol) = &port.app_protocol {
        each(&at.field("appProtocol"), protocol, names::qualified_name(protocol), out);
    }
}

fn affinity(spec: &ServiceSpec, at: &At<'_>, out: &mut Violations) {
    const SECONDS_MAX: i32 = 86_400;
    one_of(spec.session_affinity.as_deref(), &["ClientIP", "None"], &at.field("sessionAffinity"), out);
    let at = at.field("sessionAffinityConfig");
    match (spec.session_affinity.text(), &spec.session_affinity_config) {
        ("ClientIP", config) => {
            let needed = "when session affinity type is ClientIP";
            let Some(config) = config else { return out.required(at, needed) };
            let at = at.field("clientIP");
            let Some(client_ip) = &config.client_ip else { return out.required(at, needed) };
            let at = at.field("timeoutSeconds");
            match client_ip.timeout_seconds {
                None => out.required(at, needed),
                Some(seconds) if !(1..=SECONDS_MAX).contains(&seconds) => {
                    let detail = format!("must be greater than 0 and less than {SECONDS_MAX}");
                    out.invalid_literal(at, seconds, detail);
                }
                Some(_) => {}
            }
        }
        ("None", Some(_)) => out.forbidden(at, "must not be set when session affinity is None"),
        _ => {}
    }
}

pub(super) fn addresses(spec: &ServiceSpec, at: &At<'_>, out: &mut Violations) {
    let before = out.len();
    let ips = cluster_ips(spec);
    let ips_at = at.field("clusterIPs");
    match spec.cluster_ip.text() {
        "" if !ips.is_empty() => {
            out.invalid_literal(ips_at, texts(&ips), "must be empty when `clusterIP` is not specified");
        }
        "" => {}
        first if ips.first().is_some_and(|ip| ip != first) => {
            out.invalid_literal(ips_at, texts(&ips), "first value must match `clusterIP`");
        }
        _ => {}
    }
    let families_at = at.field("ipFamilies");
    for (index, family) in spec.ip_families.iter().enumerate() {
        one_of_word(family, &["IPv4", "IPv6"], &families_at.index(index), out);
        if spec.ip_families[..index].contains(family) {
            out.duplicate(families_at.index(index), family);
        }
    }
    if let Some(policy) = &spec.ip_family_policy {
        let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
        one_of_word(policy, &policies, &at.field("ipFamilyPolicy"), out);
    }
    let mut all_good = true;
    for (index, ip) in ips.iter().enumerate() {
        if index == 0 && ip == "None" {
            if ips.len() > 1 {
                all_good = false;
                out.invalid_literal(ips_at, texts(&ips), "'None' must be the first and only value");
            }
            continue;
        }
        let messages = names::legacy_ip(ip);
        all_good &= messages.is_empty();
        each(&ips_at.index(index), ip, messages, out);
    }
    if ips.len() > 2 {
        out.invalid_literal(ips_at, texts(&ips), "may only hold up to 2 values");
    }
    let is_v6 = |ip: &String| names::parse_ip(ip).is_some_and(|ip| ip.is_ipv6());
    if all_good && ips.len() > 1 && ips.iter().all(is_v6) == ips.iter().any(is_v6) {
        out.invalid_literal(ips_at, texts(&ips), "may specify no more than one IP for each IP family");
    }
    if out.len() > before || is_headless(spec) {
        return;
    }
    for (index, (ip, family)) in ips.iter().zip(&spec.ip_families).enumerate() {
        if is_v6(ip) != (family == "IPv6") {
            let detail = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
            out.invalid(ips_at.index(index), ip, detail);
        }
    }
}

fn load_balancer(service: &Service, at: &At<'_>, out: &mut Violations) {
    let spec = &service.spec;
    let only = "may only be used when `type` is 'LoadBalancer'";
    let is_balancer = spec.type_.text() == "LoadBalancer";
    let ranges_at = at.field("LoadBalancerSourceRanges");
    if !spec.load_balancer_source_ranges.is_empty() {
        if !is_balancer {
            out.forbidden(ranges_at, only);
        }
        for (index, range) in spec.load_balancer_source_ranges.iter().enumerate() {
            range_of_addresses(range.trim(), &ranges_at.index(index), out);
        }
    } else if let Some(ranges) = service.metadata.annotations.get(SOURCE_RANGES) {
        let root = At::root();
        let metadata = root.field("metadata");
        let annotations = metadata.field("annotations");
        let at = annotations.key(SOURCE_RANGES);
        if !is_balancer {
            out.forbidden(at, only);
        }
        for range in ranges.trim().split(',').filter(|range| !range.is_empty()) {
            range_of_addresses(range.trim(), &at, out);
        }
    }
    if spec.allocate_load_balancer_node_ports.is_some() && !is_balancer {
        out.forbidden(at.field("allocateLoadBalancerNodePorts"), only);
    }
    if is_balancer && spec.allocate_load_balancer_node_ports.is_none() {
        out.required(at.field("allocateLoadBalancerNodePorts"), "");
    }
    load_balancer_class(spec, at, out);
}

pub(super) fn load_balancer_class(spec: &ServiceSpec, at: &At<'_>, out: &mut Violations) {
    let Some(class) = &spec.load_balancer_class else { return };
    let at = at.field("loadBalancerClass");
    if spec.type_.text() == "LoadBalancer" {
        each(&at, class, names::qualified_name(class), out);
    } else {
        out.forbidden(at, "may only be used when `type` is 'LoadBalancer'");
    }
}

pub(super) fn range_of_addresses(range: &str, at: &At<'_>, out: &mut Violations) {
    let good = range.split_once('/').is_some_and(|(address, prefix)| {
        let length = prefix.parse::<u8>().ok().filter(|_| prefix.bytes().all(|byte| byte.is_ascii_digit()));
        names::parse_ip(address)
            .is_some_and(|address| length.is_some_and(|length| length <= if address.is_ipv6() { 128 } else { 32 }))
    });
    if !good {
        out.invalid(at, range, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    }
}

fn traffic(spec: &ServiceSpec, at: &At<'_>, out: &mut Violations) {
    let policies = ["Cluster", "Local"];
    let external = at.field("externalTrafficPolicy");
    if is_external(spec) {
        one_of(spec.external_traffic_policy.as_deref(), &policies, &external, out);
    } else if !spec.external_traffic_policy.text().is_empty() {
        out.invalid(
            external,
            spec.external_traffic_policy.text(),
            "may only be set for externally-accessible services",
        );
    }
    let needs_check = spec.type_.text() == "LoadBalancer" && spec.external_traffic_policy.text() == "Local";
    let check_port = spec.health_check_node_port.unwrap_or(0);
    if check_port != 0 && !needs_check {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        out.invalid_literal(at.field("healthCheckNodePort"), check_port, detail);
    } else if check_port != 0 {
        port_number(check_port, &at.field("healthCheckNodePort"), out);
    }
    let internal = at.field("internalTrafficPolicy");
    match &spec.internal_traffic_policy {
        None if matches!(spec.type_.text(), "NodePort" | "LoadBalancer" | "ClusterIP") => out.required(internal, ""),
        None => {}
        Some(policy) => one_of_word(policy, &policies, &internal, out),
    }
    if let Some(preference) = &spec.traffic_distribution {
        let preferences = ["PreferClose", "PreferSameZone", "PreferSameNode"];
        one_of_word(preference, &preferences, &at.field("trafficDistribution"), out);
    }
}

/// An address that other machines can reach.
pub(super) fn ordinary_ip(text: &str, at: &At<'_>, out: &mut Violations) {
    let Some(ip) = names::parse_ip(text) else {
        return out.invalid(at, text, "must be a valid IP address");
    };
    let (link_local, link_multicast) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), ip.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(ip) => (ip.is_unicast_link_local(), ip.segments()[0] & 0xff0f == 0xff02),
    };
    if ip.is_unspecified() {
        out.invalid(at, text, format!("may not be unspecified ({text})"));
    }
    if ip.is_loopback() {
        out.invalid(at, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    if link_local {
        out.invalid(at, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if link_multicast {
        out.invalid(at, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}
