//! Containers and their environment.

use crate::kinds::probe::{Lifecycle, Probe};
use crate::kinds::resources::ResourceRequirements;
use crate::kinds::security::SecurityContext;
use crate::kinds::volume::{ObjectFieldSelector, ResourceFieldSelector};
use crate::wire::table::records;

records! {
    /// Kubernetes `ConfigMapKeySelector` of `v1`.
    ConfigMapKeySelector {
        key: Option<String> = "key" [2] Always,
        name: Option<String> = "name" [1, 1] Always,
        optional: Option<bool> = "optional" [3] Pointer,
    }
    /// Kubernetes `FileKeySelector` of `v1`.
    FileKeySelector {
        key: Option<String> = "key" [3] Always,
        optional: Option<bool> = "optional" [4] Pointer,
        path: Option<String> = "path" [2] Always,
        volume_name: Option<String> = "volumeName" [1] Always,
    }
    /// Kubernetes `SecretKeySelector` of `v1`.
    SecretKeySelector {
        key: Option<String> = "key" [2] Always,
        name: Option<String> = "name" [1, 1] Always,
        optional: Option<bool> = "optional" [3] Pointer,
    }
    /// Kubernetes `EnvVarSource` of `v1`.
    EnvVarSource {
        config_map_key_ref: Option<Box<ConfigMapKeySelector>> = "configMapKeyRef" [3] Pointer,
        field_ref: Option<Box<ObjectFieldSelector>> = "fieldRef" [1] Pointer,
        file_key_ref: Option<Box<FileKeySelector>> = "fileKeyRef" [5] Pointer,
        resource_field_ref: Option<Box<ResourceFieldSelector>> = "resourceFieldRef" [2] Pointer,
        secret_key_ref: Option<Box<SecretKeySelector>> = "secretKeyRef" [4] Pointer,
    }
    /// Kubernetes `EnvVar` of `v1`.
    EnvVar {
        name: Option<String> = "name" [1] Always,
        value: Option<String> = "value" [2] OmitZero,
        value_from: Option<Box<EnvVarSource>> = "valueFrom" [3] Pointer,
    }
    /// Kubernetes `ConfigMapEnvSource` of `v1`.
    ConfigMapEnvSource {
        name: Option<String> = "name" [1, 1] Always,
        optional: Option<bool> = "optional" [2] Pointer,
    }
    /// Kubernetes `SecretEnvSource` of `v1`.
    SecretEnvSource {
        name: Option<String> = "name" [1, 1] Always,
        optional: Option<bool> = "optional" [2] Pointer,
    }
    /// Kubernetes `EnvFromSource` of `v1`.
    EnvFromSource {
        config_map_ref: Option<Box<ConfigMapEnvSource>> = "configMapRef" [2] Pointer,
        prefix: Option<String> = "prefix" [1] OmitZero,
        secret_ref: Option<Box<SecretEnvSource>> = "secretRef" [3] Pointer,
    }
    /// Kubernetes `ContainerPort` of `v1`.
    ContainerPort {
        container_port: Option<i32> = "containerPort" [3] Always,
        host_ip: Option<String> = "hostIP" [5] OmitZero,
        host_port: Option<i32> = "hostPort" [2] OmitZero,
        name: Option<String> = "name" [1] OmitZero,
        protocol: Option<String> = "protocol" [4] OmitZero,
    }
    /// Kubernetes `ContainerResizePolicy` of `v1`.
    ContainerResizePolicy {
        resource_name: Option<String> = "resourceName" [1] Always,
        restart_policy: Option<String> = "restartPolicy" [2] Always,
    }
    /// Kubernetes `ContainerRestartRuleOnExitCodes` of `v1`.
    ContainerRestartRuleOnExitCodes {
        operator: Option<String> = "operator" [1] Always,
        values: Vec<i32> = "values" [2] OmitZero,
    }
    /// Kubernetes `ContainerRestartRule` of `v1`.
    ContainerRestartRule {
        action: Option<String> = "action" [1] Always,
        exit_codes: Option<Box<ContainerRestartRuleOnExitCodes>> = "exitCodes" [2] Pointer,
    }
    /// Kubernetes `VolumeDevice` of `v1`.
    VolumeDevice {
        device_path: Option<String> = "devicePath" [2] Always,
        name: Option<String> = "name" [1] Always,
    }
    /// Kubernetes `VolumeMount` of `v1`.
    VolumeMount {
        mount_path: Option<String> = "mountPath" [3] Always,
        mount_propagation: Option<String> = "mountPropagation" [5] Pointer,
        name: Option<String> = "name" [1] Always,
        read_only: Option<bool> = "readOnly" [2] OmitZero,
        recursive_read_only: Option<String> = "recursiveReadOnly" [7] Pointer,
        sub_path: Option<String> = "subPath" [4] OmitZero,
        sub_path_expr: Option<String> = "subPathExpr" [6] OmitZero,
    }
    /// Kubernetes `Container` of `v1`.
    Container {
        args: Vec<String> = "args" [4] OmitZero,
        command: Vec<String> = "command" [3] OmitZero,
        env: Vec<EnvVar> = "env" [7] OmitZero,
        env_from: Vec<EnvFromSource> = "envFrom" [19] OmitZero,
        image: Option<String> = "image" [2] OmitZero,
        image_pull_policy: Option<String> = "imagePullPolicy" [14] OmitZero,
        lifecycle: Option<Box<Lifecycle>> = "lifecycle" [12] Pointer,
        liveness_probe: Option<Box<Probe>> = "livenessProbe" [10] Pointer,
        name: Option<String> = "name" [1] Always,
        ports: Vec<ContainerPort> = "ports" [6] OmitZero,
        readiness_probe: Option<Box<Probe>> = "readinessProbe" [11] Pointer,
        resize_policy: Vec<ContainerResizePolicy> = "resizePolicy" [23] OmitZero,
        resources: ResourceRequirements = "resources" [8] Always,
        restart_policy: Option<String> = "restartPolicy" [24] Pointer,
        restart_policy_rules: Vec<ContainerRestartRule> = "restartPolicyRules" [25] OmitZero,
        security_context: Option<Box<SecurityContext>> = "securityContext" [15] Pointer,
        startup_probe: Option<Box<Probe>> = "startupProbe" [22] Pointer,
        stdin: Option<bool> = "stdin" [16] OmitZero,
        stdin_once: Option<bool> = "stdinOnce" [17] OmitZero,
        termination_message_path: Option<String> = "terminationMessagePath" [13] OmitZero,
        termination_message_policy: Option<String> = "terminationMessagePolicy" [20] OmitZero,
        tty: Option<bool> = "tty" [18] OmitZero,
        volume_devices: Vec<VolumeDevice> = "volumeDevices" [21] OmitZero,
        volume_mounts: Vec<VolumeMount> = "volumeMounts" [9] OmitZero,
        working_dir: Option<String> = "workingDir" [5] OmitZero,
    }
    /// Kubernetes `EphemeralContainer` of `v1`.
    EphemeralContainer {
        args: Vec<String> = "args" [1, 4] OmitZero,
        command: Vec<String> = "command" [1, 3] OmitZero,
        env: Vec<EnvVar> = "env" [1, 7] OmitZero,
        env_from: Vec<EnvFromSource> = "envFrom" [1, 19] OmitZero,
        image: Option<String> = "image" [1, 2] OmitZero,
        image_pull_policy: Option<String> = "imagePullPolicy" [1, 14] OmitZero,
        lifecycle: Option<Box<Lifecycle>> = "lifecycle" [1, 12] Pointer,
        liveness_probe: Option<Box<Probe>> = "livenessProbe" [1, 10] Pointer,
        name: Option<String> = "name" [1, 1] Always,
        ports: Vec<ContainerPort> = "ports" [1, 6] OmitZero,
        readiness_probe: Option<Box<Probe>> = "readinessProbe" [1, 11] Pointer,
        resize_policy: Vec<ContainerResizePolicy> = "resizePolicy" [1, 23] OmitZero,
        resources: ResourceRequirements = "resources" [1, 8] Always,
        restart_policy: Option<String> = "restartPolicy" [1, 24] Pointer,
        restart_policy_rules: Vec<ContainerRestartRule> = "restartPolicyRules" [1, 25] OmitZero,
        security_context: Option<Box<SecurityContext>> = "securityContext" [1, 15] Pointer,
        startup_probe: Option<Box<Probe>> = "startupProbe" [1, 22] Pointer,
        stdin: Option<bool> = "stdin" [1, 16] OmitZero,
        stdin_once: Option<bool> = "stdinOnce" [1, 17] OmitZero,
        target_container_name: Option<String> = "targetContainerName" [2] OmitZero,
        termination_message_path: Option<String> = "terminationMessagePath" [1, 13] OmitZero,
        termination_message_policy: Option<String> = "terminationMessagePolicy" [1, 20] OmitZero,
        tty: Option<bool> = "tty" [1, 18] OmitZero,
        volume_devices: Vec<VolumeDevice> = "volumeDevices" [1, 21] OmitZero,
        volume_mounts: Vec<VolumeMount> = "volumeMounts" [1, 9] OmitZero,
        working_dir: Option<String> = "workingDir" [1, 5] OmitZero,
    }
}
