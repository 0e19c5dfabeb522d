//! The entries of `metadata.managedFields`.
//!
//! Source: `k8s.io/apimachinery/pkg/util/managedfields`.

use std::fmt;

use super::ManagedError;
use super::set::Set;
use crate::kinds::ManagedFieldsEntry;
use crate::wire::raw::Raw;
use crate::wire::text::Text as _;
use crate::wire::time::Time;
use crate::wire::tree::Tree;

/// The only way in which fields are written.
const FIELDS_V1: &str = "FieldsV1";
/// So many entries of updates are kept.
const UPDATES_MAX: usize = 10;
/// Who manages what entries beyond that told.
const ANCIENT: &str = "ancient-changes";

/// How somebody changed an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Said which fields it wants, and manages just these.
    Apply,
    /// Wrote the object, and manages what was different.
    Update,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who manages fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Manager {
    /// The name that it gave.
    pub name: String,
    /// How it came to manage them.
    pub operation: Operation,
    /// The version of the object that it wrote; empty for [`Operation::Apply`], which always stands for one manager.
    pub api_version: String,
    /// `status`, `scale`; empty for the object itself.
    pub subresource: String,
}

/// As the messages about conflicts name it.
impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {:?}", self.subresource)?;
        }
        if self.operation == Operation::Update {
            write!(f, " using {}", self.api_version)?;
        }
        Ok(())
    }
}

/// What one manager manages.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) manager: Manager,
    /// As of which version the object was written.
    pub(super) api_version: String,
    pub(super) time: Option<Time>,
    pub(super) set: Set,
}

/// All managers of an object.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Entries(pub(super) Vec<Entry>);

impl Entries {
    /// # Errors
    /// An entry is of an operation or in a form that is not known.
    pub(super) fn decode(entries: &[ManagedFieldsEntry]) -> Result<Self, ManagedError> {
        let mut decoded = Self::default();
        for (index, entry) in entries.iter().enumerate() {
            let wrong = |reason: &str| ManagedError::Entry { index, reason: reason.to_owned() };
            let operation = match entry.operation.text() {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return Err(wrong("operation is neither Apply nor Update")),
            };
            if !matches!(entry.fields_type.text(), "" | FIELDS_V1) {
                return Err(wrong("fieldsType is not FieldsV1"));
            }
            let set = match &entry.fields_v1 {
                None => Set::default(),
                Some(fields) => {
                    let decoded = Set::decode(&Tree::parse(fields.json())?);
                    decoded.ok_or_else(|| wrong("fieldsV1 holds what is no path"))?
                }
            };
            let api_version = entry.api_version.text().to_owned();
            let manager = Manager {
                name: entry.manager.text().to_owned(),
                operation,
                api_version: if operation == Operation::Apply { String::new() } else { api_version.clone() },
                subresource: entry.subresource.text().to_owned(),
            };
            decoded.add(Entry { manager, api_version, time: entry.time, set });
        }
        Ok(decoded)
    }

    pub(super) fn find(&self, manager: &Manager) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.manager == *manager)
    }

    /// Adds an entry in place of that of the same manager.
    pub(super) fn set(&mut self, entry: Entry) {
        self.0.retain(|own| own.manager != entry.manager);
        self.0.push(entry);
    }

    /// Adds an entry to that of the same manager.
    fn add(&mut self, entry: Entry) {
        match self.0.iter_mut().find(|own| own.manager == entry.manager) {
            Some(own) => {
                own.set = own.set.union(&entry.set);
                own.time = own.time.max(entry.time);
            }
            None => self.0.push(entry),
        }
    }

    /// Gives what changed since `before` the time, and merges the oldest updates when there are too many.
    pub(super) fn settle(&mut self, before: &Self, now: Time) {
        self.0.retain(|entry| !entry.set.is_empty());
        for entry in &mut self.0 {
            let same = before.find(&entry.manager).filter(|old| old.set == entry.set);
            entry.time = same.map_or(Some(now), |old| old.time);
        }
        self.sort();
        let updates = self.0.iter().filter(|entry| entry.manager.operation == Operation::Update).count();
        let mut surplus = updates.saturating_sub(UPDATES_MAX);
        if surplus == 0 {
            return;
        }
        // The oldest stand first; what they become counts as one itself.
        surplus += 1;
        for mut entry in std::mem::take(&mut self.0) {
            if surplus > 0 && entry.manager.operation == Operation::Update {
                surplus -= 1;
                ANCIENT.clone_into(&mut entry.manager.name);
                entry.manager.subresource = String::new();
            }
            self.add(entry);
        }
        self.sort();
    }

    fn sort(&mut self) {
        let seconds = |entry: &Entry| entry.time.map_or(0, Time::unix_seconds);
        self.0.sort_by(|a, b| {
            let key = |entry: &'_ Entry| (entry.manager.operation, seconds(entry));
            let name = |entry: &Entry| (entry.manager.name.clone(), entry.api_version.clone());
            key(a).cmp(&key(b)).then_with(|| name(a).cmp(&name(b))).then_with(|| a.manager.cmp(&b.manager))
        });
    }

    pub(super) fn encode(&self) -> Vec<ManagedFieldsEntry> {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let entry = |entry: &Entry| ManagedFieldsEntry {
            api_version: some(&entry.api_version),
            fields_type: some(FIELDS_V1),
            fields_v1: Some(Raw::from_compact(entry.set.encode().to_json())),
            manager: some(&entry.manager.name),
            operation: some(entry.manager.operation.as_str()),
            subresource: some(&entry.manager.subresource),
            time: entry.time,
            ..ManagedFieldsEntry::default()
        };
        self.0.iter().map(entry).collect()
    }
}
