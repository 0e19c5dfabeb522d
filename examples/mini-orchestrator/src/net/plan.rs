//! Which address is whose. All of them live in private namespaces, so that no two demos and no host can clash.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// The address that every pod sends to when it does not know better; the node's end of the pod's veth answers for it.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The prefix of the network between the nodes.
pub const FABRIC_PREFIX: u8 = 24;
/// Where services have their addresses, and how long that prefix is.
pub const SERVICES: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 96, 0, 0), 12);
/// The prefix of one node's pods.
pub const PODS_PREFIX: u8 = 24;

/// The address of node `number` on the network between the nodes.
pub const fn node_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 222, 0, number)
}

/// The network of the pods of node `number`.
pub const fn pod_network(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 244, number, 0)
}

/// Hands out the addresses of one node's pods.
///
/// An address that was given back waits until all others have been used, so that a new pod is never taken for the one
/// that has just gone.
#[derive(Debug)]
pub struct PodAddresses {
    node: u8,
    next: u8,
    used: BTreeSet<u8>,
}

impl PodAddresses {
    const FIRST: u8 = 2;
    const LAST: u8 = 254;

    /// All addresses of node `number` are free.
    pub fn new(number: u8) -> Self {
        Self { node: number, next: Self::FIRST, used: BTreeSet::new() }
    }

    /// A free address; `None` when the node has given all of them out.
    pub fn take(&mut self) -> Option<Ipv4Addr> {
        let candidates = (self.next..=Self::LAST).chain(Self::FIRST..self.next);
        let host = candidates.into_iter().find(|host| !self.used.contains(host))?;
        self.used.insert(host);
        self.next = if host == Self::LAST { Self::FIRST } else { host + 1 };
        let [a, b, c, _] = pod_network(self.node).octets();
        Some(Ipv4Addr::new(a, b, c, host))
    }

    /// Takes an address back.
    pub fn give_back(&mut self, address: Ipv4Addr) {
        self.used.remove(&address.octets()[3]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_not_used_again_at_once() {
        let mut addresses = PodAddresses::new(3);
        let first = addresses.take().unwrap();
        assert_eq!(first, Ipv4Addr::new(10, 244, 3, 2));
        addresses.give_back(first);
        assert_ne!(addresses.take().unwrap(), first);
    }

    #[test]
    fn all_are_given_out_once_and_then_none() {
        let mut addresses = PodAddresses::new(1);
        let mut given = BTreeSet::new();
        while let Some(address) = addresses.take() {
            assert!(given.insert(address));
        }
        assert_eq!(given.len(), 253);
        let back = *given.first().unwrap();
        addresses.give_back(back);
        assert_eq!(addresses.take(), Some(back));
        assert_eq!(addresses.take(), None);
    }
}
