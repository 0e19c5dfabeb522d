//! Documents taken apart by what their types say: which fields they set, how two differ, how one is laid over another.
//!
//! Source: `sigs.k8s.io/structured-merge-diff/typed`. The depth of every walk is that of a document, which the limits
//! bound.

use std::collections::{BTreeMap, BTreeSet};

use super::ManagedError;
use super::grain::Grain;
use super::set::Set;
use super::step::Step;
use crate::patch::schema::ListKind;
use crate::wire::tree::Tree;

type Result<T> = std::result::Result<T, ManagedError>;

/// A path as error messages show it.
pub(super) fn shown(path: &[Step]) -> String {
    path.iter().map(ToString::to_string).collect()
}

/// The elements of a list that is taken apart, each with the step to it.
fn elements<'t>(list: &'t [Tree], of: Grain, path: &[Step]) -> Result<Vec<(Step, &'t Tree)>> {
    let step = |(index, element)| match of.step(index, element) {
        Ok(step) => Ok((step, element)),
        Err(why) => Err(ManagedError::Element { path: format!("{}[{index}]", shown(path)), reason: why.to_string() }),
    };
    list.iter().enumerate().map(step).collect()
}

/// A value is one to whoever manages it: a scalar, or a list or map that is not taken apart.
fn is_leaf(value: &Tree, of: Grain) -> bool {
    match value {
        Tree::List(_) => of.list() == ListKind::Atomic,
        Tree::Map(_) => of.is_atomic(),
        _ => true,
    }
}

/// The fields that an applied document sets.
pub(super) fn applied_fields(document: &Tree, of: Grain) -> Result<Set> {
    let mut set = Set::default();
    collect(document, of, &mut Vec::new(), &mut set, Repeated::Refused)?;
    Ok(set)
}

/// The fields that an object has.
pub(super) fn fields(object: &Tree, of: Grain) -> Result<Set> {
    let mut set = Set::default();
    collect(object, of, &mut Vec::new(), &mut set, Repeated::Taken)?;
    Ok(set)
}

/// Elements of a list that cannot be told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeated {
    Taken,
    Refused,
}

