//! A class of service that is wanted.

use super::schemata::Schemata;
use crate::error::{Error, Result};

/// A class of service that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    pub(super) name: String,
    pub(super) maker: Maker,
    /// What its processes may use; nothing is written where this is empty.
    pub schemata: Schemata,
    pub(super) monitor: Option<String>,
}

/// Who makes the directory of a class, and removes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// The caller: the class is new, and goes with its process.
    Caller,
    /// Whoever comes first: it has a name by which others use it, too, and stays.
    Anybody,
}

/// Directories and files that every class has below it.
const TAKEN: [&str; 3] = ["info", "mon_groups", "mon_data"];

impl Class {
    /// A class of the caller's own.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that no class can have.
    pub fn own(name: impl Into<String>) -> Result<Self> {
        Self::new(name.into(), Maker::Caller)
    }

    /// A class that others may use as well: one that is there must have the [`schemata`](Self::schemata) that are asked
    /// for, one that is not there is made with them, and it stays after its last process. `/` is the class of all
    /// processes that are in no other.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that no class can have.
    pub fn named(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        if name == "/" {
            return Ok(Self { name: String::new(), ..Self::default_class() });
        }
        Self::new(name, Maker::Anybody)
    }

    /// Counts what its processes use in a group of this name of their own.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that no group can have.
    pub fn monitor(&mut self, name: impl Into<String>) -> Result<&mut Self> {
        self.monitor = Some(checked(name.into())?);
        Ok(self)
    }

    fn new(name: String, maker: Maker) -> Result<Self> {
        Ok(Self { name: checked(name)?, maker, ..Self::default_class() })
    }

    fn default_class() -> Self {
        Self { name: String::new(), maker: Maker::Anybody, schemata: Schemata::default(), monitor: None }
    }
}

fn checked(name: String) -> Result<String> {
    let is_path = matches!(&name[..], "" | "." | "..") || name.contains(['/', '\0', '\n']);
    if is_path || TAKEN.contains(&&name[..]) {
        return Err(Error::invalid("resctrl", name, "is no name of a class"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["", ".", "..", "a/b", "/a", "info", "mon_groups", "mon_data", "a\nb", "a\0"] {
            assert!(Class::own(name).is_err(), "{name:?}");
            assert!(Class::named(name).is_err(), "{name:?}");
            assert!(Class::own("a").unwrap().monitor(name).is_err(), "{name:?}");
        }
        assert_eq!(Class::named("/").unwrap().name, "");
        assert!(Class::own("/").is_err());
        assert_eq!(Class::own("a.b").unwrap().name, "a.b");
    }
}
