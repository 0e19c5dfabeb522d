//! Sets of fields: who manages what.
//!
//! Source: `sigs.k8s.io/structured-merge-diff/fieldpath`.

use std::collections::{BTreeMap, BTreeSet};

use super::grain::Grain;
use super::step::Step;
use crate::wire::tree::Tree;

/// Under this name `fieldsV1` says that a value itself belongs to the set, and not only what it holds.
const SELF: &str = ".";

/// A set of paths. A value may belong to it, or what it holds, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Set {
    members: BTreeSet<Step>,
    /// None of them is empty.
    children: BTreeMap<Step, Set>,
}

impl Set {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.is_empty()
    }

    pub(super) fn insert(&mut self, path: &[Step]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    pub(super) fn remove(&mut self, path: &[Step]) {
        match path {
            [] => {}
            [last] => {
                self.members.remove(last);
            }
            [first, rest @ ..] => {
                if let Some(child) = self.children.get_mut(first) {
                    child.remove(rest);
                    if child.is_empty() {
                        self.children.remove(first);
                    }
                }
            }
        }
    }

    /// The value that this step leads to is in the set.
    pub(super) fn has(&self, step: &Step) -> bool {
        self.members.contains(step)
    }

    /// What is in the set below this step.
    pub(super) fn below(&self, step: &Step) -> Option<&Self> {
        self.children.get(step)
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.members.extend(other.members.iter().cloned());
        for (step, child) in &other.children {
            let own = all.children.entry(step.clone()).or_default();
            *own = own.union(child);
        }
        all
    }

    pub(super) fn difference(&self, other: &Self) -> Self {
        let children = self.children.iter().map(|(step, child)| match other.children.get(step) {
            Some(other) => (step.clone(), child.difference(other)),
            None => (step.clone(), child.clone()),
        });
        Self {
            members: self.members.difference(&other.members).cloned().collect(),
            children: children.filter(|(_, child)| !child.is_empty()).collect(),
        }
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(step, child)| {
            let both = child.intersection(other.children.get(step)?);
            (!both.is_empty()).then(|| (step.clone(), both))
        });
        Self { members: self.members.intersection(&other.members).cloned().collect(), children: children.collect() }
    }

    /// With every field of a type on the way to a member as a member too.
    pub(super) fn with_named_fields(&self, of: Grain) -> Self {
        let mut all = self.clone();
        for (step, child) in &self.children {
            if let Step::Field(name) = step
                && of.declares(name)
            {
                all.members.insert(step.clone());
            }
            all.children.insert(step.clone(), child.with_named_fields(of.of_step(step)));
        }
        all
    }

    /// Calls with every path in the set, in order.
    pub(super) fn for_each(&self, each: &mut impl FnMut(&[Step])) {
        self.visit(&mut Vec::new(), each);
    }

    fn visit(&self, path: &mut Vec<Step>, each: &mut impl FnMut(&[Step])) {
        let steps: BTreeSet<&Step> = self.members.iter().chain(self.children.keys()).collect();
        for step in steps {
            path.push(step.clone());
            if self.members.contains(step) {
                each(path);
            }
            if let Some(child) = self.children.get(step) {
                child.visit(path, each);
            }
            path.pop();
        }
    }

    /// What `fieldsV1` says; `None` where it names what is not known.
    pub(super) fn decode(tree: &Tree) -> Option<Self> {
        let mut set = Self::default();
        for (name, value) in tree.as_map()? {
            if name == SELF {
                continue;
            }
            let step = Step::parse(name)?;
            let inner = value.as_map()?;
            if inner.is_empty() || inner.contains_key(SELF) {
                set.members.insert(step.clone());
            }
            let child = Self::decode(value)?;
            if !child.is_empty() {
                set.children.insert(step, child);
            }
        }
        Some(set)
    }

    /// What `fieldsV1` holds for the set.
    pub(super) fn encode(&self) -> Tree {
        let mut map = BTreeMap::new();
        for (step, child) in &self.children {
            let mut tree = child.encode();
            if self.members.contains(step)
                && let Tree::Map(inner) = &mut tree
            {
                inner.insert(SELF.to_owned(), Tree::Map(BTreeMap::new()));
            }
            map.insert(step.encode(), tree);
        }
        for step in &self.members {
            map.entry(step.encode()).or_insert_with(|| Tree::Map(BTreeMap::new()));
        }
        Tree::Map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::Set;
    use crate::wire::tree::Tree;

    fn set(text: &str) -> Set {
        Set::decode(&Tree::parse(text).unwrap()).unwrap()
    }

    #[test]
    fn sets_are_written_as_they_were_read() {
        for text in [
            "{}",
            r#"{"f:a":{},"f:b":{".":{},"f:c":{}},"f:d":{"k:{\"name\":\"x\"}":{".":{},"f:image":{}}}}"#,
            r#"{"f:finalizers":{"v:\"a\"":{}}}"#,
        ] {
            assert_eq!(set(text).encode().to_json(), text);
        }
    }

    #[test]
    fn operations_look_at_values_and_at_what_they_hold() {
        let a = set(r#"{"f:a":{".":{},"f:b":{}},"f:c":{"f:d":{}}}"#);
        let b = set(r#"{"f:a":{"f:b":{}},"f:e":{}}"#);
        assert_eq!(a.difference(&b), set(r#"{"f:a":{},"f:c":{"f:d":{}}}"#));
        assert_eq!(a.intersection(&b), set(r#"{"f:a":{"f:b":{}}}"#));
        assert_eq!(a.union(&b), set(r#"{"f:a":{".":{},"f:b":{}},"f:c":{"f:d":{}},"f:e":{}}"#));
    }
}
