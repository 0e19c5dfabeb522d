//! Which families of addresses a service has, and with which policy.

use super::{AllocationError, Cluster};
use crate::kinds::{Service, ServiceSpec};
use crate::names;
use crate::validate;
use crate::violation::{Violations, quoted};
use crate::wire::text::Text as _;

const SINGLE: &str = "SingleStack";
const REQUIRE: &str = "RequireDualStack";

pub(super) fn family_of(address: &str) -> &'static str {
    match names::parse_ip(address) {
        Some(address) if address.is_ipv4() => "IPv4",
        Some(_) => "IPv6",
        None => "unknown",
    }
}

pub(super) fn is_headless(spec: &ServiceSpec) -> bool {
    spec.cluster_ips.first().is_some_and(|first| first == "None")
}

fn invalid(out: Violations) -> Result<(), AllocationError> {
    if out.is_empty() { Ok(()) } else { Err(AllocationError::Invalid(out.into_vec())) }
}

/// Sets the policy and the families that a service does not name.
pub(super) fn settle(cluster: &Cluster, service: &mut Service, old: Option<&Service>) -> Result<(), AllocationError> {
    if service.spec.type_.text() == "ExternalName" || old.is_some_and(|old| prefers_the_same(service, old)) {
        return Ok(());
    }
    let floating = service.spec.cluster_ip.text() == "None" && service.spec.selector.is_empty();
    if service.spec.ip_family_policy.is_none() {
        let inherited = old.and_then(|old| old.spec.ip_family_policy.clone());
        service.spec.ip_family_policy =
            Some(inherited.unwrap_or_else(|| if floating { REQUIRE } else { SINGLE }.to_owned()));
    }
    let mut out = Violations::default();
    validate::cluster_ips_fields(&service.spec, &mut out);
    invalid(out)?;
    let mut out = Violations::default();
    let policy = service.spec.ip_family_policy.text().to_owned();
    if let Some(old) = old {
        release(&mut service.spec, &old.spec, &policy, &mut out);
    }
    agrees(cluster, &mut service.spec, &policy, &mut out);
    invalid(out)?;
    if floating {
        complete_floating(cluster, &mut service.spec, &policy);
        return Ok(());
    }
    available(cluster, &service.spec, &policy)?;
    complete(cluster, &mut service.spec, &policy);
    Ok(())
}

/// A service that prefers both families keeps what it has until somebody asks for something else.
pub(super) fn prefers_the_same(service: &Service, old: &Service) -> bool {
    let prefers = |policy: &Option<String>| policy.as_deref() == Some("PreferDualStack");
    let (new, old) = (&service.spec, &old.spec);
    new.type_ == old.type_
        && matches!(new.type_.text(), "ClusterIP" | "NodePort" | "LoadBalancer")
        && prefers(&new.ip_family_policy)
        && (old.ip_family_policy.is_none() || prefers(&old.ip_family_policy))
        && new.cluster_ips == old.cluster_ips
        && new.ip_families == old.ip_families
}

/// A service that had both families and has one now.
fn release(new: &mut ServiceSpec, old: &ServiceSpec, policy: &str, out: &mut Violations) {
    if policy == SINGLE {
        // The policy alone says that the second is to go.
        if new.cluster_ips == old.cluster_ips {
            new.cluster_ips.truncate(1);
        }
        if new.ip_families == old.ip_families {
            new.ip_families.truncate(1);
        }
        return;
    }
    let reduced = |new: &[String], old: &[String]| !new.is_empty() && new.len() < old.len();
    for (what, is_reduced) in [
        ("cluster IP", reduced(&new.cluster_ips, &old.cluster_ips)),
        ("IP family", reduced(&new.ip_families, &old.ip_families)),
    ] {
        if is_reduced {
            let detail = format!("must be 'SingleStack' to release the secondary {what}");
            out.invalid("spec.ipFamilyPolicy", policy, detail);
        }
    }
}

/// The policy agrees with what is listed; families that follow from addresses are added.
fn agrees(cluster: &Cluster, spec: &mut ServiceSpec, policy: &str, out: &mut Violations) {
    if policy == SINGLE {
        for (what, count) in [("cluster IPs", spec.cluster_ips.len()), ("IP families", spec.ip_families.len())] {
            if count == 2 {
                let detail =
                    format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
                out.invalid("spec.ipFamilyPolicy", policy, detail);
            }
        }
    }
    for index in 0..spec.cluster_ips.len() {
        let address = &spec.cluster_ips[index];
        if address == "None" {
            break;
        }
        let family = family_of(address);
        if index < spec.ip_families.len() {
            continue;
        }
        if cluster.has(family) {
            spec.ip_families.push(family.to_owned());
        } else {
            let list: Vec<String> = spec.cluster_ips.iter().map(|address| quoted(address)).collect();
            let detail = format!("{family} is not configured on this cluster");
            out.invalid_literal(format!("spec.clusterIPs[{index}]"), format!("[{}]", list.join(",")), detail);
        }
    }
}

fn default_family(cluster: &Cluster) -> String {
    cluster.addresses.first().map_or("IPv4", |pool| pool.family()).to_owned()
}

fn other_family(family: &str) -> String {
    if family == "IPv4" { "IPv6" } else { "IPv4" }.to_owned()
}

/// A service without addresses and without selector may name families that the cluster has not.
fn complete_floating(cluster: &Cluster, spec: &mut ServiceSpec, policy: &str) {
    if spec.ip_families.is_empty() {
        spec.ip_families.push(default_family(cluster));
    }
    if spec.ip_families.len() < 2 && policy != SINGLE {
        let other = other_family(&spec.ip_families[0]);
        spec.ip_families.push(other);
    }
}

fn available(cluster: &Cluster, spec: &ServiceSpec, policy: &str) -> Result<(), AllocationError> {
    let mut out = Violations::default();
    if policy == REQUIRE && cluster.addresses.len() < 2 {
        out.invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services");
    }
    for (index, family) in spec.ip_families.iter().enumerate().filter(|(_, family)| !cluster.has(family)) {
        out.invalid(format!("spec.ipFamilies[{index}]"), family, "not configured on this cluster");
    }
    invalid(out)
}

fn complete(cluster: &Cluster, spec: &mut ServiceSpec, policy: &str) {
    if spec.ip_families.is_empty() {
        spec.ip_families.push(default_family(cluster));
    }
    if policy != SINGLE && spec.ip_families.len() == 1 && cluster.addresses.len() == 2 {
        let other = other_family(&spec.ip_families[0]);
        spec.ip_families.push(other);
    }
}
