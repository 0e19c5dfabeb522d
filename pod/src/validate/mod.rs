//! Validation: every rule of Kubernetes that an object breaks when it is created, with path, type and words.
//!
//! The object should have its defaults, see [`defaults`](crate::defaults).

pub(crate) mod at;
mod claim;
mod config;
mod container;
mod endpoints;
mod env;
mod meta;
mod pod;
mod probe;
mod resources;
mod scheduling;
mod security;
mod service;
mod volume;
mod workload;

use crate::violation::{Violation, Violations};
use crate::wire::object::Object;

/// Every rule that an object breaks; none for a good one.
pub fn validate(object: &Object) -> Vec<Violation> {
    let mut out = Violations::default();
    match object {
        Object::ConfigMap(map) => config::config_map(map, &mut out),
        Object::Secret(secret) => config::secret(secret, &mut out),
        Object::Namespace(namespace) => config::namespace(namespace, &mut out),
        Object::Service(service) => service::service(service, &mut out),
        Object::Endpoints(endpoints) => endpoints::endpoints(endpoints, &mut out),
        Object::EndpointSlice(slice) => endpoints::endpoint_slice(slice, &mut out),
        Object::Pod(pod) => pod::pod(pod, &mut out),
        Object::PersistentVolumeClaim(claim) => claim::persistent_volume_claim(claim, &mut out),
        Object::ReplicationController(controller) => workload::replication_controller(controller, &mut out),
        Object::ReplicaSet(set) => workload::replica_set(set, &mut out),
        Object::Deployment(deployment) => workload::deployment(deployment, &mut out),
        Object::DaemonSet(set) => workload::daemon_set(set, &mut out),
        Object::StatefulSet(set) => workload::stateful_set(set, &mut out),
        _ => {}
    }
    out.into_vec()
}
