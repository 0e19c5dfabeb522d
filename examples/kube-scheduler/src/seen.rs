//! Objects as a watch delivers them.

use std::borrow::Cow;
use std::sync::Arc;

use kube::core::{ClusterResourceScope, NamespaceResourceScope, ObjectMeta};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use windlass_pod::kinds::{Kind, Namespace, Node, Pod, PodDisruptionBudget, PriorityClass};

/// A kind that the scheduler watches.
pub trait Watched: Kind + Send + Sync + 'static {
    /// Its name in the server's paths.
    const PLURAL: &'static str;
    /// Whether its objects are in namespaces.
    type Scope;
}

macro_rules! watched {
    ($($kind:ident: $plural:literal, $scope:ident;)*) => {
        $(impl Watched for $kind {
            const PLURAL: &'static str = $plural;
            type Scope = $scope;
        })*
    };
}

watched! {
    Namespace: "namespaces", ClusterResourceScope;
    Node: "nodes", ClusterResourceScope;
    Pod: "pods", NamespaceResourceScope;
    PodDisruptionBudget: "poddisruptionbudgets", NamespaceResourceScope;
    PriorityClass: "priorityclasses", ClusterResourceScope;
}

/// An object that the server sent: its metadata for `kube`, all of it for the scheduler.
///
/// What cannot be read is kept as its error, since one odd object must not end the watch of all.
#[derive(Clone, Debug)]
pub struct Seen<K> {
    metadata: ObjectMeta,
    object: Arc<windlass_pod::Result<K>>,
}

impl<K> Seen<K> {
    /// The object, or why it cannot be read.
    pub fn object(&self) -> Result<&K, &windlass_pod::Error> {
        self.object.as_ref().as_ref()
    }
}

impl<'de, K: Watched> Deserialize<'de> for Seen<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            metadata: ObjectMeta,
        }
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let head: Head = serde_json::from_str(text.get()).map_err(serde::de::Error::custom)?;
        let object = windlass_pod::decode_json_as(text.get().as_bytes());
        Ok(Self { metadata: head.metadata, object: Arc::new(object) })
    }
}

impl<K: Watched> kube::Resource for Seen<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        K::API_VERSION.rsplit_once('/').map_or("", |(group, _)| group).into()
    }

    fn version((): &()) -> Cow<'_, str> {
        K::API_VERSION.rsplit_once('/').map_or(K::API_VERSION, |(_, version)| version).into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use kube::core::WatchEvent;
    use kube::{Resource as _, ResourceExt as _};

    use super::*;

    #[test]
    fn an_object_is_read_whole_and_an_odd_one_keeps_its_error() {
        let text =
            r#"{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"7"},"spec":{"nodeName":"n"}}}"#;
        let WatchEvent::Added(pod) = serde_json::from_str::<WatchEvent<Seen<Pod>>>(text).expect("an event") else {
            panic!("it was added");
        };
        assert_eq!((pod.name_any().as_str(), pod.resource_version().as_deref()), ("a", Some("7")));
        assert_eq!(pod.object().expect("a pod").spec.node_name.as_deref(), Some("n"));
        let text = r#"{"metadata":{"name":"a"},"spec":{"nodeName":[1]}}"#;
        let pod: Seen<Pod> = serde_json::from_str(text).expect("its metadata is readable");
        let error = pod.object().expect_err("a list is no name").to_string();
        assert!(error.contains("spec.nodeName"), "{error}");
    }

    #[test]
    fn a_kind_has_its_path() {
        assert_eq!(Seen::<Pod>::url_path(&(), Some("ns")), "/api/v1/namespaces/ns/pods");
        assert_eq!(Seen::<PodDisruptionBudget>::url_path(&(), None), "/apis/policy/v1/poddisruptionbudgets");
        assert_eq!(Seen::<PriorityClass>::url_path(&(), None), "/apis/scheduling.k8s.io/v1/priorityclasses");
    }
}
