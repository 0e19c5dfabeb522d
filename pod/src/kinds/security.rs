//! Security contexts.

use crate::wire::table::records;

records! {
    /// Kubernetes `AppArmorProfile` of `v1`.
    AppArmorProfile {
        localhost_profile: Option<String> = "localhostProfile" [2] Pointer,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `Capabilities` of `v1`.
    Capabilities {
        add: Vec<String> = "add" [1] OmitZero,
        drop: Vec<String> = "drop" [2] OmitZero,
    }
    /// Kubernetes `SELinuxOptions` of `v1`.
    SELinuxOptions {
        level: Option<String> = "level" [4] OmitZero,
        role: Option<String> = "role" [2] OmitZero,
        type_: Option<String> = "type" [3] OmitZero,
        user: Option<String> = "user" [1] OmitZero,
    }
    /// Kubernetes `SeccompProfile` of `v1`.
    SeccompProfile {
        localhost_profile: Option<String> = "localhostProfile" [2] Pointer,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `WindowsSecurityContextOptions` of `v1`.
    WindowsSecurityContextOptions {
        gmsa_credential_spec: Option<String> = "gmsaCredentialSpec" [2] Pointer,
        gmsa_credential_spec_name: Option<String> = "gmsaCredentialSpecName" [1] Pointer,
        host_process: Option<bool> = "hostProcess" [4] Pointer,
        run_as_user_name: Option<String> = "runAsUserName" [3] Pointer,
    }
    /// Kubernetes `SecurityContext` of `v1`.
    SecurityContext {
        allow_privilege_escalation: Option<bool> = "allowPrivilegeEscalation" [7] Pointer,
        app_armor_profile: Option<Box<AppArmorProfile>> = "appArmorProfile" [12] Pointer,
        capabilities: Option<Box<Capabilities>> = "capabilities" [1] Pointer,
        privileged: Option<bool> = "privileged" [2] Pointer,
        proc_mount: Option<String> = "procMount" [9] Pointer,
        read_only_root_filesystem: Option<bool> = "readOnlyRootFilesystem" [6] Pointer,
        run_as_group: Option<i64> = "runAsGroup" [8] Pointer,
        run_as_non_root: Option<bool> = "runAsNonRoot" [5] Pointer,
        run_as_user: Option<i64> = "runAsUser" [4] Pointer,
        se_linux_options: Option<Box<SELinuxOptions>> = "seLinuxOptions" [3] Pointer,
        seccomp_profile: Option<Box<SeccompProfile>> = "seccompProfile" [11] Pointer,
        windows_options: Option<Box<WindowsSecurityContextOptions>> = "windowsOptions" [10] Pointer,
    }
    /// Kubernetes `Sysctl` of `v1`.
    Sysctl {
        name: Option<String> = "name" [1] Always,
        value: Option<String> = "value" [2] Always,
    }
    /// Kubernetes `PodSecurityContext` of `v1`.
    PodSecurityContext {
        app_armor_profile: Option<Box<AppArmorProfile>> = "appArmorProfile" [11] Pointer,
        fs_group: Option<i64> = "fsGroup" [5] Pointer,
        fs_group_change_policy: Option<String> = "fsGroupChangePolicy" [9] Pointer,
        run_as_group: Option<i64> = "runAsGroup" [6] Pointer,
        run_as_non_root: Option<bool> = "runAsNonRoot" [3] Pointer,
        run_as_user: Option<i64> = "runAsUser" [2] Pointer,
        se_linux_change_policy: Option<String> = "seLinuxChangePolicy" [13] Pointer,
        se_linux_options: Option<Box<SELinuxOptions>> = "seLinuxOptions" [1] Pointer,
        seccomp_profile: Option<Box<SeccompProfile>> = "seccompProfile" [10] Pointer,
        supplemental_groups: Vec<i64> = "supplementalGroups" [4] OmitZero,
        supplemental_groups_policy: Option<String> = "supplementalGroupsPolicy" [12] Pointer,
        sysctls: Vec<Sysctl> = "sysctls" [7] OmitZero,
        windows_options: Option<Box<WindowsSecurityContextOptions>> = "windowsOptions" [8] Pointer,
    }
}
