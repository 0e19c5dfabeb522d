//! What two objects mean, compared: an amount is what it is however it is written, and nothing is as good as zero where
//! a field cannot tell them apart.

use std::collections::BTreeSet;
use std::fmt;

use crate::wire::path::{KeyStyle, Segment, print};
use crate::wire::record::{Presence, Record, Value, View, json};

/// A place where two objects differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path of the field.
    pub path: String,
    /// What the first object has there, as JSON; empty for nothing.
    pub old: String,
    /// What the second object has there, as JSON; empty for nothing.
    pub new: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_nothing = |text: &str| if text.is_empty() { "nothing".to_owned() } else { text.to_owned() };
        write!(f, "{}: {} -> {}", self.path, or_nothing(&self.old), or_nothing(&self.new))
    }
}

/// Whether two records of the same type mean the same.
pub fn equal(a: &dyn Record, b: &dyn Record) -> bool {
    let mut compare = Compare { path: Vec::new(), changes: None, differs: false };
    compare.records(a, b);
    !compare.differs
}

/// Every place where two records of the same type differ in meaning.
///
/// ```
/// use windlass_pod::{decode_yaml_as, difference, kinds::Pod};
///
/// let old: Pod = decode_yaml_as(b"spec: {containers: [{name: a, resources: {limits: {cpu: 1}}}]}").unwrap();
/// let new: Pod = decode_yaml_as(b"spec: {containers: [{name: b, resources: {limits: {cpu: 1000m}}}]}").unwrap();
/// let changes: Vec<String> = difference(&old, &new).iter().map(ToString::to_string).collect();
/// assert_eq!(changes, [r#"spec.containers[0].name: "a" -> "b""#]);
/// ```
pub fn difference(old: &dyn Record, new: &dyn Record) -> Vec<Change> {
    let mut compare = Compare { path: Vec::new(), changes: Some(Vec::new()), differs: false };
    compare.records(old, new);
    compare.changes.unwrap_or_default()
}

struct Compare {
    path: Vec<Segment>,
    /// Where they differ, if somebody wants to know.
    changes: Option<Vec<Change>>,
    differs: bool,
}

impl Compare {
    fn is_done(&self) -> bool {
        self.differs && self.changes.is_none()
    }

    /// The depth is that of the schema.
    fn records(&mut self, a: &dyn Record, b: &dyn Record) {
        if !std::ptr::eq(a.shape(), b.shape()) {
            return self.note(View::Record(a), View::Record(b));
        }
        for (index, info) in a.shape().fields.iter().enumerate() {
            if self.is_done() {
                return;
            }
            self.path.push(Segment::Field(info.name));
            self.fields(a.field(index), b.field(index), info.presence);
            self.path.pop();
        }
        let names: BTreeSet<&str> = a.unknown().iter().chain(b.unknown().iter()).map(|(name, _)| name).collect();
        for name in names {
            let view = |record: &'_ dyn Record| record.unknown().get(name).cloned();
            let (a, b) = (view(a), view(b));
            if a != b {
                self.path.push(Segment::Key(name.into()));
                let shown = |raw: &'_ Option<crate::wire::raw::Raw>| {
                    raw.as_ref().map_or(String::new(), |raw| raw.json().to_owned())
                };
                self.push(shown(&a), shown(&b));
                self.path.pop();
            }
        }
    }

    fn fields(&mut self, a: &dyn Value, b: &dyn Value, presence: Presence) {
        match (a.view(), b.view()) {
            (View::Unset, View::Unset) => {}
            // Where only a pointer tells nothing from zero, they are the same elsewhere.
            (View::Unset, other) | (other, View::Unset)
                if presence != Presence::Pointer && !matches!(other, View::List(_) | View::Map(_)) =>
            {
                if !(a.is_zero() && b.is_zero()) {
                    self.note(a.view(), b.view());
                }
            }
            (a, b) => self.views(a, b),
        }
    }

    fn views(&mut self, a: View<'_>, b: View<'_>) {
        let same = match (a, b) {
            (View::Record(a), View::Record(b)) => return self.records(a, b),
            (View::List(a), View::List(b)) if a.count() == b.count() => {
                for index in 0..a.count() {
                    self.path.push(Segment::Index(index));
                    self.views(a.item(index), b.item(index));
                    self.path.pop();
                }
                return;
            }
            (View::Map(a), View::Map(b)) => return self.maps(&a.entries(), &b.entries()),
            (View::Bool(a), View::Bool(b)) => a == b,
            (View::Int32(a), View::Int32(b)) => a == b,
            (View::Int64(a), View::Int64(b)) => a == b,
            (View::Text(a), View::Text(b)) => a == b,
            (View::IntOrString(a), View::IntOrString(b)) => a == b,
            (View::Quantity(a), View::Quantity(b)) => a == b,
            (View::Bytes(a), View::Bytes(b)) => a == b,
            (View::Time(a), View::Time(b)) => a == b,
            (View::MicroTime(a), View::MicroTime(b)) => a == b,
            (View::Raw(a), View::Raw(b)) => a == b,
            _ => false,
        };
        if !same {
            self.note(a, b);
        }
    }

    fn maps(&mut self, a: &[(&str, View<'_>)], b: &[(&str, View<'_>)]) {
        let keys: BTreeSet<&str> = a.iter().chain(b).map(|(key, _)| *key).collect();
        let of = |entries: &[(&str, View<'_>)], key: &str| entries.iter().position(|(own, _)| *own == key);
        for key in keys {
            self.path.push(Segment::Key(key.into()));
            let (x, y) = (of(a, key), of(b, key));
            match (x.map(|index| a[index].1), y.map(|index| b[index].1)) {
                (Some(a), Some(b)) => self.views(a, b),
                (a, b) => self.note(a.unwrap_or(View::Unset), b.unwrap_or(View::Unset)),
            }
            self.path.pop();
        }
    }

    fn note(&mut self, old: View<'_>, new: View<'_>) {
        if self.changes.is_some() {
            self.push(json(old), json(new));
        } else {
            self.differs = true;
        }
    }

    fn push(&mut self, old: String, new: String) {
        self.differs = true;
        if let Some(changes) = &mut self.changes {
            changes.push(Change { path: print(&self.path, KeyStyle::Bracket), old, new });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{difference, equal};
    use crate::kinds::Pod;
    use crate::object::decode::decode_yaml_as;

    #[test]
    fn nothing_is_zero_unless_a_pointer_tells_them_apart() {
        let read = |text: &str| -> Pod { decode_yaml_as(text.as_bytes()).unwrap() };
        for (a, b, same) in [
            ("spec: {}", "spec: {hostNetwork: false, nodeName: ''}", true),
            ("spec: {}", "spec: {enableServiceLinks: false}", false),
            ("spec: {overhead: {cpu: 1}}", "spec: {overhead: {cpu: 1000m}}", true),
            ("spec: {overhead: {cpu: 1}}", "spec: {overhead: {cpu: 1, memory: 1}}", false),
            ("spec: {containers: [{}]}", "spec: {containers: [{}, {}]}", false),
            ("spec: {}", "spec: {securityContext: {}}", false),
            ("spec: {x: 1}", "spec: {x: 2}", false),
        ] {
            assert_eq!(equal(&read(a), &read(b)), same, "{a} {b}");
            assert_eq!(difference(&read(a), &read(b)).is_empty(), same, "{a} {b}");
        }
    }
}
