//! Sets of paths from which whole subtrees go.

use std::collections::{BTreeMap, BTreeSet};

use crate::path::SafePath;

/// A collection that is ordered by path, so that what lies beneath one follows it.
pub(crate) trait ByPath {
    /// The first path that is not before this one.
    fn first_from(&self, path: &SafePath) -> Option<&SafePath>;
    /// Takes a path out.
    fn take(&mut self, path: &SafePath);
}

impl ByPath for BTreeSet<SafePath> {
    fn first_from(&self, path: &SafePath) -> Option<&SafePath> {
        self.range(path..).next()
    }

    fn take(&mut self, path: &SafePath) {
        self.remove(path);
    }
}

impl<V> ByPath for BTreeMap<SafePath, V> {
    fn first_from(&self, path: &SafePath) -> Option<&SafePath> {
        self.range(path..).next().map(|(path, _)| path)
    }

    fn take(&mut self, path: &SafePath) {
        self.remove(path);
    }
}

/// Takes out what lies at or beneath a path, and returns each as it goes.
pub(crate) fn take_subtree(paths: &mut impl ByPath, path: &SafePath) -> impl Iterator<Item = SafePath> {
    std::iter::from_fn(move || {
        let below = paths.first_from(path).filter(|below| below.starts_with(path))?.clone();
        paths.take(&below);
        Some(below)
    })
}

/// Takes out what lies at or beneath a path.
pub(crate) fn remove_subtree(paths: &mut impl ByPath, path: &SafePath) {
    take_subtree(paths, path).for_each(drop);
}

/// The places at which a layer put something, each with all directories above it.
#[derive(Debug, Default)]
pub(crate) struct Placed(BTreeSet<SafePath>);

impl Placed {
    pub(crate) fn contains(&self, path: &SafePath) -> bool {
        self.0.contains(path)
    }

    pub(crate) fn add(&mut self, path: &SafePath) {
        let mut path = Some(path.clone());
        while let Some(above) = path.filter(|path| !path.is_root()) {
            path = above.parent();
            if !self.0.insert(above) {
                break;
            }
        }
    }

    pub(crate) fn forget(&mut self, path: &SafePath) {
        remove_subtree(&mut self.0, path);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> SafePath {
        SafePath::parse(text.as_bytes()).expect("a safe path")
    }

    #[test]
    fn a_subtree_is_a_path_and_what_lies_beneath() {
        let all = ["a", "a/b", "a/b/c", "a-b", "a/bc", "b"];
        let mut paths: BTreeSet<SafePath> = all.map(path).into();
        let taken: Vec<SafePath> = take_subtree(&mut paths, &path("a/b")).collect();
        assert_eq!(taken, ["a/b", "a/b/c"].map(path));
        remove_subtree(&mut paths, &path("a"));
        assert_eq!(paths, ["a-b", "b"].map(path).into());
    }

    #[test]
    fn what_was_placed_has_its_directories_with_it() {
        let mut placed = Placed::default();
        placed.add(&path("a/b/c"));
        assert!(["a", "a/b", "a/b/c"].iter().all(|text| placed.contains(&path(text))));
        assert!(!placed.contains(&SafePath::root()));
        placed.forget(&path("a/b"));
        assert!(placed.contains(&path("a")) && !placed.contains(&path("a/b/c")));
    }
}
