//! What controllers see.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_pod::kinds::{EndpointSlice, Node, Pod, ReplicationController, Service};

use crate::registry::Key;

/// Objects of one kind by their names.
pub(super) type Objects<R> = BTreeMap<Key, Arc<R>>;

/// The cluster at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) pods: &'a Objects<Pod>,
    pub(super) controllers: &'a Objects<ReplicationController>,
    pub(super) services: &'a Objects<Service>,
    pub(super) slices: &'a Objects<EndpointSlice>,
    pub(super) nodes: &'a Objects<Node>,
}

/// The objects in the namespace of a key.
pub(super) fn within<'a, R>(objects: &'a Objects<R>, key: &Key) -> impl Iterator<Item = (&'a Key, &'a Arc<R>)> {
    let namespace = key.namespace.clone();
    objects.range(Key::new(namespace.clone(), "")..).take_while(move |(other, _)| other.namespace == namespace)
}
