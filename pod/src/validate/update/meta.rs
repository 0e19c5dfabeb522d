//! Metadata that must stay.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::super::at::At;
use super::super::meta::{annotations, finalizer_names, labels, owner_references};
use crate::kinds::ObjectMeta;
use crate::violation::{Violations, quoted};
use crate::wire::text::Text as _;

const IMMUTABLE: &str = "field is immutable";

/// What every kind's metadata is held to when it changes.
pub(super) fn accessor(new: &ObjectMeta, old: &ObjectMeta, out: &mut Violations) {
    let root = At::root();
    let at = root.field("metadata");
    if old.deletion_timestamp.is_some() {
        let had: BTreeSet<&String> = old.finalizers.iter().collect();
        let added: BTreeSet<&String> = new.finalizers.iter().filter(|finalizer| !had.contains(finalizer)).collect();
        if !added.is_empty() {
            let list: Vec<String> = added.iter().map(|finalizer| quoted(finalizer)).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                list.join(", ")
            );
            out.forbidden(at.field("finalizers"), detail);
        }
    }
    if new.resource_version.text().is_empty() {
        out.invalid(at.field("resourceVersion"), "", "must be specified for an update");
    }
    if new.generation.unwrap_or(0) < old.generation.unwrap_or(0) {
        out.invalid_literal(at.field("generation"), new.generation.unwrap_or(0), "must not be decremented");
    }
    for (field, new, old) in
        [("name", &new.name, &old.name), ("namespace", &new.namespace, &old.namespace), ("uid", &new.uid, &old.uid)]
    {
        if new.text() != old.text() {
            out.invalid(at.field(field), new.text(), IMMUTABLE);
        }
    }
    for (field, new, old) in [
        ("creationTimestamp", new.creation_timestamp, old.creation_timestamp),
        ("deletionTimestamp", new.deletion_timestamp, old.deletion_timestamp),
    ] {
        if new != old {
            out.invalid_literal(at.field(field), or_null(new.map(|time| quoted(&time.to_string()))), IMMUTABLE);
        }
    }
    if new.deletion_grace_period_seconds != old.deletion_grace_period_seconds {
        let value = or_null(new.deletion_grace_period_seconds);
        out.invalid_literal(at.field("deletionGracePeriodSeconds"), value, IMMUTABLE);
    }
    labels(&new.labels, &at.field("labels"), out);
    annotations(&new.annotations, &at.field("annotations"), out);
    owner_references(&new.owner_references, &at.field("ownerReferences"), out);
}

fn or_null(value: Option<impl Display>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

/// What a kind's own rules for a change begin with.
pub(super) fn update(new: &ObjectMeta, old: &ObjectMeta, out: &mut Violations) {
    accessor(new, old, out);
    finalizer_names(new, out);
}
