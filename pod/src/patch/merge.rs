//! Merge patches.

use super::PatchError;
use crate::wire::tree::Tree;

pub(super) fn apply(document: Tree, patch: Tree) -> Result<Tree, PatchError> {
    if patch.as_map().is_none() {
        return Err(PatchError::Invalid("Invalid JSON Patch".to_owned()));
    }
    Ok(merge(document, patch))
}

/// The depth is that of the patch, which the limits bound.
fn merge(current: Tree, patch: Tree) -> Tree {
    match (current, patch) {
        (Tree::Map(mut map), Tree::Map(patch)) => {
            for (key, value) in patch {
                if value == Tree::Null {
                    map.remove(&key);
                    continue;
                }
                let merged = match map.remove(&key) {
                    None | Some(Tree::Null) => pruned(value),
                    Some(current) => merge(current, value),
                };
                map.insert(key, merged);
            }
            Tree::Map(map)
        }
        // Only what takes the place of a map keeps its nulls.
        (Tree::Map(_), patch) => patch,
        (_, patch) => pruned(patch),
    }
}

/// Without fields that are null; null elements of lists stay.
fn pruned(value: Tree) -> Tree {
    match value {
        Tree::Map(map) => Tree::Map(
            map.into_iter()
                .filter(|(_, value)| *value != Tree::Null)
                .map(|(key, value)| (key, pruned(value)))
                .collect(),
        ),
        Tree::List(list) => Tree::List(list.into_iter().map(pruned).collect()),
        other => other,
    }
}
