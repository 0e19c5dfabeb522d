//! Objects with versions and the history that watches read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Which objects a list or watch shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    All,
    /// Pods that have not ended.
    Running,
}

impl Selection {
    fn shows(self, object: &Value) -> bool {
        self == Self::All || !matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
    }
}

/// What happened to an object: what it was and what it became.
#[derive(Debug)]
struct Happening {
    version: u64,
    plural: String,
    before: Option<Value>,
    after: Option<Value>,
}

#[derive(Debug, Default)]
pub(crate) struct Objects {
    kinds: BTreeMap<String, BTreeMap<(String, String), Value>>,
    version: u64,
    history: Vec<Happening>,
    /// Nothing up to this version can be watched from any more.
    forgotten: u64,
}

fn text(object: &Value, field: &str) -> String {
    object["metadata"][field].as_str().unwrap_or_default().to_owned()
}

impl Objects {
    pub(crate) fn put(&mut self, plural: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let key = (text(&object, "namespace"), text(&object, "name"));
        let before = self.kinds.entry(plural.to_owned()).or_default().insert(key, object.clone());
        let (version, plural) = (self.version, plural.to_owned());
        self.history.push(Happening { version, plural, before, after: Some(object) });
    }

    pub(crate) fn remove(&mut self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let mut object = self.kinds.get_mut(plural)?.remove(&(namespace.to_owned(), name.to_owned()))?;
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let (version, plural) = (self.version, plural.to_owned());
        self.history.push(Happening { version, plural, before: Some(object.clone()), after: None });
        Some(object)
    }

    pub(crate) fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.kinds.get(plural)?.get(&(namespace.to_owned(), name.to_owned()))
    }

    pub(crate) fn all(&self, plural: &str) -> impl Iterator<Item = &Value> {
        self.kinds.get(plural).into_iter().flat_map(BTreeMap::values)
    }

    /// A page of a list, and where the next one begins.
    pub(crate) fn list(&self, plural: &str, selection: Selection, from: usize, limit: usize) -> Value {
        let mut shown = self.all(plural).filter(|object| selection.shows(object)).skip(from);
        let items: Vec<&Value> = shown.by_ref().take(limit).collect();
        let mut metadata = json!({"resourceVersion": self.version.to_string()});
        if shown.next().is_some() {
            metadata["continue"] = json!((from + limit).to_string());
        }
        json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items})
    }

    pub(crate) fn forget(&mut self) {
        self.version += 1;
        self.forgotten = self.version;
        self.history.clear();
    }

    pub(crate) fn is_forgotten(&self, version: u64) -> bool {
        version < self.forgotten
    }

    /// A watch's lines since a version, which moves on to the newest one.
    pub(crate) fn since(&self, plural: &str, selection: Selection, version: &mut u64) -> String {
        let mut lines = String::new();
        let new = self.history.iter().filter(|happening| happening.version > *version && happening.plural == plural);
        for Happening { before, after, .. } in new {
            let before = before.as_ref().filter(|object| selection.shows(object));
            let shown = after.as_ref().filter(|object| selection.shows(object));
            let (kind, object) = match (before, shown) {
                (None, None) => continue,
                (None, Some(object)) => ("ADDED", object),
                (Some(_), Some(object)) => ("MODIFIED", object),
                (Some(object), None) => ("DELETED", after.as_ref().unwrap_or(object)),
            };
            // In the order of a real server, whose readers may rely on it.
            let line = format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n");
            lines.push_str(&line);
        }
        *version = self.version.max(*version);
        lines
    }
}
