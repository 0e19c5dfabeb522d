//! The order of merged lists: that of the patch for what it names, that of the server for the rest.

use super::PatchError;
use crate::wire::tree::Tree;

/// What an element is told apart by: its key field, or itself.
pub(super) fn identity<'t>(element: &'t Tree, key: Option<&str>) -> Option<&'t Tree> {
    match key {
        None => Some(element),
        Some(key) => element.get(key),
    }
}

fn index(order: &[Tree], element: &Tree, key: Option<&str>) -> Option<usize> {
    let wanted = identity(element, key)?;
    order.iter().position(|one| identity(one, key) == Some(wanted))
}

/// Puts merged elements in order.
pub(super) fn normalize(merged: Vec<Tree>, patch: &[Tree], server: &[Tree], key: Option<&str>) -> Vec<Tree> {
    let (mut named, mut others): (Vec<Tree>, Vec<Tree>) =
        merged.into_iter().partition(|element| index(patch, element, key).is_some());
    named.sort_by_key(|element| index(patch, element, key));
    others.sort_by_key(|element| index(server, element, key));
    let mut all = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    loop {
        let other_first = match (others.peek(), named.peek()) {
            (None, None) => return all,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(other), Some(named)) => {
                matches!((index(server, other, key), index(server, named, key)), (Some(a), Some(b)) if a < b)
            }
        };
        all.extend(if other_first { others.next() } else { named.next() });
    }
}

/// Each element of a patch stands in the list that says their order, and in that order.
pub(super) fn agrees(patch: &[Tree], order: &[Tree], key: Option<&str>) -> Result<(), PatchError> {
    let mut rest = order.iter();
    for element in patch.iter().filter(|element| element.get("$patch").is_none()) {
        let wanted = identity(element, key);
        if !rest.any(|one| wanted.is_some() && identity(one, key) == wanted) {
            let list = |list: &[Tree]| Tree::List(list.to_vec()).to_string();
            return Err(PatchError::Invalid(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                list(patch),
                list(order)
            )));
        }
    }
    Ok(())
}
