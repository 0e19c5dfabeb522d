//! Services that are changed.

use std::collections::BTreeSet;

use super::families::{is_headless, prefers_the_same, settle};
use super::service::{Taken, allocates_node_ports, needs_health_check};
use super::{AllocationError, Cluster};
use crate::kinds::{Service, ServiceSpec};
use crate::names;
use crate::wire::text::Text as _;

fn needs_cluster_ip(spec: &ServiceSpec) -> bool {
    spec.type_.text() != "ExternalName"
}

fn needs_node_port(spec: &ServiceSpec) -> bool {
    matches!(spec.type_.text(), "NodePort" | "LoadBalancer")
}

impl Cluster {
    /// Gives a changed service what it needs now and takes back what it needs no more; on an error nothing changes.
    ///
    /// What the server chose once and the new object leaves out is filled in from the old one.
    ///
    /// # Errors
    /// [`AllocationError`] says what the service cannot have.
    pub fn update(&mut self, service: &mut Service, old: &Service) -> Result<(), AllocationError> {
        keep_given(&mut service.spec, &old.spec);
        normalize(&mut service.spec, &old.spec);
        settle(self, service, Some(old))?;
        let mut taken = Taken::default();
        let mut freed = Freed::default();
        let done = self.change(service, old, &mut taken, &mut freed);
        if done.is_err() {
            self.undo(&taken);
            return done;
        }
        for address in freed.addresses.iter().filter_map(|address| names::parse_ip(address)) {
            for pool in &mut self.addresses {
                pool.give_back(address);
            }
        }
        for port in freed.ports {
            self.ports.give_back(port);
        }
        Ok(())
    }

    fn change(
        &mut self,
        service: &mut Service,
        old: &Service,
        taken: &mut Taken,
        freed: &mut Freed,
    ) -> Result<(), AllocationError> {
        self.change_addresses(service, old, taken, freed)?;
        let (new, old) = (&mut service.spec, &old.spec);
        if needs_node_port(old) && matches!(new.type_.text(), "ExternalName" | "ClusterIP") {
            freed.ports.extend(node_ports(old));
        }
        if needs_node_port(new) {
            self.change_node_ports(new, old, taken, freed)?;
        }
        match (needs_health_check(old), needs_health_check(new)) {
            (false, true) => self.take_health_check_port(new, taken)?,
            (true, false) => freed.ports.extend(old.health_check_node_port),
            _ => {}
        }
        Ok(())
    }

    fn change_addresses(
        &mut self,
        service: &mut Service,
        old: &Service,
        taken: &mut Taken,
        freed: &mut Freed,
    ) -> Result<(), AllocationError> {
        if prefers_the_same(service, old) {
            return Ok(());
        }
        let (new, old) = (&mut service.spec, &old.spec);
        if !needs_cluster_ip(old) && needs_cluster_ip(new) {
            return self.take_addresses(new, taken);
        }
        if is_headless(old) {
            return Ok(());
        }
        if needs_cluster_ip(old) && !needs_cluster_ip(new) {
            freed.addresses.extend(old.cluster_ips.iter().cloned());
            return Ok(());
        }
        match (old.ip_families.len(), new.ip_families.len()) {
            (1, 2) => {
                new.cluster_ips.resize(new.cluster_ips.len().max(2), String::new());
                let family = new.ip_families[1].clone();
                self.take_address(new, 1, &family, taken)
            }
            (2, 1) => {
                freed.addresses.extend(old.cluster_ips.get(1).cloned());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn change_node_ports(
        &mut self,
        new: &mut ServiceSpec,
        old: &ServiceSpec,
        taken: &mut Taken,
        freed: &mut Freed,
    ) -> Result<(), AllocationError> {
        let had: BTreeSet<i32> = node_ports(old).collect();
        let mut asked_for = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let automatic = allocates_node_ports(new);
        for index in 0..new.ports.len() {
            let mut port = new.ports[index].node_port.unwrap_or(0);
            if port == 0 && !automatic {
                continue;
            }
            if port == 0 {
                port = self.take_any_port(taken)?;
                new.ports[index].node_port = Some(port);
            } else if !had.contains(&port) && asked_for.insert(port) {
                self.take_port(index, port, taken)?;
            }
            let protocol = new.ports[index].protocol.text().to_owned();
            if !seen.insert((protocol.clone(), port)) {
                return Err(AllocationError::Unavailable(format!("duplicate nodePort: {{{protocol} {port}}}")));
            }
        }
        let kept: BTreeSet<i32> = node_ports(new).collect();
        freed.ports.extend(had.difference(&kept));
        Ok(())
    }
}

/// What is given back when everything else is done.
#[derive(Debug, Default)]
struct Freed {
    addresses: Vec<String>,
    ports: Vec<i32>,
}

fn node_ports(spec: &ServiceSpec) -> impl Iterator<Item = i32> {
    spec.ports.iter().filter_map(|port| port.node_port).filter(|port| *port != 0)
}

/// Fills in what the server chose for the old object, so that the manifest it came from can be applied again.
fn keep_given(new: &mut ServiceSpec, old: &ServiceSpec) {
    if needs_cluster_ip(old) && needs_cluster_ip(new) {
        if new.cluster_ip.text().is_empty() {
            new.cluster_ip.clone_from(&old.cluster_ip);
        }
        if new.cluster_ips.is_empty() {
            new.cluster_ips.clone_from(&old.cluster_ips);
        }
    }
    if needs_node_port(old) && needs_node_port(new) {
        let kept: BTreeSet<i32> = node_ports(new).collect();
        let used: BTreeSet<i32> = node_ports(old).filter(|port| kept.contains(port)).collect();
        for port in new.ports.iter_mut().filter(|port| port.node_port.unwrap_or(0) == 0) {
            let had = old.ports.iter().rev().find(|had| had.name.text() == port.name.text());
            let had = had.and_then(|had| had.node_port).filter(|had| *had != 0 && !used.contains(had));
            port.node_port = had.or(port.node_port);
        }
    }
    if needs_health_check(old) && needs_health_check(new) && new.health_check_node_port.unwrap_or(0) == 0 {
        new.health_check_node_port = old.health_check_node_port;
    }
}

/// Makes the address in the singular and the list agree, as whoever wrote only one of them means it.
fn normalize(new: &mut ServiceSpec, old: &ServiceSpec) {
    let changed = old.cluster_ip.text() != new.cluster_ip.text();
    if !changed && new.cluster_ips.is_empty() {
        new.cluster_ips.clone_from(&old.cluster_ips);
    }
    if changed && old.cluster_ips == new.cluster_ips {
        new.cluster_ips.clear();
        if old.cluster_ip.text().is_empty() || !new.cluster_ip.text().is_empty() {
            new.cluster_ips.push(new.cluster_ip.text().to_owned());
        }
    }
}
