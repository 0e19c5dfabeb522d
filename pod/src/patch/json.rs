//! JSON patches: one operation after the other, all or nothing.

use super::PatchError;
use crate::wire::tree::Tree;

/// The most that copies add together, in bytes, so that a short patch makes no long document.
const COPIED_MAX: usize = 3 << 20;
/// The most operations of one patch.
const OPERATIONS_MAX: usize = 10_000;

type Result<T> = std::result::Result<T, PatchError>;

pub(super) fn apply(document: Tree, patch: Tree) -> Result<Tree> {
    let Tree::List(operations) = patch else {
        return Err(PatchError::Invalid("the patch is not a list of operations".to_owned()));
    };
    if operations.len() > OPERATIONS_MAX {
        let count = operations.len();
        return Err(PatchError::Invalid(format!(
            "The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {count}"
        )));
    }
    let mut document = document;
    let mut copied = 0;
    for operation in &operations {
        let text = |field: &str| operation.get(field).and_then(Tree::as_text);
        let path = |operation: &str| {
            text("path").ok_or_else(|| PatchError::Missing(format!("{operation} operation failed to decode path")))
        };
        match text("op").unwrap_or("unknown") {
            "add" => add(&mut document, path("add")?, operation)?,
            "remove" => remove(&mut document, path("remove")?)?,
            "replace" => replace(&mut document, path("replace")?, operation)?,
            "move" => {
                let from = text("from").ok_or_else(|| missing("move operation failed to decode from"))?;
                relocate(&mut document, from, path("move")?)?;
            }
            "copy" => {
                let from = text("from").ok_or_else(|| missing("copy operation failed to decode from"))?;
                copied += copy(&mut document, from, path("copy")?)?;
                if copied > COPIED_MAX {
                    return Err(PatchError::Invalid(format!(
                        "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {COPIED_MAX}"
                    )));
                }
            }
            "test" => test(&document, path("test")?, operation)?,
            other => return Err(PatchError::Invalid(format!("Unexpected kind: {other}"))),
        }
    }
    Ok(document)
}

fn missing(text: impl Into<String>) -> PatchError {
    PatchError::Missing(text.into())
}

fn value(operation: &Tree) -> Tree {
    operation.get("value").cloned().unwrap_or(Tree::Null)
}

fn unescape(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

/// An element's number as Go reads it.
fn index(key: &str) -> Result<i64> {
    let digits = key.strip_prefix(['+', '-']).unwrap_or(key);
    let good = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    key.parse().ok().filter(|_| good).ok_or_else(|| {
        PatchError::Invalid(format!("strconv.Atoi: parsing {}: invalid syntax", crate::violation::quoted(key)))
    })
}

/// Negative numbers count from the end.
fn place(key: &str, length: usize) -> Result<usize> {
    let number = index(key)?;
    let invalid = || PatchError::Index(format!("Unable to access invalid index: {number}"));
    let length = i64::try_from(length).map_err(|_| invalid())?;
    let number_from_start = if number < 0 { number + length } else { number };
    if (0..length).contains(&number_from_start) {
        usize::try_from(number_from_start).map_err(|_| invalid())
    } else {
        Err(invalid())
    }
}

/// The map or list that holds what a path names, and the last step.
fn parent<'t>(document: &'t mut Tree, path: &str) -> Option<(&'t mut Tree, String)> {
    let mut steps: Vec<&str> = path.split('/').collect();
    if steps.len() < 2 {
        return None;
    }
    let last = unescape(steps.pop()?);
    let mut current = document;
    for step in &steps[1..] {
        current = match current {
            Tree::Map(map) => map.get_mut(&unescape(step))?,
            Tree::List(list) => {
                let place = place(&unescape(step), list.len()).ok()?;
                &mut list[place]
            }
            _ => return None,
        };
    }
    matches!(current, Tree::Map(_) | Tree::List(_)).then_some((current, last))
}

/// What a map or list has at a key; an absent entry of a map is null.
fn get(container: &Tree, key: &str) -> Result<Tree> {
    match container {
        Tree::List(list) => place(key, list.len()).map(|place| list[place].clone()),
        other => Ok(other.get(key).cloned().unwrap_or(Tree::Null)),
    }
}

