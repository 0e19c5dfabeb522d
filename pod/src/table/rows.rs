//! Which table each kind has.

use super::{Cell, Column, Row, number, pod, service, storage, text, wide, workload};
use crate::object::Object;
use crate::wire::text::Text as _;
use crate::wire::time::Time;

const CONTAINER_NAMES: Column = wide("Containers");
const IMAGES: Column = wide("Images");
const SELECTOR: Column = wide("Selector");

const POD: &[Column] = &[
    text("Name"),
    text("Ready"),
    text("Status"),
    text("Restarts"),
    text("Age"),
    wide("IP"),
    wide("Node"),
    wide("Nominated Node"),
    wide("Readiness Gates"),
];
const SERVICE: &[Column] =
    &[text("Name"), text("Type"), text("Cluster-IP"), text("External-IP"), text("Port(s)"), text("Age"), SELECTOR];
const REPLICAS: &[Column] = &[
    text("Name"),
    number("Desired"),
    number("Current"),
    number("Ready"),
    text("Age"),
    CONTAINER_NAMES,
    IMAGES,
    SELECTOR,
];
const DEPLOYMENT: &[Column] = &[
    text("Name"),
    text("Ready"),
    text("Up-to-date"),
    text("Available"),
    text("Age"),
    CONTAINER_NAMES,
    IMAGES,
    SELECTOR,
];
const STATEFUL_SET: &[Column] = &[text("Name"), text("Ready"), text("Age"), CONTAINER_NAMES, IMAGES];
const DAEMON_SET: &[Column] = &[
    text("Name"),
    number("Desired"),
    number("Current"),
    number("Ready"),
    number("Up-to-date"),
    number("Available"),
    text("Node Selector"),
    text("Age"),
    CONTAINER_NAMES,
    IMAGES,
    SELECTOR,
];
const JOB: &[Column] = &[
    text("Name"),
    text("Status"),
    text("Completions"),
    text("Duration"),
    text("Age"),
    CONTAINER_NAMES,
    IMAGES,
    SELECTOR,
];
const CRON_JOB: &[Column] = &[
    text("Name"),
    text("Schedule"),
    text("Timezone"),
    text("Suspend"),
    number("Active"),
    text("Last Schedule"),
    text("Age"),
    CONTAINER_NAMES,
    IMAGES,
    SELECTOR,
];
const NODE: &[Column] = &[
    text("Name"),
    text("Status"),
    text("Roles"),
    text("Age"),
    text("Version"),
    wide("Internal-IP"),
    wide("External-IP"),
    wide("OS-Image"),
    wide("Kernel-Version"),
    wide("Container-Runtime"),
];
const NAMESPACE: &[Column] = &[text("Name"), text("Status"), text("Age")];
const ENDPOINTS: &[Column] = &[text("Name"), text("Endpoints"), text("Age")];
const SLICE: &[Column] = &[text("Name"), text("AddressType"), text("Ports"), text("Endpoints"), text("Age")];
const INGRESS: &[Column] = &[text("Name"), text("Class"), text("Hosts"), text("Address"), text("Ports"), text("Age")];
const CLAIM: &[Column] = &[
    text("Name"),
    text("Status"),
    text("Volume"),
    text("Capacity"),
    text("Access Modes"),
    text("StorageClass"),
    text("VolumeAttributesClass"),
    text("Age"),
    wide("VolumeMode"),
];
const VOLUME: &[Column] = &[
    text("Name"),
    text("Capacity"),
    text("Access Modes"),
    text("Reclaim Policy"),
    text("Status"),
    text("Claim"),
    text("StorageClass"),
    text("VolumeAttributesClass"),
    text("Reason"),
    text("Age"),
    wide("VolumeMode"),
];
const STORAGE_CLASS: &[Column] = &[
    text("Name"),
    text("Provisioner"),
    text("ReclaimPolicy"),
    text("VolumeBindingMode"),
    text("AllowVolumeExpansion"),
    text("Age"),
];
const PRIORITY: &[Column] =
    &[text("Name"), number("Value"), text("Global-Default"), text("Age"), text("PreemptionPolicy")];
const BUDGET: &[Column] =
    &[text("Name"), text("Min Available"), text("Max Unavailable"), number("Allowed Disruptions"), text("Age")];
