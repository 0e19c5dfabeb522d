//! Names of objects and their places in the store.

use std::fmt;

use super::{Error, Resource, Result};

/// The name of an object among those of its kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace; empty for kinds that have none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// The name of an object within a namespace.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The name of an object of a kind that has no namespaces, such as a node.
    pub fn cluster(name: impl Into<String>) -> Self {
        Self::new("", name)
    }

    /// The name of this object.
    pub fn of<R: Resource>(object: &R) -> Self {
        Self::new(object.namespace(), object.name())
    }

    /// The key in the store.
    pub(super) fn path<R: Resource>(&self) -> Result<String> {
        let is_part = |name: &str| !name.is_empty() && !name.contains('/');
        let is_placed = if R::IS_NAMESPACED { is_part(&self.namespace) } else { self.namespace.is_empty() };
        if !is_part(&self.name) || !is_placed {
            return Err(Error::Name { kind: R::KIND, key: self.clone() });
        }
        Ok(format!("{}{}", Scope::of(&self.namespace).prefix::<R>(), self.name))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// Which objects of a kind are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// All of them.
    All,
    /// Those of one namespace.
    Namespace(&'a str),
}

impl<'a> Scope<'a> {
    fn of(namespace: &'a str) -> Self {
        if namespace.is_empty() { Self::All } else { Self::Namespace(namespace) }
    }

    /// What the keys of these objects start with.
    pub(super) fn prefix<R: Resource>(self) -> String {
        match self {
            Self::All => format!("/registry/{}/", R::PLURAL),
            Self::Namespace(namespace) => format!("/registry/{}/{namespace}/", R::PLURAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use windlass_pod::kinds::{Node, Pod};

    use super::*;

    #[test]
    fn keys_are_those_of_kubernetes() {
        assert_eq!(Key::new("default", "web-1").path::<Pod>().unwrap(), "/registry/pods/default/web-1");
        assert_eq!(Key::cluster("node-1").path::<Node>().unwrap(), "/registry/nodes/node-1");
    }

    #[test]
    fn a_name_that_would_leave_its_place_is_refused() {
        for key in [Key::new("default", ""), Key::new("", "web"), Key::new("a/b", "web"), Key::new("default", "a/b")] {
            assert!(matches!(key.path::<Pod>(), Err(Error::Name { .. })), "{key}");
        }
        for key in [Key::new("default", "node-1"), Key::cluster(""), Key::cluster("a/b")] {
            assert!(matches!(key.path::<Node>(), Err(Error::Name { .. })), "{key}");
        }
    }
}
