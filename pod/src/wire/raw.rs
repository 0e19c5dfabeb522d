//! Values that are kept without being understood.

use std::collections::BTreeMap;
use std::fmt;

/// A value of any shape, kept as compact JSON.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Raw(Box<str>);

impl Raw {
    /// Wraps text that the reader wrote itself, so it is JSON.
    pub(crate) fn from_compact(json: String) -> Self {
        Self(json.into_boxed_str())
    }

    /// The value as compact JSON.
    pub fn json(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The fields of a record that its kind does not have, sorted by name.
///
/// They are written back where they were found.
#[derive(Clone, PartialEq, Eq, Default)]
#[expect(clippy::box_collection, reason = "one word in each record; most have none")]
pub struct Unknown(Option<Box<BTreeMap<Box<str>, Raw>>>);

impl Unknown {
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|fields| fields.is_empty())
    }

    /// The names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Raw)> {
        self.0.iter().flat_map(|fields| fields.iter()).map(|(name, value)| (&**name, value))
    }

    /// The value of the field of this name.
    pub fn get(&self, name: &str) -> Option<&Raw> {
        self.0.as_ref()?.get(name)
    }

    /// Sets a field and returns the value that it had.
    pub fn insert(&mut self, name: &str, value: Raw) -> Option<Raw> {
        self.0.get_or_insert_default().insert(name.into(), value)
    }

    /// Drops all of them.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}

impl fmt::Debug for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
