//! Services and the endpoints behind them.

use std::collections::BTreeMap;

use crate::kinds::meta::{Condition, ObjectMeta, ObjectReference};
use crate::wire::scalar::IntOrString;
use crate::wire::table::records;

records! {
    /// Kubernetes `ServicePort` of `v1`.
    ServicePort {
        app_protocol: Option<String> = "appProtocol" [6] Pointer,
        name: Option<String> = "name" [1] OmitZero,
        node_port: Option<i32> = "nodePort" [5] OmitZero,
        port: Option<i32> = "port" [3] Always,
        protocol: Option<String> = "protocol" [2] OmitZero,
        target_port: Option<IntOrString> = "targetPort" [4] Always,
    }
    /// Kubernetes `ClientIPConfig` of `v1`.
    ClientIPConfig {
        timeout_seconds: Option<i32> = "timeoutSeconds" [1] Pointer,
    }
    /// Kubernetes `SessionAffinityConfig` of `v1`.
    SessionAffinityConfig {
        client_ip: Option<Box<ClientIPConfig>> = "clientIP" [1] Pointer,
    }
    /// Kubernetes `ServiceSpec` of `v1`.
    ServiceSpec {
        allocate_load_balancer_node_ports: Option<bool> = "allocateLoadBalancerNodePorts" [20] Pointer,
        cluster_ip: Option<String> = "clusterIP" [3] OmitZero,
        cluster_ips: Vec<String> = "clusterIPs" [18] OmitZero,
        external_ips: Vec<String> = "externalIPs" [5] OmitZero,
        external_name: Option<String> = "externalName" [10] OmitZero,
        external_traffic_policy: Option<String> = "externalTrafficPolicy" [11] OmitZero,
        health_check_node_port: Option<i32> = "healthCheckNodePort" [12] OmitZero,
        internal_traffic_policy: Option<String> = "internalTrafficPolicy" [22] Pointer,
        ip_families: Vec<String> = "ipFamilies" [19] OmitZero,
        ip_family_policy: Option<String> = "ipFamilyPolicy" [17] Pointer,
        load_balancer_class: Option<String> = "loadBalancerClass" [21] Pointer,
        load_balancer_ip: Option<String> = "loadBalancerIP" [8] OmitZero,
        load_balancer_source_ranges: Vec<String> = "loadBalancerSourceRanges" [9] OmitZero,
        ports: Vec<ServicePort> = "ports" [1] OmitZero,
        publish_not_ready_addresses: Option<bool> = "publishNotReadyAddresses" [13] OmitZero,
        selector: BTreeMap<String, String> = "selector" [2] OmitZero,
        session_affinity: Option<String> = "sessionAffinity" [7] OmitZero,
        session_affinity_config: Option<Box<SessionAffinityConfig>> = "sessionAffinityConfig" [14] Pointer,
        traffic_distribution: Option<String> = "trafficDistribution" [23] Pointer,
        type_: Option<String> = "type" [4] OmitZero,
    }
    /// Kubernetes `PortStatus` of `v1`.
    PortStatus {
        error: Option<String> = "error" [3] Pointer,
        port: Option<i32> = "port" [1] Always,
        protocol: Option<String> = "protocol" [2] Always,
    }
    /// Kubernetes `LoadBalancerIngress` of `v1`.
    LoadBalancerIngress {
        hostname: Option<String> = "hostname" [2] OmitZero,
        ip: Option<String> = "ip" [1] OmitZero,
        ip_mode: Option<String> = "ipMode" [3] Pointer,
        ports: Vec<PortStatus> = "ports" [4] OmitZero,
    }
    /// Kubernetes `LoadBalancerStatus` of `v1`.
    LoadBalancerStatus {
        ingress: Vec<LoadBalancerIngress> = "ingress" [1] OmitZero,
    }
    /// Kubernetes `ServiceStatus` of `v1`.
    ServiceStatus {
        conditions: Vec<Condition> = "conditions" [2] OmitZero,
        load_balancer: LoadBalancerStatus = "loadBalancer" [1] Always,
    }
    /// Kubernetes `Service` of `v1`.
    Service = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: ServiceSpec = "spec" [2] Always,
        status: ServiceStatus = "status" [3] Always,
    }
    /// Kubernetes `EndpointAddress` of `v1`.
    EndpointAddress {
        hostname: Option<String> = "hostname" [3] OmitZero,
        ip: Option<String> = "ip" [1] Always,
        node_name: Option<String> = "nodeName" [4] Pointer,
        target_ref: Option<Box<ObjectReference>> = "targetRef" [2] Pointer,
    }
    /// Kubernetes `EndpointPort` of `v1`.
    EndpointPort {
        app_protocol: Option<String> = "appProtocol" [4] Pointer,
        name: Option<String> = "name" [1] Pointer,
        port: Option<i32> = "port" [2] Always,
        protocol: Option<String> = "protocol" [3] Pointer,
    }
    /// Kubernetes `EndpointSubset` of `v1`.
    EndpointSubset {
        addresses: Vec<EndpointAddress> = "addresses" [1] OmitZero,
        not_ready_addresses: Vec<EndpointAddress> = "notReadyAddresses" [2] OmitZero,
        ports: Vec<EndpointPort> = "ports" [3] OmitZero,
    }
    /// Kubernetes `Endpoints` of `v1`.
    Endpoints = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        subsets: Vec<EndpointSubset> = "subsets" [2] OmitZero,
    }
    /// Kubernetes `EndpointConditions` of `discovery.k8s.io/v1`.
    EndpointConditions {
        ready: Option<bool> = "ready" [1] Pointer,
        serving: Option<bool> = "serving" [2] Pointer,
        terminating: Option<bool> = "terminating" [3] Pointer,
    }
    /// Kubernetes `ForNode` of `discovery.k8s.io/v1`.
    ForNode {
        name: Option<String> = "name" [1] Always,
    }
    /// Kubernetes `ForZone` of `discovery.k8s.io/v1`.
    ForZone {
        name: Option<String> = "name" [1] Always,
    }
    /// Kubernetes `EndpointHints` of `discovery.k8s.io/v1`.
    EndpointHints {
        for_nodes: Vec<ForNode> = "forNodes" [2] OmitZero,
        for_zones: Vec<ForZone> = "forZones" [1] OmitZero,
    }
    /// Kubernetes `Endpoint` of `discovery.k8s.io/v1`.
    Endpoint {
        addresses: Vec<String> = "addresses" [1] Always,
        conditions: EndpointConditions = "conditions" [2] Always,
        deprecated_topology: BTreeMap<String, String> = "deprecatedTopology" [5] OmitZero,
        hints: Option<Box<EndpointHints>> = "hints" [8] Pointer,
        hostname: Option<String> = "hostname" [3] Pointer,
        node_name: Option<String> = "nodeName" [6] Pointer,
        target_ref: Option<Box<ObjectReference>> = "targetRef" [4] Pointer,
        zone: Option<String> = "zone" [7] Pointer,
    }
    /// Kubernetes `EndpointPort` of `discovery.k8s.io/v1`.
    EndpointSlicePort {
        app_protocol: Option<String> = "appProtocol" [4] Pointer,
        name: Option<String> = "name" [1] Pointer,
        port: Option<i32> = "port" [3] Pointer,
        protocol: Option<String> = "protocol" [2] Pointer,
    }
    /// Kubernetes `EndpointSlice` of `discovery.k8s.io/v1`.
    EndpointSlice = "discovery.k8s.io/v1" {
        address_type: Option<String> = "addressType" [4] Always,
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        endpoints: Vec<Endpoint> = "endpoints" [2] Always,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        ports: Vec<EndpointSlicePort> = "ports" [3] OmitZero,
    }
}
