//! Services that are created.

use std::collections::BTreeMap;

use super::families::{is_headless, settle};
use super::{AllocationError, Cluster};
use crate::kinds::{Service, ServiceSpec};
use crate::names;
use crate::violation::{Violations, quoted};
use crate::wire::text::Text as _;

/// What was taken, to be given back when the rest fails.
#[derive(Debug, Default)]
pub(super) struct Taken {
    addresses: Vec<(&'static str, std::net::IpAddr)>,
    ports: Vec<i32>,
}

pub(super) fn refuse<T>(
    path: &str,
    value: impl std::fmt::Display,
    detail: impl Into<String>,
) -> Result<T, AllocationError> {
    let mut out = Violations::default();
    out.invalid_literal(path, value, detail);
    Err(AllocationError::Invalid(out.into_vec()))
}

fn out_of<T>(what: &str, reason: impl std::fmt::Display) -> Result<T, AllocationError> {
    Err(AllocationError::Unavailable(format!("failed to allocate a {what}: {reason}")))
}

impl Cluster {
    /// Gives a new service its addresses and ports; on an error it keeps nothing.
    ///
    /// # Errors
    /// [`AllocationError`] says what the service cannot have.
    pub fn create(&mut self, service: &mut Service) -> Result<(), AllocationError> {
        let spec = &mut service.spec;
        if spec.cluster_ips.is_empty() {
            spec.cluster_ips.extend(spec.cluster_ip.clone().filter(|address| !address.is_empty()));
        }
        settle(self, service, None)?;
        let mut taken = Taken::default();
        let done = self.take_all(&mut service.spec, &mut taken);
        if done.is_err() {
            self.undo(&taken);
        }
        done
    }

    fn take_all(&mut self, spec: &mut ServiceSpec, taken: &mut Taken) -> Result<(), AllocationError> {
        self.take_addresses(spec, taken)?;
        if matches!(spec.type_.text(), "NodePort" | "LoadBalancer") {
            self.take_node_ports(spec, taken)?;
        }
        if needs_health_check(spec) {
            self.take_health_check_port(spec, taken)?;
        }
        Ok(())
    }

    pub(super) fn undo(&mut self, taken: &Taken) {
        for (family, address) in &taken.addresses {
            if let Some(pool) = self.pool(family) {
                pool.give_back(*address);
            }
        }
        for port in &taken.ports {
            self.ports.give_back(*port);
        }
    }

    /// An address of each family that has none.
    pub(super) fn take_addresses(&mut self, spec: &mut ServiceSpec, taken: &mut Taken) -> Result<(), AllocationError> {
        if spec.type_.text() == "ExternalName" || is_headless(spec) {
            return Ok(());
        }
        let families = spec.ip_families.clone();
        spec.cluster_ips.resize(spec.cluster_ips.len().max(families.len()), String::new());
        for (index, family) in families.iter().enumerate() {
            self.take_address(spec, index, family, taken)?;
        }
        spec.cluster_ip = spec.cluster_ips.first().cloned();
        Ok(())
    }

    pub(super) fn take_address(
        &mut self,
        spec: &mut ServiceSpec,
        index: usize,
        family: &str,
        taken: &mut Taken,
    ) -> Result<(), AllocationError> {
        let Some(pool) = self.pool(family) else { return Ok(()) };
        let asked = spec.cluster_ips[index].clone();
        let address = if asked.is_empty() {
            match pool.take_any() {
                Ok(address) => address,
                Err(reason) => return out_of("serviceIP", reason),
            }
        } else {
            let Some(address) = names::parse_ip(&asked) else {
                return Err(AllocationError::Unavailable(format!("failed to parse service IP {}", quoted(&asked))));
            };
            if let Err(reason) = pool.take(address) {
                let list: Vec<String> = spec.cluster_ips.iter().map(|address| quoted(address)).collect();
                let detail = format!("failed to allocate IP {asked}: {reason}");
                return refuse("spec.clusterIPs", format!("[{}]", list.join(",")), detail);
            }
            address
        };
        taken.addresses.push((pool.family(), address));
        if asked.is_empty() {
            spec.cluster_ips[index] = address.to_string();
        }
        Ok(())
    }

