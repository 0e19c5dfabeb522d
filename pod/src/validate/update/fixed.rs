//! Fields of the other kinds that must stay.

use super::super::at::At;
use crate::kinds::PersistentVolumeClaim;
use crate::object::Object;
use crate::violation::Violations;
use crate::wire::record::{View, json};
use crate::wire::semantic::equal;
use crate::wire::text::Text as _;

const IMMUTABLE: &str = "field is immutable";

fn text(path: &str, new: Option<&String>, old: Option<&String>, out: &mut Violations) {
    let of = |text: Option<&String>| text.cloned().unwrap_or_default();
    if of(new) != of(old) {
        out.invalid(path, &of(new), IMMUTABLE);
    }
}

pub(super) fn fields(new: &Object, old: &Object, out: &mut Violations) {
    match (new, old) {
        (Object::ConfigMap(new), Object::ConfigMap(old)) if old.immutable == Some(true) => {
            sealed(new.immutable, out);
            for (field, same) in [("data", new.data == old.data), ("binaryData", new.binary_data == old.binary_data)] {
                sealed_field(field, same, out);
            }
        }
        (Object::Secret(new), Object::Secret(old)) => {
            text("type", new.type_.as_ref(), old.type_.as_ref(), out);
            if old.immutable == Some(true) {
                sealed(new.immutable, out);
                sealed_field("data", new.data == old.data && new.string_data.is_empty(), out);
            }
        }
        (Object::PersistentVolumeClaim(new), Object::PersistentVolumeClaim(old)) => claim(new, old, out),
        (Object::EndpointSlice(new), Object::EndpointSlice(old)) => {
            text("addressType", new.address_type.as_ref(), old.address_type.as_ref(), out);
        }
        (Object::ResourceQuota(new), Object::ResourceQuota(old)) => {
            let sorted = |scopes: &[String]| {
                let mut scopes = scopes.to_vec();
                scopes.sort();
                scopes
            };
            if sorted(&new.spec.scopes) != sorted(&old.spec.scopes) {
                let value = super::super::meta::texts(&new.spec.scopes);
                out.invalid_literal("spec.scopes", value, IMMUTABLE);
            }
        }
        (Object::RoleBinding(new), Object::RoleBinding(old)) => role(&new.role_ref, &old.role_ref, out),
        (Object::ClusterRoleBinding(new), Object::ClusterRoleBinding(old)) => {
            role(&new.role_ref, &old.role_ref, out);
        }
        (Object::RuntimeClass(new), Object::RuntimeClass(old)) => {
            text("handler", new.handler.as_ref(), old.handler.as_ref(), out);
        }
        (Object::StorageClass(new), Object::StorageClass(old)) => {
            if new.parameters != old.parameters {
                out.forbidden("parameters", "updates to parameters are forbidden.");
            }
            if new.provisioner.text() != old.provisioner.text() {
                out.forbidden("provisioner", "updates to provisioner are forbidden.");
            }
            text("reclaimPolicy", new.reclaim_policy.as_ref(), old.reclaim_policy.as_ref(), out);
            text("volumeBindingMode", new.volume_binding_mode.as_ref(), old.volume_binding_mode.as_ref(), out);
        }
        (Object::PriorityClass(new), Object::PriorityClass(old)) => {
            if new.value.unwrap_or(0) != old.value.unwrap_or(0) {
                out.forbidden("value", "may not be changed in an update.");
            }
            text("preemptionPolicy", new.preemption_policy.as_ref(), old.preemption_policy.as_ref(), out);
        }
        (Object::ControllerRevision(new), Object::ControllerRevision(old)) if new.data != old.data => {
            let value = new.data.as_ref().map_or("null", |raw| raw.json());
            out.invalid_literal("data", value, IMMUTABLE);
        }
        _ => {}
    }
}

fn role(new: &crate::kinds::RoleRef, old: &crate::kinds::RoleRef, out: &mut Violations) {
    if !equal(new, old) {
        out.invalid_literal("roleRef", json(View::Record(new)), "cannot change roleRef");
    }
}

fn sealed(immutable: Option<bool>, out: &mut Violations) {
    if immutable != Some(true) {
        out.forbidden("immutable", "field is immutable when `immutable` is set");
    }
}

fn sealed_field(field: &str, same: bool, out: &mut Violations) {
    if !same {
        out.forbidden(field, "field is immutable when `immutable` is set");
    }
}

/// Once bound, a claim may only ask for more.
fn claim(new: &PersistentVolumeClaim, old: &PersistentVolumeClaim, out: &mut Violations) {
    let root = At::root();
    let at = root.field("spec");
    let mut munged = new.spec.clone();
    if old.spec.volume_name.text().is_empty() {
        munged.volume_name.clone_from(&old.spec.volume_name);
    }
    let (asked, had) = (new.spec.resources.requests.get("storage"), old.spec.resources.requests.get("storage"));
    if old.status.phase.text() == "Bound" {
        if let Some(had) = had {
            munged.resources.requests.insert("storage".to_owned(), had.clone());
        } else {
            munged.resources.requests.remove("storage");
        }
    }
    munged.volume_attributes_class_name.clone_from(&old.spec.volume_attributes_class_name);
    if !equal(&munged, &old.spec) {
        let detail =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        return out.forbidden(at, detail);
    }
    if let (Some(asked), Some(had)) = (asked, had)
        && asked < had
    {
        let resources = at.field("resources");
        let requests = resources.field("requests");
        out.forbidden(requests.field("storage"), "field can not be less than status.capacity");
    }
}
