//! Cluster addresses and node ports of services, given out from ranges.
//!
//! ```
//! use windlass_pod::allocation::{AddressPool, Cluster, PortPool};
//! use windlass_pod::{Object, decode_yaml_as, defaults, kinds::Service};
//!
//! let mut cluster = Cluster::new(vec![AddressPool::new("10.96.0.0/12").unwrap()], PortPool::node_ports());
//! let service: Service = decode_yaml_as(b"spec: {type: NodePort, ports: [{port: 80}]}").unwrap();
//! let mut object = Object::from(service);
//! defaults::apply(&mut object);
//! let mut service = Service::try_from(object).unwrap();
//! cluster.create(&mut service).unwrap();
//! assert_eq!(service.spec.ip_families, ["IPv4"]);
//! assert!(service.spec.ports[0].node_port >= Some(30000));
//! ```

mod families;
mod pool;
mod service;
mod update;

pub use pool::{AddressPool, PoolError, PortPool, RangeError};

use crate::violation::Violation;

/// Why a service cannot have what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocationError {
    /// Fields of the service ask for what the cluster has not, or contradict each other.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Invalid(Vec<Violation>),
    /// What the service needs besides its fields cannot be had.
    #[error("{0}")]
    Unavailable(String),
}

/// The addresses and ports of a cluster, and who has which is known by who asks.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// One for each family of addresses; the first is what services get that ask for none.
    addresses: Vec<AddressPool>,
    ports: PortPool,
}

impl Cluster {
    /// A cluster of which nothing is given out; of two pools of the same family the first counts.
    pub fn new(addresses: Vec<AddressPool>, ports: PortPool) -> Self {
        Self { addresses, ports }
    }

    /// The node ports.
    pub fn ports(&self) -> &PortPool {
        &self.ports
    }

    /// The pools of addresses.
    pub fn addresses(&self) -> &[AddressPool] {
        &self.addresses
    }

    fn pool(&mut self, family: &str) -> Option<&mut AddressPool> {
        self.addresses.iter_mut().find(|pool| pool.family() == family)
    }

    fn has(&self, family: &str) -> bool {
        self.addresses.iter().any(|pool| pool.family() == family)
    }
}
