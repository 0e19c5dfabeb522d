//! Cluster addresses for services that have none.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use windlass_pod::kinds::Service;

use super::action::{Action, Outcome};
use super::view::View;
use crate::registry::Key;

/// IPv4 addresses that share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    network: u32,
    prefix: u8,
}

/// The text is not an address and a number of bits, such as `10.96.0.0/16`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an IPv4 network of 8 to 30 bits such as 10.96.0.0/16")]
pub struct ParseAddressRangeError {
    text: String,
}

impl FromStr for AddressRange {
    type Err = ParseAddressRangeError;

    fn from_str(text: &str) -> Result<Self, ParseAddressRangeError> {
        let parse = || {
            let (address, prefix) = text.split_once('/')?;
            let network = u32::from(address.parse::<Ipv4Addr>().ok()?);
            let prefix = prefix.parse::<u8>().ok().filter(|prefix| (8..=30).contains(prefix))?;
            let range = Self { network, prefix };
            (network & range.hosts() == 0).then_some(range)
        };
        parse().ok_or_else(|| ParseAddressRangeError { text: text.to_owned() })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.network), self.prefix)
    }
}

impl AddressRange {
    /// The bits that tell the addresses apart.
    fn hosts(self) -> u32 {
        u32::MAX >> self.prefix
    }

    /// The lowest address that is not used; neither the first nor the last of the range.
    fn lowest_free(self, used: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        let first = self.network + 1;
        let last = self.network + self.hosts() - 1;
        let mut free = first;
        for taken in used.iter().map(|address| address.to_bits()) {
            if taken == free {
                free += 1;
            }
        }
        (free <= last).then(|| Ipv4Addr::from_bits(free))
    }
}

/// Gives a service an address if it wants one and has none.
pub(super) fn reconcile(key: &Key, view: View<'_>, range: AddressRange) -> Outcome {
    let Some(service) = view.services.get(key).filter(|service| wants_address(service)) else {
        return Outcome::default();
    };
    let used = view.services.values().filter_map(|service| service.spec.cluster_ip.as_deref()?.parse().ok()).collect();
    match range.lowest_free(&used) {
        Some(address) => Outcome::of(vec![Action::AssignAddress { service: key.clone(), address }]),
        None => Outcome::of(vec![Action::Warn {
            about: Box::new((**service).clone().into()),
            reason: "FailedAllocation",
            message: format!("no address of {range} is free"),
        }]),
    }
}

/// Whether a service wants an address and has none.
pub(super) fn wants_address(service: &Service) -> bool {
    let has_none = service.spec.cluster_ip.as_deref().is_none_or(str::is_empty);
    has_none && service.spec.type_.as_deref() != Some("ExternalName")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> AddressRange {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_are_read_and_printed_and_others_refused() {
        for text in ["10.96.0.0/16", "10.0.0.0/8", "192.0.2.4/30"] {
            assert_eq!(range(text).to_string(), text);
        }
        for text in ["10.96.0.0", "10.96.0.1/16", "10.96.0.0/33", "10.96.0.0/31", "10.96.0.0/7", "fd00::/16", ""] {
            assert!(text.parse::<AddressRange>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_lowest_address_that_is_free_is_taken_and_never_an_end_of_the_range() {
        let cases: [(&[&str], Option<&str>); 5] = [
            (&[], Some("192.0.2.1")),
            (&["192.0.2.1", "192.0.2.3"], Some("192.0.2.2")),
            (&["10.0.0.1", "192.0.2.1", "192.0.2.2"], Some("192.0.2.3")),
            (&["192.0.2.0", "192.0.2.2"], Some("192.0.2.1")),
            (&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"], None),
        ];
        for (used, expected) in cases {
            let used = used.iter().map(|address| address.parse().unwrap()).collect();
            assert_eq!(range("192.0.2.0/29").lowest_free(&used), expected.map(|address| address.parse().unwrap()));
        }
    }
}
