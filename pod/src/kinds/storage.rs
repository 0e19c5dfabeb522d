//! Persistent volumes, claims and storage classes.

use std::collections::BTreeMap;

use crate::kinds::affinity::NodeSelector;
use crate::kinds::meta::{LabelSelector, ObjectMeta, ObjectReference, TypedLocalObjectReference};
use crate::quantity::Quantity;
use crate::wire::table::records;
use crate::wire::time::Time;

records! {
    /// Kubernetes `TypedObjectReference` of `v1`.
    TypedObjectReference {
        api_group: Option<String> = "apiGroup" [1] Pointer,
        kind: Option<String> = "kind" [2] Always,
        name: Option<String> = "name" [3] Always,
        namespace: Option<String> = "namespace" [4] Pointer,
    }
    /// Kubernetes `VolumeResourceRequirements` of `v1`.
    VolumeResourceRequirements {
        limits: BTreeMap<String, Quantity> = "limits" [1] OmitZero,
        requests: BTreeMap<String, Quantity> = "requests" [2] OmitZero,
    }
    /// Kubernetes `PersistentVolumeClaimSpec` of `v1`.
    PersistentVolumeClaimSpec {
        access_modes: Vec<String> = "accessModes" [1] OmitZero,
        data_source: Option<Box<TypedLocalObjectReference>> = "dataSource" [7] Pointer,
        data_source_ref: Option<Box<TypedObjectReference>> = "dataSourceRef" [8] Pointer,
        resources: VolumeResourceRequirements = "resources" [2] Always,
        selector: Option<Box<LabelSelector>> = "selector" [4] Pointer,
        storage_class_name: Option<String> = "storageClassName" [5] Pointer,
        volume_attributes_class_name: Option<String> = "volumeAttributesClassName" [9] Pointer,
        volume_mode: Option<String> = "volumeMode" [6] Pointer,
        volume_name: Option<String> = "volumeName" [3] OmitZero,
    }
    /// Kubernetes `PersistentVolumeClaimCondition` of `v1`.
    PersistentVolumeClaimCondition {
        last_probe_time: Option<Time> = "lastProbeTime" [3] Always,
        last_transition_time: Option<Time> = "lastTransitionTime" [4] Always,
        message: Option<String> = "message" [6] OmitZero,
        reason: Option<String> = "reason" [5] OmitZero,
        status: Option<String> = "status" [2] Always,
        type_: Option<String> = "type" [1] Always,
    }
    /// Kubernetes `ModifyVolumeStatus` of `v1`.
    ModifyVolumeStatus {
        status: Option<String> = "status" [2] Always,
        target_volume_attributes_class_name: Option<String> = "targetVolumeAttributesClassName" [1] OmitZero,
    }
    /// Kubernetes `PersistentVolumeClaimStatus` of `v1`.
    PersistentVolumeClaimStatus {
        access_modes: Vec<String> = "accessModes" [2] OmitZero,
        allocated_resource_statuses: BTreeMap<String, String> = "allocatedResourceStatuses" [7] OmitZero,
        allocated_resources: BTreeMap<String, Quantity> = "allocatedResources" [5] OmitZero,
        capacity: BTreeMap<String, Quantity> = "capacity" [3] OmitZero,
        conditions: Vec<PersistentVolumeClaimCondition> = "conditions" [4] OmitZero,
        current_volume_attributes_class_name: Option<String> = "currentVolumeAttributesClassName" [8] Pointer,
        modify_volume_status: Option<Box<ModifyVolumeStatus>> = "modifyVolumeStatus" [9] Pointer,
        phase: Option<String> = "phase" [1] OmitZero,
    }
    /// Kubernetes `PersistentVolumeClaim` of `v1`.
    PersistentVolumeClaim = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: PersistentVolumeClaimSpec = "spec" [2] Always,
        status: PersistentVolumeClaimStatus = "status" [3] Always,
    }
    /// Kubernetes `AWSElasticBlockStoreVolumeSource` of `v1`.
    AWSElasticBlockStoreVolumeSource {
        fs_type: Option<String> = "fsType" [2] OmitZero,
        partition: Option<i32> = "partition" [3] OmitZero,
        read_only: Option<bool> = "readOnly" [4] OmitZero,
        volume_id: Option<String> = "volumeID" [1] Always,
    }
    /// Kubernetes `AzureDiskVolumeSource` of `v1`.
    AzureDiskVolumeSource {
        caching_mode: Option<String> = "cachingMode" [3] Pointer,
        disk_name: Option<String> = "diskName" [1] Always,
        disk_uri: Option<String> = "diskURI" [2] Always,
        fs_type: Option<String> = "fsType" [4] Pointer,
        kind: Option<String> = "kind" [6] Pointer,
        read_only: Option<bool> = "readOnly" [5] Pointer,
    }
    /// Kubernetes `AzureFilePersistentVolumeSource` of `v1`.
    AzureFilePersistentVolumeSource {
        read_only: Option<bool> = "readOnly" [3] OmitZero,
        secret_name: Option<String> = "secretName" [1] Always,
        secret_namespace: Option<String> = "secretNamespace" [4] Pointer,
        share_name: Option<String> = "shareName" [2] Always,
    }
    /// Kubernetes `SecretReference` of `v1`.
    SecretReference {
        name: Option<String> = "name" [1] OmitZero,
        namespace: Option<String> = "namespace" [2] OmitZero,
    }
    /// Kubernetes `CephFSPersistentVolumeSource` of `v1`.
    CephFSPersistentVolumeSource {
        monitors: Vec<String> = "monitors" [1] Always,
        path: Option<String> = "path" [2] OmitZero,
        read_only: Option<bool> = "readOnly" [6] OmitZero,
        secret_file: Option<String> = "secretFile" [4] OmitZero,
        secret_ref: Option<Box<SecretReference>> = "secretRef" [5] Pointer,
        user: Option<String> = "user" [3] OmitZero,
    }
    /// Kubernetes `CinderPersistentVolumeSource` of `v1`.
    CinderPersistentVolumeSource {
        fs_type: Option<String> = "fsType" [2] OmitZero,
        read_only: Option<bool> = "readOnly" [3] OmitZero,
        secret_ref: Option<Box<SecretReference>> = "secretRef" [4] Pointer,
        volume_id: Option<String> = "volumeID" [1] Always,
    }
    /// Kubernetes `CSIPersistentVolumeSource` of `v1`.
    CSIPersistentVolumeSource {
        controller_expand_secret_ref: Option<Box<SecretReference>> = "controllerExpandSecretRef" [9] Pointer,
        controller_publish_secret_ref: Option<Box<SecretReference>> = "controllerPublishSecretRef" [6] Pointer,
        driver: Option<String> = "driver" [1] Always,
        fs_type: Option<String> = "fsType" [4] OmitZero,
        node_expand_secret_ref: Option<Box<SecretReference>> = "nodeExpandSecretRef" [10] Pointer,
        node_publish_secret_ref: Option<Box<SecretReference>> = "nodePublishSecretRef" [8] Pointer,
        node_stage_secret_ref: Option<Box<SecretReference>> = "nodeStageSecretRef" [7] Pointer,
        read_only: Option<bool> = "readOnly" [3] OmitZero,
        volume_attributes: BTreeMap<String, String> = "volumeAttributes" [5] OmitZero,
        volume_handle: Option<String> = "volumeHandle" [2] Always,
    }
    /// Kubernetes `FCVolumeSource` of `v1`.
    FCVolumeSource {
        fs_type: Option<String> = "fsType" [3] OmitZero,
        lun: Option<i32> = "lun" [2] Pointer,
        read_only: Option<bool> = "readOnly" [4] OmitZero,
        target_wwns: Vec<String> = "targetWWNs" [1] OmitZero,
        wwids: Vec<String> = "wwids" [5] OmitZero,
    }
    /// Kubernetes `FlexPersistentVolumeSource` of `v1`.
    FlexPersistentVolumeSource {
        driver: Option<String> = "driver" [1] Always,
        fs_type: Option<String> = "fsType" [2] OmitZero,
        options: BTreeMap<String, String> = "options" [5] OmitZero,
        read_only: Option<bool> = "readOnly" [4] OmitZero,
        secret_ref: Option<Box<SecretReference>> = "secretRef" [3] Pointer,
    }
    /// Kubernetes `FlockerVolumeSource` of `v1`.
    FlockerVolumeSource {
        dataset_name: Option<String> = "datasetName" [1] OmitZero,
        dataset_uuid: Option<String> = "datasetUUID" [2] OmitZero,
    }
    /// Kubernetes `GCEPersistentDiskVolumeSource` of `v1`.
    GCEPersistentDiskVolumeSource {
        fs_type: Option<String> = "fsType" [2] OmitZero,
        partition: Option<i32> = "partition" [3] OmitZero,
        pd_name: Option<String> = "pdName" [1] Always,
        read_only: Option<bool> = "readOnly" [4] OmitZero,
    }
    /// Kubernetes `GlusterfsPersistentVolumeSource` of `v1`.
    GlusterfsPersistentVolumeSource {
        endpoints: Option<String> = "endpoints" [1] Always,
        endpoints_namespace: Option<String> = "endpointsNamespace" [4] OmitZero,
        path: Option<String> = "path" [2] Always,
        read_only: Option<bool> = "readOnly" [3] OmitZero,
    }
    /// Kubernetes `HostPathVolumeSource` of `v1`.
    HostPathVolumeSource {
        path: Option<String> = "path" [1] Always,
        type_: Option<String> = "type" [2] Pointer,
    }
    /// Kubernetes `ISCSIPersistentVolumeSource` of `v1`.
    ISCSIPersistentVolumeSource {
        chap_auth_discovery: Option<bool> = "chapAuthDiscovery" [8] OmitZero,
        chap_auth_session: Option<bool> = "chapAuthSession" [11] OmitZero,
        fs_type: Option<String> = "fsType" [5] OmitZero,
        initiator_name: Option<String> = "initiatorName" [12] Pointer,
        iqn: Option<String> = "iqn" [2] Always,
        iscsi_interface: Option<String> = "iscsiInterface" [4] OmitZero,
        lun: Option<i32> = "lun" [3] Always,
        portals: Vec<String> = "portals" [7] OmitZero,
        read_only: Option<bool> = "readOnly" [6] OmitZero,
        secret_ref: Option<Box<SecretReference>> = "secretRef" [10] Pointer,
        target_portal: Option<String> = "targetPortal" [1] Always,
    }
    /// Kubernetes `LocalVolumeSource` of `v1`.
    LocalVolumeSource {
        fs_type: Option<String> = "fsType" [2] Pointer,
        path: Option<String> = "path" [1] Always,
    }
    /// Kubernetes `NFSVolumeSource` of `v1`.
    NFSVolumeSource {
        path: Option<String> = "path" [2] Always,
        read_only: Option<bool> = "readOnly" [3] OmitZero,
        server: Option<String> = "server" [1] Always,
    }
    /// Kubernetes `VolumeNodeAffinity` of `v1`.
    VolumeNodeAffinity {
        required: Option<Box<NodeSelector>> = "required" [1] Pointer,
    }
    /// Kubernetes `PhotonPersistentDiskVolumeSource` of `v1`.
    PhotonPersistentDiskVolumeSource {
        fs_type: Option<String> = "fsType" [2] OmitZero,
        pd_id: Option<String> = "pdID" [1] Always,
    }
    /// Kubernetes `PortworxVolumeSource` of `v1`.
    PortworxVolumeSource {
        fs_type: Option<String> = "fsType" [2] OmitZero,
        read_only: Option<bool> = "readOnly" [3] OmitZero,
        volume_id: Option<String> = "volumeID" [1] Always,
    }
    /// Kubernetes `QuobyteVolumeSource` of `v1`.
    QuobyteVolumeSource {
        group: Option<String> = "group" [5] OmitZero,
        read_only: Option<bool> = "readOnly" [3] OmitZero,
        registry: Option<String> = "registry" [1] Always,
        tenant: Option<String> = "tenant" [6] OmitZero,
        user: Option<String> = "user" [4] OmitZero,
        volume: Option<String> = "volume" [2] Always,
    }
    /// Kubernetes `RBDPersistentVolumeSource` of `v1`.
    RBDPersistentVolumeSource {
        fs_type: Option<String> = "fsType" [3] OmitZero,
        image: Option<String> = "image" [2] Always,
        keyring: Option<String> = "keyring" [6] OmitZero,
        monitors: Vec<String> = "monitors" [1] Always,
        pool: Option<String> = "pool" [4] OmitZero,
        read_only: Option<bool> = "readOnly" [8] OmitZero,
        secret_ref: Option<Box<SecretReference>> = "secretRef" [7] Pointer,
        user: Option<String> = "user" [5] OmitZero,
    }
    /// Kubernetes `ScaleIOPersistentVolumeSource` of `v1`.
    ScaleIOPersistentVolumeSource {
        fs_type: Option<String> = "fsType" [9] OmitZero,
        gateway: Option<String> = "gateway" [1] Always,
        protection_domain: Option<String> = "protectionDomain" [5] OmitZero,
        read_only: Option<bool> = "readOnly" [10] OmitZero,
        secret_ref: Option<Box<SecretReference>> = "secretRef" [3] Always,
        ssl_enabled: Option<bool> = "sslEnabled" [4] OmitZero,
        storage_mode: Option<String> = "storageMode" [7] OmitZero,
        storage_pool: Option<String> = "storagePool" [6] OmitZero,
        system: Option<String> = "system" [2] Always,
        volume_name: Option<String> = "volumeName" [8] OmitZero,
    }
    /// Kubernetes `StorageOSPersistentVolumeSource` of `v1`.
    StorageOSPersistentVolumeSource {
        fs_type: Option<String> = "fsType" [3] OmitZero,
        read_only: Option<bool> = "readOnly" [4] OmitZero,
        secret_ref: Option<Box<ObjectReference>> = "secretRef" [5] Pointer,
        volume_name: Option<String> = "volumeName" [1] OmitZero,
        volume_namespace: Option<String> = "volumeNamespace" [2] OmitZero,
    }
    /// Kubernetes `VsphereVirtualDiskVolumeSource` of `v1`.
    VsphereVirtualDiskVolumeSource {
        fs_type: Option<String> = "fsType" [2] OmitZero,
        storage_policy_id: Option<String> = "storagePolicyID" [4] OmitZero,
        storage_policy_name: Option<String> = "storagePolicyName" [3] OmitZero,
        volume_path: Option<String> = "volumePath" [1] Always,
    }
    /// Kubernetes `PersistentVolumeSpec` of `v1`.
    PersistentVolumeSpec {
        access_modes: Vec<String> = "accessModes" [3] OmitZero,
        aws_elastic_block_store: Option<Box<AWSElasticBlockStoreVolumeSource>> = "awsElasticBlockStore" [2, 2] Pointer,
        azure_disk: Option<Box<AzureDiskVolumeSource>> = "azureDisk" [2, 16] Pointer,
        azure_file: Option<Box<AzureFilePersistentVolumeSource>> = "azureFile" [2, 13] Pointer,
        capacity: BTreeMap<String, Quantity> = "capacity" [1] OmitZero,
        cephfs: Option<Box<CephFSPersistentVolumeSource>> = "cephfs" [2, 9] Pointer,
        cinder: Option<Box<CinderPersistentVolumeSource>> = "cinder" [2, 8] Pointer,
        claim_ref: Option<Box<ObjectReference>> = "claimRef" [4] Pointer,
        csi: Option<Box<CSIPersistentVolumeSource>> = "csi" [2, 22] Pointer,
        fc: Option<Box<FCVolumeSource>> = "fc" [2, 10] Pointer,
        flex_volume: Option<Box<FlexPersistentVolumeSource>> = "flexVolume" [2, 12] Pointer,
        flocker: Option<Box<FlockerVolumeSource>> = "flocker" [2, 11] Pointer,
        gce_persistent_disk: Option<Box<GCEPersistentDiskVolumeSource>> = "gcePersistentDisk" [2, 1] Pointer,
        glusterfs: Option<Box<GlusterfsPersistentVolumeSource>> = "glusterfs" [2, 4] Pointer,
        host_path: Option<Box<HostPathVolumeSource>> = "hostPath" [2, 3] Pointer,
        iscsi: Option<Box<ISCSIPersistentVolumeSource>> = "iscsi" [2, 7] Pointer,
        local: Option<Box<LocalVolumeSource>> = "local" [2, 20] Pointer,
        mount_options: Vec<String> = "mountOptions" [7] OmitZero,
        nfs: Option<Box<NFSVolumeSource>> = "nfs" [2, 5] Pointer,
        node_affinity: Option<Box<VolumeNodeAffinity>> = "nodeAffinity" [9] Pointer,
        persistent_volume_reclaim_policy: Option<String> = "persistentVolumeReclaimPolicy" [5] OmitZero,
        photon_persistent_disk: Option<Box<PhotonPersistentDiskVolumeSource>> = "photonPersistentDisk" [2, 17] Pointer,
        portworx_volume: Option<Box<PortworxVolumeSource>> = "portworxVolume" [2, 18] Pointer,
        quobyte: Option<Box<QuobyteVolumeSource>> = "quobyte" [2, 15] Pointer,
        rbd: Option<Box<RBDPersistentVolumeSource>> = "rbd" [2, 6] Pointer,
        scale_io: Option<Box<ScaleIOPersistentVolumeSource>> = "scaleIO" [2, 19] Pointer,
        storage_class_name: Option<String> = "storageClassName" [6] OmitZero,
        storageos: Option<Box<StorageOSPersistentVolumeSource>> = "storageos" [2, 21] Pointer,
        volume_attributes_class_name: Option<String> = "volumeAttributesClassName" [10] Pointer,
        volume_mode: Option<String> = "volumeMode" [8] Pointer,
        vsphere_volume: Option<Box<VsphereVirtualDiskVolumeSource>> = "vsphereVolume" [2, 14] Pointer,
    }
    /// Kubernetes `PersistentVolumeStatus` of `v1`.
    PersistentVolumeStatus {
        last_phase_transition_time: Option<Time> = "lastPhaseTransitionTime" [4] OmitZero,
        message: Option<String> = "message" [2] OmitZero,
        phase: Option<String> = "phase" [1] OmitZero,
        reason: Option<String> = "reason" [3] OmitZero,
    }
    /// Kubernetes `PersistentVolume` of `v1`.
    PersistentVolume = "v1" {
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: PersistentVolumeSpec = "spec" [2] Always,
        status: PersistentVolumeStatus = "status" [3] Always,
    }
    /// Kubernetes `TopologySelectorLabelRequirement` of `v1`.
    TopologySelectorLabelRequirement {
        key: Option<String> = "key" [1] Always,
        values: Vec<String> = "values" [2] Always,
    }
    /// Kubernetes `TopologySelectorTerm` of `v1`.
    TopologySelectorTerm {
        match_label_expressions: Vec<TopologySelectorLabelRequirement> = "matchLabelExpressions" [1] OmitZero,
    }
    /// Kubernetes `StorageClass` of `storage.k8s.io/v1`.
    StorageClass = "storage.k8s.io/v1" {
        allow_volume_expansion: Option<bool> = "allowVolumeExpansion" [6] Pointer,
        allowed_topologies: Vec<TopologySelectorTerm> = "allowedTopologies" [8] OmitZero,
        api_version: Option<String> = "apiVersion" [0] OmitZero,
        kind: Option<String> = "kind" [0] OmitZero,
        metadata: ObjectMeta = "metadata" [1] Always,
        mount_options: Vec<String> = "mountOptions" [5] OmitZero,
        parameters: BTreeMap<String, String> = "parameters" [3] OmitZero,
        provisioner: Option<String> = "provisioner" [2] Always,
        reclaim_policy: Option<String> = "reclaimPolicy" [4] Pointer,
        volume_binding_mode: Option<String> = "volumeBindingMode" [7] Pointer,
    }
}
