//! Names of containers.

use std::fmt;
use std::str::FromStr;

use super::failure::Failure;

/// The name of a container: what may be one directory's name and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ContainerId(String);

/// As long as a directory's name may be.
const LONGEST: usize = 255;

impl ContainerId {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerId {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
        if text.is_empty() {
            return Err(Failure::new("container id cannot be empty"));
        }
        if text.len() > LONGEST || matches!(text, "." | "..") || !text.bytes().all(is_known) {
            return Err(Failure::new(format!("invalid container id format: {text:?}")));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_name() {
        for text in ["a", "A-b_c.d+e", "..a", &"x".repeat(255)] {
            assert_eq!(text.parse::<ContainerId>().unwrap().as_str(), text);
        }
        for text in ["", ".", "..", "a/b", "a b", "a\n", "ä", &"x".repeat(256)] {
            assert!(text.parse::<ContainerId>().is_err(), "{text:?}");
        }
    }
}
