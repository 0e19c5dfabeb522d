//! What one object uses.

use std::time::Duration;

use crate::kinds::{PersistentVolumeClaim, Pod, Service};
use crate::names;
use crate::object::Object;
use crate::quantity::{Format, Quantity};
use crate::resources::{self, ResourceList, Scope};
use crate::wire::text::Text as _;
use crate::wire::time::Time;

const CLASS_SUFFIXES: [&str; 2] =
    [".storageclass.storage.k8s.io/persistentvolumeclaims", ".storageclass.storage.k8s.io/requests.storage"];
const OF_PODS: [&str; 11] = [
    "count/pods",
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
];
const OF_SERVICES: [&str; 4] = ["count/services", "services", "services.nodeports", "services.loadbalancers"];
const OF_CLAIMS: [&str; 3] = ["count/persistentvolumeclaims", "persistentvolumeclaims", "requests.storage"];
/// Kinds that have a name of their own beside `count/`.
const PLAIN: [&str; 4] = ["configmaps", "replicationcontrollers", "resourcequotas", "secrets"];

fn one() -> Quantity {
    Quantity::from_units(1, Format::DecimalSi)
}

fn number(count: usize) -> Quantity {
    Quantity::from_units(i64::try_from(count).unwrap_or(i64::MAX), Format::DecimalSi)
}

fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/") && name.starts_with("requests.")
}

fn of_pods(name: &str) -> bool {
    OF_PODS.contains(&name)
        || name.starts_with("hugepages-")
        || name.starts_with("requests.hugepages-")
        || is_extended(name)
}

fn of_claims(name: &str) -> bool {
    OF_CLAIMS.contains(&name) || CLASS_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// What the objects of a kind are called where they are counted.
fn resource(object: &Object) -> String {
    let kind = object.kind().to_lowercase();
    let plural = match kind.as_str() {
        "endpoints" => kind,
        other if other.ends_with('s') => format!("{kind}es"),
        other if other.ends_with("cy") => format!("{}ies", &kind[..kind.len() - 1]),
        _ => format!("{kind}s"),
    };
    match object.api_version().split_once('/') {
        Some((group, _)) => format!("{plural}.{group}"),
        None => plural,
    }
}

/// Whether objects of this kind count towards a resource of a quota.
pub(super) fn counts(object: &Object, name: &str) -> bool {
    match object {
        Object::Pod(_) => of_pods(name),
        Object::Service(_) => OF_SERVICES.contains(&name),
        Object::PersistentVolumeClaim(_) => of_claims(name),
        other => {
            let resource = resource(other);
            name.strip_prefix("count/") == Some(&resource) || (name == resource && PLAIN.contains(&name))
        }
    }
}

/// Whether anything counts towards a resource of a quota.
pub(super) fn is_counted(name: &str) -> bool {
    of_pods(name)
        || OF_SERVICES.contains(&name)
        || of_claims(name)
        || PLAIN.contains(&name)
        || name.starts_with("count/")
}

/// What an object uses of everything that a quota can limit.
pub fn usage(object: &Object, now: Time) -> ResourceList {
    match object {
        Object::Pod(pod) => of_pod(pod, now),
        Object::Service(service) => of_service(service),
        Object::PersistentVolumeClaim(claim) => of_claim(claim),
        other => {
            let resource = resource(other);
            let mut used = ResourceList::from([(format!("count/{resource}"), one())]);
            if PLAIN.contains(&resource.as_str()) {
                used.insert(resource, one());
            }
            used
        }
    }
}

/// A pod that has ended uses nothing but its place.
fn runs(pod: &Pod, now: Time) -> bool {
    let is_over = match (pod.metadata.deletion_timestamp, pod.metadata.deletion_grace_period_seconds) {
        (Some(deleted), Some(grace)) => {
            let grace = Duration::from_secs(u64::try_from(grace).unwrap_or(0));
            let seconds = i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
            now.unix_seconds() > deleted.unix_seconds().saturating_add(seconds)
        }
        _ => false,
    };
    !is_over && !pod.is_terminal()
}

fn of_pod(pod: &Pod, now: Time) -> ResourceList {
    let mut used = ResourceList::new();
    if runs(pod, now) {
        let effective = resources::effective(pod);
        let limits = resources::limits(&pod.spec, Scope::Whole);
        used = compute(&effective.requests, &limits);
    }
    used.insert("count/pods".to_owned(), one());
    used
}

/// Requests and limits under the names that quotas have for them.
pub(super) fn compute(requests: &ResourceList, limits: &ResourceList) -> ResourceList {
    let mut used = ResourceList::from([("pods".to_owned(), one())]);
    for name in ["cpu", "memory", "ephemeral-storage"] {
        if let Some(request) = requests.get(name) {
            used.insert(name.to_owned(), request.clone());
            used.insert(format!("requests.{name}"), request.clone());
        }
        if let Some(limit) = limits.get(name) {
            used.insert(format!("limits.{name}"), limit.clone());
        }
    }
    for (name, request) in requests {
        if name.starts_with("hugepages-") {
            used.insert(name.clone(), request.clone());
            used.insert(format!("requests.{name}"), request.clone());
        }
        let prefixed = format!("requests.{name}");
        let extended = name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.");
        if extended && names::qualified_name(&prefixed).is_empty() {
            used.insert(prefixed, request.clone());
        }
    }
    used
}

fn of_service(service: &Service) -> ResourceList {
    let spec = &service.spec;
    let ports = match spec.type_.text() {
        "LoadBalancer" if spec.allocate_load_balancer_node_ports == Some(false) => {
            spec.ports.iter().filter(|port| port.node_port.unwrap_or(0) != 0).count()
        }
        "NodePort" | "LoadBalancer" => spec.ports.len(),
        _ => 0,
    };
    ResourceList::from([
        ("count/services".to_owned(), one()),
        ("services".to_owned(), one()),
        ("services.nodeports".to_owned(), number(ports)),
        ("services.loadbalancers".to_owned(), number(usize::from(spec.type_.text() == "LoadBalancer"))),
    ])
}

fn of_claim(claim: &PersistentVolumeClaim) -> ResourceList {
    let mut used = ResourceList::from([
        ("count/persistentvolumeclaims".to_owned(), one()),
        ("persistentvolumeclaims".to_owned(), one()),
    ]);
    let annotated = claim.metadata.annotations.get("volume.beta.kubernetes.io/storage-class");
    let class = annotated.or(claim.spec.storage_class_name.as_ref()).filter(|class| !class.is_empty());
    if let Some(class) = class {
        used.insert(format!("{class}{}", CLASS_SUFFIXES[0]), one());
    }
    if let Some(request) = claim.spec.resources.requests.get("storage") {
        // What was granted while the claim grew is used until it shrinks again.
        let granted = claim.status.allocated_resources.get("storage").unwrap_or(request);
        let storage = request.max_of(granted);
        used.insert("requests.storage".to_owned(), storage.clone());
        if let Some(class) = class {
            used.insert(format!("{class}{}", CLASS_SUFFIXES[1]), storage.clone());
        }
    }
    used
}
