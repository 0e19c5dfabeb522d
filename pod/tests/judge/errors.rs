//! Violations as the judged files have them.
#![allow(dead_code, reason = "not every test that includes this file compares all of it")]

use serde_json::{Value, json};
use windlass_pod::Violation;
use windlass_pod::allocation::{AddressPool, AllocationError, Cluster, PortPool};

/// The cluster of the judged files.
pub(crate) fn cluster() -> Cluster {
    Cluster::new(vec![AddressPool::new("10.96.0.0/12").unwrap()], PortPool::node_ports())
}

/// Each violation with what the files tell of it.
pub(crate) fn messages(violations: &[Violation]) -> Vec<Value> {
    let message = |one: &Violation| json!({"field": one.path, "type": one.kind.reason(), "detail": one.detail, "body": one.body()});
    violations.iter().map(message).collect()
}

/// What an allocator says; the files tell no detail of it.
pub(crate) fn allocation(error: &AllocationError) -> Vec<Value> {
    match error {
        AllocationError::Invalid(violations) => violations
            .iter()
            .map(|one| json!({"field": one.path, "type": one.kind.reason(), "body": one.body()}))
            .collect(),
        other => vec![json!({"field": "", "type": "", "body": other.to_string()})],
    }
}

/// What only one of two lists has, each element counted.
pub(crate) fn lists(what: &str, ours: &[Value], theirs: &[Value]) -> Option<String> {
    let without = |list: &[Value], other: &[Value]| {
        let mut other = other.to_vec();
        let kept = |value: &&Value| match other.iter().position(|one| one == *value) {
            Some(index) => {
                other.swap_remove(index);
                false
            }
            None => true,
        };
        list.iter().filter(kept).cloned().collect::<Vec<_>>()
    };
    let (surplus, missing) = (without(ours, theirs), without(theirs, ours));
    let same = surplus.is_empty() && missing.is_empty();
    (!same).then(|| format!("{what}:\n  missing {}\n  surplus {}", json!(missing), json!(surplus)))
}
