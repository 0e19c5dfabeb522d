//! The volumes of a pod.

use std::collections::BTreeMap;

use crate::kinds::meta::{LabelSelector, LocalObjectReference, ObjectMeta};
use crate::kinds::storage::{
    AWSElasticBlockStoreVolumeSource, AzureDiskVolumeSource, FCVolumeSource, FlockerVolumeSource,
    GCEPersistentDiskVolumeSource, HostPathVolumeSource, NFSVolumeSource, PersistentVolumeClaimSpec,
    PhotonPersistentDiskVolumeSource, PortworxVolumeSource, QuobyteVolumeSource, VsphereVirtualDiskVolumeSource,
};
use crate::quantity::Quantity;
use crate::wire::table::records;

records! {
    /// Kubernetes `AzureFileVolumeSource` of `v1`.
    AzureFileVolumeSource {
        read_only: Option<bool> = "readOnly" [3] OmitZero,
        secret_name: Option<String> = "secretName" [1] Always,
        share_name: Option<String> = "shareName" [2] Always,
    }
    /// Kubernetes `CephFSVolumeSource` of `v1`.
    CephFSVolumeSource {
        monitors: Vec<String> = "monitors" [1] Always,
        path: Option<String> = "path" [2] OmitZero,
        read_only: Option<bool> = "readOnly" [6] OmitZero,
        secret_file: Option<String> = "secretFile" [4] OmitZero,
        secret_ref: Option<Box<LocalObjectReference>> = "secretRef" [5] Pointer,
        user: Option<String> = "user" [3] OmitZero,
    }
    /// Kubernetes `CinderVolumeSource` of `v1`.
    CinderVolumeSource {
        fs_type: Option<String> = "fsType" [2] OmitZero,
        read_only: Option<bool> = "readOnly" [3] OmitZero,
        secret_ref: Option<Box<LocalObjectReference>> = "secretRef" [4] Pointer,
        volume_id: Option<String> = "volumeID" [1] Always,
    }
    /// Kubernetes `KeyToPath` of `v1`.
    KeyToPath {
        key: Option<String> = "key" [1] Always,
        mode: Option<i32> = "mode" [3] Pointer,
        path: Option<String> = "path" [2] Always,
    }
    /// Kubernetes `ConfigMapVolumeSource` of `v1`.
    ConfigMapVolumeSource {
        default_mode: Option<i32> = "defaultMode" [3] Pointer,
        items: Vec<KeyToPath> = "items" [2] OmitZero,
        name: Option<String> = "name" [1, 1] Always,
        optional: Option<bool> = "optional" [4] Pointer,
    }
    /// Kubernetes `CSIVolumeSource` of `v1`.
    CSIVolumeSource {
        driver: Option<String> = "driver" [1] Always,
        fs_type: Option<String> = "fsType" [3] Pointer,
        node_publish_secret_ref: Option<Box<LocalObjectReference>> = "nodePublishSecretRef" [5] Pointer,
        read_only: Option<bool> = "readOnly" [2] Pointer,
        volume_attributes: BTreeMap<String, String> = "volumeAttributes" [4] OmitZero,
    }
    /// Kubernetes `ObjectFieldSelector` of `v1`.
    ObjectFieldSelector {
        api_version: Option<String> = "apiVersion" [1] OmitZero,
        field_path: Option<String> = "fieldPath" [2] Always,
    }
    /// Kubernetes `ResourceFieldSelector` of `v1`.
    ResourceFieldSelector {
        container_name: Option<String> = "containerName" [1] OmitZero,
        divisor: Option<Quantity> = "divisor" [3] Always,
        resource: Option<String> = "resource" [2] Always,
    }
    /// Kubernetes `DownwardAPIVolumeFile` of `v1`.
    DownwardAPIVolumeFile {
        field_ref: Option<Box<ObjectFieldSelector>> = "fieldRef" [2] Pointer,
        mode: Option<i32> = "mode" [4] Pointer,
        path: Option<String> = "path" [1] Always,
        resource_field_ref: Option<Box<ResourceFieldSelector>> = "resourceFieldRef" [3] Pointer,
    }
    /// Kubernetes `DownwardAPIVolumeSource` of `v1`.
    DownwardAPIVolumeSource {
        default_mode: Option<i32> = "defaultMode" [2] Pointer,
        items: Vec<DownwardAPIVolumeFile> = "items" [1] OmitZero,
    }
    /// Kubernetes `EmptyDirVolumeSource` of `v1`.
    EmptyDirVolumeSource {
        medium: Option<String> = "medium" [1] OmitZero,
        size_limit: Option<Quantity> = "sizeLimit" [2] Pointer,
    }
    /// Kubernetes `PersistentVolumeClaimTemplate` of `v1`.
    PersistentVolumeClaimTemplate {
        metadata: ObjectMeta = "metadata" [1] Always,
        spec: PersistentVolumeClaimSpec = "spec" [2] Always,
    }
    /// Kubernetes `EphemeralVolumeSource` of `v1`.
    EphemeralVolumeSource {
        volume_claim_template: Option<Box<PersistentVolumeClaimTemplate>> = "volumeClaimTemplate" [1] Pointer,
    }
    /// Kubernetes `FlexVolumeSource` of `v1`.
    FlexVolumeSource {
        driver: Option<String> = "driver" [1] Always,
        fs_type: Option<String> = "fsType" [2] OmitZero,
        options: BTreeMap<String, String> = "options" [5] OmitZero,
        read_only: Option<bool> = "readOnly" [4] OmitZero,
        secret_ref: Option<Box<LocalObjectReference>> = "secretRef" [3] Pointer,
    }
    /// Kubernetes `GitRepoVolumeSource` of `v1`.
    GitRepoVolumeSource {
        directory: Option<String> = "directory" [3] OmitZero,
        repository: Option<String> = "repository" [1] Always,
        revision: Option<String> = "revision" [2] OmitZero,
    }
    /// Kubernetes `GlusterfsVolumeSource` of `v1`.
    GlusterfsVolumeSource {
        endpoints: Option<String> = "endpoints" [1] Always,
        path: Option<String> = "path" [2] Always,
        read_only: Option<bool> = "readOnly" [3] OmitZero,
    }
    /// Kubernetes `ImageVolumeSource` of `v1`.
    ImageVolumeSource {
        pull_policy: Option<String> = "pullPolicy" [2] OmitZero,
        reference: Option<String> = "reference" [1] OmitZero,
    }
    /// Kubernetes `ISCSIVolumeSource` of `v1`.
    ISCSIVolumeSource {
        chap_auth_discovery: Option<bool> = "chapAuthDiscovery" [8] OmitZero,
        chap_auth_session: Option<bool> = "chapAuthSession" [11] OmitZero,
        fs_type: Option<String> = "fsType" [5] OmitZero,
        initiator_name: Option<String> = "initiatorName" [12] Pointer,
        iqn: Option<String> = "iqn" [2] Always,
        iscsi_interface: Option<String> = "iscsiInterface" [4] OmitZero,
        lun: Option<i32> = "lun" [3] Always,
        portals: Vec<String> = "portals" [7] OmitZero,
        read_only: Option<bool> = "readOnly" [6] OmitZero,
        secret_ref: Option<Box<LocalObjectReference>> = "secretRef" [10] Pointer,
        target_portal: Option<String> = "targetPortal" [1] Always,
    }
    /// Kubernetes `PersistentVolumeClaimVolumeSource` of `v1`.
    PersistentVolumeClaimVolumeSource {
        claim_name: Option<String> = "claimName" [1] Always,
        read_only: Option<bool> = "readOnly" [2] OmitZero,
    }
    /// Kubernetes `ClusterTrustBundleProjection` of `v1`.
    ClusterTrustBundleProjection {
        label_selector: Option<Box<LabelSelector>> = "labelSelector" [3] Pointer,
        name: Option<String> = "name" [1] Pointer,
        optional: Option<bool> = "optional" [5] Pointer,
        path: Option<String> = "path" [4] Always,
        signer_name: Option<String> = "signerName" [2] Pointer,
    }
    /// Kubernetes `ConfigMapProjection` of `v1`.
    ConfigMapProjection {
        items: Vec<KeyToPath> = "items" [2] OmitZero,
        name: Option<String> = "name" [1, 1] Always,
        optional: Option<bool> = "optional" [4] Pointer,
    }
    /// Kubernetes `DownwardAPIProjection` of `v1`.
    DownwardAPIProjection {
        items: Vec<DownwardAPIVolumeFile> = "items" [1] OmitZero,
    }
    /// Kubernetes `PodCertificateProjection` of `v1`.
    PodCertificateProjection {
        certificate_chain_path: Option<String> = "certificateChainPath" [6] OmitZero,
        credential_bundle_path: Option<String> = "credentialBundlePath" [4] OmitZero,
        key_path: Option<String> = "keyPath" [5] OmitZero,
        key_type: Option<String> = "keyType" [2] Always,
        max_expiration_seconds: Option<i32> = "maxExpirationSeconds" [3] Pointer,
        signer_name: Option<String> = "signerName" [1] Always,
    }
    /// Kubernetes `SecretProjection` of `v1`.
    SecretProjection {
        items: Vec<KeyToPath> = "items" [2] OmitZero,
        name: Option<String> = "name" [1, 1] Always,
        optional: Option<bool> = "optional" [4] Pointer,
    }
    /// Kubernetes `ServiceAccountTokenProjection` of `v1`.
    ServiceAccountTokenProjection {
        audience: Option<String> = "audience" [1] OmitZero,
        expiration_seconds: Option<i64> = "expirationSeconds" [2] Pointer,
        path: Option<String> = "path" [3] Always,
    }
    /// Kubernetes `VolumeProjection` of `v1`.
    VolumeProjection {
        cluster_trust_bundle: Option<Box<ClusterTrustBundleProjection>> = "clusterTrustBundle" [5] Pointer,
        config_map: Option<Box<ConfigMapProjection>> = "configMap" [3] Pointer,
        downward_api: Option<Box<DownwardAPIProjection>> = "downwardAPI" [2] Pointer,
        pod_certificate: Option<Box<PodCertificateProjection>> = "podCertificate" [6] Pointer,
        secret: Option<Box<SecretProjection>> = "secret" [1] Pointer,
        service_account_token: Option<Box<ServiceAccountTokenProjection>> = "serviceAccountToken" [4] Pointer,
    }
    /// Kubernetes `ProjectedVolumeSource` of `v1`.
    ProjectedVolumeSource {
        default_mode: Option<i32> = "defaultMode" [2] Pointer,
        sources: Vec<VolumeProjection> = "sources" [1] OmitZero,
    }
    /// Kubernetes `RBDVolumeSource` of `v1`.
    RBDVolumeSource {
        fs_type: Option<String> = "fsType" [3] OmitZero,
        image: Option<String> = "image" [2] Always,
        keyring: Option<String> = "keyring" [6] OmitZero,
        monitors: Vec<String> = "monitors" [1] Always,
        pool: Option<String> = "pool" [4] OmitZero,
        read_only: Option<bool> = "readOnly" [8] OmitZero,
        secret_ref: Option<Box<LocalObjectReference>> = "secretRef" [7] Pointer,
        user: Option<String> = "user" [5] OmitZero,
    }
    /// Kubernetes `ScaleIOVolumeSource` of `v1`.
    ScaleIOVolumeSource {
        fs_type: Option<String> = "fsType" [9] OmitZero,
        gateway: Option<String> = "gateway" [1] Always,
        protection_domain: Option<String> = "protectionDomain" [5] OmitZero,
        read_only: Option<bool> = "readOnly" [10] OmitZero,
        secret_ref: Option<Box<LocalObjectReference>> = "secretRef" [3] Always,
        ssl_enabled: Option<bool> = "sslEnabled" [4] OmitZero,
        storage_mode: Option<String> = "storageMode" [7] OmitZero,
        storage_pool: Option<String> = "storagePool" [6] OmitZero,
        system: Option<String> = "system" [2] Always,
        volume_name: Option<String> = "volumeName" [8] OmitZero,
    }
    /// Kubernetes `SecretVolumeSource` of `v1`.
    SecretVolumeSource {
        default_mode: Option<i32> = "defaultMode" [3] Pointer,
        items: Vec<KeyToPath> = "items" [2] OmitZero,
        optional: Option<bool> = "optional" [4] Pointer,
        secret_name: Option<String> = "secretName" [1] OmitZero,
    }
    /// Kubernetes `StorageOSVolumeSource` of `v1`.
    StorageOSVolumeSource {
        fs_type: Option<String> = "fsType" [3] OmitZero,
        read_only: Option<bool> = "readOnly" [4] OmitZero,
        secret_ref: Option<Box<LocalObjectReference>> = "secretRef" [5] Pointer,
        volume_name: Option<String> = "volumeName" [1] OmitZero,
        volume_namespace: Option<String> = "volumeNamespace" [2] OmitZero,
    }
    /// Kubernetes `Volume` of `v1`.
    Volume {
        aws_elastic_block_store: Option<Box<AWSElasticBlockStoreVolumeSource>> = "awsElasticBlockStore" [2, 4] Pointer,
        azure_disk: Option<Box<AzureDiskVolumeSource>> = "azureDisk" [2, 22] Pointer,
        azure_file: Option<Box<AzureFileVolumeSource>> = "azureFile" [2, 18] Pointer,
        cephfs: Option<Box<CephFSVolumeSource>> = "cephfs" [2, 14] Pointer,
        cinder: Option<Box<CinderVolumeSource>> = "cinder" [2, 13] Pointer,
        config_map: Option<Box<ConfigMapVolumeSource>> = "configMap" [2, 19] Pointer,
        csi: Option<Box<CSIVolumeSource>> = "csi" [2, 28] Pointer,
        downward_api: Option<Box<DownwardAPIVolumeSource>> = "downwardAPI" [2, 16] Pointer,
        empty_dir: Option<Box<EmptyDirVolumeSource>> = "emptyDir" [2, 2] Pointer,
        ephemeral: Option<Box<EphemeralVolumeSource>> = "ephemeral" [2, 29] Pointer,
        fc: Option<Box<FCVolumeSource>> = "fc" [2, 17] Pointer,
        flex_volume: Option<Box<FlexVolumeSource>> = "flexVolume" [2, 12] Pointer,
        flocker: Option<Box<FlockerVolumeSource>> = "flocker" [2, 15] Pointer,
        gce_persistent_disk: Option<Box<GCEPersistentDiskVolumeSource>> = "gcePersistentDisk" [2, 3] Pointer,
        git_repo: Option<Box<GitRepoVolumeSource>> = "gitRepo" [2, 5] Pointer,
        glusterfs: Option<Box<GlusterfsVolumeSource>> = "glusterfs" [2, 9] Pointer,
        host_path: Option<Box<HostPathVolumeSource>> = "hostPath" [2, 1] Pointer,
        image: Option<Box<ImageVolumeSource>> = "image" [2, 30] Pointer,
        iscsi: Option<Box<ISCSIVolumeSource>> = "iscsi" [2, 8] Pointer,
        name: Option<String> = "name" [1] Always,
        nfs: Option<Box<NFSVolumeSource>> = "nfs" [2, 7] Pointer,
        persistent_volume_claim: Option<Box<PersistentVolumeClaimVolumeSource>> = "persistentVolumeClaim" [2, 10] Pointer,
        photon_persistent_disk: Option<Box<PhotonPersistentDiskVolumeSource>> = "photonPersistentDisk" [2, 23] Pointer,
        portworx_volume: Option<Box<PortworxVolumeSource>> = "portworxVolume" [2, 24] Pointer,
        projected: Option<Box<ProjectedVolumeSource>> = "projected" [2, 26] Pointer,
        quobyte: Option<Box<QuobyteVolumeSource>> = "quobyte" [2, 21] Pointer,
        rbd: Option<Box<RBDVolumeSource>> = "rbd" [2, 11] Pointer,
        scale_io: Option<Box<ScaleIOVolumeSource>> = "scaleIO" [2, 25] Pointer,
        secret: Option<Box<SecretVolumeSource>> = "secret" [2, 6] Pointer,
        storageos: Option<Box<StorageOSVolumeSource>> = "storageos" [2, 27] Pointer,
        vsphere_volume: Option<Box<VsphereVirtualDiskVolumeSource>> = "vsphereVolume" [2, 20] Pointer,
    }
}
