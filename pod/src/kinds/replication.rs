//! Replication controllers, replica sets and their scale.

use std::collections::BTreeMap;

use crate::kinds::meta::{LabelSelector, ObjectMeta};
use crate::kinds::pod::PodTemplateSpec;
use crate::wire::table::records;
use crate::wire::time::Time;

records! {
    /// Kubernetes `ReplicationControllerSpec` of `v1`.
    ReplicationControllerSpec {
        min_ready_seconds: Option<i32> = "minReadySeconds" [4] OmitZero,
        replicas: Option<i32> = "replicas" [1] Pointer,
        selector: BTreeMap<String, String> = "selector" [2] OmitZero,
        template: Option<Box<PodTemplateSpec>> = "template" [3] Pointer,
    }
    /// Kubernetes `ReplicationControllerCondition` of `v1`.
    ReplicationControllerCondition {
        last_transition_time: Option<Time> = "lastTransitionTime" [3] Always,
        message: Option<String> = "message" [5] OmitZero,
        reason: Option<String> = "reason" [4] OmitZero,
        status: Option<String> = "status" [2] Always,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `ReplicationControllerStatus` of `v1`.
    ReplicationControllerStatus {
        available_replicas: Option<i32> = "availableReplicas" [5] OmitZero,
        conditions: Vec<ReplicationControllerCondition> = "conditions" [6] OmitZero,
        fully_labeled_replicas: Option<i32> = "fullyLabeledReplicas" [2] OmitZero,
        observed_generation: Option<i64> = "observedGeneration" [3] OmitZero,
        ready_replicas: Option<i32> = "readyReplicas" [4] OmitZero,
        replicas: Option<i32> = "replicas" [1] Always,
    }
    /// Kubernetes `ReplicationController` of `v1`.
    ReplicationController = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: ReplicationControllerSpec = "spec" [2] Always,
        status: ReplicationControllerStatus = "status" [3] Always,
    }
    /// Kubernetes `ReplicaSetSpec` of `apps/v1`.
    ReplicaSetSpec {
        min_ready_seconds: Option<i32> = "minReadySeconds" [4] OmitZero,
        replicas: Option<i32> = "replicas" [1] Pointer,
        selector: Option<Box<LabelSelector>> = "selector" [2] Always,
        template: PodTemplateSpec = "template" [3] Always,
    }
    /// Kubernetes `ReplicaSetCondition` of `apps/v1`.
    ReplicaSetCondition {
        last_transition_time: Option<Time> = "lastTransitionTime" [3] Always,
        message: Option<String> = "message" [5] OmitZero,
        reason: Option<String> = "reason" [4] OmitZero,
        status: Option<String> = "status" [2] Always,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `ReplicaSetStatus` of `apps/v1`.
    ReplicaSetStatus {
        available_replicas: Option<i32> = "availableReplicas" [5] OmitZero,
        conditions: Vec<ReplicaSetCondition> = "conditions" [6] OmitZero,
        fully_labeled_replicas: Option<i32> = "fullyLabeledReplicas" [2] OmitZero,
        observed_generation: Option<i64> = "observedGeneration" [3] OmitZero,
        ready_replicas: Option<i32> = "readyReplicas" [4] OmitZero,
        replicas: Option<i32> = "replicas" [1] Always,
        terminating_replicas: Option<i32> = "terminatingReplicas" [7] Pointer,
    }
    /// Kubernetes `ReplicaSet` of `apps/v1`.
    ReplicaSet = "apps/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: ReplicaSetSpec = "spec" [2] Always,
        status: ReplicaSetStatus = "status" [3] Always,
    }
    /// Kubernetes `ScaleSpec` of `autoscaling/v1`.
    ScaleSpec {
        replicas: Option<i32> = "replicas" [1] OmitZero,
    }
    /// Kubernetes `ScaleStatus` of `autoscaling/v1`.
    ScaleStatus {
        replicas: Option<i32> = "replicas" [1] Always,
        selector: Option<String> = "selector" [2] OmitZero,
    }
    /// Kubernetes `Scale` of `autoscaling/v1`.
    Scale = "autoscaling/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: ScaleSpec = "spec" [2] Always,
        status: ScaleStatus = "status" [3] Always,
    }
}
