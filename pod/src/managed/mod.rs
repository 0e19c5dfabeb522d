//! Server-side apply: each field of an object has those who manage it, and nobody takes it from them unasked.
//!
//! ```
//! use windlass_pod::managed::{self, By, ManagedError};
//! use windlass_pod::{Time, decode_json};
//!
//! let now = Time::from_unix_seconds(1_700_000_000);
//! let config = |image| format!(
//!     r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"a"}},"spec":{{"containers":[{{"name":"web","image":"{image}"}}]}}}}"#
//! );
//! let pod = managed::apply(None, config("v1").as_bytes(), &By::new("ann", now)).unwrap();
//! let refused = managed::apply(Some(&pod), config("v2").as_bytes(), &By::new("bob", now)).unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     r#"Apply failed with 1 conflict: conflict with "ann": .spec.containers[name="web"].image"#
//! );
//! let forced = managed::apply(Some(&pod), config("v2").as_bytes(), &By::new("bob", now).forced()).unwrap();
//! assert!(forced.encode_json().contains(r#""image":"v2""#));
//! ```
//!
//! What is applied is not defaulted: that is for whoever stores the result. Entries of another version of the object
//! are taken as if they were of this one, of which each kind has only one here. The annotation in which
//! `kubectl apply` without the server keeps its last configuration is a field like any other.

mod entries;
mod grain;
mod set;
mod step;
mod walk;

use std::fmt;

pub use entries::{Manager, Operation};

use crate::error::Error;
use crate::object::Object;
use crate::wire::limits::Limits;
use crate::wire::time::Time;
use crate::wire::tree::Tree;
use entries::{Entries, Entry};
use grain::Grain;
use set::Set;
use step::Step;

/// Who manages the fields of an object that nobody said anything about before it was first applied to.
const BEFORE: &str = "before-first-apply";
/// Fields that no one manages: they say which object it is, or the server sets them.
const UNMANAGED: [&[&str]; 11] = [
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "creationTimestamp"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "resourceVersion"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
];

/// Who changes an object, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The name of who does it.
    pub manager: String,
    /// `status`, `scale`; empty for the object itself.
    pub subresource: String,
    /// When.
    pub now: Time,
    /// Whether fields that others manage with other values are taken from them.
    pub force: Force,
}

/// What happens to fields that others manage with other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Force {
    /// They are conflicts, and nothing is changed.
    #[default]
    No,
    /// They are taken.
    Yes,
}

impl By {
    /// A manager of this name that takes nothing from others.
    pub fn new(manager: &str, now: Time) -> Self {
        Self { manager: manager.to_owned(), subresource: String::new(), now, force: Force::No }
    }

    /// The same, but it takes what others manage.
    #[must_use]
    pub fn forced(self) -> Self {
        Self { force: Force::Yes, ..self }
    }

    fn manager(&self, operation: Operation, api_version: &str) -> Manager {
        Manager {
            name: self.manager.clone(),
            operation,
            api_version: if operation == Operation::Apply { String::new() } else { api_version.to_owned() },
            subresource: self.subresource.clone(),
        }
    }
}

/// A field that somebody else manages with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Who manages it.
    pub manager: Manager,
    /// Its path: `.spec.containers[name="web"].image`.
    pub path: String,
}

/// All conflicts of an attempt, in the words of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = &self.0[..] {
            return write!(f, "Apply failed with 1 conflict: conflict with {}: {}", one.manager, one.path);
        }
        write!(f, "Apply failed with {} conflicts: ", self.0.len())?;
        let mut last = None;
        for conflict in &self.0 {
            if last != Some(&conflict.manager) {
                write!(f, "{}conflicts with {}:", if last.is_some() { "\n" } else { "" }, conflict.manager)?;
                last = Some(&conflict.manager);
            }
            write!(f, "\n- {}", conflict.path)?;
        }
        Ok(())
    }
}