fn collect(value: &Tree, of: Grain, path: &mut Vec<Step>, set: &mut Set, repeated: Repeated) -> Result<()> {
    if is_leaf(value, of) {
        set.insert(path);
        return Ok(());
    }
    match value {
        Tree::List(list) => {
            let mut seen = BTreeSet::new();
            for (step, element) in elements(list, of, path)? {
                if !seen.insert(step.clone()) && repeated == Repeated::Refused {
                    let reason = format!("duplicate entries for key {step}");
                    return Err(ManagedError::Element { path: shown(path), reason });
                }
                path.push(step);
                collect(element, of.of_element(), path, set, repeated)?;
                set.insert(path);
                path.pop();
            }
        }
        Tree::Map(map) => {
            for (name, value) in map {
                path.push(Step::Field(name.clone()));
                if of.is_record() && !of.declares(name) {
                    if repeated == Repeated::Refused {
                        return Err(ManagedError::Undeclared { path: shown(path) });
                    }
                    set.insert(path);
                    path.pop();
                    continue;
                }
                collect(value, of.of_field(name), path, set, repeated)?;
                if !of.is_record() || *value == Tree::Null || value.as_map().is_some_and(BTreeMap::is_empty) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        _ => {}
    }
    Ok(())
}

/// In which fields two objects differ.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) added: Set,
    pub(super) removed: Set,
    pub(super) modified: Set,
}

impl Comparison {
    pub(super) fn is_same(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.modified.is_empty()
    }
}

pub(super) fn compare(before: &Tree, after: &Tree, of: Grain) -> Result<Comparison> {
    let mut comparison = Comparison::default();
    compare_values(Some(before), Some(after), of, &mut Vec::new(), &mut comparison)?;
    Ok(comparison)
}

fn compare_values(
    before: Option<&Tree>,
    after: Option<&Tree>,
    of: Grain,
    path: &mut Vec<Step>,
    out: &mut Comparison,
) -> Result<()> {
    let is_empty = |value: Option<&Tree>| match value {
        None | Some(Tree::Null) => true,
        Some(Tree::List(list)) => list.is_empty(),
        Some(Tree::Map(map)) => map.is_empty(),
        Some(_) => false,
    };
    let leaf = [before, after].into_iter().flatten().any(|value| is_leaf(value, of));
    if leaf || (is_empty(before) && is_empty(after)) {
        match (before, after) {
            (None, Some(_)) => out.added.insert(path),
            (Some(_), None) => out.removed.insert(path),
            (Some(before), Some(after)) if before != after => out.modified.insert(path),
            (None, None) | (Some(_), Some(_)) => {}
        }
        return Ok(());
    }
    match (before.or(after), before, after) {
        (Some(Tree::List(_)), ..) => compare_lists(before, after, of, path, out)?,
        (Some(Tree::Map(_)), ..) => {
            let empty = BTreeMap::new();
            let (old, new) = (before.and_then(Tree::as_map), after.and_then(Tree::as_map));
            let (old, new) = (old.unwrap_or(&empty), new.unwrap_or(&empty));
            let added = new.iter().filter(|(name, _)| !old.contains_key(*name));
            for (name, _) in old.iter().chain(added) {
                path.push(Step::Field(name.clone()));
                compare_values(old.get(name), new.get(name), of.of_field(name), path, out)?;
                path.pop();
            }
        }
        _ => {}
    }
    match (before, after) {
        (None, Some(_)) => out.added.insert(path),
        (Some(_), None) => out.removed.insert(path),
        _ => {}
    }
    Ok(())
}

fn compare_lists(
    before: Option<&Tree>,
    after: Option<&Tree>,
    of: Grain,
    path: &mut Vec<Step>,
    out: &mut Comparison,
) -> Result<()> {
    let list = |value: Option<&Tree>| -> Result<BTreeMap<Step, Vec<Tree>>> {
        let mut groups: BTreeMap<Step, Vec<Tree>> = BTreeMap::new();
        for (step, element) in elements(value.and_then(Tree::as_list).unwrap_or_default(), of, path)? {
            groups.entry(step).or_default().push(element.clone());
        }
        Ok(groups)
    };
    let (old, new) = (list(before)?, list(after)?);
    let added = new.keys().filter(|step| !old.contains_key(*step));
    for step in old.keys().chain(added) {
        let group = |groups: &BTreeMap<Step, Vec<Tree>>| groups.get(step).cloned().unwrap_or_default();
        let (old, new) = (group(&old), group(&new));
        path.push(step.clone());
        match (&old[..], &new[..]) {
            ([] | [_], [] | [_]) => compare_values(old.first(), new.first(), of.of_element(), path, out)?,
            (old, new) if old == new => {}
            ([], _) => out.added.insert(path),
            (_, []) => out.removed.insert(path),
            _ => out.modified.insert(path),
        }
        path.pop();
    }
    Ok(())
}

/// One document laid over another: what both say is as the second says it.
pub(super) fn merge(under: Option<&Tree>, over: &Tree, of: Grain, path: &mut Vec<Step>) -> Result<Tree> {
    let Some(under) = under.filter(|under| !is_leaf(under, of) && !is_leaf(over, of)) else { return Ok(over.clone()) };
    match (under, over) {
        (Tree::Map(under), Tree::Map(over)) => {
            let mut merged = under.clone();
            for (name, value) in over {
                path.push(Step::Field(name.clone()));
                let value = merge(under.get(name), value, of.of_field(name), path)?;
                path.pop();
                merged.insert(name.clone(), value);
            }
            Ok(Tree::Map(merged))
        }
        (Tree::List(under), Tree::List(over)) => merge_lists(under, over, of, path).map(Tree::List),
        _ => Ok(over.clone()),
    }
}

/// The elements of both lists: those of the second in its order, and those of the first between them where they were.
fn merge_lists(under: &[Tree], over: &[Tree], of: Grain, path: &mut Vec<Step>) -> Result<Vec<Tree>> {
    let (under, over) = (elements(under, of, path)?, elements(over, of, path)?);
    let mut in_under: BTreeMap<&Step, Vec<&Tree>> = BTreeMap::new();
    for (step, element) in &under {
        in_under.entry(step).or_default().push(element);
    }
    let in_over: BTreeMap<&Step, usize> = over.iter().enumerate().map(|(index, (step, _))| (step, index)).collect();
    let merged = |step: &Step, element: &Tree, path: &mut Vec<Step>| {
        // Elements that cannot be told apart are replaced as one.
        let single = in_under.get(step).filter(|same| same.len() == 1).map(|same| same[0]);
        path.push(step.clone());
        let result = merge(single, element, of.of_element(), path);
        path.pop();
        result
    };
    // What both have, in the order of the second; the first of them is the next to come.
    let mut shared = over.iter().map(|(step, _)| step).filter(|step| in_under.contains_key(step)).peekable();
    let mut out = Vec::with_capacity(under.len().max(over.len()));
    let (mut left, mut right) = (0, 0);
    while left < under.len() || right < over.len() {
        if let Some((step, element)) = under.get(left) {
            let Some(place) = in_over.get(step) else {
                out.push((*element).clone());
                left += 1;
                continue;
            };
            let is_next = shared.peek() == Some(&step);
            if *place < right || (!is_next && right < over.len()) {
                left += 1;
                continue;
            }
        }
        let Some((step, element)) = over.get(right) else { continue };
        out.push(merged(step, element, path)?);
        right += 1;
        shared.next_if(|next| *next == step);
    }
    Ok(out)
}

/// What is left of a value without the fields of a set; `None` when nothing is.
pub(super) fn without(value: &Tree, set: &Set, of: Grain) -> Result<Option<Tree>> {
    let keep = |step: &Step, element: &Tree| match set.below(step) {
        _ if set.has(step) => Ok(None),
        Some(below) => without(element, below, of.of_step(step)),
        None => Ok(Some(element.clone())),
    };
    if is_leaf(value, of) {
        return Ok(Some(value.clone()));
    }
    match value {
        Tree::Map(map) => {
            let mut left = BTreeMap::new();
            for (name, value) in map {
                if let Some(value) = keep(&Step::Field(name.clone()), value)? {
                    left.insert(name.clone(), value);
                }
            }
            Ok((!left.is_empty() || map.is_empty()).then_some(Tree::Map(left)))
        }
        Tree::List(list) => {
            let mut left = Vec::new();
            for (step, element) in elements(list, of, &[])? {
                left.extend(keep(&step, element)?);
            }
            Ok((!left.is_empty() || list.is_empty()).then_some(Tree::List(left)))
        }
        other => Ok(Some(other.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Pod;
    use crate::wire::record::Record as _;

    fn grain() -> Grain {
        Grain::of_object(Pod::default().shape())
    }

    fn pod(names: &str) -> Tree {
        let containers: Vec<String> = names.chars().map(|name| format!(r#"{{"name":"{name}"}}"#)).collect();
        Tree::parse(&format!(r#"{{"spec":{{"containers":[{}]}}}}"#, containers.join(","))).unwrap()
    }

    #[test]
    fn merged_lists_keep_the_order_of_both() {
        for (under, over, merged) in [
            ("", "ab", "ab"),
            ("ab", "", "ab"),
            ("ab", "ab", "ab"),
            ("ab", "ba", "ba"),
            ("abc", "cx", "abcx"),
            ("axb", "ba", "xba"),
            ("ab", "xa", "xab"),
            ("abcd", "db", "acdb"),
        ] {
            let result = merge(Some(&pod(under)), &pod(over), grain(), &mut Vec::new()).unwrap();
            assert_eq!(result, pod(merged), "{under} {over}");
        }
    }

    #[test]
    fn new_maps_and_elements_are_added_with_what_they_hold() {
        let (nothing, one) = (Tree::parse(r#"{"spec":{}}"#).unwrap(), pod("a"));
        let comparison = compare(&nothing, &one, grain()).unwrap();
        assert_eq!(
            comparison.added.encode().to_json(),
            r#"{"f:spec":{"f:containers":{".":{},"k:{\"name\":\"a\"}":{".":{},"f:name":{}}}}}"#
        );
        assert!(comparison.modified.is_empty() && comparison.removed.is_empty());
        assert_eq!(compare(&one, &nothing, grain()).unwrap().removed, comparison.added);
    }
}
