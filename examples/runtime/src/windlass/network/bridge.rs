//! The bridge of `--network bridge`: a device of the network that windlass is called in, with a port a container.
//!
//! A container's address is written in the name of its port, so that the kernel, which has no two devices of one name,
//! gives addresses out; a port goes with the namespace at its other end, whatever became of the monitor.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::errno::Errno;
use windlass_namespaces::net::link::{Link, Links, Route, Scope, VethEnd};
use windlass_namespaces::net::{NetNamespace, sysctl};

use super::nat::{self, Subnet};
use crate::windlass::failure::Failure;
use crate::windlass::rootless;

const BRIDGE: &str = "windlass0";
const PORT: &str = "wl";
const DEVICE: &str = "eth0";
/// The bridge's own address, and the way out of every container.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 87, 0, 1);
const PREFIX: u8 = 16;

/// Puts a network namespace on the bridge; tells its address, and what does not work.
pub(super) fn connect(namespace: BorrowedFd<'_>) -> Result<(Ipv4Addr, Vec<String>), Failure> {
    let mut host = Links::open().map_err(Failure::during("open the routing socket"))?;
    let mut warnings = Vec::new();
    let bridge = ensure_bridge(&mut host, &mut warnings)?;
    let (address, port) = take_port(&mut host, namespace)?;
    let failed = |op: &'static str| Failure::during(op);
    host.set_master(port, bridge).map_err(failed("put the container on the bridge"))?;
    host.set_up(port).map_err(failed("set the bridge's port up"))?;
    let mut inside = Links::open_in(namespace).map_err(failed("open the routing socket"))?;
    let device = inside.index(DEVICE).map_err(failed("find the container's device"))?;
    let device = device.ok_or_else(|| Failure::new("the container's device is gone"))?;
    inside.add_address(device, address.into(), PREFIX).map_err(failed("give the container its address"))?;
    inside.set_up(device).map_err(failed("set the container's device up"))?;
    let everywhere = Route {
        destination: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        prefix: 0,
        gateway: Some(GATEWAY.into()),
        link: Some(device),
        scope: Scope::Universe,
    };
    inside.add_route(&everywhere).map_err(failed("give the container its way out"))?;
    Ok((address, warnings))
}

/// Takes a container's port away, and the bridge with its last one.
pub(super) fn disconnect(address: Ipv4Addr) -> Result<(), Failure> {
    let mut links = Links::open().map_err(Failure::during("open the routing socket"))?;
    if let Some(port) = links.index(&port_name(address)).map_err(Failure::during("find the bridge's port"))? {
        gone_is_well(links.delete(port)).map_err(Failure::during("remove the bridge's port"))?;
    }
    collect()
}

/// Removes a bridge that killed containers left; an ordinary user never had one.
pub(in crate::windlass) fn collect_as_root() -> Result<(), Failure> {
    if rootless::is_ordinary() { Ok(()) } else { collect() }
}

/// Removes a bridge without ports, and the rules for it.
fn collect() -> Result<(), Failure> {
    let mut links = Links::open().map_err(Failure::during("open the routing socket"))?;
    let all = links.list().map_err(Failure::during("list the network devices"))?;
    let Some(bridge) = all.iter().find(|link| link.name == BRIDGE) else { return Ok(()) };
    if all.iter().any(|link| link.master == Some(bridge.index) || is_port(link)) {
        return Ok(());
    }
    gone_is_well(links.delete(bridge.index)).map_err(Failure::during("remove the bridge"))?;
    let own = NetNamespace::current().map_err(Failure::during("open the network namespace"))?;
    nat::remove(own.as_fd()).map_err(Failure::during("remove the rules of the bridge"))
}

fn is_port(link: &Link) -> bool {
    link.kind.as_deref() == Some("veth") && link.name.strip_prefix(PORT).is_some_and(|rest| rest.len() == 8)
}

fn gone_is_well(result: windlass_namespaces::Result<()>) -> windlass_namespaces::Result<()> {
    match result {
        Err(error) if error.errno() == Some(Errno::ENODEV as i32) => Ok(()),
        result => result,
    }
}

fn ensure_bridge(links: &mut Links, warnings: &mut Vec<String>) -> Result<u32, Failure> {
    let doing = |op: &'static str| Failure::during(op);
    let there = links.index(BRIDGE).map_err(doing("find the bridge"))?;
    let bridge = match there {
        Some(bridge) => bridge,
        None => match links.add_bridge(BRIDGE) {
            Ok(bridge) => bridge,
            Err(error) if error.errno() == Some(Errno::EEXIST as i32) => {
                let found = links.index(BRIDGE).map_err(doing("find the bridge"))?;
                found.ok_or_else(|| doing("make the bridge")(error))?
            }
            Err(error) => return Err(doing("make the bridge")(error)),
        },
    };
    match links.add_address(bridge, GATEWAY.into(), PREFIX) {
        Err(error) if error.errno() == Some(Errno::EEXIST as i32) => {}
        added => added.map_err(doing("give the bridge its address"))?,
    }
    links.set_up(bridge).map_err(doing("set the bridge up"))?;
    let own = NetNamespace::current().map_err(doing("open the network namespace"))?;
    let beyond = sysctl(own.as_fd(), "net.ipv4.ip_forward", "1")
        .and_then(|()| nat::replace(own.as_fd(), Subnet { address: GATEWAY, prefix: PREFIX }));
    if let Err(error) = beyond {
        let reason = crate::cause::chain(&error);
        warnings.push(format!("containers on the bridge reach this machine and each other only: {reason}"));
    }
    Ok(bridge)
}

/// A veth pair whose name on this side nobody else has; its address and number.
fn take_port(links: &mut Links, namespace: BorrowedFd<'_>) -> Result<(Ipv4Addr, u32), Failure> {
    let taken = links.list().map_err(Failure::during("list the network devices"))?;
    let first = u32::from(GATEWAY) + 1;
    let last = u32::from(GATEWAY) | (u32::MAX >> PREFIX);
    for number in first..last {
        let address = Ipv4Addr::from(number);
        let name = port_name(address);
        if taken.iter().any(|link| link.name == name) {
            continue;
        }
        let inside = VethEnd { name: DEVICE, netns: Some(namespace) };
        match links.add_veth(VethEnd { name: &name, netns: None }, inside) {
            // Another monitor was faster.
            Err(error) if error.errno() == Some(Errno::EEXIST as i32) => {}
            Err(error) => return Err(Failure::during("connect the container")(error)),
            Ok(()) => {
                let index = links.index(&name).map_err(Failure::during("find the bridge's port"))?;
                return Ok((address, index.ok_or_else(|| Failure::new("the bridge's port is gone"))?));
            }
        }
    }
    Err(Failure::new("the bridge has no address left"))
}

fn port_name(address: Ipv4Addr) -> String {
    format!("{PORT}{:08x}", u32::from(address))
}
