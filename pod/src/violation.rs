//! What validation finds, in the words of Kubernetes.

use std::fmt::{self, Write as _};

/// The kinds of [`Violation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ViolationKind {
    /// Two elements that must differ are the same.
    Duplicate,
    /// The field must not be set, or not to this.
    Forbidden,
    /// The value breaks a rule.
    Invalid,
    /// What the value names is not there.
    NotFound,
    /// The value is none of those that the field takes.
    NotSupported,
    /// The field must be set.
    Required,
    /// The value has too many bytes.
    TooLong,
    /// The list has too many elements.
    TooMany,
}

impl ViolationKind {
    /// The name of the type in Kubernetes' `Status` objects.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::Invalid => "FieldValueInvalid",
            Self::NotFound => "FieldValueNotFound",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Required => "FieldValueRequired",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
        }
    }
}

impl fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::Invalid => "Invalid value",
            Self::NotFound => "Not found",
            Self::NotSupported => "Unsupported value",
            Self::Required => "Required value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        })
    }
}

/// One rule that an object breaks.
///
/// Printed, it reads as `kubectl` shows it: `spec.containers[0].image: Required value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field.
    pub path: String,
    /// Which kind of rule.
    pub kind: ViolationKind,
    /// The value as it is printed; empty where the kind prints none.
    pub value: String,
    /// What is asked for.
    pub detail: String,
}

impl Violation {
    /// The message without the path.
    pub fn body(&self) -> String {
        let mut body = self.kind.to_string();
        for part in [&self.value, &self.detail] {
            if !part.is_empty() {
                body.push_str(": ");
                body.push_str(part);
            }
        }
        body
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}

/// A text in double quotes, as Go prints it with `%q`.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if c.is_control() || matches!(c, '\u{ad}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{a0}') => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Violations as they are found; each function adds one.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<Violation>);

impl Violations {
    pub(crate) fn into_vec(self) -> Vec<Violation> {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn append(&mut self, other: Vec<Violation>) {
        self.0.extend(other);
    }

    fn push(&mut self, path: impl Into<String>, kind: ViolationKind, value: String, detail: impl Into<String>) {
        self.0.push(Violation { path: path.into(), kind, value, detail: detail.into() });
    }

    /// The value is a text.
    pub(crate) fn invalid(&mut self, path: impl Into<String>, value: &str, detail: impl Into<String>) {
        self.push(path, ViolationKind::Invalid, quoted(value), detail);
    }

    /// The value is printed as it stands: a number, a flag.
    pub(crate) fn invalid_literal(
        &mut self,
        path: impl Into<String>,
        value: impl fmt::Display,
        detail: impl Into<String>,
    ) {
        self.push(path, ViolationKind::Invalid, value.to_string(), detail);
    }

    pub(crate) fn required(&mut self, path: impl Into<String>, detail: impl Into<String>) {
        self.push(path, ViolationKind::Required, String::new(), detail);
    }

    pub(crate) fn forbidden(&mut self, path: impl Into<String>, detail: impl Into<String>) {
        self.push(path, ViolationKind::Forbidden, String::new(), detail);
    }

    /// The value is a text.
    pub(crate) fn duplicate(&mut self, path: impl Into<String>, value: &str) {
        self.push(path, ViolationKind::Duplicate, quoted(value), "");
    }

    /// The value is printed as it stands.
    pub(crate) fn duplicate_literal(&mut self, path: impl Into<String>, value: impl fmt::Display) {
        self.push(path, ViolationKind::Duplicate, value.to_string(), "");
    }

    pub(crate) fn not_found(&mut self, path: impl Into<String>, value: &str) {
        self.push(path, ViolationKind::NotFound, quoted(value), "");
    }

    pub(crate) fn not_found_because(&mut self, path: impl Into<String>, value: &str, detail: impl Into<String>) {
        self.push(path, ViolationKind::NotFound, quoted(value), detail);
    }

    /// The value is a text.
    pub(crate) fn not_supported(&mut self, path: impl Into<String>, value: &str, supported: &[&str]) {
        self.not_supported_literal(path, quoted(value), supported);
    }

    /// The value is printed as it stands.
    pub(crate) fn not_supported_literal(&mut self, path: impl Into<String>, value: String, supported: &[&str]) {
        let list: Vec<String> = supported.iter().map(|value| quoted(value)).collect();
        let detail = if list.is_empty() { String::new() } else { format!("supported values: {}", list.join(", ")) };
        self.push(path, ViolationKind::NotSupported, value, detail);
    }

    pub(crate) fn too_long(&mut self, path: impl Into<String>, maximum: usize) {
        self.push(path, ViolationKind::TooLong, String::new(), format!("may not be more than {maximum} bytes"));
    }

    pub(crate) fn too_many(&mut self, path: impl Into<String>, actual: usize, maximum: usize) {
        let detail = format!("must have at most {maximum} items");
        self.push(path, ViolationKind::TooMany, actual.to_string(), detail);
    }

    /// One violation for each message about the same text.
    pub(crate) fn invalid_each(&mut self, path: &str, value: &str, messages: Vec<String>) {
        for message in messages {
            self.invalid(path, value, message);
        }
    }
}
