//! What all slices of a service have in common.

use super::family::Family;
use crate::kinds::{EndpointSlice, EndpointSlicePort, ObjectMeta, OwnerReference, Service};
use crate::wire::text::Text as _;
use crate::wire::time::Time;

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const HEADLESS: &str = "service.kubernetes.io/headless";
const CONTROLLER: &str = "endpointslice-controller.k8s.io";
const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// A slice of a service without endpoints.
pub(super) fn slice(service: &Service, family: Family, ports: Vec<EndpointSlicePort>) -> EndpointSlice {
    let name = service.metadata.name.text();
    let reserved = |key: &str| matches!(key, SERVICE_NAME | MANAGED_BY | HEADLESS);
    let mut labels = service.metadata.labels.clone();
    labels.retain(|key, _| !reserved(key));
    labels.insert(SERVICE_NAME.to_owned(), name.to_owned());
    labels.insert(MANAGED_BY.to_owned(), CONTROLLER.to_owned());
    if service.spec.cluster_ip.text() == "None" {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    EndpointSlice {
        address_type: Some(family.as_str().to_owned()),
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            labels,
            namespace: service.metadata.namespace.clone(),
            owner_references: vec![OwnerReference {
                api_version: Some("v1".to_owned()),
                block_owner_deletion: Some(true),
                controller: Some(true),
                kind: Some("Service".to_owned()),
                name: Some(name.to_owned()),
                uid: service.metadata.uid.clone(),
                ..OwnerReference::default()
            }],
            ..ObjectMeta::default()
        },
        ports,
        ..EndpointSlice::default()
    }
}

/// Notes when what a slice tells has changed, if that is known.
pub(super) fn stamp(slice: &mut EndpointSlice, changed: Option<Time>) {
    match changed {
        Some(time) => drop(slice.metadata.annotations.insert(TRIGGER_TIME.to_owned(), time.to_string())),
        None => drop(slice.metadata.annotations.remove(TRIGGER_TIME)),
    }
}
