//! The pods, and the handle by which callers name one.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::class::ClassId;
use crate::request::Deletion;
use crate::shared::{Atlas, Pages};
use crate::slot::{NodeId, PodSlot};

/// A pod that the scheduler knows: its namespace, name and uid.
///
/// Cheap to clone. Displays as `namespace/name`.
#[derive(Clone)]
pub struct PodRef(Arc<Identity>);

struct Identity {
    namespace: Arc<str>,
    name: Arc<str>,
    uid: Arc<str>,
    slot: PodSlot,
}

impl PodRef {
    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The name within the namespace.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The uid.
    pub fn uid(&self) -> &str {
        &self.0.uid
    }
}

impl PartialEq for PodRef {
    fn eq(&self, other: &Self) -> bool {
        self.uid() == other.uid() && self.namespace() == other.namespace() && self.name() == other.name()
    }
}

impl Eq for PodRef {}

impl fmt::Debug for PodRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PodRef({self} {})", self.uid())
    }
}

impl fmt::Display for PodRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace(), self.name())
    }
}

/// Where a pod stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It waits for a node.
    Pending,
    /// A decision put it on a node; the cluster has not said so yet.
    Assumed(NodeId),
    /// The cluster says that it is on a node.
    Bound(NodeId),
    /// Its node was removed before it.
    Orphan(Arc<str>),
}

impl Place {
    /// The node that counts the pod.
    pub(crate) fn node(&self) -> Option<NodeId> {
        match self {
            Self::Assumed(node) | Self::Bound(node) => Some(*node),
            Self::Pending | Self::Orphan(_) => None,
        }
    }
}

/// Whether a decision asked for a pod's eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eviction {
    No,
    Asked,
}

/// A pod.
#[derive(Clone, Debug)]
pub(crate) struct PodRecord {
    pub(crate) id: PodRef,
    pub(crate) class: ClassId,
    pub(crate) place: Place,
    /// Seconds since the Unix epoch.
    pub(crate) start: Option<i64>,
    pub(crate) deletion: Deletion,
    pub(crate) eviction: Eviction,
}

/// The table of pods.
#[derive(Clone, Debug, Default)]
pub(crate) struct PodTable {
    records: Pages<Option<PodRecord>>,
    free: Vec<PodSlot>,
    by_name: HashMap<Arc<str>, Atlas<Arc<str>, PodSlot>>,
    by_uid: Atlas<Arc<str>, PodSlot>,
    count: usize,
}

/// What identifies a new pod.
#[derive(Clone, Debug)]
pub(crate) struct PodName {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) uid: Arc<str>,
}

impl PodTable {
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<PodSlot> {
        self.by_name.get(namespace)?.get(name).copied()
    }

    pub(crate) fn find_uid(&self, uid: &str) -> Option<PodSlot> {
        self.by_uid.get(uid).copied()
    }

    /// The slot of a handle, `None` once its pod is gone, even when another pod took the slot or the name.
    pub(crate) fn resolve(&self, pod: &PodRef) -> Option<PodSlot> {
        let record = self.records.get(pod.0.slot.0 as usize)?.as_ref()?;
        (record.id == *pod).then_some(pod.0.slot)
    }

    pub(crate) fn get(&self, slot: PodSlot) -> &PodRecord {
        self.records[slot.0 as usize].as_ref().expect("slots are dropped with their pod")
    }

    pub(crate) fn get_mut(&mut self, slot: PodSlot) -> &mut PodRecord {
        self.records[slot.0 as usize].as_mut().expect("slots are dropped with their pod")
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Adds a pending pod; neither its name nor its uid is taken.
    pub(crate) fn insert(&mut self, name: PodName, class: ClassId) -> PodSlot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.records.push(None);
            PodSlot(u32::try_from(self.records.len() - 1).expect("fewer than 2^32 pods fit in memory"))
        });
        let PodName { namespace, name, uid } = name;
        self.by_uid.insert(Arc::clone(&uid), slot);
        self.by_name.entry(Arc::clone(&namespace)).or_default().insert(Arc::clone(&name), slot);
        let id = PodRef(Arc::new(Identity { namespace, name, uid, slot }));
        self.records[slot.0 as usize] = Some(PodRecord {
            id,
            class,
            place: Place::Pending,
            start: None,
            deletion: Deletion::No,
            eviction: Eviction::No,
        });
        self.count += 1;
        slot
    }

    pub(crate) fn remove(&mut self, slot: PodSlot) -> PodRecord {
        let record = self.records[slot.0 as usize].take().expect("slots are dropped with their pod");
        self.by_uid.remove(record.id.uid());
        if let Some(names) = self.by_name.get_mut(record.id.namespace()) {
            names.remove(record.id.name());
            if names.len() == 0 {
                self.by_name.remove(record.id.namespace());
            }
        }
        self.free.push(slot);
        self.count -= 1;
        record
    }
}
