//! Paths that cannot leave the directory they are resolved in.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A path beneath some root: no `..`, no `.`, no NUL byte, not absolute, no empty part.
///
/// The empty path is the root itself. Names are bytes, as the kernel's are: look-alikes of case or of Unicode stay
/// different names. The order is by parts, so that a directory comes right before all that is beneath it.
///
/// ```
/// use windlass_overlay::SafePath;
///
/// let path = SafePath::parse(b"usr/bin/env")?;
/// assert_eq!(path.parent(), Some(SafePath::parse(b"usr/bin")?));
/// assert!(SafePath::parse(b"../etc/passwd").is_err());
/// # Ok::<(), windlass_overlay::PathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct SafePath {
    /// Parts joined by one slash each.
    bytes: Box<[u8]>,
}

/// Why bytes are no [`SafePath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// A part is `..`.
    #[error("a part of the path is `..`")]
    Parent,
    /// A part is `.`.
    #[error("a part of the path is `.`")]
    Current,
    /// A byte is NUL.
    #[error("the path holds a NUL byte")]
    Nul,
    /// The path starts with a slash.
    #[error("the path is absolute")]
    Absolute,
    /// Two slashes follow each other, or the path ends in one.
    #[error("a part of the path is empty")]
    EmptyPart,
    /// A single name holds a slash.
    #[error("a name holds a slash")]
    Slash,
}

impl SafePath {
    /// The root itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// Takes exactly the canonical spelling; the empty one is the root.
    pub fn parse(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.is_empty() {
            return Ok(Self::root());
        }
        if bytes[0] == b'/' {
            return Err(PathError::Absolute);
        }
        for part in bytes.split(|byte| *byte == b'/') {
            check_name(part)?;
        }
        Ok(Self { bytes: bytes.into() })
    }

    /// Takes the spellings that archives use: `./a`, `a/`, `a//b` and `/a`, all beneath the root.
    ///
    /// A leading slash is dropped as GNU tar and bsdtar drop it; `..` is an error, as it is for them.
    pub fn from_archive(name: &[u8]) -> Result<Self, PathError> {
        let mut bytes = Vec::with_capacity(name.len());
        for part in name.split(|byte| *byte == b'/') {
            if part.is_empty() || part == b"." {
                continue;
            }
            check_name(part)?;
            if !bytes.is_empty() {
                bytes.push(b'/');
            }
            bytes.extend_from_slice(part);
        }
        Ok(Self { bytes: bytes.into() })
    }

    /// This path with one more name.
    pub fn join(&self, name: &[u8]) -> Result<Self, PathError> {
        check_name(name)?;
        let separator: &[u8] = if self.is_root() { b"" } else { b"/" };
        Ok(Self { bytes: [&self.bytes, separator, name].concat().into() })
    }

    /// The directory that holds this path; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.bytes.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Some(Self { bytes: self.bytes[..end].into() })
    }

    /// The last part; `None` for the root.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.components().next_back()
    }

    /// The parts, outermost first.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.bytes.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
    }

    /// How many parts there are; 0 for the root.
    pub fn depth(&self) -> usize {
        self.components().count()
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether this path is `other` or lies beneath it.
    pub fn starts_with(&self, other: &Self) -> bool {
        other.is_root()
            || self.bytes.strip_prefix(&*other.bytes).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
    }

    /// The bytes, without a slash at either end; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A relative path for calls that take a directory descriptor: `.` for the root.
    pub fn as_path(&self) -> &Path {
        if self.is_root() { Path::new(".") } else { Path::new(OsStr::from_bytes(&self.bytes)) }
    }
}

/// Checks one name of a directory.
fn check_name(name: &[u8]) -> Result<(), PathError> {
    match name {
        b"" => Err(PathError::EmptyPart),
        b"." => Err(PathError::Current),
        b".." => Err(PathError::Parent),
        _ if name.contains(&0) => Err(PathError::Nul),
        _ if name.contains(&b'/') => Err(PathError::Slash),
        _ => Ok(()),
    }
}

impl std::str::FromStr for SafePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text.as_bytes())
    }
}

impl Ord for SafePath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.components().cmp(other.components())
    }
}

impl PartialOrd for SafePath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() { f.write_str(".") } else { write!(f, "{}", self.bytes.escape_ascii()) }
    }
}

impl fmt::Debug for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_spellings() {
        type Row = (&'static [u8], Result<&'static [u8], PathError>);
        let table: [Row; 12] = [
            (b"a/b", Ok(b"a/b")),
            (b"./a//b/", Ok(b"a/b")),
            (b"/etc/passwd", Ok(b"etc/passwd")),
            (b"./", Ok(b"")),
            (b"", Ok(b"")),
            (b"a/./b", Ok(b"a/b")),
            (b"..", Err(PathError::Parent)),
            (b"a/../b", Err(PathError::Parent)),
            (b"/../b", Err(PathError::Parent)),
            (b"a/..", Err(PathError::Parent)),
            (b"a\0b", Err(PathError::Nul)),
            (b"...", Ok(b"...")),
        ];
        for (name, expected) in table {
            let found = SafePath::from_archive(name);
            assert_eq!(found.as_ref().map(SafePath::as_bytes).map_err(|error| *error), expected, "{name:?}");
        }
    }

    #[test]
    fn only_the_canonical_spelling_parses() {
        for (text, error) in [
            ("/a", PathError::Absolute),
            ("a//b", PathError::EmptyPart),
            ("a/", PathError::EmptyPart),
            ("./a", PathError::Current),
            ("a/..", PathError::Parent),
        ] {
            assert_eq!(text.parse::<SafePath>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_directory_comes_right_before_what_it_holds() {
        let mut paths = ["a-b", "a", "a/z", "a.c", "a/b/c"].map(|text| text.parse::<SafePath>().unwrap());
        paths.sort();
        assert_eq!(paths.map(|path| path.to_string()), ["a", "a/b/c", "a/z", "a-b", "a.c"]);
    }

    #[test]
    fn beneath_is_by_parts() {
        let path: SafePath = "usr/lib64/x".parse().unwrap();
        assert!(path.starts_with(&"usr/lib64".parse().unwrap()));
        assert!(!path.starts_with(&"usr/lib".parse().unwrap()));
        assert!(path.starts_with(&SafePath::root()));
    }
}
