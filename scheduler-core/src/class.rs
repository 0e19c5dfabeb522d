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
    /// How often a pod of the class was to be placed.
    attempts: u32,
}

impl Classes {
    /// Finds or adds a class, and counts one pod in it.
    pub(crate) fn acquire(&mut self, class: PodClass) -> ClassId {
        if let Some(id) = self.index.get(&class) {
            self.entries[id.0 as usize].pods += 1;
            return *id;
        }
        let class = Arc::new(class);
        let entry = Entry { class: Arc::clone(&class), pods: 1, attempts: 0 };
        let id = if let Some(id) = self.free.pop() {
            self.entries[id.0 as usize] = entry;
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
        let entry = &mut self.entries[id.0 as usize];
        entry.pods -= 1;
        if entry.pods == 0 {
            self.index.remove(&entry.class);
            self.free.push(id);
        }
    }

    /// Counts an attempt to place a pod of a class, and tells how many there were before.
    pub(crate) fn attempt(&mut self, id: ClassId) -> u32 {
        let attempts = &mut self.entries[id.0 as usize].attempts;
        let before = *attempts;
        *attempts = before.saturating_add(1);
        before
    }

    pub(crate) fn get(&self, id: ClassId) -> &Arc<PodClass> {
        &self.entries[id.0 as usize].class
    }
}
