//! The path of a field while an object is read.

use std::fmt::Write as _;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// A field of a record, by its wire name.
    Field(&'static str),
    /// An element of a list.
    Index(usize),
    /// An entry of a map.
    Key(Box<str>),
}

/// How map keys look in a printed path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyStyle {
    /// `metadata.labels.app`, as strict decoding errors have it.
    Dot,
    /// `limits[cpu]`, as validation errors have it.
    Bracket,
}

/// Prints a path, followed by one more key if there is one.
pub(crate) fn print(segments: &[Segment], style: KeyStyle) -> String {
    let mut path = String::new();
    for segment in segments {
        match segment {
            Segment::Field(name) => push_dotted(&mut path, name),
            Segment::Index(index) => {
                // Writing to a string cannot fail.
                let _ = write!(path, "[{index}]");
            }
            Segment::Key(key) => push_key(&mut path, key, style),
        }
    }
    path
}

/// Adds a map key to a printed path.
pub(crate) fn push_key(path: &mut String, key: &str, style: KeyStyle) {
    match style {
        KeyStyle::Dot => push_dotted(path, key),
        KeyStyle::Bracket => {
            path.push('[');
            path.push_str(key);
            path.push(']');
        }
    }
}

/// Adds a field name to a printed path.
pub(crate) fn push_dotted(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}
