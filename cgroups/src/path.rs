//! Names of groups.

use std::str::FromStr;
use std::sync::Arc;

/// Where a group is, as a path of one or more names below the directory that [`Hierarchies`](crate::Hierarchies)
/// took as their base.
///
/// It has no empty name, no `.` and no `..`, so it cannot leave that directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupPath(Arc<str>);

/// A text that does not name a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a group's path: {text:?}: {reason}")]
pub struct ParseGroupPathError {
    text: String,
    reason: &'static str,
}

impl GroupPath {
    /// Checks the names of a path such as `windlass/web`.
    pub fn new(text: &str) -> Result<Self, ParseGroupPathError> {
        let fail = |reason| Err(ParseGroupPathError { text: text.to_owned(), reason });
        for name in text.split('/') {
            match name {
                "" => return fail("a name is empty"),
                "." | ".." => return fail("a name is . or .."),
                _ if name.len() > 255 => return fail("a name has more than 255 bytes"),
                _ if name.bytes().any(|byte| byte == 0 || byte == b'\n') => {
                    return fail("a name holds a line break or a zero byte");
                }
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }

    /// The path of a group below this one.
    pub fn join(&self, names: &str) -> Result<Self, ParseGroupPathError> {
        Self::new(&format!("{}/{names}", self.0))
    }

    /// The path as text, without a slash at either end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same, shared.
    pub(crate) fn shared(&self) -> Arc<str> {
        self.0.clone()
    }

    /// The last of the names.
    pub(crate) fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The names from the top down.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl FromStr for GroupPath {
    type Err = ParseGroupPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl std::fmt::Display for GroupPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::GroupPath;

    #[test]
    fn only_names_below_the_base() {
        for text in ["a", "a/b", "windlass-1/pod.slice", "..a"] {
            assert_eq!(GroupPath::new(text).unwrap().as_str(), text);
        }
        for text in ["", "/", "/a", "a/", "a//b", ".", "a/../b", "a\nb", "a\0"] {
            assert!(GroupPath::new(text).is_err(), "{text:?}");
        }
        assert!(GroupPath::new(&"x".repeat(256)).is_err());
        assert!(GroupPath::new("a").unwrap().join("../b").is_err());
    }
}
