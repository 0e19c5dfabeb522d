//! Which address and port of a service leads to which backends, as plain data.

mod build;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

pub use self::build::{Notice, build};

/// A transport protocol of a service's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The protocol's number in an IP packet.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// Where a port of a service is reached; no two of a table are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frontend {
    /// The service's cluster address.
    pub address: Ipv4Addr,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The service's port.
    pub port: u16,
}

/// A port of a service and who answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// `NAMESPACE/NAME` of the service.
    pub service: String,
    /// Where it is reached.
    pub frontend: Frontend,
    /// Who answers, each as often as any other; nobody: callers are refused at once.
    pub backends: Vec<SocketAddrV4>,
}

/// All services of a cluster, in the order of their frontends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Ports of services.
    pub ports: Vec<ServicePort>,
}

impl Table {
    /// The addresses of all backends, each once.
    pub fn backend_addresses(&self) -> BTreeSet<Ipv4Addr> {
        self.ports.iter().flat_map(|port| &port.backends).map(|backend| *backend.ip()).collect()
    }
}
