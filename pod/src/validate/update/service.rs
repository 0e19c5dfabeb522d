//! Services: the first address stays.

use super::super::at::At;
use super::super::meta::texts;
use super::super::service;
use super::meta;
use crate::kinds::{Service, ServiceSpec};
use crate::violation::{Violations, quoted};
use crate::wire::text::Text as _;

const ONCE: &str = "may not change once set";

pub(super) fn service(new: &Service, old: &Service, out: &mut Violations) {
    meta::update(&new.metadata, &old.metadata, out);
    let root = At::root();
    let at = root.field("spec");
    let external = |service: &Service| service.spec.type_.text() == "ExternalName";
    if !external(new) && !external(old) {
        addresses(&new.spec, &old.spec, &at, out);
        families(&new.spec, &old.spec, &at, out);
    }
    let class_at = at.field("loadBalancerClass");
    let is_balancer = |service: &Service| service.spec.type_.text() == "LoadBalancer";
    if is_balancer(new) && is_balancer(old) && new.spec.load_balancer_class != old.spec.load_balancer_class {
        let class = new.spec.load_balancer_class.as_deref().map_or_else(|| "null".to_owned(), quoted);
        out.invalid_literal(class_at, class, ONCE);
    }
    service::load_balancer_class(&new.spec, &at, out);
    service::service_spec(new, out);
}

fn is_headless(spec: &ServiceSpec) -> bool {
    spec.cluster_ips == ["None"]
}

fn policy_text(spec: &ServiceSpec) -> String {
    spec.ip_family_policy.as_deref().map_or_else(|| "null".to_owned(), quoted)
}

fn addresses(new: &ServiceSpec, old: &ServiceSpec, at: &At<'_>, out: &mut Violations) {
    if is_headless(new) && is_headless(old) {
        return;
    }
    let (ips, had) = (&new.cluster_ips, &old.cluster_ips);
    let ips_at = at.field("clusterIPs");
    if ips.len() == had.len() {
        for index in (0..ips.len()).filter(|index| ips[*index] != had[*index]) {
            out.invalid_literal(ips_at.index(index), texts(ips), ONCE);
        }
        return;
    }
    let released = had.len() > ips.len();
    if released && ips.is_empty() {
        out.invalid_literal(ips_at.index(0), texts(ips), "primary clusterIP can not be unset");
    }
    if let (Some(first), Some(had)) = (ips.first(), had.first())
        && first != had
    {
        out.invalid_literal(ips_at.index(0), texts(ips), ONCE);
    }
    if released && ips.len() == 1 && new.ip_family_policy.text() != "SingleStack" {
        let detail = "must be set to 'SingleStack' when releasing the secondary clusterIP";
        out.invalid_literal(at.field("ipFamilyPolicy"), policy_text(new), detail);
    }
}

fn families(new: &ServiceSpec, old: &ServiceSpec, at: &At<'_>, out: &mut Violations) {
    if is_headless(new) || is_headless(old) {
        return;
    }
    let (families, had) = (&new.ip_families, &old.ip_families);
    let first_at = at.field("ipFamilies");
    let first_at = first_at.index(0);
    if families.len() == had.len() {
        for _ in families.iter().zip(had).filter(|(new, old)| new != old) {
            out.invalid_literal(first_at, texts(families), ONCE);
        }
        return;
    }
    let released = had.len() > families.len();
    if released && new.cluster_ips.is_empty() {
        out.invalid_literal(first_at, texts(families), "primary ipFamily can not be unset");
    }
    if let (Some(first), Some(had)) = (families.first(), had.first())
        && first != had
    {
        // The original prints the addresses here.
        out.invalid_literal(first_at, texts(&new.cluster_ips), ONCE);
    }
    if released && families.len() == 1 && new.ip_family_policy.text() != "SingleStack" {
        let detail = "must be set to 'SingleStack' when releasing the secondary ipFamily";
        out.invalid_literal(at.field("ipFamilyPolicy"), policy_text(new), detail);
    }
}
