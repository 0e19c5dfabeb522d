//! Where the fields of an object stand in its text.

use std::collections::BTreeMap;

use crate::error::Position;

/// The positions of an object's fields, by path as validation writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<String, Position>);

impl Places {
    pub(crate) fn insert(&mut self, path: String, position: Position) {
        self.0.insert(path, position);
    }

    /// Where the field of this path starts, or the nearest field around it that the text has.
    pub fn find(&self, path: &str) -> Option<Position> {
        let mut path = path;
        loop {
            if let Some(position) = self.0.get(path) {
                return Some(*position);
            }
            let Some(cut) = path.rfind(['.', '[']) else { return self.0.get("").copied() };
            path = &path[..cut];
        }
    }
}
