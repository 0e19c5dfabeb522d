//! Pods and what makes them.

use std::collections::BTreeMap;

use crate::kinds::affinity::{Affinity, Toleration, TopologySpreadConstraint};
use crate::kinds::container::{Container, EphemeralContainer};
use crate::kinds::meta::{LocalObjectReference, ObjectMeta, ObjectReference};
use crate::kinds::pod_status::PodStatus;
use crate::kinds::resources::{PodResourceClaim, ResourceRequirements};
use crate::kinds::security::PodSecurityContext;
use crate::kinds::volume::Volume;
use crate::quantity::Quantity;
use crate::wire::table::records;

records! {
    /// Kubernetes `PodDNSConfigOption` of `v1`.
    PodDNSConfigOption {
        name: Option<String> = "name" [1] OmitZero,
        value: Option<String> = "value" [2] OmitZero,
    }
    /// Kubernetes `PodDNSConfig` of `v1`.
    PodDNSConfig {
        nameservers: Vec<String> = "nameservers" [1] OmitZero,
        options: Vec<PodDNSConfigOption> = "options" [3] OmitZero,
        searches: Vec<String> = "searches" [2] OmitZero,
    }
    /// Kubernetes `HostAlias` of `v1`.
    HostAlias {
        hostnames: Vec<String> = "hostnames" [2] OmitZero,
        ip: Option<String> = "ip" [1] Always,
    }
    /// Kubernetes `PodOS` of `v1`.
    PodOS {
        name: Option<String> = "name" [1] Always,
    }
    /// Kubernetes `PodReadinessGate` of `v1`.
    PodReadinessGate {
        condition_type: Option<String> = "conditionType" [1] Always,
    }
    /// Kubernetes `PodSchedulingGate` of `v1`.
    PodSchedulingGate {
        name: Option<String> = "name" [1] Always,
    }
    /// Kubernetes `PodSpec` of `v1`.
    PodSpec {
        active_deadline_seconds: Option<i64> = "activeDeadlineSeconds" [5] Pointer,
        affinity: Option<Box<Affinity>> = "affinity" [18] Pointer,
        automount_service_account_token: Option<bool> = "automountServiceAccountToken" [21] Pointer,
        containers: Vec<Container> = "containers" [2] Always,
        dns_config: Option<Box<PodDNSConfig>> = "dnsConfig" [26] Pointer,
        dns_policy: Option<String> = "dnsPolicy" [6] OmitZero,
        enable_service_links: Option<bool> = "enableServiceLinks" [30] Pointer,
        ephemeral_containers: Vec<EphemeralContainer> = "ephemeralContainers" [34] OmitZero,
        host_aliases: Vec<HostAlias> = "hostAliases" [23] OmitZero,
        host_ipc: Option<bool> = "hostIPC" [13] OmitZero,
        host_network: Option<bool> = "hostNetwork" [11] OmitZero,
        host_pid: Option<bool> = "hostPID" [12] OmitZero,
        host_users: Option<bool> = "hostUsers" [37] Pointer,
        hostname: Option<String> = "hostname" [16] OmitZero,
        hostname_override: Option<String> = "hostnameOverride" [41] Pointer,
        image_pull_secrets: Vec<LocalObjectReference> = "imagePullSecrets" [15] OmitZero,
        init_containers: Vec<Container> = "initContainers" [20] OmitZero,
        node_name: Option<String> = "nodeName" [10] OmitZero,
        node_selector: BTreeMap<String, String> = "nodeSelector" [7] OmitZero,
        os: Option<Box<PodOS>> = "os" [36] Pointer,
        overhead: BTreeMap<String, Quantity> = "overhead" [32] OmitZero,
        preemption_policy: Option<String> = "preemptionPolicy" [31] Pointer,
        priority: Option<i32> = "priority" [25] Pointer,
        priority_class_name: Option<String> = "priorityClassName" [24] OmitZero,
        readiness_gates: Vec<PodReadinessGate> = "readinessGates" [28] OmitZero,
        resource_claims: Vec<PodResourceClaim> = "resourceClaims" [39] OmitZero,
        resources: Option<Box<ResourceRequirements>> = "resources" [40] Pointer,
        restart_policy: Option<String> = "restartPolicy" [3] OmitZero,
        runtime_class_name: Option<String> = "runtimeClassName" [29] Pointer,
        scheduler_name: Option<String> = "schedulerName" [19] OmitZero,
        scheduling_gates: Vec<PodSchedulingGate> = "schedulingGates" [38] OmitZero,
        security_context: Option<Box<PodSecurityContext>> = "securityContext" [14] Pointer,
        service_account: Option<String> = "serviceAccount" [9] OmitZero,
        service_account_name: Option<String> = "serviceAccountName" [8] OmitZero,
        set_hostname_as_fqdn: Option<bool> = "setHostnameAsFQDN" [35] Pointer,
        share_process_namespace: Option<bool> = "shareProcessNamespace" [27] Pointer,
        subdomain: Option<String> = "subdomain" [17] OmitZero,
        termination_grace_period_seconds: Option<i64> = "terminationGracePeriodSeconds" [4] Pointer,
        tolerations: Vec<Toleration> = "tolerations" [22] OmitZero,
        topology_spread_constraints: Vec<TopologySpreadConstraint> = "topologySpreadConstraints" [33] OmitZero,
        volumes: Vec<Volume> = "volumes" [1] OmitZero,
    }
    /// Kubernetes `Pod` of `v1`.
    Pod = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: PodSpec = "spec" [2] Always,
        status: PodStatus = "status" [3] Always,
    }
    /// Kubernetes `PodTemplateSpec` of `v1`.
    PodTemplateSpec {
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: PodSpec = "spec" [2] Always,
    }
    /// Kubernetes `PodTemplate` of `v1`.
    PodTemplate = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        template: PodTemplateSpec = "template" [2] Always,
    }
    /// Kubernetes `Binding` of `v1`.
    Binding = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        target: ObjectReference = "target" [2] Always,
    }
}
