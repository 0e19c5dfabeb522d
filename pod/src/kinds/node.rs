//! Nodes and runtime classes.

use std::collections::BTreeMap;

use crate::kinds::affinity::{Taint, Toleration};
use crate::kinds::meta::ObjectMeta;
use crate::quantity::Quantity;
use crate::wire::table::records;
use crate::wire::time::Time;

records! {
    /// Kubernetes `ConfigMapNodeConfigSource` of `v1`.
    ConfigMapNodeConfigSource {
        kubelet_config_key: Option<String> = "kubeletConfigKey" [5] Always,
        name: Option<String> = "name" [2] Always,
        namespace: Option<String> = "namespace" [1] Always,
        resource_version: Option<String> = "resourceVersion" [4] OmitZero,
        uid: Option<String> = "uid" [3] OmitZero,
    }
    /// Kubernetes `NodeConfigSource` of `v1`.
    NodeConfigSource {
        config_map: Option<Box<ConfigMapNodeConfigSource>> = "configMap" [2] Pointer,
    }
    /// Kubernetes `NodeSpec` of `v1`.
    NodeSpec {
        config_source: Option<Box<NodeConfigSource>> = "configSource" [6] Pointer,
        external_id: Option<String> = "externalID" [2] OmitZero,
        pod_cidr: Option<String> = "podCIDR" [1] OmitZero,
        pod_cidrs: Vec<String> = "podCIDRs" [7] OmitZero,
        provider_id: Option<String> = "providerID" [3] OmitZero,
        taints: Vec<Taint> = "taints" [5] OmitZero,
        unschedulable: Option<bool> = "unschedulable" [4] OmitZero,
    }
    /// Kubernetes `NodeAddress` of `v1`.
    NodeAddress {
        address: Option<String> = "address" [2] Always,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `NodeCondition` of `v1`.
    NodeCondition {
        last_heartbeat_time: Option<Time> = "lastHeartbeatTime" [3] Always,
        last_transition_time: Option<Time> = "lastTransitionTime" [4] Always,
        message: Option<String> = "message" [6] OmitZero,
        reason: Option<String> = "reason" [5] OmitZero,
        status: Option<String> = "status" [2] Always,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `NodeConfigStatus` of `v1`.
    NodeConfigStatus {
        active: Option<Box<NodeConfigSource>> = "active" [2] Pointer,
        assigned: Option<Box<NodeConfigSource>> = "assigned" [1] Pointer,
        error: Option<String> = "error" [4] OmitZero,
        last_known_good: Option<Box<NodeConfigSource>> = "lastKnownGood" [3] Pointer,
    }
    /// Kubernetes `DaemonEndpoint` of `v1`.
    DaemonEndpoint {
        port: Option<i32> = "Port" [1] Always,
    }
    /// Kubernetes `NodeDaemonEndpoints` of `v1`.
    NodeDaemonEndpoints {
        kubelet_endpoint: DaemonEndpoint = "kubeletEndpoint" [1] Always,
    }
    /// Kubernetes `NodeFeatures` of `v1`.
    NodeFeatures {
        supplemental_groups_policy: Option<bool> = "supplementalGroupsPolicy" [1] Pointer,
    }
    /// Kubernetes `ContainerImage` of `v1`.
    ContainerImage {
        names: Vec<String> = "names" [1] OmitZero,
        size_bytes: Option<i64> = "sizeBytes" [2] OmitZero,
    }
    /// Kubernetes `NodeSwapStatus` of `v1`.
    NodeSwapStatus {
        capacity: Option<i64> = "capacity" [1] Pointer,
    }
    /// Kubernetes `NodeSystemInfo` of `v1`.
    NodeSystemInfo {
        architecture: Option<String> = "architecture" [10] Always,
        boot_id: Option<String> = "bootID" [3] Always,
        container_runtime_version: Option<String> = "containerRuntimeVersion" [6] Always,
        kernel_version: Option<String> = "kernelVersion" [4] Always,
        kube_proxy_version: Option<String> = "kubeProxyVersion" [8] Always,
        kubelet_version: Option<String> = "kubeletVersion" [7] Always,
        machine_id: Option<String> = "machineID" [1] Always,
        operating_system: Option<String> = "operatingSystem" [9] Always,
        os_image: Option<String> = "osImage" [5] Always,
        swap: Option<Box<NodeSwapStatus>> = "swap" [11] Pointer,
        system_uuid: Option<String> = "systemUUID" [2] Always,
    }
    /// Kubernetes `NodeRuntimeHandlerFeatures` of `v1`.
    NodeRuntimeHandlerFeatures {
        recursive_read_only_mounts: Option<bool> = "recursiveReadOnlyMounts" [1] Pointer,
        user_namespaces: Option<bool> = "userNamespaces" [2] Pointer,
    }
    /// Kubernetes `NodeRuntimeHandler` of `v1`.
    NodeRuntimeHandler {
        features: Option<Box<NodeRuntimeHandlerFeatures>> = "features" [2] Pointer,
        name: Option<String> = "name" [1] OmitZero,
    }
    /// Kubernetes `AttachedVolume` of `v1`.
    AttachedVolume {
        device_path: Option<String> = "devicePath" [2] Always,
        name: Option<String> = "name" [1] Always,
    }
    /// Kubernetes `NodeStatus` of `v1`.
    NodeStatus {
        addresses: Vec<NodeAddress> = "addresses" [5] OmitZero,
        allocatable: BTreeMap<String, Quantity> = "allocatable" [2] OmitZero,
        capacity: BTreeMap<String, Quantity> = "capacity" [1] OmitZero,
        conditions: Vec<NodeCondition> = "conditions" [4] OmitZero,
        config: Option<Box<NodeConfigStatus>> = "config" [11] Pointer,
        daemon_endpoints: NodeDaemonEndpoints = "daemonEndpoints" [6] Always,
        features: Option<Box<NodeFeatures>> = "features" [13] Pointer,
        images: Vec<ContainerImage> = "images" [8] OmitZero,
        node_info: NodeSystemInfo = "nodeInfo" [7] Always,
        phase: Option<String> = "phase" [3] OmitZero,
        runtime_handlers: Vec<NodeRuntimeHandler> = "runtimeHandlers" [12] OmitZero,
        volumes_attached: Vec<AttachedVolume> = "volumesAttached" [10] OmitZero,
        volumes_in_use: Vec<String> = "volumesInUse" [9] OmitZero,
    }
    /// Kubernetes `Node` of `v1`.
    Node = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: NodeSpec = "spec" [2] Always,
        status: NodeStatus = "status" [3] Always,
    }
    /// Kubernetes `Overhead` of `node.k8s.io/v1`.
    Overhead {
        pod_fixed: BTreeMap<String, Quantity> = "podFixed" [1] OmitZero,
    }
    /// Kubernetes `Scheduling` of `node.k8s.io/v1`.
    Scheduling {
        node_selector: BTreeMap<String, String> = "nodeSelector" [1] OmitZero,
        tolerations: Vec<Toleration> = "tolerations" [2] OmitZero,
    }
    /// Kubernetes `RuntimeClass` of `node.k8s.io/v1`.
    RuntimeClass = "node.k8s.io/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        handler: Option<String> = "handler" [2] Always,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        overhead: Option<Box<Overhead>> = "overhead" [3] Pointer,
        scheduling: Option<Box<Scheduling>> = "scheduling" [4] Pointer,
    }
}
