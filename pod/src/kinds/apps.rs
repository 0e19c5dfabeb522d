//! Deployments, stateful sets, daemon sets.

use crate::kinds::meta::{LabelSelector, ObjectMeta};
use crate::kinds::pod::PodTemplateSpec;
use crate::kinds::storage::PersistentVolumeClaim;
use crate::wire::raw::Raw;
use crate::wire::scalar::IntOrString;
use crate::wire::table::records;
use crate::wire::time::Time;

records! {
    /// Kubernetes `RollingUpdateDeployment` of `apps/v1`.
    RollingUpdateDeployment {
        max_surge: Option<IntOrString> = "maxSurge" [2] Pointer,
        max_unavailable: Option<IntOrString> = "maxUnavailable" [1] Pointer,
    }
    /// Kubernetes `DeploymentStrategy` of `apps/v1`.
    DeploymentStrategy {
        rolling_update: Option<Box<RollingUpdateDeployment>> = "rollingUpdate" [2] Pointer,
        type_: Option<String> = "type" [1] OmitZero,
    }
    /// Kubernetes `DeploymentSpec` of `apps/v1`.
    DeploymentSpec {
        min_ready_seconds: Option<i32> = "minReadySeconds" [5] OmitZero,
        paused: Option<bool> = "paused" [7] OmitZero,
        progress_deadline_seconds: Option<i32> = "progressDeadlineSeconds" [9] Pointer,
        replicas: Option<i32> = "replicas" [1] Pointer,
        revision_history_limit: Option<i32> = "revisionHistoryLimit" [6] Pointer,
        selector: Option<Box<LabelSelector>> = "selector" [2] Always,
        strategy: DeploymentStrategy = "strategy" [4] Always,
        template: PodTemplateSpec = "template" [3] Always,
    }
    /// Kubernetes `DeploymentCondition` of `apps/v1`.
    DeploymentCondition {
        last_transition_time: Option<Time> = "lastTransitionTime" [7] Always,
        last_update_time: Option<Time> = "lastUpdateTime" [6] Always,
        message: Option<String> = "message" [5] OmitZero,
        reason: Option<String> = "reason" [4] OmitZero,
        status: Option<String> = "status" [2] Always,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `DeploymentStatus` of `apps/v1`.
    DeploymentStatus {
        available_replicas: Option<i32> = "availableReplicas" [4] OmitZero,
        collision_count: Option<i32> = "collisionCount" [8] Pointer,
        conditions: Vec<DeploymentCondition> = "conditions" [6] OmitZero,
        observed_generation: Option<i64> = "observedGeneration" [1] OmitZero,
        ready_replicas: Option<i32> = "readyReplicas" [7] OmitZero,
        replicas: Option<i32> = "replicas" [2] OmitZero,
        terminating_replicas: Option<i32> = "terminatingReplicas" [9] Pointer,
        unavailable_replicas: Option<i32> = "unavailableReplicas" [5] OmitZero,
        updated_replicas: Option<i32> = "updatedReplicas" [3] OmitZero,
    }
    /// Kubernetes `Deployment` of `apps/v1`.
    Deployment = "apps/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: DeploymentSpec = "spec" [2] Always,
        status: DeploymentStatus = "status" [3] Always,
    }
    /// Kubernetes `StatefulSetOrdinals` of `apps/v1`.
    StatefulSetOrdinals {
        start: Option<i32> = "start" [1] Pointer,
    }
    /// Kubernetes `StatefulSetPersistentVolumeClaimRetentionPolicy` of `apps/v1`.
    StatefulSetPersistentVolumeClaimRetentionPolicy {
        when_deleted: Option<String> = "whenDeleted" [1] OmitZero,
        when_scaled: Option<String> = "whenScaled" [2] OmitZero,
    }
    /// Kubernetes `RollingUpdateStatefulSetStrategy` of `apps/v1`.
    RollingUpdateStatefulSetStrategy {
        max_unavailable: Option<IntOrString> = "maxUnavailable" [2] Pointer,
        partition: Option<i32> = "partition" [1] Pointer,
    }
    /// Kubernetes `StatefulSetUpdateStrategy` of `apps/v1`.
    StatefulSetUpdateStrategy {
        rolling_update: Option<Box<RollingUpdateStatefulSetStrategy>> = "rollingUpdate" [2] Pointer,
        type_: Option<String> = "type" [1] OmitZero,
    }
    /// Kubernetes `StatefulSetSpec` of `apps/v1`.
    StatefulSetSpec {
        min_ready_seconds: Option<i32> = "minReadySeconds" [9] OmitZero,
        ordinals: Option<Box<StatefulSetOrdinals>> = "ordinals" [11] Pointer,
        persistent_volume_claim_retention_policy: Option<Box<StatefulSetPersistentVolumeClaimRetentionPolicy>> = "persistentVolumeClaimRetentionPolicy" [10] Pointer,
        pod_management_policy: Option<String> = "podManagementPolicy" [6] OmitZero,
        replicas: Option<i32> = "replicas" [1] Pointer,
        revision_history_limit: Option<i32> = "revisionHistoryLimit" [8] Pointer,
        selector: Option<Box<LabelSelector>> = "selector" [2] Always,
        service_name: Option<String> = "serviceName" [5] Always,
        template: PodTemplateSpec = "template" [3] Always,
        update_strategy: StatefulSetUpdateStrategy = "updateStrategy" [7] Always,
        volume_claim_templates: Vec<PersistentVolumeClaim> = "volumeClaimTemplates" [4] OmitZero,
    }
    /// Kubernetes `StatefulSetCondition` of `apps/v1`.
    StatefulSetCondition {
        last_transition_time: Option<Time> = "lastTransitionTime" [3] Always,
        message: Option<String> = "message" [5] OmitZero,
        reason: Option<String> = "reason" [4] OmitZero,
        status: Option<String> = "status" [2] Always,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `StatefulSetStatus` of `apps/v1`.
    StatefulSetStatus {
        available_replicas: Option<i32> = "availableReplicas" [11] Always,
        collision_count: Option<i32> = "collisionCount" [9] Pointer,
        conditions: Vec<StatefulSetCondition> = "conditions" [10] OmitZero,
        current_replicas: Option<i32> = "currentReplicas" [4] OmitZero,
        current_revision: Option<String> = "currentRevision" [6] OmitZero,
        observed_generation: Option<i64> = "observedGeneration" [1] OmitZero,
        ready_replicas: Option<i32> = "readyReplicas" [3] OmitZero,
        replicas: Option<i32> = "replicas" [2] Always,
        update_revision: Option<String> = "updateRevision" [7] OmitZero,
        updated_replicas: Option<i32> = "updatedReplicas" [5] OmitZero,
    }
    /// Kubernetes `StatefulSet` of `apps/v1`.
    StatefulSet = "apps/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: StatefulSetSpec = "spec" [2] Always,
        status: StatefulSetStatus = "status" [3] Always,
    }
    /// Kubernetes `RollingUpdateDaemonSet` of `apps/v1`.
    RollingUpdateDaemonSet {
        max_surge: Option<IntOrString> = "maxSurge" [2] Pointer,
        max_unavailable: Option<IntOrString> = "maxUnavailable" [1] Pointer,
    }
    /// Kubernetes `DaemonSetUpdateStrategy` of `apps/v1`.
    DaemonSetUpdateStrategy {
        rolling_update: Option<Box<RollingUpdateDaemonSet>> = "rollingUpdate" [2] Pointer,
        type_: Option<String> = "type" [1] OmitZero,
    }
    /// Kubernetes `DaemonSetSpec` of `apps/v1`.
    DaemonSetSpec {
        min_ready_seconds: Option<i32> = "minReadySeconds" [4] OmitZero,
        revision_history_limit: Option<i32> = "revisionHistoryLimit" [6] Pointer,
        selector: Option<Box<LabelSelector>> = "selector" [1] Always,
        template: PodTemplateSpec = "template" [2] Always,
        update_strategy: DaemonSetUpdateStrategy = "updateStrategy" [3] Always,
    }
    /// Kubernetes `DaemonSetCondition` of `apps/v1`.
    DaemonSetCondition {
        last_transition_time: Option<Time> = "lastTransitionTime" [3] Always,
        message: Option<String> = "message" [5] OmitZero,
        reason: Option<String> = "reason" [4] OmitZero,
        status: Option<String> = "status" [2] Always,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `DaemonSetStatus` of `apps/v1`.
    DaemonSetStatus {
        collision_count: Option<i32> = "collisionCount" [9] Pointer,
        conditions: Vec<DaemonSetCondition> = "conditions" [10] OmitZero,
        current_number_scheduled: Option<i32> = "currentNumberScheduled" [1] Always,
        desired_number_scheduled: Option<i32> = "desiredNumberScheduled" [3] Always,
        number_available: Option<i32> = "numberAvailable" [7] OmitZero,
        number_misscheduled: Option<i32> = "numberMisscheduled" [2] Always,
        number_ready: Option<i32> = "numberReady" [4] Always,
        number_unavailable: Option<i32> = "numberUnavailable" [8] OmitZero,
        observed_generation: Option<i64> = "observedGeneration" [5] OmitZero,
        updated_number_scheduled: Option<i32> = "updatedNumberScheduled" [6] OmitZero,
    }
    /// Kubernetes `DaemonSet` of `apps/v1`.
    DaemonSet = "apps/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: DaemonSetSpec = "spec" [2] Always,
        status: DaemonSetStatus = "status" [3] Always,
    }
    /// Kubernetes `ControllerRevision` of `apps/v1`.
    ControllerRevision = "apps/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        data: Option<Raw> = "data" [2] Pointer,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        revision: Option<i64> = "revision" [3] Always,
    }
}
