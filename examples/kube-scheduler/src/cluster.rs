//! What the scheduler is told, and what it cannot be told yet.

use std::collections::{BTreeMap, BTreeSet};

use windlass_pod::Object;
use windlass_pod::kinds::{Node, ObjectMeta, Pod, PodCondition};
use windlass_scheduler_core::{Decision, Error, Event, PodRef, Profile, Scheduler};

use crate::watch::{Change, Key, Topic};

/// The condition that says whether a pod has a node.
pub const POD_SCHEDULED: &str = "PodScheduled";

/// The scheduler with the cluster as it knows it.
#[derive(Debug)]
pub struct Cluster {
    core: Scheduler,
    scheduler_name: String,
    /// Changes from before every kind had been listed.
    early: Vec<Change>,
    listed: BTreeSet<Topic>,
    /// Pods on nodes that are not there yet.
    waiting: BTreeMap<Key, Box<Pod>>,
    /// What pods without a node say of that, by now.
    conditions: BTreeMap<Key, PodCondition>,
}

/// An object that the scheduler cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot take {} {key}: {message}", topic.plural())]
pub struct Complaint {
    /// Its kind.
    pub topic: Topic,
    /// Its name.
    pub key: Key,
    /// Its uid, when that much of it was read.
    pub uid: Option<String>,
    /// Whether it is a pod that will get no node for this.
    pub keeps_pending: bool,
    /// What is wrong with it.
    pub message: String,
}

impl Cluster {
    /// An empty cluster.
    ///
    /// # Errors
    /// As [`Scheduler::new`].
    pub fn new(profile: Profile) -> Result<Self, Error> {
        Ok(Self {
            scheduler_name: profile.scheduler_name.clone(),
            core: Scheduler::new(profile)?,
            early: Vec::new(),
            listed: BTreeSet::new(),
            waiting: BTreeMap::new(),
            conditions: BTreeMap::new(),
        })
    }

    /// The scheduler, once it has been told of everything that was there at the start.
    pub fn scheduler(&mut self) -> Option<&mut Scheduler> {
        self.is_known().then_some(&mut self.core)
    }

    /// What the pod of a decision says of having no node, by now.
    pub fn condition(&self, pod: &PodRef) -> Option<&PodCondition> {
        self.conditions.get(&key_of(pod))
    }

    /// Takes back a decision that could not be carried out.
    pub fn refuse(&mut self, pod: &PodRef) {
        // An error says that the scheduler knows better already: the pod is gone, or was shown on its node.
        drop(self.core.rollback(pod));
    }

    /// Confirms a [`Decision::Bind`].
    pub fn confirm(&mut self, pod: &PodRef) {
        // As above.
        drop(self.core.commit(pod));
    }

    /// Tells the scheduler what changed; returns what it cannot take.
    pub fn take(&mut self, changes: Vec<Change>) -> Vec<Complaint> {
        let was_known = self.is_known();
        self.listed.extend(changes.iter().filter_map(|change| match change {
            Change::Listed(topic) => Some(*topic),
            _ => None,
        }));
        let changes = if was_known {
            changes
        } else {
            self.early.extend(changes);
            if !self.is_known() {
                return Vec::new();
            }
            let mut early = std::mem::take(&mut self.early);
            early.sort_by_key(Change::topic);
            early
        };
        changes.into_iter().flat_map(|change| self.tell(change)).collect()
    }

    fn is_known(&self) -> bool {
        self.listed.len() == Topic::ALL.len()
    }

    fn tell(&mut self, change: Change) -> Vec<Complaint> {
        match change {
            Change::Applied(Object::Pod(pod)) => self.pod(pod).into_iter().collect(),
            Change::Applied(Object::Node(node)) => self.node(&node),
            Change::Applied(object) => self.object(&object).into_iter().collect(),
            Change::Removed(topic, key) => {
                self.gone(topic, &key);
                Vec::new()
            }
            Change::Odd(topic, key, message) => {
                vec![Complaint { topic, key, uid: None, keeps_pending: false, message }]
            }
            Change::Listed(_) | Change::Trouble(..) => Vec::new(),
        }
    }

