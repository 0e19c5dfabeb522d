//! How lists are merged: which of their elements' fields tells two of them apart.
//!
//! Source: the tags `patchStrategy`, `patchMergeKey`, `listType` and `listMapKey` of `k8s.io/api`.

/// How the elements of a list are told apart when two lists are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListKind {
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
const LISTS: [(&str, &str, &[&str]); 46] = [
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
    ("ContainerRestartRuleOnExitCodes", "values", &[]),
    ("Endpoint", "addresses", &[]),
    ("PodFailurePolicyOnExitCodesRequirement", "values", &[]),
    ("UncountedTerminatedPods", "failed", &[]),
    ("UncountedTerminatedPods", "succeeded", &[]),
];
/// How many of the lists strategic patches merge.
const STRATEGIC: usize = 41;
/// Lists that strategic patches merge, and that are one value when somebody applies them.
const STRATEGIC_ONLY: [(&str, &str); 1] = [("JobStatus", "conditions")];
/// Types that are one value when somebody applies them.
const WHOLE_TYPES: [&str; 21] = [
    "ConfigMapKeySelector",
    "EndpointAddress",
    "EndpointPort",
    "EndpointSlicePort",
    "FileKeySelector",
    "LabelSelector",
    "LocalObjectReference",
    "NodeSelector",
    "NodeSelectorTerm",
    "ObjectFieldSelector",
    "ObjectReference",
    "OwnerReference",
    "ResourceFieldSelector",
    "RoleRef",
    "ScopeSelector",
    "SecretKeySelector",
    "SecretReference",
    "ServiceBackendPort",
    "Subject",
    "TopologySelectorTerm",
    "TypedLocalObjectReference",
];
/// Fields with maps that are one value when somebody applies them.
const WHOLE_MAPS: [(&str, &str); 4] = [
    ("PodSpec", "nodeSelector"),
    ("ReplicationControllerSpec", "selector"),
    ("Scheduling", "nodeSelector"),
    ("ServiceSpec", "selector"),
];
/// A field that is taken apart although its type is one value elsewhere.
const APART: (&str, &str) = ("PersistentVolumeSpec", "claimRef");
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

/// How two lists become one when somebody applies a part of an object.
pub(crate) fn applied_list(shape: &str, field: &str) -> ListKind {
    if STRATEGIC_ONLY.contains(&(shape, field)) { ListKind::Atomic } else { list_kind(shape, field) }
}

/// Whether the map in a field, of the type `inner` if it is a record, is one value when somebody applies it.
pub(crate) fn is_applied_whole(shape: &str, field: &str, inner: Option<&str>) -> bool {
    let whole = inner.is_some_and(|inner| WHOLE_TYPES.contains(&inner)) || WHOLE_MAPS.contains(&(shape, field));
    whole && (shape, field) != APART
}

/// What a key field is that an element leaves out.
pub(crate) fn key_default(field: &str) -> Option<&'static str> {
    (field == "protocol").then_some("TCP")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::object::Object;
    use crate::wire::record::Shape;

    fn shapes() -> BTreeMap<&'static str, &'static Shape> {
        let mut shapes = BTreeMap::new();
        let mut open: Vec<&'static Shape> = Object::shapes();
        while let Some(shape) = open.pop() {
            if shapes.insert(shape.name, shape).is_none() {
                open.extend(shape.fields.iter().filter_map(|field| (field.element)()));
            }
        }
        shapes
    }

    #[test]
    fn tables_name_types_and_fields_that_are() {
        let shapes = shapes();
        let has = |(shape, field): (&str, &str)| {
            shapes.get(shape).is_some_and(|shape| shape.fields.iter().any(|own| own.name == field))
        };
        let lists = LISTS.iter().map(|(shape, field, _)| (*shape, *field));
        for entry in lists.chain(STRATEGIC_ONLY).chain(APPLY_ONLY).chain(WHOLE_MAPS).chain([APART]) {
            assert!(has(entry), "{entry:?}");
        }
        for (shape, field, keys) in &LISTS {
            let info = shapes[shape].fields.iter().find(|own| own.name == *field).unwrap();
            for key in *keys {
                assert!(has(((info.element)().unwrap().name, key)), "{shape} {field} {key}");
            }
        }
        for name in WHOLE_TYPES {
            assert!(shapes.contains_key(name), "{name}");
        }
    }
}
