//! How lists are merged: which of their elements' fields tells two of them apart.
//!
//! Source: the tags `patchStrategy`, `patchMergeKey`, `listType` and `listMapKey` of `k8s.io/api`.

/// How the elements of a list are told apart when two lists are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListKind {
    /// The list is one value.
    Atomic,
    /// Each element is there once.
    Set,
    /// By these fields; strategic patches go by the first alone.
    Map(&'static [&'static str]),
}

/// What strategic patches do about a map beyond merging it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MapKind {
    Merge,
    Replace,
}

/// Type, field, and the keys of the elements; no keys for a set. Sorted.
const LISTS: [(&str, &str, &[&str]); 47] = [
    ("Container", "env", &["name"]),
    ("Container", "ports", &["containerPort", "protocol"]),
    ("Container", "volumeDevices", &["devicePath"]),
    ("Container", "volumeMounts", &["mountPath"]),
    ("ContainerStatus", "allocatedResourcesStatus", &["name"]),
    ("ContainerStatus", "volumeMounts", &["mountPath"]),
    ("DaemonSetStatus", "conditions", &["type"]),
    ("DeploymentStatus", "conditions", &["type"]),
    ("EphemeralContainer", "env", &["name"]),
    ("EphemeralContainer", "ports", &["containerPort", "protocol"]),
    ("EphemeralContainer", "volumeDevices", &["devicePath"]),
    ("EphemeralContainer", "volumeMounts", &["mountPath"]),
    ("JobStatus", "conditions", &["type"]),
    ("NamespaceStatus", "conditions", &["type"]),
    ("NodeSpec", "podCIDRs", &[]),
    ("NodeStatus", "addresses", &["type"]),
    ("NodeStatus", "conditions", &["type"]),
    ("ObjectMeta", "finalizers", &[]),
    ("ObjectMeta", "ownerReferences", &["uid"]),
    ("PersistentVolumeClaimStatus", "conditions", &["type"]),
    ("PodDisruptionBudgetStatus", "conditions", &["type"]),
    ("PodSpec", "containers", &["name"]),
    ("PodSpec", "ephemeralContainers", &["name"]),
    ("PodSpec", "hostAliases", &["ip"]),
    ("PodSpec", "imagePullSecrets", &["name"]),
    ("PodSpec", "initContainers", &["name"]),
    ("PodSpec", "resourceClaims", &["name"]),
    ("PodSpec", "schedulingGates", &["name"]),
    ("PodSpec", "topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("PodSpec", "volumes", &["name"]),
    ("PodStatus", "conditions", &["type"]),
    ("PodStatus", "hostIPs", &["ip"]),
    ("PodStatus", "podIPs", &["ip"]),
    ("PodStatus", "resourceClaimStatuses", &["name"]),
    ("ReplicaSetStatus", "conditions", &["type"]),
    ("ReplicationControllerStatus", "conditions", &["type"]),
    ("ResourceRequirements", "claims", &["name"]),
    ("ServiceAccount", "secrets", &["name"]),
    ("ServiceSpec", "ports", &["port", "protocol"]),
    ("ServiceStatus", "conditions", &["type"]),
    ("StatefulSetStatus", "conditions", &["type"]),
    // Of these, strategic patches know nothing.
    ("CronJobStatus", "conditions", &["type"]),
    ("EndpointSlice", "ports", &["name"]),
    ("IngressLoadBalancerStatus", "ingress", &["ip"]),
    ("PersistentVolumeSpec", "accessModes", &[]),
    ("RuntimeClass", "scheduling", &[]),
    ("StorageClass", "mountOptions", &[]),
];
/// How many of the lists strategic patches merge.
const STRATEGIC: usize = 41;
/// Lists that are merged by other rules than strategic patches.
const APPLY_ONLY: [(&str, &str); 1] = [("ResourceRequirements", "claims")];

/// How two lists become one when they are applied.
fn list_kind(shape: &str, field: &str) -> ListKind {
    match LISTS.iter().find(|(own, name, _)| (*own, *name) == (shape, field)) {
        None => ListKind::Atomic,
        Some((_, _, [])) => ListKind::Set,
        Some((_, _, keys)) => ListKind::Map(keys),
    }
}

/// How a strategic patch makes one of two lists.
pub(super) fn strategic_list(shape: &str, field: &str) -> ListKind {
    let known = LISTS[..STRATEGIC].iter().any(|(own, name, _)| (*own, *name) == (shape, field));
    if known && !APPLY_ONLY.contains(&(shape, field)) { list_kind(shape, field) } else { ListKind::Atomic }
}

/// What a strategic patch does about a map.
pub(super) fn strategic_map(shape: &str, field: &str) -> MapKind {
    if (shape, field) == ("PodDisruptionBudgetSpec", "selector") { MapKind::Replace } else { MapKind::Merge }
}
