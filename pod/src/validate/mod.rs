//! Validation: every rule of Kubernetes that an object breaks when it is created, with path, type and words.
//!
//! The object should have its defaults, see [`defaults`](crate::defaults).

pub(crate) mod at;
mod claim;
mod config;
mod container;
mod endpoints;
mod env;
mod job;
mod job_policy;
mod meta;
mod pod;
mod policy;
mod probe;
mod quota;
mod resources;
mod scheduling;
mod security;
mod service;
mod update;
mod volume;
mod workload;

use meta::Scope;
pub use update::validate_update;

use crate::error::Error;
use crate::kinds::{self, Kind};
use crate::object::Object;
use crate::violation::{Violation, Violations};

/// A kind whose specification is validated, not only its metadata.
pub trait Covered: Kind + Into<Object> + TryFrom<Object, Error = Error> {}

macro_rules! covered {
    ($($kind:ident)*) => {
        /// The names of the kinds that are [`Covered`].
        const COVERED: &[&str] = &[$(stringify!($kind)),*];

        $(impl Covered for kinds::$kind {})*
    };
}

covered! {
    ConfigMap
    CronJob
    DaemonSet
    Deployment
    EndpointSlice
    Endpoints
    Job
    LimitRange
    Namespace
    Node
    PersistentVolumeClaim
    Pod
    PodDisruptionBudget
    ReplicaSet
    ReplicationController
    ResourceQuota
    Secret
    Service
    StatefulSet
}

/// Kinds that live in no namespace.
const CLUSTER_WIDE: [&str; 8] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
];

/// Whether objects of this kind live in namespaces.
pub fn is_namespaced(kind: &str) -> bool {
    !CLUSTER_WIDE.contains(&kind)
}

/// Whether [`validate`] looks at more than the metadata of this kind.
pub fn covers(kind: &str) -> bool {
    COVERED.contains(&kind)
}

/// What is wrong with the fields that name a service's addresses and their families.
pub(crate) fn cluster_ips_fields(spec: &kinds::ServiceSpec, out: &mut Violations) {
    let root = at::At::root();
    service::addresses(spec, &root.field("spec"), out);
}

/// Every rule that an object breaks; none for a good one.
///
/// Of kinds that are not [covered](covers) only the metadata is looked at.
pub fn validate(object: &Object) -> Vec<Violation> {
    let mut out = Violations::default();
    match object {
        Object::ConfigMap(map) => config::config_map(map, &mut out),
        Object::CronJob(job) => job::cron_job(job, &mut out),
        Object::DaemonSet(set) => workload::daemon_set(set, &mut out),
        Object::Deployment(deployment) => workload::deployment(deployment, &mut out),
        Object::EndpointSlice(slice) => endpoints::endpoint_slice(slice, &mut out),
        Object::Endpoints(endpoints) => endpoints::endpoints(endpoints, &mut out),
        Object::Job(job) => job::job(job, &mut out),
        Object::LimitRange(range) => policy::limit_range(range, &mut out),
        Object::Node(node) => policy::node(node, &mut out),
        Object::PodDisruptionBudget(budget) => policy::pod_disruption_budget(budget, &mut out),
        Object::Namespace(namespace) => config::namespace(namespace, &mut out),
        Object::PersistentVolumeClaim(claim) => claim::persistent_volume_claim(claim, &mut out),
        Object::Pod(pod) => pod::pod(pod, &mut out),
        Object::ReplicaSet(set) => workload::replica_set(set, &mut out),
        Object::ReplicationController(controller) => workload::replication_controller(controller, &mut out),
        Object::ResourceQuota(quota) => quota::resource_quota(quota, &mut out),
        Object::Secret(secret) => config::secret(secret, &mut out),
        Object::Service(service) => service::service(service, &mut out),
        Object::StatefulSet(set) => workload::stateful_set(set, &mut out),
        other => {
            let scope = if is_namespaced(other.kind()) { Scope::Namespaced } else { Scope::Cluster };
            meta::generic_meta(other.metadata(), scope, &mut out);
        }
    }
    out.into_vec()
}
