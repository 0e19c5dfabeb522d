//! Pod classes: pods with equal demands share one compiled form.

use std::collections::HashMap;
use std::sync::Arc;

use crate::request::PodClass;

/// A class in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClassId(u32);

/// The classes of the pods that are there; a class goes with its last pod.
#[derive(Clone, Debug, Default)]
pub(crate) struct Classes {
    index: HashMap<Arc<PodClass>, ClassId>,
    entries: Vec<Entry>,
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
            self.entries[id.index()].pods += 1;
            return *id;
        }
        let shape = class.shape().map(|shape| self.acquire(shape));
        let class = Arc::new(class);
        let entry = Entry { class: Arc::clone(&class), pods: 1, attempts: 0, shape };
        let id = if let Some(id) = self.free.pop() {
            self.entries[id.index()] = entry;
            id
        } else {
            self.entries.push(entry);
            ClassId(u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 classes fit in memory"))
        };
        self.index.insert(class, id);
        id
    }

    /// Takes one pod out of a class.
    pub(crate) fn release(&mut self, id: ClassId) {
        let entry = &mut self.entries[id.index()];
        entry.pods -= 1;
        if entry.pods == 0 {
            self.index.remove(&entry.class);
            self.free.push(id);
            if let Some(shape) = entry.shape {
                self.release(shape);
            }
        }
    }

    /// Counts an attempt to place a pod of a class, and tells how many there were before.
    pub(crate) fn attempt(&mut self, id: ClassId) -> u32 {
        let attempts = &mut self.entries[id.index()].attempts;
        let before = *attempts;
        *attempts = before.saturating_add(1);
        before
    }

    /// The class's shape; a class that requests nothing is its own.
    pub(crate) fn shape(&self, id: ClassId) -> ClassId {
        self.entries[id.index()].shape.unwrap_or(id)
    }

    pub(crate) fn get(&self, id: ClassId) -> &Arc<PodClass> {
        &self.entries[id.index()].class
    }
}
