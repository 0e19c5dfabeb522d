//! Defaults: what Kubernetes fills in before it validates an object.
//!
//! Source: the `SetDefaults_*` functions of `pkg/apis/*/v1`.

mod explain;
mod image;
mod pod;
mod service;
mod storage;
mod volume;
mod workload;

use crate::object::Object;
use crate::resources::ResourceList;
use crate::wire::text::Text as _;

pub use explain::{Explained, explain, explain_default};

/// Fills in what is not set.
///
/// ```
/// use windlass_pod::{Object, decode_yaml_as, defaults, kinds::Pod};
///
/// let pod: Pod = decode_yaml_as(b"spec: {containers: [{name: web, image: nginx}]}").unwrap();
/// let mut object = Object::from(pod);
/// defaults::apply(&mut object);
/// let pod = Pod::try_from(object).unwrap();
/// assert_eq!(pod.spec.restart_policy.as_deref(), Some("Always"));
/// assert_eq!(pod.spec.containers[0].image_pull_policy.as_deref(), Some("Always"));
/// ```
pub fn apply(object: &mut Object) {
    match object {
        Object::Pod(pod) => pod::pod(pod),
        Object::PodTemplate(template) => pod::template(&mut template.template),
        Object::ReplicationController(controller) => workload::replication_controller(controller),
        Object::ReplicaSet(set) => workload::replica_set(set),
        Object::Deployment(deployment) => workload::deployment(deployment),
        Object::StatefulSet(set) => workload::stateful_set(set),
        Object::DaemonSet(set) => workload::daemon_set(set),
        Object::Job(job) => workload::job(job),
        Object::CronJob(job) => workload::cron_job(job),
        Object::Service(service) => service::service(service),
        Object::Endpoints(endpoints) => service::endpoints(endpoints),
        Object::EndpointSlice(slice) => service::endpoint_slice(slice),
        Object::NetworkPolicy(policy) => service::network_policy(policy),
        Object::Namespace(namespace) => {
            if let Some(name) = namespace.metadata.name.clone().filter(|name| !name.is_empty()) {
                namespace.metadata.labels.insert("kubernetes.io/metadata.name".to_owned(), name);
            }
            text(&mut namespace.status.phase, "Active");
        }
        Object::Node(node) => {
            list(&mut node.status.capacity);
            list(&mut node.status.allocatable);
            if node.status.allocatable.is_empty() {
                node.status.allocatable.clone_from(&node.status.capacity);
            }
            if node.spec.pod_cidrs.is_empty() {
                node.spec.pod_cidrs.extend(node.spec.pod_cidr.clone().filter(|range| !range.is_empty()));
            }
        }
        Object::Secret(secret) => text(&mut secret.type_, "Opaque"),
        Object::PersistentVolume(volume) => storage::persistent_volume(volume),
        Object::PersistentVolumeClaim(claim) => storage::persistent_volume_claim(claim),
        Object::StorageClass(class) => storage::storage_class(class),
        Object::ResourceQuota(quota) => {
            list(&mut quota.spec.hard);
            list(&mut quota.status.hard);
            list(&mut quota.status.used);
        }
        Object::LimitRange(range) => range.spec.limits.iter_mut().for_each(storage::limit_range_item),
        Object::PriorityClass(class) => text(&mut class.preemption_policy, "PreemptLowerPriority"),
        Object::RuntimeClass(class) => {
            if let Some(overhead) = &mut class.overhead {
                list(&mut overhead.pod_fixed);
            }
        }
        Object::RoleBinding(binding) => workload::role_binding(&mut binding.role_ref, &mut binding.subjects),
        Object::ClusterRoleBinding(binding) => workload::role_binding(&mut binding.role_ref, &mut binding.subjects),
        Object::Binding(_)
        | Object::ClusterRole(_)
        | Object::ConfigMap(_)
        | Object::ControllerRevision(_)
        | Object::Event(_)
        | Object::Eviction(_)
        | Object::Ingress(_)
        | Object::Lease(_)
        | Object::PodDisruptionBudget(_)
        | Object::Role(_)
        | Object::Scale(_)
        | Object::ServiceAccount(_) => {}
    }
}

/// Sets a text that is unset or empty.
fn text(slot: &mut Option<String>, value: &str) {
    if slot.text().is_empty() {
        *slot = Some(value.to_owned());
    }
}

/// Sets a text that is unset; an empty one stays.
fn text_if_unset(slot: &mut Option<String>, value: &str) {
    if slot.is_none() {
        *slot = Some(value.to_owned());
    }
}

/// Sets a number that is unset or zero.
fn number(slot: &mut Option<i32>, value: i32) {
    if slot.is_none_or(|number| number == 0) {
        *slot = Some(value);
    }
}

/// Sets what is unset.
fn value<T>(slot: &mut Option<T>, value: impl Into<T>) {
    if slot.is_none() {
        *slot = Some(value.into());
    }
}

/// Rounds amounts up to thousandths.
fn list(list: &mut ResourceList) {
    for amount in list.values_mut() {
        *amount = amount.rounded_up(-3);
    }
}
