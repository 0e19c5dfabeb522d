//! Clusters for the tests of the controllers, written as manifests.

use std::sync::Arc;

use windlass_pod::Object;
use windlass_pod::kinds::{EndpointSlice, Node, Pod, ReplicationController, Service};

use super::view::{Objects, View};
use crate::registry::{Key, Resource};

/// Objects that a view can look at.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    pub(super) pods: Objects<Pod>,
    controllers: Objects<ReplicationController>,
    pub(super) services: Objects<Service>,
    slices: Objects<EndpointSlice>,
    nodes: Objects<Node>,
}

impl Cluster {
    pub(super) fn new(manifests: &str) -> Self {
        let mut cluster = Self::default();
        for object in windlass_pod::decode_yaml(manifests.as_bytes()).unwrap() {
            match object {
                Object::Pod(pod) => put(&mut cluster.pods, *pod),
                Object::ReplicationController(controller) => put(&mut cluster.controllers, *controller),
                Object::Service(service) => put(&mut cluster.services, *service),
                Object::EndpointSlice(slice) => put(&mut cluster.slices, *slice),
                Object::Node(node) => put(&mut cluster.nodes, *node),
                other => panic!("{other:?}"),
            }
        }
        cluster
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            pods: &self.pods,
            controllers: &self.controllers,
            services: &self.services,
            slices: &self.slices,
            nodes: &self.nodes,
        }
    }
}

fn put<R: Resource>(objects: &mut Objects<R>, object: R) {
    objects.insert(Key::of(&object), Arc::new(object));
}

/// One object written as a manifest.
pub(super) fn object<R: Resource>(manifest: &str) -> Arc<R> {
    let object = windlass_pod::decode_yaml(manifest.as_bytes()).unwrap().remove(0);
    Arc::new(R::from_object(object).unwrap())
}
