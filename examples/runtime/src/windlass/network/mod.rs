//! Where a container's network is: nowhere, the host's, a bridge's, or another container's.

pub(super) mod bridge;
pub(super) mod files;
pub(super) mod forward;
mod nat;

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use windlass_namespaces::net::NetNamespace;

use super::containers::Containers;
use super::failure::Failure;
use super::record::{Config, NetworkMode};
use super::rootless;

/// A container's network as long as its monitor lives: it stays over restarts.
#[derive(Debug)]
pub(super) struct Network {
    /// `None` for the host's.
    namespace: Option<NetNamespace>,
    pub(super) address: Option<Ipv4Addr>,
    /// What of it does not work.
    pub(super) warnings: Vec<String>,
}

impl Network {
    pub(super) fn prepare(config: &Config, containers: &Containers) -> Result<Self, Failure> {
        let own = || NetNamespace::create().map_err(Failure::during("make a network namespace"));
        let plain = |namespace| Self { namespace, address: None, warnings: Vec::new() };
        match &config.network {
            NetworkMode::Host => Ok(plain(None)),
            NetworkMode::None => Ok(plain(Some(own()?))),
            NetworkMode::Container(id) => Ok(plain(Some(of_container(containers, id)?))),
            NetworkMode::Bridge => {
                let namespace = own()?;
                let (address, warnings) = bridge::connect(namespace.as_fd())?;
                Ok(Self { namespace: Some(namespace), address: Some(address), warnings })
            }
        }
    }

    pub(super) fn namespace(&self) -> Option<BorrowedFd<'_>> {
        self.namespace.as_ref().map(AsFd::as_fd)
    }

    /// Takes the container off its bridge.
    pub(super) fn end(self) -> Result<(), Failure> {
        match self.address {
            Some(address) => bridge::disconnect(address),
            None => Ok(()),
        }
    }
}

/// What cannot be had is said before anything is made.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    let own = matches!(config.network, NetworkMode::None | NetworkMode::Bridge);
    if !config.ports.is_empty() && !own {
        return Err(Failure::new(format!(
            "--publish has no meaning with --network {}: ports are published for a network of the container's own",
            config.network
        )));
    }
    if config.network == NetworkMode::Bridge && rootless::is_ordinary() {
        return Err(Failure::new(
            "--network bridge needs root, because the bridge is in the host's network: an ordinary user has \
             --network host, or --network none with --publish, which windlass forwards itself",
        ));
    }
    Ok(())
}

fn of_container(containers: &Containers, id: &str) -> Result<NetNamespace, Failure> {
    let (container, config) = containers.find(id)?;
    let running = container.state()?.process.filter(super::identity::Identity::is_alive);
    let process = running.ok_or_else(|| {
        Failure::new(format!("container {} does not run, so it has no network to share: start it first", config.name))
    })?;
    Ok(NetNamespace::from(process.open_proc("ns/net")?))
}

/// A descriptor of the network for a command to join.
pub(super) fn descriptor(namespace: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    namespace.try_clone_to_owned().map_err(Failure::during("duplicate the network's descriptor"))
}
