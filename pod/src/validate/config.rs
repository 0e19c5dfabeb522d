//! Config maps, secrets and namespaces.

use std::collections::BTreeMap;

use super::at::At;
use super::meta::{Scope, each, object_meta};
use crate::error::Error;
use crate::kinds::{ConfigMap, Namespace, Secret};
use crate::names;
use crate::violation::Violations;
use crate::wire::json::Lexer;
use crate::wire::limits::Limits;
use crate::wire::reader::{Reader, Source};
use crate::wire::text::Text as _;

/// The most bytes that a config map or secret holds.
const SIZE_MAX: usize = 1 << 20;

pub(super) fn config_map(map: &ConfigMap, out: &mut Violations) {
    object_meta(&map.metadata, Scope::Namespaced, names::dns1123_subdomain, out);
    let root = At::root();
    let (data, binary) = (root.field("data"), root.field("binaryData"));
    for key in map.data.keys() {
        each(&data.key(key), key, names::config_map_key(key), out);
        if map.binary_data.contains_key(key) {
            out.invalid(data.key(key), key, "duplicate of key present in binaryData");
        }
    }
    for key in map.binary_data.keys() {
        each(&binary.key(key), key, names::config_map_key(key), out);
    }
    let size = map.data.values().map(String::len).sum::<usize>()
        + map.binary_data.values().map(|one| one.0.len()).sum::<usize>();
    if size > SIZE_MAX {
        out.too_long("[]", SIZE_MAX);
    }
}

pub(super) fn secret(secret: &Secret, out: &mut Violations) {
    object_meta(&secret.metadata, Scope::Namespaced, names::dns1123_subdomain, out);
    let root = At::root();
    let at = root.field("data");
    // What is given as text takes the place of what is given as bytes.
    let mut data: BTreeMap<&str, &[u8]> =
        secret.data.iter().map(|(key, value)| (key.as_str(), value.0.as_slice())).collect();
    data.extend(secret.string_data.iter().map(|(key, value)| (key.as_str(), value.as_bytes())));
    for key in data.keys() {
        each(&at.key(key), key, names::config_map_key(key), out);
    }
    if data.values().map(|value| value.len()).sum::<usize>() > SIZE_MAX {
        out.too_long(at, SIZE_MAX);
    }
    let has = |key: &str| data.contains_key(key);
    match secret.type_.text() {
        "kubernetes.io/service-account-token" => {
            let account = "kubernetes.io/service-account.name";
            if secret.metadata.annotations.get(account).is_none_or(String::is_empty) {
                out.required(root.field("metadata").field("annotations").key(account), "");
            }
        }
        "kubernetes.io/dockercfg" => json_object(&data, ".dockercfg", &at, out),
        "kubernetes.io/dockerconfigjson" => json_object(&data, ".dockerconfigjson", &at, out),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            out.required(at.key("username"), "");
            out.required(at.key("password"), "");
        }
        "kubernetes.io/ssh-auth" if data.get("ssh-privatekey").is_none_or(|key| key.is_empty()) => {
            out.required(at.key("ssh-privatekey"), "");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"] {
                if !has(key) {
                    out.required(at.key(key), "");
                }
            }
        }
        _ => {}
    }
}

fn json_object(data: &BTreeMap<&str, &[u8]>, key: &str, at: &At<'_>, out: &mut Violations) {
    let Some(text) = data.get(key) else {
        out.required(at.key(key), "");
        return;
    };
    let text = String::from_utf8_lossy(text);
    let mut reader = Reader::new(Source::Json(Lexer::new(&text)), Limits::default(), text.len());
    let read =
        reader.take_null().and_then(|null| if null { Ok(()) } else { reader.object() }).and_then(|()| reader.end());
    if let Err(error) = read {
        let reason = match error {
            Error::Syntax { reason, .. } | Error::Field { reason, .. } => reason,
            other => other.to_string(),
        };
        out.invalid(at.key(key), "<secret contents redacted>", reason);
    }
}

pub(super) fn namespace(namespace: &Namespace, out: &mut Violations) {
    object_meta(&namespace.metadata, Scope::Cluster, names::dns1123_label, out);
    let root = At::root();
    let spec = root.field("spec");
    let at = spec.field("finalizers");
    for finalizer in &namespace.spec.finalizers {
        each(&at, finalizer, names::qualified_name(finalizer), out);
        if !finalizer.contains('/') && !["kubernetes", "orphan", "foregroundDeletion"].contains(&finalizer.as_str()) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            out.invalid(at, finalizer, detail);
        }
    }
}
