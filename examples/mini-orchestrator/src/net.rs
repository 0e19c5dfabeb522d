//! The network of the virtual nodes: namespaces that only this process knows, and nothing in the host's.
//!
//! One namespace, the fabric, holds a bridge. A node is a namespace with a veth to that bridge, which forwards. A pod is
//! a namespace with a single address and one way out: a veth whose other end the node has, and which answers for
//! [`plan::GATEWAY`] whatever node it is. So there is no bridge inside a node, and all that a pod sends passes the node's
//! routing and its rules, also what goes to a neighbour or back to itself.
//!
//! The namespaces are held by descriptors: when the process ends, the kernel takes all of it apart.

pub mod plan;

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use windlass_namespaces::net::link::{Links, Route, Scope, VethEnd};
use windlass_namespaces::net::{NetNamespace, sysctl};

use self::plan::PodAddresses;

/// Why a network could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a namespace, a link, an address or a route.
    #[error("cannot {op}")]
    Link {
        /// What was tried.
        op: &'static str,
        /// Why not.
        source: windlass_namespaces::Error,
    },
    /// A device that was just made is not there.
    #[error("there is no device {name}")]
    NoDevice {
        /// Its name.
        name: String,
    },
    /// The node has given out all its addresses.
    #[error("the node has no address left")]
    NoAddress,
}

/// The result of making a network.
pub type Result<T> = std::result::Result<T, Error>;

/// A node's device towards the fabric, and a pod's towards its node.
const DEVICE: &str = "eth0";
const BRIDGE: &str = "fabric";

/// The namespace with the bridge that connects the nodes.
#[derive(Debug)]
pub struct Fabric {
    _namespace: NetNamespace,
}

/// A node's namespace.
#[derive(Debug)]
pub struct NodeNetwork {
    number: u8,
    namespace: NetNamespace,
    addresses: Mutex<PodAddresses>,
}

/// A pod's namespace; give it back with [`NodeNetwork::disconnect`].
#[derive(Debug)]
pub struct PodNetwork {
    namespace: NetNamespace,
    address: Ipv4Addr,
}

impl Fabric {
    /// Makes the bridge and `count` nodes on it, numbered from 1.
    pub fn create(count: u8) -> Result<(Self, Vec<NodeNetwork>)> {
        let namespace = create_namespace()?;
        let mut links = links_in(namespace.as_fd())?;
        let bridge = links.add_bridge(BRIDGE).map_err(link("make the bridge"))?;
        links.set_up(bridge).map_err(link("set the bridge up"))?;
        let nodes =
            (1..=count).map(|number| NodeNetwork::create(number, count, &mut links, bridge)).collect::<Result<_>>()?;
        Ok((Self { _namespace: namespace }, nodes))
    }
}

impl NodeNetwork {
    fn create(number: u8, count: u8, fabric: &mut Links, bridge: u32) -> Result<Self> {
        let namespace = create_namespace()?;
        let port = format!("node{number}");
        let inside = VethEnd { name: DEVICE, netns: Some(namespace.as_fd()) };
        fabric.add_veth(VethEnd { name: &port, netns: None }, inside).map_err(link("connect a node"))?;
        let port = index(fabric, &port)?;
        fabric.set_master(port, bridge).map_err(link("put a node on the bridge"))?;
        fabric.set_up(port).map_err(link("set a node's port up"))?;

        let mut links = links_in(namespace.as_fd())?;
        let device = index(&mut links, DEVICE)?;
        let address = plan::node_address(number);
        links.add_address(device, address.into(), plan::FABRIC_PREFIX).map_err(link("give a node its address"))?;
        links.set_up(device).map_err(link("set a node's device up"))?;
        // A service's address is nowhere: the route only lets packets reach the rules that choose a backend.
        let (services, prefix) = plan::SERVICES;
        add_route(&mut links, Target { to: services, prefix, gateway: None, device })?;
        for other in (1..=count).filter(|other| *other != number) {
            let gateway = Some(plan::node_address(other));
            let target = Target { to: plan::pod_network(other), prefix: plan::PODS_PREFIX, gateway, device };
            add_route(&mut links, target)?;
        }
        sysctl(namespace.as_fd(), "net.ipv4.ip_forward", "1").map_err(link("let a node forward"))?;
        Ok(Self { number, namespace, addresses: Mutex::new(PodAddresses::new(number)) })
    }

