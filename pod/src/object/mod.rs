//! An object of any kind.

pub(crate) mod decode;
mod protobuf;

use crate::error::{Error, Result};
use crate::kinds;
use crate::kinds::Kind;
use crate::kinds::ObjectMeta;
use crate::wire::record::{self, Record};

use crate::wire::writer::{Style, Writer};
pub use protobuf::encode_protobuf;

macro_rules! objects {
    ($($kind:ident),* $(,)?) => {
        /// An object of one of the kinds that this library knows.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Object {
            $(
                #[doc = concat!("A `", stringify!($kind), "`.")]
                $kind(Box<kinds::$kind>),
            )*
        }

        impl Object {
            /// What the tables say about every kind.
            #[cfg(test)]
            pub(crate) fn shapes() -> Vec<&'static record::Shape> {
                vec![$(<kinds::$kind as Record>::of_type()),*]
            }

            /// An empty object of the kind that these words name.
            ///
            /// # Errors
            /// [`Error::KindUnknown`] when there is no such kind.
            pub fn empty(api_version: &str, kind: &str) -> Result<Self> {
                match (api_version, kind) {
                    $((kinds::$kind::API_VERSION, kinds::$kind::KIND) => Ok(Self::$kind(Box::default())),)*
                    _ => Err(Error::KindUnknown { api_version: api_version.to_owned(), kind: kind.to_owned() }),
                }
            }

            /// What its `apiVersion` says.
            pub fn api_version(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => kinds::$kind::API_VERSION,)*
                }
            }

            /// What its `kind` says.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => kinds::$kind::KIND,)*
                }
            }

            /// What its fields `apiVersion` and `kind` say, which may be nothing.
            fn named(&self) -> [Option<&str>; 2] {
                match self {
                    $(Self::$kind(object) => object.named(),)*
                }
            }

            /// Has its fields `apiVersion` and `kind` say what it is.
            fn set_named(&mut self) {
                match self {
                    $(Self::$kind(object) => object.set_named(),)*
                }
            }

            /// Its metadata.
            pub fn metadata(&self) -> &ObjectMeta {
                match self {
                    $(Self::$kind(object) => &object.metadata,)*
                }
            }

            /// Its metadata, to be changed.
            pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
                match self {
                    $(Self::$kind(object) => &mut object.metadata,)*
                }
            }

            /// Its fields, for code that works on any kind.
            pub fn record(&self) -> &dyn Record {
                match self {
                    $(Self::$kind(object) => &**object,)*
                }
            }

            /// Its fields, to be changed, for code that works on any kind.
            pub fn record_mut(&mut self) -> &mut dyn Record {
                match self {
                    $(Self::$kind(object) => &mut **object,)*
                }
            }
        }

        $(
            impl From<kinds::$kind> for Object {
                fn from(object: kinds::$kind) -> Self {
                    Self::$kind(Box::new(object))
                }
            }

            impl TryFrom<Object> for kinds::$kind {
                type Error = Error;

                fn try_from(object: Object) -> Result<Self> {
                    match object {
                        Object::$kind(object) => Ok(*object),
                        other => {
                            Err(Error::KindMismatch { expected: Self::KIND, found: other.kind().to_owned() })
                        }
                    }
                }
            }
        )*
    };
}

objects!(
    Binding,
    ClusterRole,
    ClusterRoleBinding,
    ConfigMap,
    ControllerRevision,
    CronJob,
    DaemonSet,
    Deployment,
    EndpointSlice,
    Endpoints,
    Event,
    Eviction,
    Ingress,
    Job,
    Lease,
    LimitRange,
    Namespace,
    NetworkPolicy,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    PodDisruptionBudget,
    PodTemplate,
    PriorityClass,
    ReplicaSet,
    ReplicationController,
    ResourceQuota,
    Role,
    RoleBinding,
    RuntimeClass,
    Scale,
    Secret,
    Service,
    ServiceAccount,
    StatefulSet,
    StorageClass,
);

impl Object {
    /// The object as compact JSON, the fields sorted by name.
    pub fn encode_json(&self) -> String {
        self.encode_json_in(Style::AsSet)
    }

    /// The object as compact JSON in this style.
    pub fn encode_json_in(&self, style: Style) -> String {
        encode(self.record(), (self.api_version(), self.kind()), Writer::json(style))
    }

    /// The object as a YAML document, the fields sorted by name.
    pub fn encode_yaml(&self) -> String {
        encode(self.record(), (self.api_version(), self.kind()), Writer::yaml(Style::AsSet))
    }
}

/// The object as compact JSON, the fields sorted by name.
pub fn encode_json<K: Kind>(object: &K) -> String {
    encode(object, (K::API_VERSION, K::KIND), Writer::json(Style::AsSet))
}

/// The object as a YAML document, the fields sorted by name.
pub fn encode_yaml<K: Kind>(object: &K) -> String {
    encode(object, (K::API_VERSION, K::KIND), Writer::yaml(Style::AsSet))
}

fn encode(record: &dyn Record, names: (&'static str, &'static str), writer: Writer) -> String {
    let mut writer = writer.with_type_meta(names);
    record::write(record, &mut writer);
    writer.finish()
}
