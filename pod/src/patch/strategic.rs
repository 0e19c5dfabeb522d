//! Strategic merge patches.
//!
//! Source: `k8s.io/apimachinery/pkg/util/strategicpatch`.

use std::collections::BTreeMap;

use super::PatchError;
use super::order::{agrees, identity, normalize};
use super::schema::{ListKind, MapKind, strategic_list, strategic_map};
use crate::wire::record::Shape;
use crate::wire::tree::Tree;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList/";
const ELEMENT_ORDER: &str = "$setElementOrder/";

type Map = BTreeMap<String, Tree>;
type Result<T> = std::result::Result<T, PatchError>;

fn invalid<T>(message: impl Into<String>) -> Result<T> {
    Err(PatchError::Invalid(message.into()))
}

pub(super) fn apply(document: Tree, patch: Tree, shape: Option<&'static Shape>) -> Result<Tree> {
    match (document, patch) {
        (Tree::Map(document), Tree::Map(patch)) => merge_map(document, patch, shape).map(Tree::Map),
        _ => invalid("Invalid JSON document"),
    }
}

/// What a table says of a field: the type of what it holds.
fn element(shape: Option<&'static Shape>, field: &str) -> Result<Option<&'static Shape>> {
    let Some(shape) = shape else { return Ok(None) };
    match shape.fields.iter().find(|info| info.name == field) {
        Some(info) => Ok((info.element)()),
        None => invalid(format!("unable to find api field in struct {} for the json field {field:?}", shape.name)),
    }
}

fn list_of(shape: Option<&'static Shape>, field: &str) -> (bool, Option<&'static str>) {
    match shape.map_or(ListKind::Atomic, |shape| strategic_list(shape.name, field)) {
        ListKind::Atomic => (false, None),
        ListKind::Set => (true, None),
        ListKind::Map(keys) => (true, keys.first().copied()),
    }
}

/// The depth is that of the patch, which the limits bound.
fn merge_map(mut original: Map, mut patch: Map, shape: Option<&'static Shape>) -> Result<Map> {
    if let Some(directive) = patch.remove(DIRECTIVE) {
        return match directive.as_text() {
            Some("replace") => Ok(patch),
            Some("delete") => Ok(Map::new()),
            _ => {
                patch.insert(DIRECTIVE.to_owned(), directive.clone());
                invalid(format!("unknown patch type: {directive} in map: {}", Tree::Map(patch)))
            }
        };
    }
    retain_keys(&mut original, &mut patch)?;
    element_orders(&mut original, &mut patch, shape)?;
    for (key, value) in patch {
        if let Some(field) = key.strip_prefix(DELETE_PRIMITIVES) {
            delete_primitives(&mut original, field, &value);
            continue;
        }
        if value == Tree::Null {
            original.remove(&key);
            continue;
        }
        let merged = match (original.remove(&key), value) {
            (Some(Tree::Map(original)), Tree::Map(patch)) => {
                let inner = element(shape, &key)?;
                match shape.map_or(MapKind::Merge, |shape| strategic_map(shape.name, &key)) {
                    MapKind::Merge => Tree::Map(merge_map(original, patch, inner)?),
                    MapKind::Replace => Tree::Map(patch),
                }
            }
            (Some(Tree::List(original)), Tree::List(patch)) => {
                let inner = element(shape, &key)?;
                let (merges, merge_key) = list_of(shape, &key);
                if merges { Tree::List(merge_list(original, patch, merge_key, inner)?) } else { Tree::List(patch) }
            }
            (
                Some(Tree::Bool(_) | Tree::Number(_) | Tree::Text(_)),
                value @ (Tree::Bool(_) | Tree::Number(_) | Tree::Text(_)),
            ) => value,
            (_, value) => match without_directives(without_nulls(value)) {
                Some(value) => value,
                None => continue,
            },
        };
        original.insert(key, merged);
    }
    Ok(original)
}

fn retain_keys(original: &mut Map, patch: &mut Map) -> Result<()> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let bad = || PatchError::Invalid("invalid patch format of retainKeys".to_owned());
    let keys: Vec<String> =
        keys.as_list().ok_or_else(bad)?.iter().filter_map(|key| key.as_text().map(str::to_owned)).collect();
    let is_other = |key: &str, value: &Tree| {
        *value != Tree::Null
            && !key.starts_with(DELETE_PRIMITIVES)
            && !key.starts_with(ELEMENT_ORDER)
            && !keys.iter().any(|own| own == key)
    };
    if patch.iter().any(|(key, value)| is_other(key, value)) {
        return Err(bad());
    }
    original.retain(|key, _| keys.contains(key));
    Ok(())
}