    /// The namespace.
    pub fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// The node's address, by which other nodes know it.
    pub fn address(&self) -> Ipv4Addr {
        plan::node_address(self.number)
    }

    /// The network of its pods, as CIDR.
    pub fn pod_cidr(&self) -> String {
        format!("{}/{}", plan::pod_network(self.number), plan::PODS_PREFIX)
    }

    /// Makes a namespace for a pod, with an address and its way out.
    pub fn connect(&self) -> Result<PodNetwork> {
        let address = self.addresses().take().ok_or(Error::NoAddress)?;
        let connected = self.connect_at(address);
        if connected.is_err() {
            self.addresses().give_back(address);
        }
        connected
    }

    fn connect_at(&self, address: Ipv4Addr) -> Result<PodNetwork> {
        let namespace = create_namespace()?;
        let mut node = links_in(self.namespace.as_fd())?;
        let port = port_name(address);
        let inside = VethEnd { name: DEVICE, netns: Some(namespace.as_fd()) };
        node.add_veth(VethEnd { name: &port, netns: None }, inside).map_err(link("connect a pod"))?;
        let device = index(&mut node, &port)?;
        node.add_address(device, plan::GATEWAY.into(), 32).map_err(link("give the gateway its address"))?;
        node.set_up(device).map_err(link("set the gateway up"))?;
        add_route(&mut node, Target { to: address, prefix: 32, gateway: None, device })?;

        let mut links = links_in(namespace.as_fd())?;
        let device = index(&mut links, DEVICE)?;
        links.add_address(device, address.into(), 32).map_err(link("give a pod its address"))?;
        links.set_up(device).map_err(link("set a pod's device up"))?;
        add_route(&mut links, Target { to: plan::GATEWAY, prefix: 32, gateway: None, device })?;
        let everywhere = Target { to: Ipv4Addr::UNSPECIFIED, prefix: 0, gateway: Some(plan::GATEWAY), device };
        add_route(&mut links, everywhere)?;
        Ok(PodNetwork { namespace, address })
    }

    /// Takes a pod's device away at once; its namespace goes with the last process in it.
    pub fn disconnect(&self, pod: PodNetwork) -> Result<()> {
        let mut links = links_in(self.namespace.as_fd())?;
        let deleted = match index(&mut links, &port_name(pod.address)) {
            Ok(device) => links.delete(device).map_err(link("disconnect a pod")),
            // The kernel has taken it apart already, together with the namespace at its other end.
            Err(Error::NoDevice { .. }) => Ok(()),
            Err(error) => Err(error),
        };
        self.addresses().give_back(pod.address);
        // All that still holds the namespace, if no process is in it.
        drop(pod);
        deleted
    }

    fn addresses(&self) -> std::sync::MutexGuard<'_, PodAddresses> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PodNetwork {
    /// The pod's address.
    pub fn address(&self) -> IpAddr {
        self.address.into()
    }

    /// The namespace.
    pub fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// A descriptor of the namespace of its own, to be joined by a process.
    pub fn descriptor(&self) -> std::io::Result<OwnedFd> {
        self.namespace.as_fd().try_clone_to_owned()
    }
}

/// Where packets go.
#[derive(Debug, Clone, Copy)]
struct Target {
    to: Ipv4Addr,
    prefix: u8,
    gateway: Option<Ipv4Addr>,
    device: u32,
}

fn add_route(links: &mut Links, target: Target) -> Result<()> {
    let route = Route {
        destination: target.to.into(),
        prefix: target.prefix,
        gateway: target.gateway.map(IpAddr::from),
        link: Some(target.device),
        scope: if target.gateway.is_some() { Scope::Universe } else { Scope::Link },
    };
    links.add_route(&route).map_err(link("add a route"))
}

fn create_namespace() -> Result<NetNamespace> {
    NetNamespace::create().map_err(link("make a network namespace"))
}

fn links_in(namespace: BorrowedFd<'_>) -> Result<Links> {
    Links::open_in(namespace).map_err(link("open the routing socket"))
}

fn index(links: &mut Links, name: &str) -> Result<u32> {
    let found = links.index(name).map_err(link("look for a device"))?;
    found.ok_or_else(|| Error::NoDevice { name: name.to_owned() })
}

/// At most 15 characters, and only one per pod and node.
fn port_name(address: Ipv4Addr) -> String {
    format!("pod{}", address.octets()[3])
}

fn link(op: &'static str) -> impl FnOnce(windlass_namespaces::Error) -> Error {
    move |source| Error::Link { op, source }
}
