//! Validation of changes: every rule that a new object breaks beside the one that it takes the place of.

mod fixed;
mod meta;
mod pod;
mod service;
mod workload;

use super::meta::{Scope, generic_meta};
use super::{is_namespaced, validate};
use crate::object::Object;
use crate::strategy;
use crate::violation::{Violation, Violations};

/// Every rule that a new object breaks where it takes the place of `old`; none for a good one.
///
/// Both should have their defaults. What the server keeps of the old object where the new one leaves it out, such as
/// the `uid`, need not be there. A service should have its addresses, see [`allocation`](crate::allocation).
///
/// ```
/// use windlass_pod::{Object, decode_yaml, defaults, validate_update};
///
/// let text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b, resourceVersion: '1'}, immutable: true";
/// let read = |data: &str| decode_yaml(format!("{text}, data: {{k: {data}}}}}").as_bytes()).unwrap().remove(0);
/// let violations = validate_update(&read("new"), &read("old"));
/// assert_eq!(violations[0].to_string(), "data: Forbidden: field is immutable when `immutable` is set");
/// ```
pub fn validate_update(new: &Object, old: &Object) -> Vec<Violation> {
    let mut out = Violations::default();
    let mut new = new.clone();
    strategy::prepare_for_update(&mut new, old);
    let scope = if is_namespaced(new.kind()) { Scope::Namespaced } else { Scope::Cluster };
    generic_meta(new.metadata(), scope, &mut out);
    meta::accessor(new.metadata(), old.metadata(), &mut out);
    match (&new, old) {
        (Object::Pod(new), Object::Pod(old)) => pod::pod(new, old, &mut out),
        (Object::Service(new), Object::Service(old)) => service::service(new, old, &mut out),
        (Object::ReplicationController(new), Object::ReplicationController(old)) => {
            workload::replication_controller(new, old, &mut out);
        }
        (Object::ReplicaSet(new), Object::ReplicaSet(old)) => workload::replica_set(new, old, &mut out),
        (Object::Deployment(new), Object::Deployment(old)) => workload::deployment(new, old, &mut out),
        (Object::DaemonSet(new), Object::DaemonSet(old)) => workload::daemon_set(new, old, &mut out),
        (Object::StatefulSet(new), Object::StatefulSet(old)) => workload::stateful_set(new, old, &mut out),
        (Object::Job(new), Object::Job(old)) => workload::job(new, old, &mut out),
        (new, old) if new.kind() == old.kind() => {
            out.append(validate(new));
            meta::update(new.metadata(), old.metadata(), &mut out);
            fixed::fields(new, old, &mut out);
        }
        (new, old) => out.invalid("kind", new.kind(), format!("the object is a {}", old.kind())),
    }
    out.into_vec()
}
