//! Names of systemd's units, and where their groups are.

use crate::error::{Error, Result};

/// The name of a scope and the slice that it is in.
///
/// ```
/// use windlass_cgroups::systemd::ScopeName;
///
/// let scope: ScopeName = "machine-web.slice:windlass:blog".parse()?;
/// assert_eq!(scope.unit(), "windlass-blog.scope");
/// assert_eq!(scope.path(), "machine.slice/machine-web.slice/windlass-blog.scope");
/// # Ok::<(), windlass_cgroups::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScopeName {
    slice: String,
    unit: String,
}

impl ScopeName {
    /// The scope `prefix-name.scope` in a slice such as `system.slice`.
    ///
    /// Errors: [`Error::Invalid`] for what systemd takes for no name.
    pub fn new(slice: &str, prefix: &str, name: &str) -> Result<Self> {
        slice_path(slice)?;
        let unit = if prefix.is_empty() { format!("{name}.scope") } else { format!("{prefix}-{name}.scope") };
        let wrong = |reason| Err(Error::invalid("unit", &unit, reason));
        if name.is_empty() {
            return wrong("a scope has a name");
        }
        if unit.len() > 255 || !unit.bytes().all(is_unit_character) {
            return wrong("a unit has up to 255 letters, digits and characters of :-_.\\@");
        }
        Ok(Self { slice: slice.to_owned(), unit })
    }

    /// The unit, such as `windlass-blog.scope`.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// The slice.
    pub fn slice(&self) -> &str {
        &self.slice
    }

    /// Where the system's systemd has the group of the scope; a user's has it below the user's own service.
    pub fn path(&self) -> String {
        let slice = slice_path(&self.slice).unwrap_or_default();
        if slice.is_empty() { self.unit.clone() } else { format!("{slice}/{}", self.unit) }
    }
}

impl std::str::FromStr for ScopeName {
    type Err = Error;

    /// Reads `slice:prefix:name`, as the option `--systemd-cgroup` of OCI runtimes makes of `linux.cgroupsPath`; an
    /// empty slice is `system.slice`.
    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let [slice, prefix, name] = parts[..] else {
            return Err(Error::invalid("cgroupsPath", text, "with systemd it is slice:prefix:name"));
        };
        Self::new(if slice.is_empty() { "system.slice" } else { slice }, prefix, name)
    }
}

impl std::fmt::Display for ScopeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.unit)
    }
}

/// The path of a slice: each part of its name is a slice in the one before.
fn slice_path(slice: &str) -> Result<String> {
    let wrong = |reason| Err(Error::invalid("slice", slice, reason));
    let Some(name) = slice.strip_suffix(".slice") else { return wrong("a slice ends in .slice") };
    if name == "-" {
        return Ok(String::new());
    }
    if slice.len() > 255 || !slice.bytes().all(is_unit_character) {
        return wrong("a unit has up to 255 letters, digits and characters of :-_.\\@");
    }
    let parts: Vec<&str> = name.split('-').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return wrong("each part between dashes has a name");
    }
    let slices: Vec<String> = (1..=parts.len()).map(|count| format!("{}.slice", parts[..count].join("-"))).collect();
    Ok(slices.join("/"))
}

fn is_unit_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte)
}

/// The path of a unit as an object on the bus: what is no letter or digit is `_` and two digits.
pub(crate) fn object_path(unit: &str) -> String {
    let mut path = "/org/freedesktop/systemd1/unit/".to_owned();
    for (place, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (byte.is_ascii_digit() && place > 0) {
            path.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
            path.extend(['_', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_nested_by_their_names() {
        for (text, path) in [
            (":runc:x", "system.slice/runc-x.scope"),
            ("-.slice::x", "x.scope"),
            ("a-b-c.slice:p:n", "a.slice/a-b.slice/a-b-c.slice/p-n.scope"),
        ] {
            assert_eq!(text.parse::<ScopeName>().unwrap().path(), path);
        }
        for text in [
            "x",
            "a:b",
            "a.slice:b:c:d",
            "a:b:c",
            "a--b.slice:p:n",
            "-a.slice:p:n",
            "a/b.slice:p:n",
            "a.slice:p:",
            "a.slice:p:n/m",
            ".slice:p:n",
            "a.slice:p:..\u{e9}",
        ] {
            assert!(matches!(text.parse::<ScopeName>(), Err(Error::Invalid { .. })), "{text}");
        }
    }

    #[test]
    fn objects_have_escaped_names() {
        assert_eq!(object_path("a-1.scope"), "/org/freedesktop/systemd1/unit/a_2d1_2escope");
        assert_eq!(object_path("1_.scope"), "/org/freedesktop/systemd1/unit/_31_5f_2escope");
    }
}