const CONFIG_MAP: &[Column] = &[text("Name"), number("Data"), text("Age")];
const SECRET: &[Column] = &[text("Name"), text("Type"), number("Data"), text("Age")];
const BINDING: &[Column] = &[text("Name"), text("Role"), text("Age")];
const LEASE: &[Column] = &[text("Name"), text("Holder"), text("Age")];
const RUNTIME_CLASS: &[Column] = &[text("Name"), text("Handler"), text("Age")];
const OTHER: &[Column] = &[text("Name"), text("Age")];

pub(super) fn columns(object: &Object) -> &'static [Column] {
    match object {
        Object::Pod(_) => POD,
        Object::Service(_) => SERVICE,
        Object::ReplicationController(_) | Object::ReplicaSet(_) => REPLICAS,
        Object::Deployment(_) => DEPLOYMENT,
        Object::StatefulSet(_) => STATEFUL_SET,
        Object::DaemonSet(_) => DAEMON_SET,
        Object::Job(_) => JOB,
        Object::CronJob(_) => CRON_JOB,
        Object::Node(_) => NODE,
        Object::Namespace(_) => NAMESPACE,
        Object::Endpoints(_) => ENDPOINTS,
        Object::EndpointSlice(_) => SLICE,
        Object::Ingress(_) => INGRESS,
        Object::PersistentVolumeClaim(_) => CLAIM,
        Object::PersistentVolume(_) => VOLUME,
        Object::StorageClass(_) => STORAGE_CLASS,
        Object::PriorityClass(_) => PRIORITY,
        Object::PodDisruptionBudget(_) => BUDGET,
        Object::ConfigMap(_) => CONFIG_MAP,
        Object::Secret(_) => SECRET,
        Object::RoleBinding(_) | Object::ClusterRoleBinding(_) => BINDING,
        Object::Lease(_) => LEASE,
        Object::RuntimeClass(_) => RUNTIME_CLASS,
        _ => OTHER,
    }
}

pub(super) fn row(object: &Object, now: Time) -> Row {
    let cells = match object {
        Object::Pod(own) => return pod::row(own, now),
        Object::Service(own) => service::service(own, now),
        Object::ReplicationController(own) => workload::replication_controller(own, now),
        Object::ReplicaSet(own) => workload::replica_set(own, now),
        Object::Deployment(own) => workload::deployment(own, now),
        Object::StatefulSet(own) => workload::stateful_set(own, now),
        Object::DaemonSet(own) => workload::daemon_set(own, now),
        Object::Job(own) => workload::job(own, now),
        Object::CronJob(own) => workload::cron_job(own, now),
        Object::Node(own) => service::node(own, now),
        Object::Endpoints(own) => service::endpoints(own, now),
        Object::EndpointSlice(own) => service::endpoint_slice(own, now),
        Object::Ingress(own) => service::ingress(own, now),
        Object::PersistentVolumeClaim(own) => storage::claim(own, now),
        Object::PersistentVolume(own) => storage::volume(own, now),
        Object::StorageClass(own) => storage::class(own, now),
        Object::PriorityClass(own) => storage::priority(own, now),
        Object::PodDisruptionBudget(own) => storage::budget(own, now),
        other => storage::plain(other.metadata(), middle(other), now),
    };
    Row { cells, conditions: Vec::new() }
}

/// What stands between the name and the age.
fn middle(object: &Object) -> Vec<Cell> {
    let role = |role: &crate::kinds::RoleRef| format!("{}/{}", role.kind.text(), role.name.text());
    match object {
        Object::Namespace(own) => vec![own.status.phase.text().into()],
        Object::ConfigMap(own) => vec![(own.data.len() + own.binary_data.len()).into()],
        Object::Secret(own) => vec![own.type_.text().into(), own.data.len().into()],
        Object::RoleBinding(own) => vec![role(&own.role_ref).into()],
        Object::ClusterRoleBinding(own) => vec![role(&own.role_ref).into()],
        Object::Lease(own) => vec![storage::or_none(own.spec.holder_identity.text())],
        Object::RuntimeClass(own) => vec![own.handler.text().into()],
        _ => Vec::new(),
    }
}