    fn pod(&mut self, pod: Box<Pod>) -> Option<Complaint> {
        let key = key_of_object(&pod.metadata);
        self.waiting.remove(&key);
        self.conditions.remove(&key);
        let is_pending = pod.spec.node_name.is_none() && pod.spec.scheduler_name.as_ref() == Some(&self.scheduler_name);
        if is_pending {
            let mut conditions = pod.status.conditions.iter();
            let condition = conditions.find(|condition| condition.type_.as_deref() == Some(POD_SCHEDULED));
            self.conditions.extend(condition.map(|condition| (key.clone(), condition.clone())));
        }
        match self.core.apply(Event::PodApplied(&pod)) {
            Ok(()) => None,
            // It counts when its node is there; until then nobody is put onto that node either.
            Err(Error::NotFound { kind: "node", .. }) => {
                self.waiting.insert(key, pod);
                None
            }
            Err(error) => Some(complaint(Topic::Pods, &pod.metadata, is_pending, &error)),
        }
    }

    fn node(&mut self, node: &Node) -> Vec<Complaint> {
        if let Err(error) = self.core.apply(Event::NodeApplied(node)) {
            return vec![complaint(Topic::Nodes, &node.metadata, false, &error)];
        }
        let is_there = |_: &Key, pod: &mut Box<Pod>| pod.spec.node_name == node.metadata.name;
        let arrived: Vec<Box<Pod>> = self.waiting.extract_if(.., is_there).map(|(_, pod)| pod).collect();
        arrived.into_iter().filter_map(|pod| self.pod(pod)).collect()
    }

    fn object(&mut self, object: &Object) -> Option<Complaint> {
        let (topic, event) = match object {
            Object::Namespace(namespace) => (Topic::Namespaces, Event::NamespaceApplied(namespace)),
            Object::PriorityClass(class) => (Topic::PriorityClasses, Event::PriorityClassApplied(class)),
            Object::PodDisruptionBudget(budget) => (Topic::DisruptionBudgets, Event::DisruptionBudgetApplied(budget)),
            // Nothing else is watched.
            _ => return None,
        };
        let error = self.core.apply(event).err()?;
        Some(complaint(topic, object.metadata(), false, &error))
    }

    fn gone(&mut self, topic: Topic, key: &Key) {
        let Key { namespace, name } = key;
        let event = match topic {
            Topic::Namespaces => Event::NamespaceRemoved(name),
            Topic::PriorityClasses => Event::PriorityClassRemoved(name),
            Topic::DisruptionBudgets => Event::DisruptionBudgetRemoved { namespace, name },
            Topic::Nodes => Event::NodeRemoved(name),
            Topic::Pods => {
                self.waiting.remove(key);
                self.conditions.remove(key);
                Event::PodRemoved { namespace, name }
            }
        };
        // It may never have been taken.
        drop(self.core.apply(event));
    }
}

/// What a decision is about, when it is about a pod.
pub fn pod_of(decision: &Decision) -> Option<&PodRef> {
    match decision {
        Decision::Bind { pod, .. } | Decision::Preempt { pod, .. } | Decision::Unschedulable { pod, .. } => Some(pod),
        _ => None,
    }
}

fn key_of(pod: &PodRef) -> Key {
    Key { namespace: pod.namespace().to_owned(), name: pod.name().to_owned() }
}

fn key_of_object(metadata: &ObjectMeta) -> Key {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Key { namespace: text(&metadata.namespace), name: text(&metadata.name) }
}

fn complaint(topic: Topic, metadata: &ObjectMeta, keeps_pending: bool, error: &Error) -> Complaint {
    let (key, uid) = (key_of_object(metadata), metadata.uid.clone());
    Complaint { topic, key, uid, keeps_pending, message: error.to_string() }
}
