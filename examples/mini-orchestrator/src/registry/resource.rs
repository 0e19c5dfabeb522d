//! The kinds that the registry holds.

use windlass_pod::kinds::{
    ConfigMap, EndpointSlice, Event, Namespace, NamespaceSpec, NamespaceStatus, Node, NodeSpec, NodeStatus, Pod,
    PodSpec, PodStatus, ReplicationController, ReplicationControllerSpec, ReplicationControllerStatus, Service,
    ServiceSpec, ServiceStatus,
};
use windlass_pod::{Kind, Object};

/// A kind that the registry holds.
pub trait Resource: Kind + Send + Sync + 'static {
    /// The kind's name in keys and addresses.
    const PLURAL: &'static str;
    /// Whether objects of this kind lie within namespaces.
    const IS_NAMESPACED: bool;

    /// The object as one of any kind.
    fn into_object(self) -> Object;

    /// The object, if it is of this kind.
    fn from_object(object: Object) -> Option<Self>;

    /// Whether both objects say that the same is wanted.
    fn wants_same(&self, other: &Self) -> bool;

    /// Takes over what a manifest says is wanted; keeps the state, and what the cluster itself filled in.
    fn take_over(&mut self, manifest: Self);
}

/// A kind that keeps how it is apart from what is wanted.
pub trait WithStatus: Resource {
    /// How it is.
    type Status: PartialEq + Clone;

    /// How it is, to be changed.
    fn status_mut(&mut self) -> &mut Self::Status;
}

/// Both conversions of a kind.
macro_rules! object {
    ($kind:ident) => {
        fn into_object(self) -> Object {
            self.into()
        }

        fn from_object(object: Object) -> Option<Self> {
            object.try_into().ok()
        }
    };
}

/// A kind with spec and status; `$keep` moves what the cluster filled in from the old spec to the new one.
macro_rules! with_status {
    ($kind:ident, $status:ident, $plural:literal, $is_namespaced:literal, $keep:expr) => {
        impl Resource for $kind {
            const PLURAL: &'static str = $plural;
            const IS_NAMESPACED: bool = $is_namespaced;

            object!($kind);

            fn wants_same(&self, other: &Self) -> bool {
                self.spec == other.spec
            }

            fn take_over(&mut self, manifest: Self) {
                let before = std::mem::replace(&mut self.spec, manifest.spec);
                $keep(before, &mut self.spec);
                self.unknown = manifest.unknown;
            }
        }

        impl WithStatus for $kind {
            type Status = $status;

            fn status_mut(&mut self) -> &mut $status {
                &mut self.status
            }
        }
    };
}

/// A kind of which these fields are wanted and nothing else is there.
macro_rules! without_status {
    ($kind:ident, $plural:literal, [$($field:ident),*]) => {
        impl Resource for $kind {
            const PLURAL: &'static str = $plural;
            const IS_NAMESPACED: bool = true;

            object!($kind);

            fn wants_same(&self, other: &Self) -> bool {
                $(self.$field == other.$field)&&*
            }

            fn take_over(&mut self, manifest: Self) {
                $(self.$field = manifest.$field;)*
                self.unknown = manifest.unknown;
            }
        }
    };
}

with_status!(Pod, PodStatus, "pods", true, |before: PodSpec, wanted: &mut PodSpec| {
    wanted.node_name = wanted.node_name.take().or(before.node_name);
});
with_status!(
    ReplicationController,
    ReplicationControllerStatus,
    "replicationcontrollers",
    true,
    |_: ReplicationControllerSpec, _: &mut ReplicationControllerSpec| {}
);
with_status!(Service, ServiceStatus, "services", true, |before: ServiceSpec, wanted: &mut ServiceSpec| {
    if wanted.cluster_ip.is_none() {
        wanted.cluster_ip = before.cluster_ip;
        wanted.cluster_ips = before.cluster_ips;
    }
});
with_status!(Node, NodeStatus, "nodes", false, |_: NodeSpec, _: &mut NodeSpec| {});
with_status!(Namespace, NamespaceStatus, "namespaces", false, |_: NamespaceSpec, _: &mut NamespaceSpec| {});
without_status!(ConfigMap, "configmaps", [data, binary_data, immutable]);
without_status!(EndpointSlice, "endpointslices", [address_type, endpoints, ports]);
without_status!(Event, "events", [count, last_timestamp]);