    /// Ports of the same number, with different protocols, share a node port.
    fn take_node_ports(&mut self, spec: &mut ServiceSpec, taken: &mut Taken) -> Result<(), AllocationError> {
        let automatic = allocates_node_ports(spec);
        let mut chosen: BTreeMap<i32, i32> = BTreeMap::new();
        for index in 0..spec.ports.len() {
            let number = spec.ports[index].port.unwrap_or(0);
            let asked = spec.ports[index].node_port.unwrap_or(0);
            if asked == 0 && !automatic {
                continue;
            }
            let node_port = match chosen.get(&number) {
                Some(shared) if asked == 0 || asked == *shared => *shared,
                Some(_) => self.take_port(index, asked, taken)?,
                None => {
                    let requested = spec
                        .ports
                        .iter()
                        .find_map(|port| port.node_port.filter(|own| *own != 0 && port.port.unwrap_or(0) == number));
                    let port = match requested {
                        Some(port) => self.take_port(index, port, taken)?,
                        None => self.take_any_port(taken)?,
                    };
                    chosen.insert(number, port);
                    port
                }
            };
            spec.ports[index].node_port = Some(node_port);
        }
        Ok(())
    }

    pub(super) fn take_port(&mut self, index: usize, port: i32, taken: &mut Taken) -> Result<i32, AllocationError> {
        match self.ports.take(port) {
            Ok(()) => {
                taken.ports.push(port);
                Ok(port)
            }
            Err(reason) => refuse(&format!("spec.ports[{index}].nodePort"), port, reason.to_string()),
        }
    }

    pub(super) fn take_any_port(&mut self, taken: &mut Taken) -> Result<i32, AllocationError> {
        match self.ports.take_any() {
            Ok(port) => {
                taken.ports.push(port);
                Ok(port)
            }
            Err(reason) => out_of("nodePort", reason),
        }
    }

    pub(super) fn take_health_check_port(
        &mut self,
        spec: &mut ServiceSpec,
        taken: &mut Taken,
    ) -> Result<(), AllocationError> {
        let asked = spec.health_check_node_port.unwrap_or(0);
        if asked == 0 {
            let port = match self.ports.take_any() {
                Ok(port) => port,
                Err(reason) => return out_of("HealthCheck NodePort 0", reason),
            };
            taken.ports.push(port);
            spec.health_check_node_port = Some(port);
        } else if let Err(reason) = self.ports.take(asked) {
            let message = format!("failed to allocate requested HealthCheck NodePort {asked}: {reason}");
            return Err(AllocationError::Unavailable(message));
        } else {
            taken.ports.push(asked);
        }
        Ok(())
    }

    /// Gives back what a service had that is deleted.
    pub fn delete(&mut self, service: &Service) {
        for address in service.spec.cluster_ips.iter().filter_map(|address| names::parse_ip(address)) {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            if let Some(pool) = self.pool(family) {
                pool.give_back(address);
            }
        }
        let ports = service.spec.ports.iter().filter_map(|port| port.node_port);
        for port in ports.chain(service.spec.health_check_node_port.filter(|_| needs_health_check(&service.spec))) {
            self.ports.give_back(port);
        }
    }
}

pub(super) fn needs_health_check(spec: &ServiceSpec) -> bool {
    spec.type_.text() == "LoadBalancer" && spec.external_traffic_policy.text() == "Local"
}

pub(super) fn allocates_node_ports(spec: &ServiceSpec) -> bool {
    match spec.type_.text() {
        "NodePort" => true,
        "LoadBalancer" => spec.allocate_load_balancer_node_ports.unwrap_or(true),
        _ => false,
    }
}
