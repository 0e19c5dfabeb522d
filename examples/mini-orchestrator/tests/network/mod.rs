//! Two nodes and their pods as network namespaces, as the orchestrator connects them: a fabric with a bridge, a veth to
//! each node, and for each pod a /32 whose way out is 169.254.1.1, the node's end of its veth.
//!
//! Nothing of it has a name on the host; all is gone with its descriptors.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use windlass_namespaces::net::link::{Links, Route, Scope, VethEnd};
use windlass_namespaces::net::{NetNamespace, sysctl};
use windlass_namespaces::{Namespace, enter};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
pub(crate) const SERVICES: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 96, 0, 0), 16);

/// A network namespace of a node or a pod.
pub(crate) struct Place {
    pub(crate) namespace: NetNamespace,
    pub(crate) address: Ipv4Addr,
}

impl Place {
    fn new(address: Ipv4Addr) -> Self {
        Self { namespace: NetNamespace::create().unwrap(), address }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// Runs something inside.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        enter::within(&[(Namespace::Net, self.fd())], work).unwrap()
    }

    /// Runs a program inside.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.inside(|| Command::new(program).args(arguments).output().unwrap())
    }

    /// What answers at an address and port.
    pub(crate) fn call(&self, to: SocketAddrV4) -> std::io::Result<String> {
        self.inside(|| {
            let mut stream = TcpStream::connect_timeout(&SocketAddr::V4(to), Duration::from_secs(30))?;
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        })
    }

    /// Answers every caller at a port with a name and the caller's address, until the test ends.
    pub(crate) fn serve(&self, name: &'static str, port: u16) {
        let address = self.address;
        let listener = self.inside(move || TcpListener::bind((address, port)).unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let caller = stream.peer_addr().unwrap().ip();
                // A caller that has gone does not matter here.
                drop(write!(stream, "{name} {caller}"));
            }
        });
    }

    fn links(&self) -> Links {
        Links::open_in(self.fd()).unwrap()
    }
}

fn route(destination: Ipv4Addr, prefix: u8, gateway: Option<Ipv4Addr>, link: Option<u32>) -> Route {
    let scope = if gateway.is_some() { Scope::Universe } else { Scope::Link };
    Route { destination: IpAddr::V4(destination), prefix, gateway: gateway.map(IpAddr::V4), link, scope }
}

/// Node `n` has the address 10.200.0.n and pods below 10.1.n.0/24.
pub(crate) struct Network {
    fabric: Place,
    pub(crate) nodes: Vec<Place>,
}

impl Network {
    pub(crate) fn new(nodes: u8) -> Self {
        let fabric = Place::new(Ipv4Addr::UNSPECIFIED);
        let mut links = fabric.links();
        let bridge = links.add_bridge("fabric").unwrap();
        links.set_up(bridge).unwrap();
        let mut network = Self { fabric, nodes: Vec::new() };
        for number in 1..=nodes {
            network.add_node(number, bridge);
        }
        for (number, node) in (1..=nodes).zip(&network.nodes) {
            let mut links = node.links();
            for other in (1..=nodes).filter(|other| *other != number) {
                let gateway = Ipv4Addr::new(10, 200, 0, other);
                links.add_route(&route(Ipv4Addr::new(10, 1, other, 0), 24, Some(gateway), None)).unwrap();
            }
        }
        network
    }

    fn add_node(&mut self, number: u8, bridge: u32) {
        let node = Place::new(Ipv4Addr::new(10, 200, 0, number));
        sysctl(node.fd(), "net.ipv4.ip_forward", "1").unwrap();
        let port = format!("node{number}");
        let mut fabric = self.fabric.links();
        let ends = (VethEnd { name: &port, netns: None }, VethEnd { name: "eth0", netns: Some(node.fd()) });
        fabric.add_veth(ends.0, ends.1).unwrap();
        let port = fabric.index(&port).unwrap().unwrap();
        fabric.set_master(port, bridge).unwrap();
        fabric.set_up(port).unwrap();
        let mut links = node.links();
        let eth0 = links.index("eth0").unwrap().unwrap();
        links.add_address(eth0, IpAddr::V4(node.address), 24).unwrap();
        links.set_up(eth0).unwrap();
        // A node that calls a service needs a way there before the address is translated.
        links.add_route(&route(SERVICES.0, SERVICES.1, None, Some(eth0))).unwrap();
        self.nodes.push(node);
    }

    /// Connects a pod to node `number`.
    pub(crate) fn add_pod(&self, number: u8, host: u8) -> Place {
        let node = &self.nodes[usize::from(number) - 1];
        let pod = Place::new(Ipv4Addr::new(10, 1, number, host));
        let end = format!("pod{host}");
        let mut links = node.links();
        let ends = (VethEnd { name: &end, netns: None }, VethEnd { name: "eth0", netns: Some(pod.fd()) });
        links.add_veth(ends.0, ends.1).unwrap();
        let end = links.index(&end).unwrap().unwrap();
        links.add_address(end, IpAddr::V4(GATEWAY), 32).unwrap();
        links.set_up(end).unwrap();
        links.add_route(&route(pod.address, 32, None, Some(end))).unwrap();
        let mut inside = pod.links();
        let eth0 = inside.index("eth0").unwrap().unwrap();
        inside.add_address(eth0, IpAddr::V4(pod.address), 32).unwrap();
        inside.set_up(eth0).unwrap();
        inside.add_route(&route(GATEWAY, 32, None, Some(eth0))).unwrap();
        inside.add_route(&route(Ipv4Addr::UNSPECIFIED, 0, Some(GATEWAY), Some(eth0))).unwrap();
        pod
    }
}
