//! Pod classes: pods with equal demands share one compiled form.

use std::sync::Arc;

use crate::request::PodClass;
use crate::shared::{Atlas, Pages};

/// A class in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClassId(u32);

/// The classes of the pods that are there; a class goes with its last pod.
#[derive(Clone, Debug, Default)]
pub(crate) struct Classes {
    index: Atlas<Arc<PodClass>, ClassId>,
    /// By number; a number that is free keeps its last class.
    entries: Pages<Option<Entry>>,
    free: Vec<ClassId>,
}

#[derive(Clone, Debug)]
struct Entry {
    class: Arc<PodClass>,
    pods: u32,
    /// The class of the same shape that requests nothing; `None` for such a class itself.
    shape: Option<ClassId>,
    /// How often a pod of the class was to be placed.
    attempts: u32,
}

impl ClassId {
    /// Classes are numbered from 0, and numbers used again.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl Classes {
    /// Finds or adds a class, and counts one pod in it. A new class counts as one in its shape, in turn.
    pub(crate) fn acquire(&mut self, class: PodClass) -> ClassId {
        if let Some(id) = self.index.get(&class) {
            let id = *id;
            self.entry_mut(id).pods += 1;
            return id;
        }
        let shape = class.shape().map(|shape| self.acquire(shape));
        let class = Arc::new(class);
        let entry = Entry { class: Arc::clone(&class), pods: 1, attempts: 0, shape };
        let id = if let Some(id) = self.free.pop() {
            self.entries[id.index()] = Some(entry);
            id
        } else {
            self.entries.push(Some(entry));
            ClassId(u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 classes fit in memory"))
        };
        self.index.insert(class, id);
        id
    }

    /// Takes one pod out of a class.
    pub(crate) fn release(&mut self, id: ClassId) {
        let entry = self.entry_mut(id);
        entry.pods -= 1;
        if entry.pods == 0 {
            let (class, shape) = (Arc::clone(&entry.class), entry.shape);
            self.index.remove(&class);
            self.free.push(id);
            if let Some(shape) = shape {
                self.release(shape);
            }
        }
    }

    /// Counts an attempt to place a pod of a class, and tells how many there were before.
    pub(crate) fn attempt(&mut self, id: ClassId) -> u32 {
        let attempts = &mut self.entry_mut(id).attempts;
        let before = *attempts;
        *attempts = before.saturating_add(1);
        before
    }

    /// The class's shape; a class that requests nothing is its own.
    pub(crate) fn shape(&self, id: ClassId) -> ClassId {
        self.entry(id).shape.unwrap_or(id)
    }

    pub(crate) fn get(&self, id: ClassId) -> &Arc<PodClass> {
        &self.entry(id).class
    }

    fn entry(&self, id: ClassId) -> &Entry {
        self.entries[id.index()].as_ref().expect("numbers are given to classes")
    }

    fn entry_mut(&mut self, id: ClassId) -> &mut Entry {
        self.entries[id.index()].as_mut().expect("numbers are given to classes")
    }
}
