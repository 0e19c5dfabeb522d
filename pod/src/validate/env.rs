//! The environment of containers, and what tells them about their pod.

use super::at::At;
use super::meta::each;
use super::resources::divisor;
use crate::kinds::{EnvFromSource, EnvVar, ObjectFieldSelector, ResourceFieldSelector};
use crate::names;
use crate::violation::Violations;
use crate::wire::text::Text as _;

/// What an environment variable can tell.
const IN_ENVIRONMENT: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// What a file can tell.
const IN_FILE: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
/// The fields of a pod that have names for this.
const KNOWN: [&str; 15] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
    "spec.host",
];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// Where a field of the pod is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Environment,
    File,
}

pub(super) fn env(variables: &[EnvVar], at: &At<'_>, out: &mut Violations) {
    for (index, variable) in variables.iter().enumerate() {
        let at = at.index(index);
        let name = variable.name.text();
        if name.is_empty() {
            out.required(at.field("name"), "");
        } else {
            each(&at.field("name"), name, names::relaxed_env_var_name(name), out);
        }
        value_from(variable, &at.field("valueFrom"), out);
    }
}

fn value_from(variable: &EnvVar, at: &At<'_>, out: &mut Violations) {
    let Some(source) = &variable.value_from else { return };
    let mut sources = 0;
    if let Some(field) = &source.field_ref {
        sources += 1;
        field_selector(field, Place::Environment, &at.field("fieldRef"), out);
    }
    if let Some(resource) = &source.resource_field_ref {
        sources += 1;
        resource_selector(resource, Place::Environment, &at.field("resourceFieldRef"), out);
    }
    if let Some(map) = &source.config_map_key_ref {
        sources += 1;
        key_selector(map.name.text(), map.key.text(), &at.field("configMapKeyRef"), out);
    }
    if let Some(secret) = &source.secret_key_ref {
        sources += 1;
        key_selector(secret.name.text(), secret.key.text(), &at.field("secretKeyRef"), out);
    }
    if sources == 0 {
        let detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
        out.invalid(at, "", detail);
    } else if !variable.value.text().is_empty() {
        out.invalid(at, "", "may not be specified when `value` is not empty");
    } else if sources > 1 {
        out.invalid(at, "", "may not have more than one field specified at a time");
    }
}

fn key_selector(name: &str, key: &str, at: &At<'_>, out: &mut Violations) {
    each(&at.field("name"), name, names::dns1123_subdomain(name), out);
    if key.is_empty() {
        out.required(at.field("key"), "");
    } else {
        each(&at.field("key"), key, names::config_map_key(key), out);
    }
}

pub(super) fn env_from(sources: &[EnvFromSource], at: &At<'_>, out: &mut Violations) {
    for (index, source) in sources.iter().enumerate() {
        let indexed = at.index(index);
        let prefix = source.prefix.text();
        if !prefix.is_empty() {
            each(&indexed.field("prefix"), prefix, names::relaxed_env_var_name(prefix), out);
        }
        let map = source.config_map_ref.as_ref().map(|one| ("configMapRef", one.name.text()));
        let secret = source.secret_ref.as_ref().map(|one| ("secretRef", one.name.text()));
        for (field, name) in map.iter().chain(&secret) {
            let reference = indexed.field(field);
            if name.is_empty() {
                out.required(reference.field("name"), "");
            } else {
                each(&reference.field("name"), name, names::dns1123_subdomain(name), out);
            }
        }
        match (map, secret) {
            (None, None) => out.invalid(at, "", "must specify one of: `configMapRef` or `secretRef`"),
            (Some(_), Some(_)) => out.invalid(at, "", "may not have more than one field specified at a time"),
            _ => {}
        }
    }
}

/// `metadata.labels['app']` as the field and what is in the brackets.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (field, key) = path.strip_suffix("']")?.split_once("['")?;
    (!field.is_empty()).then_some((field, key))
}

pub(super) fn field_selector(selector: &ObjectFieldSelector, place: Place, at: &At<'_>, out: &mut Violations) {
    let version = selector.api_version.text();
    let path = selector.field_path.text();
    if version.is_empty() {
        return out.required(at.field("apiVersion"), "");
    }
    if path.is_empty() {
        return out.required(at.field("fieldPath"), "");
    }
    let bracketed = subscript(path);
    let unknown = if version != "v1" {
        Some(format!("unsupported pod version: {version}"))
    } else if let Some((field, _)) = bracketed {
        let takes = matches!(field, "metadata.annotations" | "metadata.labels");
        (!takes).then(|| format!("field label does not support subscript: {path}"))
    } else {
        (!KNOWN.contains(&path)).then(|| format!("field label not supported: {path}"))
    };
    if let Some(reason) = unknown {
        return out.invalid(at.field("fieldPath"), path, format!("error converting fieldPath: {reason}"));
    }
    match bracketed {
        Some(("metadata.annotations", key)) => each(at, key, names::qualified_name(&key.to_lowercase()), out),
        Some((_, key)) => each(at, key, names::qualified_name(key), out),
        None => {
            let path = if path == "spec.host" { "spec.nodeName" } else { path };
            let told: &[&str] = if place == Place::Environment { &IN_ENVIRONMENT } else { &IN_FILE };
            if !told.contains(&path) {
                out.not_supported(at.field("fieldPath"), path, told);
            }
        }
    }
}

pub(super) fn resource_selector(selector: &ResourceFieldSelector, place: Place, at: &At<'_>, out: &mut Violations) {
    let resource = selector.resource.text();
    let huge = resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if place == Place::File && selector.container_name.text().is_empty() {
        out.required(at.field("containerName"), "");
    } else if resource.is_empty() {
        out.required(at.field("resource"), "");
    } else if !RESOURCES.contains(&resource) && !huge {
        out.not_supported(at.field("resource"), resource, &RESOURCES);
    }
    divisor(resource, selector.divisor.as_ref(), at, out);
}
