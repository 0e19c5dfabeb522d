//! Metadata, and the rules that many kinds share.

use super::at::At;
use crate::kinds::{ObjectMeta, OwnerReference};
use crate::names;
use crate::selector;
use crate::violation::{Violations, quoted};
use crate::wire::scalar::IntOrString;
use crate::wire::text::Text as _;

/// The most bytes that all annotations have together.
const ANNOTATIONS_MAX: usize = 256 << 10;
/// The finalizers that need no prefix.
const FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// Whether objects of a kind live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Namespaced,
    Cluster,
}

/// The rule for the names of a kind.
pub(super) type NameRule = fn(&str) -> Vec<String>;

/// Metadata of a kind of the core and its relatives.
pub(super) fn object_meta(meta: &ObjectMeta, scope: Scope, rule: NameRule, out: &mut Violations) {
    any_meta(meta, scope, rule, out);
    finalizer_names(meta, out);
}

pub(super) fn finalizer_names(meta: &ObjectMeta, out: &mut Violations) {
    let root = At::root();
    let at = root.field("metadata");
    for (index, finalizer) in meta.finalizers.iter().enumerate() {
        if !finalizer.contains('/') && !FINALIZERS.contains(&finalizer.as_str()) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            out.invalid(at.field("finalizers").index(index), finalizer, detail);
        }
    }
}

/// Metadata of a kind that has no rules of its own for it.
pub(super) fn generic_meta(meta: &ObjectMeta, scope: Scope, out: &mut Violations) {
    any_meta(meta, scope, names::path_segment, out);
}

fn any_meta(meta: &ObjectMeta, scope: Scope, rule: NameRule, out: &mut Violations) {
    let root = At::root();
    let at = root.field("metadata");
    name(meta, rule, &at, out);
    match (scope, meta.namespace.text()) {
        (Scope::Namespaced, "") => out.required(at.field("namespace"), ""),
        (Scope::Namespaced, namespace) => each(&at.field("namespace"), namespace, names::dns1123_label(namespace), out),
        (Scope::Cluster, "") => {}
        (Scope::Cluster, _) => out.forbidden(at.field("namespace"), "not allowed on this type"),
    }
    common(meta, &at, out);
}

fn name(meta: &ObjectMeta, rule: NameRule, at: &At<'_>, out: &mut Violations) {
    let prefix = meta.generate_name.text();
    if !prefix.is_empty() {
        // What follows a trailing hyphen is generated.
        let masked = prefix.strip_suffix('-').map_or_else(|| prefix.to_owned(), |stem| format!("{stem}a"));
        each(&at.field("generateName"), prefix, rule(&masked), out);
    }
    match meta.name.text() {
        "" if prefix.is_empty() => out.required(at.field("name"), "name or generateName is required"),
        "" => {}
        name => each(&at.field("name"), name, rule(name), out),
    }
}

/// What holds for the metadata of every object.
fn common(meta: &ObjectMeta, at: &At<'_>, out: &mut Violations) {
    non_negative(meta.generation.unwrap_or(0), &at.field("generation"), out);
    labels(&meta.labels, &at.field("labels"), out);
    annotations(&meta.annotations, &at.field("annotations"), out);
    owner_references(&meta.owner_references, &at.field("ownerReferences"), out);
    let at = at.field("finalizers");
    for finalizer in &meta.finalizers {
        each(&at, finalizer, names::qualified_name(finalizer), out);
    }
    let has = |name: &str| meta.finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        out.invalid_literal(at, texts(&meta.finalizers), detail);
    }
}

/// A list of texts as it is printed.
pub(super) fn texts(list: &[String]) -> String {
    if list.is_empty() {
        return "null".to_owned();
    }
    format!("[{}]", list.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(","))
}

pub(super) fn labels(labels: &std::collections::BTreeMap<String, String>, at: &At<'_>, out: &mut Violations) {
    selector::labels(labels, &at.to_string(), out);
}

pub(super) fn annotations(map: &std::collections::BTreeMap<String, String>, at: &At<'_>, out: &mut Violations) {
    for key in map.keys() {
        each(at, key, names::qualified_name(&key.to_lowercase()), out);
    }
    if map.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > ANNOTATIONS_MAX {
        out.too_long(at, ANNOTATIONS_MAX);
    }
}

