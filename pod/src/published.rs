//! Conversions to and from the types of `k8s-openapi`.
//!
//! Both ways go through JSON, which is what the two agree on. Fields that the published types do not have are lost on
//! the way to them; what they leave open, such as the form of a quantity, is looked at on the way back.

use k8s_openapi::api::{
    apps::v1 as apps, autoscaling::v1 as autoscaling, batch::v1 as batch, coordination::v1 as coordination,
    core::v1 as core, discovery::v1 as discovery, networking::v1 as networking, node::v1 as node, policy::v1 as policy,
    rbac::v1 as rbac, scheduling::v1 as scheduling, storage::v1 as storage,
};

use crate::error::{Error, Result};
use crate::kinds;
use crate::object::decode::decode_json_as;
use crate::object::encode_json;

macro_rules! published {
    ($($group:ident { $($kind:ident)* })*) => { $($(
        impl TryFrom<&$group::$kind> for kinds::$kind {
            type Error = Error;

            /// Fails where a value is none of its type: a quantity that is not one.
            fn try_from(published: &$group::$kind) -> Result<Self> {
                let text = serde_json::to_vec(published).expect("what is published can be written as JSON");
                decode_json_as(&text)
            }
        }

        impl TryFrom<&kinds::$kind> for $group::$kind {
            type Error = serde_json::Error;

            /// Fails where the published type is narrower: a time beyond its range.
            fn try_from(object: &kinds::$kind) -> serde_json::Result<Self> {
                serde_json::from_str(&encode_json(object))
            }
        }
    )*)* };
}

published! {
    apps { ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet }
    autoscaling { Scale }
    batch { CronJob Job }
    coordination { Lease }
    core {
        Binding ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod
        PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount
    }
    discovery { EndpointSlice }
    networking { Ingress NetworkPolicy }
    node { RuntimeClass }
    policy { Eviction PodDisruptionBudget }
    rbac { ClusterRole ClusterRoleBinding Role RoleBinding }
    scheduling { PriorityClass }
    storage { StorageClass }
}
