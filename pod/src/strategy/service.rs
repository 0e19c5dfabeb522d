//! Services.

use crate::kinds::ServiceSpec;
use crate::wire::text::Text as _;

fn needs_cluster_ip(spec: &ServiceSpec) -> bool {
    spec.type_.text() != "ExternalName"
}

fn needs_node_port(spec: &ServiceSpec) -> bool {
    matches!(spec.type_.text(), "NodePort" | "LoadBalancer")
}

fn needs_health_check(spec: &ServiceSpec) -> bool {
    spec.type_.text() == "LoadBalancer" && spec.external_traffic_policy.text() == "Local"
}

fn node_ports(spec: &ServiceSpec) -> impl Iterator<Item = i32> {
    spec.ports.iter().filter_map(|port| port.node_port).filter(|port| *port != 0)
}

/// Drops fields that the new type of a service does not have and that nobody changed.
pub(super) fn drop_unneeded(new: &mut ServiceSpec, old: &ServiceSpec) {
    if needs_cluster_ip(old) && !needs_cluster_ip(new) {
        if new.cluster_ips == old.cluster_ips {
            (new.cluster_ip, new.cluster_ips) = (None, Vec::new());
        }
        if new.ip_families == old.ip_families {
            new.ip_families.clear();
        }
        if new.ip_family_policy == old.ip_family_policy {
            new.ip_family_policy = None;
        }
    }
    if needs_node_port(old) && !needs_node_port(new) && node_ports(old).eq(node_ports(new)) {
        for port in &mut new.ports {
            port.node_port = None;
        }
    }
    if needs_health_check(old) && !needs_health_check(new) && new.health_check_node_port == old.health_check_node_port {
        new.health_check_node_port = None;
    }
    let is_balancer = |spec: &ServiceSpec| spec.type_.text() == "LoadBalancer";
    if is_balancer(old) && !is_balancer(new) {
        if new.allocate_load_balancer_node_ports == old.allocate_load_balancer_node_ports {
            new.allocate_load_balancer_node_ports = None;
        }
        if new.load_balancer_class == old.load_balancer_class {
            new.load_balancer_class = None;
        }
    }
    let is_external = |spec: &ServiceSpec| {
        needs_node_port(spec) || (spec.type_.text() == "ClusterIP" && !spec.external_ips.is_empty())
    };
    if is_external(old) && !is_external(new) && new.external_traffic_policy == old.external_traffic_policy {
        new.external_traffic_policy = None;
    }
}
