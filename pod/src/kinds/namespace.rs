//! Namespaces, their quotas and limits, service accounts.

use std::collections::BTreeMap;

use crate::kinds::meta::{LocalObjectReference, ObjectMeta, ObjectReference};
use crate::quantity::Quantity;
use crate::wire::table::records;
use crate::wire::time::Time;

records! {
    /// Kubernetes `NamespaceSpec` of `v1`.
    NamespaceSpec {
        finalizers: Vec<String> = "finalizers" [1] OmitZero,
    }
    /// Kubernetes `NamespaceCondition` of `v1`.
    NamespaceCondition {
        last_transition_time: Option<Time> = "lastTransitionTime" [4] Always,
        message: Option<String> = "message" [6] OmitZero,
        reason: Option<String> = "reason" [5] OmitZero,
        status: Option<String> = "status" [2] Always,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `NamespaceStatus` of `v1`.
    NamespaceStatus {
        conditions: Vec<NamespaceCondition> = "conditions" [2] OmitZero,
        phase: Option<String> = "phase" [1] OmitZero,
    }
    /// Kubernetes `Namespace` of `v1`.
    Namespace = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: NamespaceSpec = "spec" [2] Always,
        status: NamespaceStatus = "status" [3] Always,
    }
    /// Kubernetes `ScopedResourceSelectorRequirement` of `v1`.
    ScopedResourceSelectorRequirement {
        operator: Option<String> = "operator" [2] Always,
        scope_name: Option<String> = "scopeName" [1] Always,
        values: Vec<String> = "values" [3] OmitZero,
    }
    /// Kubernetes `ScopeSelector` of `v1`.
    ScopeSelector {
        match_expressions: Vec<ScopedResourceSelectorRequirement> = "matchExpressions" [1] OmitZero,
    }
    /// Kubernetes `ResourceQuotaSpec` of `v1`.
    ResourceQuotaSpec {
        hard: BTreeMap<String, Quantity> = "hard" [1] OmitZero,
        scope_selector: Option<Box<ScopeSelector>> = "scopeSelector" [3] Pointer,
        scopes: Vec<String> = "scopes" [2] OmitZero,
    }
    /// Kubernetes `ResourceQuotaStatus` of `v1`.
    ResourceQuotaStatus {
        hard: BTreeMap<String, Quantity> = "hard" [1] OmitZero,
        used: BTreeMap<String, Quantity> = "used" [2] OmitZero,
    }
    /// Kubernetes `ResourceQuota` of `v1`.
    ResourceQuota = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: ResourceQuotaSpec = "spec" [2] Always,
        status: ResourceQuotaStatus = "status" [3] Always,
    }
    /// Kubernetes `LimitRangeItem` of `v1`.
    LimitRangeItem {
        default: BTreeMap<String, Quantity> = "default" [4] OmitZero,
        default_request: BTreeMap<String, Quantity> = "defaultRequest" [5] OmitZero,
        max: BTreeMap<String, Quantity> = "max" [2] OmitZero,
        max_limit_request_ratio: BTreeMap<String, Quantity> = "maxLimitRequestRatio" [6] OmitZero,
        min: BTreeMap<String, Quantity> = "min" [3] OmitZero,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `LimitRangeSpec` of `v1`.
    LimitRangeSpec {
        limits: Vec<LimitRangeItem> = "limits" [1] Always,
    }
    /// Kubernetes `LimitRange` of `v1`.
    LimitRange = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: LimitRangeSpec = "spec" [2] Always,
    }
    /// Kubernetes `ServiceAccount` of `v1`.
    ServiceAccount = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        automount_service_account_token: Option<bool> = "automountServiceAccountToken" [4] Pointer,
        image_pull_secrets: Vec<LocalObjectReference> = "imagePullSecrets" [3] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        secrets: Vec<ObjectReference> = "secrets" [2] OmitZero,
    }
}