/// Lists whose order the patch names are merged and put in that order; they are taken from the patch.
fn element_orders(original: &mut Map, patch: &mut Map, shape: Option<&'static Shape>) -> Result<()> {
    let directives: Vec<String> = patch.keys().filter(|key| key.starts_with(ELEMENT_ORDER)).cloned().collect();
    for directive in directives {
        let field = directive[ELEMENT_ORDER.len()..].to_owned();
        let Some(Tree::List(order)) = patch.remove(&directive) else {
            return invalid("invalid patch format of setElementOrder list");
        };
        let (merges, key) = list_of(shape, &field);
        let inner = element(shape, &field)?;
        let had = original.get(&field).map(|list| list.as_list().map(<[Tree]>::to_vec));
        let added = patch.remove(&field).map(|list| if let Tree::List(list) = list { Some(list) } else { None });
        let (had, added) = match (had, added) {
            (None, None) => continue,
            (Some(None), _) | (_, Some(None)) => {
                return invalid("expected a list for the field of a setElementOrder list");
            }
            (had, added) => (had.flatten(), added.flatten()),
        };
        if let Some(added) = &added {
            agrees(added, &order, key)?;
        }
        let server = had.clone().unwrap_or_default();
        let merged = match (had, added) {
            (Some(had), None) => had,
            (None, Some(added)) => match without_directives(Tree::List(added)) {
                Some(Tree::List(list)) => list,
                _ => Vec::new(),
            },
            (Some(had), Some(added)) if merges => merge_list(had, added, key, inner)?,
            (_, added) => added.unwrap_or_default(),
        };
        original.insert(field, Tree::List(normalize(merged, &order, &server, key)));
    }
    Ok(())
}

fn delete_primitives(original: &mut Map, field: &str, gone: &Tree) {
    if let (Some(Tree::List(list)), Some(gone)) = (original.get_mut(field), gone.as_list()) {
        // The original sorts what is left.
        let mut left: Vec<Tree> = Vec::new();
        for value in list.drain(..) {
            if !gone.contains(&value) && !left.contains(&value) {
                left.push(value);
            }
        }
        left.sort_by_key(ToString::to_string);
        *list = left;
    }
}

fn merge_list(
    original: Vec<Tree>,
    patch: Vec<Tree>,
    key: Option<&'static str>,
    shape: Option<&'static Shape>,
) -> Result<Vec<Tree>> {
    let maps = original.iter().chain(&patch).filter(|one| one.as_map().is_some()).count();
    if maps == 0 {
        let mut merged: Vec<Tree> = Vec::new();
        for value in original.iter().chain(&patch) {
            if !merged.contains(value) {
                merged.push(value.clone());
            }
        }
        return Ok(normalize(merged, &patch, &original, None));
    }
    if maps != original.len() + patch.len() {
        let lists = Tree::List(vec![Tree::List(original), Tree::List(patch)]);
        return invalid(format!("list element types are not identical: {lists}"));
    }
    let Some(key) = key else {
        let name = shape.map_or("", |shape| shape.name);
        return invalid(format!("cannot merge lists without merge key for type {name}"));
    };
    let (original, patch) = special_elements(original, patch, key)?;
    let mut merged = original.clone();
    for element in &patch {
        let Some(wanted) = identity(element, Some(key)) else {
            return invalid(format!("map: {element} does not contain declared merge key: {key}"));
        };
        match merged.iter().position(|own| identity(own, Some(key)) == Some(wanted)) {
            Some(index) => {
                if let (Tree::Map(own), Tree::Map(element)) = (merged[index].clone(), element.clone()) {
                    merged[index] = Tree::Map(merge_map(own, element, shape)?);
                }
            }
            None => merged.push(element.clone()),
        }
    }
    Ok(normalize(merged, &patch, &original, Some(key)))
}

/// Carries out what elements with directives say, and drops them.
fn special_elements(mut original: Vec<Tree>, patch: Vec<Tree>, key: &str) -> Result<(Vec<Tree>, Vec<Tree>)> {
    let mut plain = Vec::new();
    let mut replace = false;
    for element in patch {
        match element.get(DIRECTIVE) {
            None => plain.push(element),
            Some(directive) => match directive.as_text() {
                Some("delete") => {
                    let Some(gone) = element.get(key) else {
                        return invalid("delete patch type with no merge key defined");
                    };
                    original.retain(|own| own.get(key) != Some(gone));
                }
                Some("replace") => replace = true,
                Some("merge") => return invalid("merging lists cannot yet be specified in the patch"),
                _ => return invalid(format!("unknown patch type: {directive} in map: {element}")),
            },
        }
    }
    Ok(if replace { (plain, Vec::new()) } else { (original, plain) })
}

fn without_nulls(value: Tree) -> Tree {
    match value {
        Tree::Map(map) => Tree::Map(
            map.into_iter()
                .filter(|(_, value)| *value != Tree::Null)
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        Tree::List(list) => Tree::List(list.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// A value of a patch that has nothing to be merged with, without the maps that only say what to do; like the original
/// it leaves lists of keys and of orders where they are.
fn without_directives(value: Tree) -> Option<Tree> {
    match value {
        Tree::Map(map) if map.contains_key(DIRECTIVE) => None,
        Tree::Map(map) => Some(Tree::Map(
            map.into_iter().filter_map(|(key, value)| Some((key, without_directives(value)?))).collect(),
        )),
        Tree::List(list) => Some(Tree::List(list.into_iter().filter_map(without_directives).collect())),
        other => Some(other),
    }
}
