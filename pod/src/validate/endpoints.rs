//! Endpoints and endpoint slices.

use std::collections::BTreeSet;

use super::at::At;
use super::meta::{Scope, each, object_meta, one_of, port_number};
use super::service::{PROTOCOLS, ordinary_ip};
use crate::kinds::{Endpoint, EndpointAddress, EndpointPort, EndpointSlice, EndpointSlicePort, Endpoints};
use crate::names;
use crate::violation::Violations;
use crate::wire::text::Text as _;

const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;

pub(super) fn endpoints(endpoints: &Endpoints, out: &mut Violations) {
    object_meta(&endpoints.metadata, Scope::Namespaced, names::dns1123_subdomain, out);
    let root = At::root();
    let at = root.field("subsets");
    for (index, subset) in endpoints.subsets.iter().enumerate() {
        let at = at.index(index);
        if subset.addresses.is_empty() && subset.not_ready_addresses.is_empty() {
            out.required(at, "must specify `addresses` or `notReadyAddresses`");
        }
        for (field, addresses) in [("addresses", &subset.addresses), ("notReadyAddresses", &subset.not_ready_addresses)]
        {
            let at = at.field(field);
            for (index, one) in addresses.iter().enumerate() {
                address(one, &at.index(index), out);
            }
        }
        let at = at.field("ports");
        for (index, one) in subset.ports.iter().enumerate() {
            port(one, subset.ports.len() > 1, &at.index(index), out);
        }
    }
}

fn address(address: &EndpointAddress, at: &At<'_>, out: &mut Violations) {
    let ip = address.ip.text();
    each(&at.field("ip"), ip, names::legacy_ip(ip), out);
    ordinary_ip(ip, &at.field("ip"), out);
    let hostname = address.hostname.text();
    if !hostname.is_empty() {
        each(&at.field("hostname"), hostname, names::dns1123_label(hostname), out);
    }
    if let Some(node) = &address.node_name {
        each(&at.field("nodeName"), node, names::dns1123_subdomain(node), out);
    }
}

fn port(port: &EndpointPort, needs_name: bool, at: &At<'_>, out: &mut Violations) {
    match port.name.text() {
        "" if needs_name => out.required(at.field("name"), ""),
        "" => {}
        name => each(&at.field("name"), name, names::dns1123_label(name), out),
    }
    port_number(port.port.unwrap_or(0), &at.field("port"), out);
    one_of(port.protocol.as_deref(), &PROTOCOLS, &at.field("protocol"), out);
    if let Some(protocol) = &port.app_protocol {
        each(&at.field("appProtocol"), protocol, names::qualified_name(protocol), out);
    }
}

pub(super) fn endpoint_slice(slice: &EndpointSlice, out: &mut Violations) {
    object_meta(&slice.metadata, Scope::Namespaced, names::dns1123_subdomain, out);
    let root = At::root();
    one_of(slice.address_type.as_deref(), &["FQDN", "IPv4", "IPv6"], &root.field("addressType"), out);
    let at = root.field("endpoints");
    if slice.endpoints.len() > ENDPOINTS_MAX {
        out.too_many(at, slice.endpoints.len(), ENDPOINTS_MAX);
    } else {
        for (index, one) in slice.endpoints.iter().enumerate() {
            endpoint(one, slice.address_type.text(), &at.index(index), out);
        }
    }
    slice_ports(&slice.ports, &root.field("ports"), out);
}

fn endpoint(endpoint: &Endpoint, family: &str, at: &At<'_>, out: &mut Violations) {
    let addresses = at.field("addresses");
    match endpoint.addresses.len() {
        0 => out.required(addresses, "must contain at least 1 address"),
        count if count > ADDRESSES_MAX => out.too_many(addresses, count, ADDRESSES_MAX),
        _ => {}
    }
    for (index, address) in endpoint.addresses.iter().enumerate() {
        let at = addresses.index(index);
        match family {
            "IPv4" | "IPv6" => slice_address(address, family, &at, out),
            "FQDN" => domain_name(address, &at, out),
            _ => {}
        }
    }
    if let Some(node) = &endpoint.node_name {
        each(&at.field("nodeName"), node, names::dns1123_subdomain(node), out);
    }
    if let Some(hostname) = &endpoint.hostname {
        each(&at.field("hostname"), hostname, names::dns1123_label(hostname), out);
    }
    let at = at.field("hints");
    let mut zones = BTreeSet::new();
    for (index, zone) in endpoint.hints.iter().flat_map(|hints| &hints.for_zones).enumerate() {
        let at = at.field("forZones");
        let at = at.index(index);
        let name = zone.name.text();
        if zones.insert(name) {
            each(&at.field("name"), name, names::label_value(name), out);
        } else {
            out.duplicate(at.field("name"), name);
        }
    }
}

fn slice_address(address: &str, family: &str, at: &At<'_>, out: &mut Violations) {
    let Some(ip) = names::parse_ip(address) else {
        return each(at, address, names::legacy_ip(address), out);
    };
    if ip.is_ipv6() != (family == "IPv6") {
        out.invalid(at, address, format!("must be an {family} address"));
    }
    ordinary_ip(address, at, out);
}

/// A name of at least two labels, which may end with a dot.
fn domain_name(name: &str, at: &At<'_>, out: &mut Violations) {
    let labels = name.strip_suffix('.').unwrap_or(name);
    if labels.is_empty() {
        return out.required(at, "");
    }
    let messages = names::dns1123_subdomain(labels);
    if !messages.is_empty() {
        return out.invalid(at, name, messages.join(","));
    }
    if !labels.contains('.') {
        out.invalid(at, name, "should be a domain with at least two segments separated by dots");
    }
    for label in labels.split('.') {
        let messages = names::dns1123_label(label);
        if !messages.is_empty() {
            out.invalid(at, label, messages.join(","));
        }
    }
}

fn slice_ports(ports: &[EndpointSlicePort], at: &At<'_>, out: &mut Violations) {
    if ports.len() > PORTS_MAX {
        return out.too_many(at, ports.len(), PORTS_MAX);
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let at = at.index(index);
        let name = port.name.text();
        if !name.is_empty() {
            each(&at.field("name"), name, names::dns1123_label(name), out);
        }
        if !seen.insert(name) {
            out.duplicate(at.field("name"), name);
        }
        one_of(port.protocol.as_deref(), &PROTOCOLS, &at.field("protocol"), out);
        if let Some(protocol) = &port.app_protocol {
            each(&at.field("appProtocol"), protocol, names::qualified_name(protocol), out);
        }
    }
}