/// Why an object cannot be applied or updated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManagedError {
    /// Others manage the fields.
    #[error("{0}")]
    Conflicts(Conflicts),
    /// The configuration is not JSON, or what comes of it is no object of the kind.
    #[error(transparent)]
    Decode(#[from] Error),
    /// The configuration sets a field that the kind does not have.
    #[error("{path}: field not declared in schema")]
    Undeclared {
        /// The path of the field.
        path: String,
    },
    /// An element of a list cannot be told from the others.
    #[error("{path}: {reason}")]
    Element {
        /// The path of the element.
        path: String,
        /// Why.
        reason: String,
    },
    /// The configuration is not what can be applied to the object.
    #[error("{0}")]
    Configuration(String),
    /// An entry of the object's `managedFields` cannot be read.
    #[error("metadata.managedFields[{index}]: {reason}")]
    Entry {
        /// Which entry.
        index: usize,
        /// Why.
        reason: String,
    },
}

/// An object as the walks see it.
struct Document {
    tree: Tree,
    of: Grain,
}

impl Document {
    fn of(object: &Object) -> Result<Self, ManagedError> {
        Ok(Self { tree: Tree::parse(&object.encode_json())?, of: Grain::of_object(object.record().shape()) })
    }
}

/// The object that comes of applying a configuration: a JSON document with the fields that the manager wants.
///
/// Fields that it wanted before and does not name now go, unless somebody else manages them. `live` is the object as
/// it is, if there is one.
///
/// # Errors
/// [`ManagedError::Conflicts`] when others manage fields with other values; the other variants say what is wrong with
/// the configuration.
pub fn apply(live: Option<&Object>, config: &[u8], by: &By) -> Result<Object, ManagedError> {
    let config = parse(config)?;
    let text = |field: &str| config.get(field).and_then(Tree::as_text).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let empty = Object::empty(&api_version, &kind)?;
    if config.get("metadata").and_then(|metadata| metadata.get("managedFields")).is_some() {
        return Err(ManagedError::Configuration("metadata.managedFields must be nil".to_owned()));
    }
    let object = live.unwrap_or(&empty);
    if (object.api_version(), object.kind()) != (empty.api_version(), empty.kind()) {
        let is = format!("{}, Kind={}", object.api_version(), object.kind());
        return Err(ManagedError::Configuration(format!("the object is {is}, not {api_version}, Kind={kind}")));
    }
    let before = Document::of(object)?;
    let known = Entries::decode(&object.metadata().managed_fields)?;
    let mut entries = known.clone();
    if entries.0.is_empty() && live.is_some() {
        let manager = Manager { name: BEFORE.to_owned(), ..by.manager(Operation::Update, &api_version) };
        let nothing = Document::of(&empty)?;
        let mut set = walk::compare(&nothing.tree, &before.tree, before.of)?;
        strip(&mut set.added);
        let set = set.added.union(&set.modified);
        entries.set(Entry { manager, api_version: api_version.clone(), time: None, set });
    }
    let manager = by.manager(Operation::Apply, &api_version);
    let last = entries.find(&manager).map(|entry| entry.set.clone());
    let mut set = walk::applied_fields(&config, before.of)?;
    strip(&mut set);
    entries.set(Entry { manager: manager.clone(), api_version, time: None, set });
    let merged = walk::merge(Some(&before.tree), &config, before.of, &mut Vec::new())?;
    let merged = match last.filter(|last| !last.is_empty()) {
        Some(last) => prune(&merged, &entries, &last, before.of)?,
        None => merged,
    };
    let comparison = walk::compare(&before.tree, &merged, before.of)?;
    give_way(&mut entries, &comparison, &manager, by.force)?;
    entries.settle(&known, by.now);
    if comparison.is_same() && entries == known {
        return Ok(object.clone());
    }
    let mut applied = crate::decode_json(merged.to_json().as_bytes())?;
    applied.metadata_mut().managed_fields = entries.encode();
    Ok(applied)
}

