//! Families of addresses.

use crate::kinds::Service;
use crate::names;
use crate::wire::text::Text as _;

/// The families of addresses that slices have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    pub(super) fn holds(self, address: &str) -> bool {
        names::parse_ip(address).is_some_and(|address| address.is_ipv6() == (self == Self::V6))
    }
}

/// The families of a service; where it names none, those of its cluster addresses.
pub(super) fn families(service: &Service) -> Vec<Family> {
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
