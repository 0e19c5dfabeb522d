//! Network policies and ingresses.

use crate::kinds::meta::{LabelSelector, ObjectMeta, TypedLocalObjectReference};
use crate::wire::scalar::IntOrString;
use crate::wire::table::records;

records! {
    /// Kubernetes `NetworkPolicyPort` of `networking.k8s.io/v1`.
    NetworkPolicyPort {
        end_port: Option<i32> = "endPort" [3] Pointer,
        port: Option<IntOrString> = "port" [2] Pointer,
        protocol: Option<String> = "protocol" [1] Pointer,
    }
    /// Kubernetes `IPBlock` of `networking.k8s.io/v1`.
    IPBlock {
        cidr: Option<String> = "cidr" [1] Always,
        except: Vec<String> = "except" [2] OmitZero,
    }
    /// Kubernetes `NetworkPolicyPeer` of `networking.k8s.io/v1`.
    NetworkPolicyPeer {
        ip_block: Option<Box<IPBlock>> = "ipBlock" [3] Pointer,
        namespace_selector: Option<Box<LabelSelector>> = "namespaceSelector" [2] Pointer,
        pod_selector: Option<Box<LabelSelector>> = "podSelector" [1] Pointer,
    }
    /// Kubernetes `NetworkPolicyEgressRule` of `networking.k8s.io/v1`.
    NetworkPolicyEgressRule {
        ports: Vec<NetworkPolicyPort> = "ports" [1] OmitZero,
        to: Vec<NetworkPolicyPeer> = "to" [2] OmitZero,
    }
    /// Kubernetes `NetworkPolicyIngressRule` of `networking.k8s.io/v1`.
    NetworkPolicyIngressRule {
        from: Vec<NetworkPolicyPeer> = "from" [2] OmitZero,
        ports: Vec<NetworkPolicyPort> = "ports" [1] OmitZero,
    }
    /// Kubernetes `NetworkPolicySpec` of `networking.k8s.io/v1`.
    NetworkPolicySpec {
        egress: Vec<NetworkPolicyEgressRule> = "egress" [3] OmitZero,
        ingress: Vec<NetworkPolicyIngressRule> = "ingress" [2] OmitZero,
        pod_selector: LabelSelector = "podSelector" [1] Always,
        policy_types: Vec<String> = "policyTypes" [4] OmitZero,
    }
    /// Kubernetes `NetworkPolicy` of `networking.k8s.io/v1`.
    NetworkPolicy = "networking.k8s.io/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: NetworkPolicySpec = "spec" [2] Always,
    }
    /// Kubernetes `ServiceBackendPort` of `networking.k8s.io/v1`.
    ServiceBackendPort {
        name: Option<String> = "name" [1] OmitZero,
        number: Option<i32> = "number" [2] OmitZero,
    }
    /// Kubernetes `IngressServiceBackend` of `networking.k8s.io/v1`.
    IngressServiceBackend {
        name: Option<String> = "name" [1] Always,
        port: ServiceBackendPort = "port" [2] Always,
    }
    /// Kubernetes `IngressBackend` of `networking.k8s.io/v1`.
    IngressBackend {
        resource: Option<Box<TypedLocalObjectReference>> = "resource" [3] Pointer,
        service: Option<Box<IngressServiceBackend>> = "service" [4] Pointer,
    }
    /// Kubernetes `HTTPIngressPath` of `networking.k8s.io/v1`.
    HTTPIngressPath {
        backend: IngressBackend = "backend" [2] Always,
        path: Option<String> = "path" [1] OmitZero,
        path_type: Option<String> = "pathType" [3] Always,
    }
    /// Kubernetes `HTTPIngressRuleValue` of `networking.k8s.io/v1`.
    HTTPIngressRuleValue {
        paths: Vec<HTTPIngressPath> = "paths" [1] Always,
    }
    /// Kubernetes `IngressRule` of `networking.k8s.io/v1`.
    IngressRule {
        host: Option<String> = "host" [1] OmitZero,
        http: Option<Box<HTTPIngressRuleValue>> = "http" [2, 1] Pointer,
    }
    /// Kubernetes `IngressTLS` of `networking.k8s.io/v1`.
    IngressTLS {
        hosts: Vec<String> = "hosts" [1] OmitZero,
        secret_name: Option<String> = "secretName" [2] OmitZero,
    }
    /// Kubernetes `IngressSpec` of `networking.k8s.io/v1`.
    IngressSpec {
        default_backend: Option<Box<IngressBackend>> = "defaultBackend" [1] Pointer,
        ingress_class_name: Option<String> = "ingressClassName" [4] Pointer,
        rules: Vec<IngressRule> = "rules" [3] OmitZero,
        tls: Vec<IngressTLS> = "tls" [2] OmitZero,
    }
    /// Kubernetes `IngressPortStatus` of `networking.k8s.io/v1`.
    IngressPortStatus {
        error: Option<String> = "error" [3] OmitZero,
        port: Option<i32> = "port" [1] Always,
        protocol: Option<String> = "protocol" [2] Always,
    }
    /// Kubernetes `IngressLoadBalancerIngress` of `networking.k8s.io/v1`.
    IngressLoadBalancerIngress {
        hostname: Option<String> = "hostname" [2] OmitZero,
        ip: Option<String> = "ip" [1] OmitZero,
        ports: Vec<IngressPortStatus> = "ports" [4] OmitZero,
    }
    /// Kubernetes `IngressLoadBalancerStatus` of `networking.k8s.io/v1`.
    IngressLoadBalancerStatus {
        ingress: Vec<IngressLoadBalancerIngress> = "ingress" [1] OmitZero,
    }
    /// Kubernetes `IngressStatus` of `networking.k8s.io/v1`.
    IngressStatus {
        load_balancer: IngressLoadBalancerStatus = "loadBalancer" [1] Always,
    }
    /// Kubernetes `Ingress` of `networking.k8s.io/v1`.
    Ingress = "networking.k8s.io/v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: IngressSpec = "spec" [2] Always,
        status: IngressStatus = "status" [3] Always,
    }
}
