//! What forks of a scheduler share until one of them changes it.
//!
//! A clone of each of these is a count of owners, not a copy. Who changes something that others own copies it first: all
//! of it, a page of it, or a part of it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::ops::{Deref, DerefMut, Index, IndexMut};
use std::sync::Arc;

/// A value that is copied as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shared<T>(Arc<T>);

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

/// Rows of a page.
const PAGE: usize = 128;

/// A column, of which a page is copied at a time.
#[derive(Clone, Debug)]
pub(crate) struct Pages<T> {
    pages: Vec<Arc<[T; PAGE]>>,
    rows: usize,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), rows: 0 }
    }
}

impl<T: Default + Clone> Pages<T> {
    /// A column of so many rows.
    pub(crate) fn of(rows: usize) -> Self {
        let mut pages = Self::default();
        pages.grow(rows);
        pages
    }

    pub(crate) fn push(&mut self, value: T) {
        let row = self.rows;
        self.grow(row + 1);
        self[row] = value;
    }

    /// Makes the column so long at least.
    pub(crate) fn grow(&mut self, rows: usize) {
        while self.pages.len() * PAGE < rows {
            self.pages.push(Arc::new(std::array::from_fn(|_| T::default())));
        }
        self.rows = self.rows.max(rows);
    }
}

impl<T> Pages<T> {
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    pub(crate) fn get(&self, row: usize) -> Option<&T> {
        (row < self.rows).then(|| &self[row])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flat_map(|page| page.iter()).take(self.rows)
    }
}

impl<T> Index<usize> for Pages<T> {
    type Output = T;

    #[inline]
    fn index(&self, row: usize) -> &T {
        &self.pages[row / PAGE][row % PAGE]
    }
}

impl<T: Clone> IndexMut<usize> for Pages<T> {
    #[inline]
    fn index_mut(&mut self, row: usize) -> &mut T {
        &mut Arc::make_mut(&mut self.pages[row / PAGE])[row % PAGE]
    }
}

/// Parts of an [`Atlas`], which a byte tells apart.
const PARTS: usize = 256;

/// A map, of which a part is copied at a time.
#[derive(Clone, Debug)]
pub(crate) struct Atlas<K, V> {
    /// None before the first key.
    parts: Vec<Arc<HashMap<K, V>>>,
    count: usize,
}

impl<K, V> Default for Atlas<K, V> {
    fn default() -> Self {
        Self { parts: Vec::new(), count: 0 }
    }
}

/// The part that a key is in: the same in every build, though nothing follows from it.
fn part_of(key: &(impl Hash + ?Sized)) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    usize::from(hasher.finish().to_le_bytes()[0])
}

impl<K: Hash + Eq + Clone, V: Clone> Atlas<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.parts.get(part_of(key))?.get(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.parts.is_empty() {
            self.parts.resize_with(PARTS, Arc::default);
        }
        let part = Arc::make_mut(&mut self.parts[part_of(&key)]);
        self.count += usize::from(part.insert(key, value).is_none());
    }

    pub(crate) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
    {
        let Some(part) = self.parts.get_mut(part_of(key)).filter(|part| part.contains_key(key)) else { return };
        Arc::make_mut(part).remove(key);
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_copies_the_page_that_it_changes_and_no_other() {
        let mut column = Pages::of(3 * PAGE);
        column[PAGE] = 7;
        let mut fork = column.clone();
        fork[PAGE + 1] = 8;
        assert_eq!((column[PAGE], column[PAGE + 1], fork[PAGE], fork[PAGE + 1]), (7, 0, 7, 8));
        let shared = column.pages.iter().zip(&fork.pages).map(|(one, other)| Arc::ptr_eq(one, other));
        assert_eq!(shared.collect::<Vec<_>>(), [true, false, true]);
        fork.push(9);
        assert_eq!((column.len(), fork.len(), fork.get(3 * PAGE), column.get(3 * PAGE)), (384, 385, Some(&9), None));
        assert_eq!(fork.iter().sum::<i32>(), 24);
    }

    #[test]
    fn a_fork_copies_the_part_that_it_changes_and_no_other() {
        let mut atlas = Atlas::default();
        for number in 0..1000_u32 {
            atlas.insert(number, number);
        }
        let mut fork = atlas.clone();
        fork.remove(&5);
        fork.remove(&5000);
        fork.insert(6, 60);
        assert_eq!((atlas.len(), fork.len()), (1000, 999));
        assert_eq!((atlas.get(&5), fork.get(&5), atlas.get(&6), fork.get(&6)), (Some(&5), None, Some(&6), Some(&60)));
        let same = atlas.parts.iter().zip(&fork.parts).filter(|(one, other)| Arc::ptr_eq(one, other)).count();
        assert_eq!(same, PARTS - 2);
    }
}