pub(super) fn owner_references(owners: &[OwnerReference], at: &At<'_>, out: &mut Violations) {
    let mut controller: Option<String> = None;
    for owner in owners {
        owner_reference(owner, at, out);
        if owner.controller != Some(true) {
            continue;
        }
        let name = format!("{}/{}", owner.kind.text(), owner.name.text());
        match &controller {
            None => controller = Some(name),
            Some(first) => {
                let list: Vec<String> = owners.iter().map(owner_text).collect();
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                );
                out.invalid_literal(at, format!("[{}]", list.join(",")), detail);
            }
        }
    }
}

fn owner_reference(owner: &OwnerReference, at: &At<'_>, out: &mut Violations) {
    let api_version = owner.api_version.text();
    let version = match api_version.split('/').collect::<Vec<_>>()[..] {
        [version] | [_, version] => version,
        _ => "",
    };
    if version.is_empty() {
        out.invalid(at.field("apiVersion"), api_version, "version must not be empty");
    }
    for (field, value) in [("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)] {
        if value.text().is_empty() {
            out.invalid(at.field(field), "", "must not be empty");
        }
    }
    if api_version == "v1" && owner.kind.text() == "Event" {
        out.invalid_literal(at, owner_text(owner), "/v1, Kind=Event is disallowed from being an owner");
    }
}

/// An owner as it is printed: JSON with the fields in the order of the original.
fn owner_text(owner: &OwnerReference) -> String {
    let mut text = format!(
        "{{\"apiVersion\":{},\"kind\":{},\"name\":{},\"uid\":{}",
        quoted(owner.api_version.text()),
        quoted(owner.kind.text()),
        quoted(owner.name.text()),
        quoted(owner.uid.text())
    );
    for (field, value) in [("controller", owner.controller), ("blockOwnerDeletion", owner.block_owner_deletion)] {
        if let Some(value) = value {
            text.push_str(&[",\"", field, "\":", if value { "true" } else { "false" }].concat());
        }
    }
    text.push('}');
    text
}

/// One violation for each message about the same text.
pub(super) fn each(at: &At<'_>, value: &str, messages: Vec<String>, out: &mut Violations) {
    for message in messages {
        out.invalid(at, value, message);
    }
}

pub(super) fn non_negative(value: i64, at: &At<'_>, out: &mut Violations) {
    if value < 0 {
        out.invalid_literal(at, value, "must be greater than or equal to 0");
    }
}

pub(super) fn port_number(port: i32, at: &At<'_>, out: &mut Violations) {
    if let Some(message) = names::port_number(port) {
        out.invalid_literal(at, port, message);
    }
}

pub(super) fn port_number_or_name(port: &IntOrString, at: &At<'_>, out: &mut Violations) {
    match port {
        IntOrString::Int(number) => port_number(*number, at, out),
        IntOrString::String(name) => each(at, name, names::port_name(name), out),
    }
}

/// A word out of a list; an unset one is missing.
pub(super) fn one_of(value: Option<&str>, supported: &[&str], at: &At<'_>, out: &mut Violations) {
    match value.unwrap_or_default() {
        "" => out.required(at, ""),
        word => one_of_word(word, supported, at, out),
    }
}

/// A word out of a list.
pub(super) fn one_of_word(word: &str, supported: &[&str], at: &At<'_>, out: &mut Violations) {
    if !supported.contains(&word) {
        out.not_supported(at, word, supported);
    }
}

/// A number or percentage as it is printed.
pub(super) fn number_text(value: Option<&IntOrString>) -> String {
    match value {
        None => "0".to_owned(),
        Some(IntOrString::Int(number)) => number.to_string(),
        Some(IntOrString::String(text)) => quoted(text),
    }
}

/// A number, or a percentage's number.
pub(super) fn number(value: Option<&IntOrString>) -> i64 {
    match value {
        None => 0,
        Some(IntOrString::Int(number)) => (*number).into(),
        Some(IntOrString::String(text)) => text.strip_suffix('%').unwrap_or(text).parse().unwrap_or(0),
    }
}

pub(super) fn number_or_percent(value: Option<&IntOrString>, at: &At<'_>, out: &mut Violations) {
    match value {
        Some(IntOrString::String(text)) => each(at, text, names::percent(text), out),
        Some(IntOrString::Int(number)) => non_negative((*number).into(), at, out),
        None => {}
    }
}

pub(super) fn at_most_everything(value: Option<&IntOrString>, at: &At<'_>, out: &mut Violations) {
    if let Some(IntOrString::String(text)) = value
        && names::percent(text).is_empty()
        && number(value) > 100
    {
        out.invalid(at, text, "must not be greater than 100%");
    }
}
