//! What happened in a cluster, transition by transition, each with its revision.

mod fields;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use windlass_pod::Object;

use self::fields::{Fields, fields};
use super::{Error, EventKind, Key, Registry, Result, Revision};
use crate::store;

/// One commit and what it changed in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The commit.
    pub revision: Revision,
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub key: Key,
    /// What happened to it as a whole.
    pub event: EventKind,
    /// Fields worth telling that have another value than before.
    pub changes: Vec<Change>,
    /// When the journal read of it, since it was opened.
    pub elapsed: Duration,
}

/// A field that has another value than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The field's path, with the names of list entries in brackets.
    pub field: String,
    /// What it was.
    pub from: Option<String>,
    /// What it is.
    pub to: Option<String>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        write!(f, "{}: {} -> {}", self.field, value(&self.from), value(&self.to))
    }
}

/// Reads every transition after the moment at which it was opened, once and in order.
#[derive(Debug)]
pub struct Journal {
    events: store::Watch,
    before: BTreeMap<String, Fields>,
    opened: Instant,
}

impl Journal {
    /// Starts at the newest commit.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Undecodable`].
    pub async fn open(registry: &Registry) -> Result<Self> {
        const ALL: &str = "/registry/";
        let (found, revision) = registry.store.list(ALL).await?;
        let mut before = BTreeMap::new();
        for (path, found) in found {
            let fields = fields(&decode(&path, &found.value)?);
            before.insert(path, fields);
        }
        Ok(Self { events: registry.store.watch(ALL, revision), before, opened: Instant::now() })
    }

    /// Waits for the next transition. Dropping the future before it is ready loses none.
    ///
    /// # Errors
    /// [`Error::Store`], with [`Compacted`](store::StoreError::Compacted) when transitions are lost because nobody read
    /// them for too long; [`Error::Undecodable`].
    pub async fn next(&mut self) -> Result<Transition> {
        let event = self.events.next().await?;
        let object = decode(&event.key, &event.value)?;
        let before = self.before.remove(&event.key).unwrap_or_default();
        let after = if event.kind == EventKind::Deleted { Fields::new() } else { fields(&object) };
        let changes = if event.kind == EventKind::Deleted { Vec::new() } else { difference(&before, &after) };
        if event.kind != EventKind::Deleted {
            self.before.insert(event.key.clone(), after);
        }
        let metadata = object.metadata();
        Ok(Transition {
            revision: event.revision,
            kind: object.kind().to_owned(),
            key: Key::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default()),
            event: event.kind,
            changes,
            elapsed: self.opened.elapsed(),
        })
    }
}

fn decode(path: &str, bytes: &[u8]) -> Result<Object> {
    windlass_pod::decode_json(bytes).map_err(|source| Error::Undecodable { path: path.to_owned(), source })
}

fn difference(before: &Fields, after: &Fields) -> Vec<Change> {
    let gone = before.iter().filter(|(field, _)| !after.contains_key(*field));
    let gone = gone.map(|(field, value)| Change { field: field.clone(), from: Some(value.clone()), to: None });
    let other = after.iter().filter(|(field, value)| before.get(*field) != Some(value)).map(|(field, value)| Change {
        field: field.clone(),
        from: before.get(field).cloned(),
        to: Some(value.clone()),
    });
    let mut changes: Vec<Change> = other.chain(gone).collect();
    changes.sort_by(|a, b| a.field.cmp(&b.field));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_names_what_came_what_went_and_what_changed() {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let before: Fields = map(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let after: Fields = map(&[("a", "1"), ("c", "4"), ("d", "5")]);
        let told: Vec<String> = difference(&before, &after).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["b: 2 -> -", "c: 3 -> 4", "d: - -> 5"]);
    }
}