fn insert(container: &mut Tree, key: String, value: Tree) -> Result<()> {
    match container {
        Tree::Map(map) => {
            map.insert(key, value);
        }
        Tree::List(list) if key == "-" => list.push(value),
        Tree::List(list) => {
            let spot = match index(&key) {
                Ok(_) => place(&key, list.len() + 1)?,
                Err(error) => {
                    return Err(PatchError::Invalid(format!("value was not a proper array index: '{key}': {error}")));
                }
            };
            list.insert(spot, value);
        }
        _ => {}
    }
    Ok(())
}

fn take(container: &mut Tree, key: &str) -> Result<()> {
    match container {
        Tree::Map(map) => {
            map.remove(key).ok_or_else(|| missing(format!("Unable to remove nonexistent key: {key}")))?;
        }
        Tree::List(list) => {
            let place = place(key, list.len())?;
            list.remove(place);
        }
        _ => {}
    }
    Ok(())
}

/// The same error with where it happened in front.
fn at(what: &str, path: &str, error: PatchError) -> PatchError {
    let prefix = |text: String| format!("error in {what}: '{path}': {text}");
    match error {
        PatchError::Missing(text) => PatchError::Missing(prefix(text)),
        PatchError::Index(text) => PatchError::Index(prefix(text)),
        PatchError::Invalid(text) => PatchError::Invalid(prefix(text)),
        other => other,
    }
}

fn add(document: &mut Tree, path: &str, operation: &Tree) -> Result<()> {
    let (container, key) = parent(document, path)
        .ok_or_else(|| missing(format!("add operation does not apply: doc is missing path: \"{path}\"")))?;
    insert(container, key, value(operation)).map_err(|error| at("add for path", path, error))
}

fn remove(document: &mut Tree, path: &str) -> Result<()> {
    let (container, key) = parent(document, path)
        .ok_or_else(|| missing(format!("remove operation does not apply: doc is missing path: \"{path}\"")))?;
    take(container, &key).map_err(|error| at("remove for path", path, error))
}

fn replace(document: &mut Tree, path: &str, operation: &Tree) -> Result<()> {
    let (container, key) = parent(document, path)
        .ok_or_else(|| missing(format!("replace operation does not apply: doc is missing path: {path}")))?;
    let absent = || missing(format!("replace operation does not apply: doc is missing key: {path}"));
    match container {
        Tree::List(list) => {
            let place = place(&key, list.len()).map_err(|_| absent())?;
            list[place] = value(operation);
        }
        Tree::Map(map) => {
            map.insert(key, value(operation));
        }
        _ => return Err(absent()),
    }
    Ok(())
}

fn relocate(document: &mut Tree, from: &str, path: &str) -> Result<()> {
    let (container, key) = parent(document, from)
        .ok_or_else(|| missing(format!("move operation does not apply: doc is missing from path: {from}")))?;
    let value = get(container, &key).map_err(|error| at("move for path", &key, error))?;
    take(container, &key).map_err(|error| at("move for path", &key, error))?;
    let (container, key) = parent(document, path)
        .ok_or_else(|| missing(format!("move operation does not apply: doc is missing destination path: {path}")))?;
    insert(container, key, value).map_err(|error| at("move for path", path, error))
}

/// Returns how much longer the document is now.
fn copy(document: &mut Tree, from: &str, path: &str) -> Result<usize> {
    let (container, key) = parent(document, from)
        .ok_or_else(|| missing(format!("copy operation does not apply: doc is missing from path: {from}")))?;
    let value = get(container, &key).map_err(|error| at("copy for from", from, error))?;
    let size = value.to_json().len();
    let (container, key) = parent(document, path)
        .ok_or_else(|| missing(format!("copy operation does not apply: doc is missing destination path: {path}")))?;
    insert(container, key, value).map_err(|error| match error {
        PatchError::Index(text) => PatchError::Index(format!("error while adding value during copy: {text}")),
        PatchError::Invalid(text) => PatchError::Invalid(format!("error while adding value during copy: {text}")),
        other => other,
    })?;
    Ok(size)
}

fn test(document: &Tree, path: &str, operation: &Tree) -> Result<()> {
    let failed = || Err(PatchError::TestFailed(path.to_owned()));
    let wanted = value(operation);
    if path.is_empty() {
        return if *document == wanted { Ok(()) } else { failed() };
    }
    let mut copy = document.clone();
    let (container, key) = parent(&mut copy, path)
        .ok_or_else(|| missing(format!("test operation does not apply: is missing path: {path}")))?;
    let found = get(container, &key).map_err(|error| at("test for path", path, error))?;
    if found == wanted { Ok(()) } else { failed() }
}
