//! What a pod reports.

use std::collections::BTreeMap;

use crate::kinds::resources::ResourceRequirements;
use crate::quantity::Quantity;
use crate::wire::table::records;
use crate::wire::time::Time;

records! {
    /// Kubernetes `PodCondition` of `v1`.
    PodCondition {
        last_probe_time: Option<Time> = "lastProbeTime" [3] Always,
        last_transition_time: Option<Time> = "lastTransitionTime" [4] Always,
        message: Option<String> = "message" [6] OmitZero,
        observed_generation: Option<i64> = "observedGeneration" [7] OmitZero,
        reason: Option<String> = "reason" [5] OmitZero,
        status: Option<String> = "status" [2] Always,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `ResourceHealth` of `v1`.
    ResourceHealth {
        health: Option<String> = "health" [2] OmitZero,
        resource_id: Option<String> = "resourceID" [1] Always,
    }
    /// Kubernetes `ResourceStatus` of `v1`.
    ResourceStatus {
        name: Option<String> = "name" [1] Always,
        resources: Vec<ResourceHealth> = "resources" [2] OmitZero,
    }
    /// Kubernetes `ContainerStateRunning` of `v1`.
    ContainerStateRunning {
        started_at: Option<Time> = "startedAt" [1] Always,
    }
    /// Kubernetes `ContainerStateTerminated` of `v1`.
    ContainerStateTerminated {
        container_id: Option<String> = "containerID" [7] OmitZero,
        exit_code: Option<i32> = "exitCode" [1] Always,
        finished_at: Option<Time> = "finishedAt" [6] Always,
        message: Option<String> = "message" [4] OmitZero,
        reason: Option<String> = "reason" [3] OmitZero,
        signal: Option<i32> = "signal" [2] OmitZero,
        started_at: Option<Time> = "startedAt" [5] Always,
    }
    /// Kubernetes `ContainerStateWaiting` of `v1`.
    ContainerStateWaiting {
        message: Option<String> = "message" [2] OmitZero,
        reason: Option<String> = "reason" [1] OmitZero,
    }
    /// Kubernetes `ContainerState` of `v1`.
    ContainerState {
        running: Option<Box<ContainerStateRunning>> = "running" [2] Pointer,
        terminated: Option<Box<ContainerStateTerminated>> = "terminated" [3] Pointer,
        waiting: Option<Box<ContainerStateWaiting>> = "waiting" [1] Pointer,
    }
    /// Kubernetes `LinuxContainerUser` of `v1`.
    LinuxContainerUser {
        gid: Option<i64> = "gid" [2] Always,
        supplemental_groups: Vec<i64> = "supplementalGroups" [3] OmitZero,
        uid: Option<i64> = "uid" [1] Always,
    }
    /// Kubernetes `ContainerUser` of `v1`.
    ContainerUser {
        linux: Option<Box<LinuxContainerUser>> = "linux" [1] Pointer,
    }
    /// Kubernetes `VolumeMountStatus` of `v1`.
    VolumeMountStatus {
        mount_path: Option<String> = "mountPath" [2] Always,
        name: Option<String> = "name" [1] Always,
        read_only: Option<bool> = "readOnly" [3] Pointer,
        recursive_read_only: Option<String> = "recursiveReadOnly" [4] Pointer,
    }
    /// Kubernetes `ContainerStatus` of `v1`.
    ContainerStatus {
        allocated_resources: BTreeMap<String, Quantity> = "allocatedResources" [10] OmitZero,
        allocated_resources_status: Vec<ResourceStatus> = "allocatedResourcesStatus" [14] OmitZero,
        container_id: Option<String> = "containerID" [8] OmitZero,
        image: Option<String> = "image" [6] Always,
        image_id: Option<String> = "imageID" [7] Always,
        last_state: ContainerState = "lastState" [3] Always,
        name: Option<String> = "name" [1] Always,
        ready: Option<bool> = "ready" [4] Always,
        resources: Option<Box<ResourceRequirements>> = "resources" [11] Pointer,
        restart_count: Option<i32> = "restartCount" [5] Always,
        started: Option<bool> = "started" [9] Pointer,
        state: ContainerState = "state" [2] Always,
        stop_signal: Option<String> = "stopSignal" [15] Pointer,
        user: Option<Box<ContainerUser>> = "user" [13] Pointer,
        volume_mounts: Vec<VolumeMountStatus> = "volumeMounts" [12] OmitZero,
    }
    /// Kubernetes `ContainerExtendedResourceRequest` of `v1`.
    ContainerExtendedResourceRequest {
        container_name: Option<String> = "containerName" [1] Always,
        request_name: Option<String> = "requestName" [3] Always,
        resource_name: Option<String> = "resourceName" [2] Always,
    }
    /// Kubernetes `PodExtendedResourceClaimStatus` of `v1`.
    PodExtendedResourceClaimStatus {
        request_mappings: Vec<ContainerExtendedResourceRequest> = "requestMappings" [1] Always,
        resource_claim_name: Option<String> = "resourceClaimName" [2] Always,
    }
    /// Kubernetes `HostIP` of `v1`.
    HostIP {
        ip: Option<String> = "ip" [1] Always,
    }
    /// Kubernetes `PodIP` of `v1`.
    PodIP {
        ip: Option<String> = "ip" [1] Always,
    }
    /// Kubernetes `PodResourceClaimStatus` of `v1`.
    PodResourceClaimStatus {
        name: Option<String> = "name" [1] Always,
        resource_claim_name: Option<String> = "resourceClaimName" [2] Pointer,
    }
    /// Kubernetes `PodStatus` of `v1`.
    PodStatus {
        conditions: Vec<PodCondition> = "conditions" [2] OmitZero,
        container_statuses: Vec<ContainerStatus> = "containerStatuses" [8] OmitZero,
        ephemeral_container_statuses: Vec<ContainerStatus> = "ephemeralContainerStatuses" [13] OmitZero,
        extended_resource_claim_status: Option<Box<PodExtendedResourceClaimStatus>> = "extendedResourceClaimStatus" [18] Pointer,
        host_ip: Option<String> = "hostIP" [5] OmitZero,
        host_ips: Vec<HostIP> = "hostIPs" [16] OmitZero,
        init_container_statuses: Vec<ContainerStatus> = "initContainerStatuses" [10] OmitZero,
        message: Option<String> = "message" [3] OmitZero,
        nominated_node_name: Option<String> = "nominatedNodeName" [11] OmitZero,
        observed_generation: Option<i64> = "observedGeneration" [17] OmitZero,
        phase: Option<String> = "phase" [1] OmitZero,
        pod_ip: Option<String> = "podIP" [6] OmitZero,
        pod_ips: Vec<PodIP> = "podIPs" [12] OmitZero,
        qos_class: Option<String> = "qosClass" [9] OmitZero,
        reason: Option<String> = "reason" [4] OmitZero,
        resize: Option<String> = "resize" [14] OmitZero,
        resource_claim_statuses: Vec<PodResourceClaimStatus> = "resourceClaimStatuses" [15] OmitZero,
        start_time: Option<Time> = "startTime" [7] OmitZero,
    }
}
