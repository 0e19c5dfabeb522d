//! Roles and their bindings.

use crate::kinds::meta::{LabelSelector, ObjectMeta};
use crate::wire::table::records;

records! {
    /// Kubernetes `PolicyRule` of `rbac.authorization.k8s.io/v1`.
    PolicyRule {
        api_groups: Vec<String> = "apiGroups" [2] OmitZero,
        non_resource_urls: Vec<String> = "nonResourceURLs" [5] OmitZero,
        resource_names: Vec<String> = "resourceNames" [4] OmitZero,
        resources: Vec<String> = "resources" [3] OmitZero,
        verbs: Vec<String> = "verbs" [1] Always,
    }
    /// Kubernetes `Role` of `rbac.authorization.k8s.io/v1`.
    Role = "rbac.authorization.k8s.io/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        rules: Vec<PolicyRule> = "rules" [2] OmitZero,
    }
    /// Kubernetes `AggregationRule` of `rbac.authorization.k8s.io/v1`.
    AggregationRule {
        cluster_role_selectors: Vec<LabelSelector> = "clusterRoleSelectors" [1] OmitZero,
    }
    /// Kubernetes `ClusterRole` of `rbac.authorization.k8s.io/v1`.
    ClusterRole = "rbac.authorization.k8s.io/v1" {
        aggregation_rule: Option<Box<AggregationRule>> = "aggregationRule" [3] Pointer,
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        rules: Vec<PolicyRule> = "rules" [2] OmitZero,
    }
    /// Kubernetes `RoleRef` of `rbac.authorization.k8s.io/v1`.
    RoleRef {
        api_group: Option<String> = "apiGroup" [1] Always,
        kind: Option<String> = "kind" [2] Always,
        name: Option<String> = "name" [3] Always,
    }
    /// Kubernetes `Subject` of `rbac.authorization.k8s.io/v1`.
    Subject {
        api_group: Option<String> = "apiGroup" [2] OmitZero,
        kind: Option<String> = "kind" [1] Always,
        name: Option<String> = "name" [3] Always,
        namespace: Option<String> = "namespace" [4] OmitZero,
    }
    /// Kubernetes `RoleBinding` of `rbac.authorization.k8s.io/v1`.
    RoleBinding = "rbac.authorization.k8s.io/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        role_ref: RoleRef = "roleRef" [3] Always,
        subjects: Vec<Subject> = "subjects" [2] OmitZero,
    }
    /// Kubernetes `ClusterRoleBinding` of `rbac.authorization.k8s.io/v1`.
    ClusterRoleBinding = "rbac.authorization.k8s.io/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        role_ref: RoleRef = "roleRef" [3] Always,
        subjects: Vec<Subject> = "subjects" [2] OmitZero,
    }
}