/// Notes in an object that somebody wrote who manages what: the writer has what is different now.
///
/// `live` is the object as it was. One that nobody has managed before stays so.
///
/// # Errors
/// [`ManagedError::Entry`] when what the object says about its managers cannot be read.
pub fn update(live: Option<&Object>, mut written: Object, by: &By) -> Result<Object, ManagedError> {
    let empty = Object::empty(written.api_version(), written.kind())?;
    // Who writes an object with an empty list of managers wants none to be known.
    let source = if written.metadata().managed_fields.is_empty() { None } else { Some(&written) };
    let known = Entries::decode(&source.or(live).unwrap_or(&empty).metadata().managed_fields)?;
    if known.0.is_empty() && live.is_some() {
        return Ok(written);
    }
    let (before, after) = (Document::of(live.unwrap_or(&empty))?, Document::of(&written)?);
    let mut comparison = walk::compare(&before.tree, &after.tree, after.of)?;
    for set in [&mut comparison.added, &mut comparison.modified] {
        strip(set);
    }
    let mut entries = known.clone();
    let manager = by.manager(Operation::Update, written.api_version());
    give_way(&mut entries, &comparison, &manager, Force::Yes)?;
    let own = entries.find(&manager).map(|entry| entry.set.clone()).unwrap_or_default();
    let set = own.difference(&comparison.removed).union(&comparison.modified).union(&comparison.added);
    entries.set(Entry { manager, api_version: written.api_version().to_owned(), time: None, set });
    entries.settle(&known, by.now);
    written.metadata_mut().managed_fields = entries.encode();
    Ok(written)
}

fn parse(config: &[u8]) -> Result<Tree, ManagedError> {
    let maximum = Limits::default().size;
    if config.len() > maximum {
        return Err(Error::LimitExceeded { limit: "size of the text in bytes", maximum }.into());
    }
    let text = std::str::from_utf8(config)
        .map_err(|_| ManagedError::Configuration("the configuration is not UTF-8".to_owned()))?;
    Ok(Tree::parse(text)?)
}

fn strip(set: &mut Set) {
    for path in UNMANAGED {
        let path: Vec<Step> = path.iter().map(|name| Step::Field((*name).to_owned())).collect();
        set.remove(&path);
    }
}

/// Takes from the other managers what is different now, if that may be done.
fn give_way(
    entries: &mut Entries,
    comparison: &walk::Comparison,
    manager: &Manager,
    force: Force,
) -> Result<(), ManagedError> {
    let changed = comparison.modified.union(&comparison.added);
    let mut conflicts = Vec::new();
    for entry in entries.0.iter_mut().filter(|entry| entry.manager != *manager) {
        let conflict = entry.set.intersection(&changed);
        conflict.for_each(&mut |path| {
            conflicts.push(Conflict { manager: entry.manager.clone(), path: walk::shown(path) });
        });
        entry.set = entry.set.difference(&conflict).difference(&comparison.removed);
    }
    if force == Force::No && !conflicts.is_empty() {
        conflicts.sort_by(|a, b| a.manager.cmp(&b.manager));
        return Err(ManagedError::Conflicts(Conflicts(conflicts)));
    }
    Ok(())
}

/// Without what the manager wanted before and wants no longer, unless another manages it.
fn prune(merged: &Tree, entries: &Entries, last: &Set, of: Grain) -> Result<Tree, ManagedError> {
    let nothing = || Tree::Map(std::collections::BTreeMap::new());
    let mut last = last.with_named_fields(of);
    // Who manages a label does not manage the metadata that it is in, with the name of the object.
    strip(&mut last);
    let pruned = walk::without(merged, &last, of)?.unwrap_or_else(nothing);
    let has = walk::fields(merged, of)?.with_named_fields(of);
    let managed = entries.0.iter().fold(Set::default(), |all, entry| all.union(&entry.set)).with_named_fields(of);
    let kept = walk::fields(&pruned, of)?.with_named_fields(of).union(&managed);
    let pruned = walk::without(merged, &has.difference(&kept), of)?.unwrap_or_else(nothing);
    // What the manager did not have before is not its to take away.
    let gone = has.difference(&walk::fields(&pruned, of)?.with_named_fields(of)).intersection(&last);
    Ok(walk::without(merged, &gone, of)?.unwrap_or_else(nothing))
}
