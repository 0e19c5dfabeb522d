//! Disruption budgets, evictions, priorities and leases.

use std::collections::BTreeMap;

use crate::kinds::meta::{Condition, DeleteOptions, LabelSelector, ObjectMeta};
use crate::wire::scalar::IntOrString;
use crate::wire::table::records;
use crate::wire::time::{MicroTime, Time};

records! {
    /// Kubernetes `PodDisruptionBudgetSpec` of `policy/v1`.
    PodDisruptionBudgetSpec {
        max_unavailable: Option<IntOrString> = "maxUnavailable" [3] Pointer,
        min_available: Option<IntOrString> = "minAvailable" [1] Pointer,
        selector: Option<Box<LabelSelector>> = "selector" [2] Pointer,
        unhealthy_pod_eviction_policy: Option<String> = "unhealthyPodEvictionPolicy" [4] Pointer,
    }
    /// Kubernetes `PodDisruptionBudgetStatus` of `policy/v1`.
    PodDisruptionBudgetStatus {
        conditions: Vec<Condition> = "conditions" [7] OmitZero,
        current_healthy: Option<i32> = "currentHealthy" [4] Always,
        desired_healthy: Option<i32> = "desiredHealthy" [5] Always,
        disrupted_pods: BTreeMap<String, Time> = "disruptedPods" [2] OmitZero,
        disruptions_allowed: Option<i32> = "disruptionsAllowed" [3] Always,
        expected_pods: Option<i32> = "expectedPods" [6] Always,
        observed_generation: Option<i64> = "observedGeneration" [1] OmitZero,
    }
    /// Kubernetes `PodDisruptionBudget` of `policy/v1`.
    PodDisruptionBudget = "policy/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: PodDisruptionBudgetSpec = "spec" [2] Always,
        status: PodDisruptionBudgetStatus = "status" [3] Always,
    }
    /// Kubernetes `Eviction` of `policy/v1`.
    Eviction = "policy/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        delete_options: Option<Box<DeleteOptions>> = "deleteOptions" [2] Pointer,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
    }
    /// Kubernetes `PriorityClass` of `scheduling.k8s.io/v1`.
    PriorityClass = "scheduling.k8s.io/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        description: Option<String> = "description" [4] OmitZero,
        global_default: Option<bool> = "globalDefault" [3] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        preemption_policy: Option<String> = "preemptionPolicy" [5] Pointer,
        value: Option<i32> = "value" [2] Always,
    }
    /// Kubernetes `LeaseSpec` of `coordination.k8s.io/v1`.
    LeaseSpec {
        acquire_time: Option<MicroTime> = "acquireTime" [3] OmitZero,
        holder_identity: Option<String> = "holderIdentity" [1] Pointer,
        lease_duration_seconds: Option<i32> = "leaseDurationSeconds" [2] Pointer,
        lease_transitions: Option<i32> = "leaseTransitions" [5] Pointer,
        preferred_holder: Option<String> = "preferredHolder" [7] Pointer,
        renew_time: Option<MicroTime> = "renewTime" [4] OmitZero,
        strategy: Option<String> = "strategy" [6] Pointer,
    }
    /// Kubernetes `Lease` of `coordination.k8s.io/v1`.
    Lease = "coordination.k8s.io/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: LeaseSpec = "spec" [2] Always,
    }
}
