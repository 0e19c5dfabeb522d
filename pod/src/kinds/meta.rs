//! Metadata of objects, selectors and references.

use std::collections::BTreeMap;

use crate::wire::raw::Raw;
use crate::wire::table::records;
use crate::wire::time::Time;

records! {
    /// Kubernetes `ManagedFieldsEntry` of `meta/v1`.
    ManagedFieldsEntry {
        api_version: Option<String> = "apiVersion" [3] OmitZero,
        fields_type: Option<String> = "fieldsType" [6] OmitZero,
        fields_v1: Option<Raw> = "fieldsV1" [7] Pointer,
        manager: Option<String> = "manager" [1] OmitZero,
        operation: Option<String> = "operation" [2] OmitZero,
        subresource: Option<String> = "subresource" [8] OmitZero,
        time: Option<Time> = "time" [4] OmitZero,
    }
    /// Kubernetes `OwnerReference` of `meta/v1`.
    OwnerReference {
        api_version: Option<String> = "apiVersion" [5] Always,
        block_owner_deletion: Option<bool> = "blockOwnerDeletion" [7] Pointer,
        controller: Option<bool> = "controller" [6] Pointer,
        kind: Option<String> = "kind" [1] Always,
        name: Option<String> = "name" [3] Always,
        uid: Option<String> = "uid" [4] Always,
    }
    /// Kubernetes `ObjectMeta` of `meta/v1`.
    ObjectMeta {
        annotations: BTreeMap<String, String> = "annotations" [12] OmitZero,
        creation_timestamp: Option<Time> = "creationTimestamp" [8] OmitZero,
        deletion_grace_period_seconds: Option<i64> = "deletionGracePeriodSeconds" [10] Pointer,
        deletion_timestamp: Option<Time> = "deletionTimestamp" [9] OmitZero,
        finalizers: Vec<String> = "finalizers" [14] OmitZero,
        generate_name: Option<String> = "generateName" [2] OmitZero,
        generation: Option<i64> = "generation" [7] OmitZero,
        labels: BTreeMap<String, String> = "labels" [11] OmitZero,
        managed_fields: Vec<ManagedFieldsEntry> = "managedFields" [17] OmitZero,
        name: Option<String> = "name" [1] OmitZero,
        namespace: Option<String> = "namespace" [3] OmitZero,
        owner_references: Vec<OwnerReference> = "ownerReferences" [13] OmitZero,
        resource_version: Option<String> = "resourceVersion" [6] OmitZero,
        self_link: Option<String> = "selfLink" [4] OmitZero,
        uid: Option<String> = "uid" [5] OmitZero,
    }
    /// Kubernetes `LabelSelectorRequirement` of `meta/v1`.
    LabelSelectorRequirement {
        key: Option<String> = "key" [1] Always,
        operator: Option<String> = "operator" [2] Always,
        values: Vec<String> = "values" [3] OmitZero,
    }
    /// Kubernetes `LabelSelector` of `meta/v1`.
    LabelSelector {
        match_expressions: Vec<LabelSelectorRequirement> = "matchExpressions" [2] OmitZero,
        match_labels: BTreeMap<String, String> = "matchLabels" [1] OmitZero,
    }
    /// Kubernetes `ListMeta` of `meta/v1`.
    ListMeta {
        continue_: Option<String> = "continue" [3] OmitZero,
        remaining_item_count: Option<i64> = "remainingItemCount" [4] Pointer,
        resource_version: Option<String> = "resourceVersion" [2] OmitZero,
        self_link: Option<String> = "selfLink" [1] OmitZero,
    }
    /// Kubernetes `Condition` of `meta/v1`.
    Condition {
        last_transition_time: Option<Time> = "lastTransitionTime" [4] Always,
        message: Option<String> = "message" [6] Always,
        observed_generation: Option<i64> = "observedGeneration" [3] OmitZero,
        reason: Option<String> = "reason" [5] Always,
        status: Option<String> = "status" [2] Always,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `ObjectReference` of `v1`.
    ObjectReference {
        api_version: Option<String> = "apiVersion" [5] OmitZero,
        field_path: Option<String> = "fieldPath" [7] OmitZero,
        kind: Option<String> = "kind" [1] OmitZero,
        name: Option<String> = "name" [3] OmitZero,
        namespace: Option<String> = "namespace" [2] OmitZero,
        resource_version: Option<String> = "resourceVersion" [6] OmitZero,
        uid: Option<String> = "uid" [4] OmitZero,
    }
    /// Kubernetes `LocalObjectReference` of `v1`.
    LocalObjectReference {
        name: Option<String> = "name" [1] Always,
    }
    /// Kubernetes `TypedLocalObjectReference` of `v1`.
    TypedLocalObjectReference {
        api_group: Option<String> = "apiGroup" [1] Pointer,
        kind: Option<String> = "kind" [2] Always,
        name: Option<String> = "name" [3] Always,
    }
    /// Kubernetes `Preconditions` of `meta/v1`.
    Preconditions {
        resource_version: Option<String> = "resourceVersion" [2] Pointer,
        uid: Option<String> = "uid" [1] Pointer,
    }
    /// Kubernetes `DeleteOptions` of `meta/v1`.
    DeleteOptions {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        dry_run: Vec<String> = "dryRun" [5] OmitZero,
        grace_period_seconds: Option<i64> = "gracePeriodSeconds" [1] Pointer,
        ignore_store_read_error_with_cluster_breaking_potential: Option<bool> = "ignoreStoreReadErrorWithClusterBreakingPotential" [6] Pointer,
        kind: Option<String> = "kind" [0] OmitZero,
        orphan_dependents: Option<bool> = "orphanDependents" [3] Pointer,
        preconditions: Option<Box<Preconditions>> = "preconditions" [2] Pointer,
        propagation_policy: Option<String> = "propagationPolicy" [4] Pointer,
    }
}
