//! The cluster as the scheduler sees it: nodes, pods, namespaces, disruption budgets and priority classes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::class::{ClassId, Classes};
use crate::intern::{Interner, Symbol};
use crate::labels::{Labels, Selector};
use crate::log::{Entry, Log};
use crate::node::{NodeTable, Usage as _};
use crate::pod_table::{Place, PodRecord, PodTable};
use crate::request::{AffinityTerm, Deletion, PodClass, PreemptionPolicy};
use crate::resources::Catalog;
use crate::shared::Shared;
use crate::slot::{NodeId, PodSlot};

/// Everything that decisions are made from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) interner: Interner,
    pub(crate) catalog: Catalog,
    pub(crate) nodes: NodeTable,
    pub(crate) pods: PodTable,
    pub(crate) classes: Classes,
    pub(crate) namespaces: Shared<BTreeMap<Symbol, Labels>>,
    budgets: Shared<BTreeMap<BudgetKey, DisruptionBudget>>,
    pub(crate) priority_classes: Shared<BTreeMap<Arc<str>, PriorityClass>>,
    no_labels: Labels,
    /// Pods on nodes with required anti-affinity, and with any pod affinity at all.
    refusing: Shared<BTreeSet<PodSlot>>,
    social: Shared<BTreeSet<PodSlot>>,
    /// Pods whose node was removed, by its name.
    orphans: Shared<BTreeMap<Arc<str>, BTreeSet<PodSlot>>>,
    pub(crate) log: Log<Entry>,
    /// Nodes on which a pod's start time changed.
    pub(crate) started: Log<NodeId>,
    /// Whether devices are shared here; otherwise no pod asks for any.
    pub(crate) shares_devices: bool,
    /// Whether something answers for volume claims; otherwise no class has any.
    pub(crate) takes_claims: bool,
    /// The devices of pods that ask for some.
    devices: Shared<BTreeMap<PodSlot, Box<[u16]>>>,
    budget_changes: u64,
    namespace_changes: u64,
    plugin_changes: u64,
}

/// A disruption budget's namespace and name.
type BudgetKey = (Arc<str>, Arc<str>);

/// How many pods of a set may be disrupted now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DisruptionBudget {
    pub(crate) namespace: Symbol,
    pub(crate) selector: Selector,
    pub(crate) allowed: i64,
    /// Names of pods whose eviction is already under way.
    pub(crate) disrupted: Box<[Arc<str>]>,
}

/// A named priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PriorityClass {
    pub(crate) value: i32,
    pub(crate) preemption: PreemptionPolicy,
    pub(crate) default: bool,
}

impl Cluster {
    pub(crate) fn class(&self, pod: PodSlot) -> &Arc<PodClass> {
        self.classes.get(self.pods.get(pod).class)
    }

    /// The shape of a pod's class, see [`PodClass::shape`].
    pub(crate) fn shape(&self, pod: PodSlot) -> (ClassId, &Arc<PodClass>) {
        let id = self.classes.shape(self.pods.get(pod).class);
        (id, self.classes.get(id))
    }

    pub(crate) fn priority(&self, pod: PodSlot) -> i32 {
        self.class(pod).priority
    }

    /// The labels of a namespace; one that was never applied has none.
    pub(crate) fn namespace_labels(&self, namespace: Symbol) -> &Labels {
        self.namespaces.get(&namespace).unwrap_or(&self.no_labels)
    }

    /// Resolves the namespaces that a pending pod's term means, from the namespaces that exist.
    ///
    /// An empty namespace selector stays one: it means every namespace, known or not.
    pub(crate) fn resolve_namespaces(&self, term: &AffinityTerm) -> AffinityTerm {
        let mut resolved = term.clone();
        if !term.namespace_selector.is_empty() {
            let selected = self.namespaces.iter().filter(|(_, labels)| term.namespace_selector.matches(labels));
            let mut namespaces = term.namespaces.to_vec();
            namespaces.extend(selected.map(|(namespace, _)| *namespace));
            resolved.namespaces = namespaces.into();
            resolved.namespace_selector = Selector::Nothing;
        }
        resolved
    }

    /// Puts a pod on a node and counts it there.
    pub(crate) fn attach(&mut self, pod: PodSlot, place: Place) {
        let class = Arc::clone(self.class(pod));
        if let Some(node) = place.node() {
            self.choose_devices(pod, node, &class);
            self.nodes.attach(node, pod, &class, self.devices.get(&pod).map_or(&[], |devices| devices));
            self.record(node, pod, 1);
            if !class.anti_affinity.required.is_empty() {
                self.refusing.insert(pod);
            }
            if !class.affinity.is_empty() || !class.anti_affinity.is_empty() {
                self.social.insert(pod);
            }
        }
        if let Place::Orphan(name) = &place {
            self.orphans.entry(Arc::clone(name)).or_default().insert(pod);
        }
        self.pods.get_mut(pod).place = place;
    }

    /// Says which devices a pod has or will have; not while it is on a node.
    pub(crate) fn give_devices(&mut self, pod: PodSlot, devices: Option<Box<[u16]>>) {
        match devices {
            Some(devices) => self.devices.insert(pod, devices),
            None if self.devices.contains_key(&pod) => self.devices.remove(&pod),
            None => None,
        };
    }

    /// The devices that a pod has on its node.
    pub(crate) fn devices_of(&self, pod: PodSlot) -> &[u16] {
        self.devices.get(&pod).map_or(&[], |devices| devices)
    }

    /// Gives a pod the devices that fit best, unless it has as many as it asks for.
    fn choose_devices(&mut self, pod: PodSlot, node: NodeId, class: &PodClass) {
        let Some(ask) = &class.devices else {
            self.give_devices(pod, None);
            return;
        };
        if self.devices_of(pod).len() != usize::from(ask.count) {
            let rack = self.nodes.actual(node).rack().cloned().unwrap_or_default();
            self.devices.insert(pod, rack.choose(ask).into());
        }
    }

    /// The pods that were on a node of this name when it was removed.
    pub(crate) fn orphans_of(&self, name: &str) -> Vec<PodSlot> {
        self.orphans.get(name).into_iter().flatten().copied().collect()
    }

    fn record(&mut self, node: NodeId, pod: PodSlot, change: i64) {
        let staying = if self.pods.get(pod).deletion == Deletion::No { change } else { 0 };
        let (id, shape) = self.shape(pod);
        let shape = Arc::clone(shape);
        self.log.push(Entry { node, id, shape, change, staying });
    }

    /// Whether a pod is not being deleted.
    pub(crate) fn stays(&self, pod: PodSlot) -> bool {
        self.pods.get(pod).deletion == Deletion::No
    }

    /// Says whether a pod is being deleted.
    pub(crate) fn set_deletion(&mut self, pod: PodSlot, deletion: Deletion) {
        let record = self.pods.get_mut(pod);
        let before = std::mem::replace(&mut record.deletion, deletion);
        if let Some(node) = record.place.node().filter(|_| before != deletion) {
            let staying = if deletion == Deletion::No { 1 } else { -1 };
            let (id, shape) = self.shape(pod);
            let shape = Arc::clone(shape);
            self.log.push(Entry { node, id, shape, change: 0, staying });
        }
    }

    /// Adds a namespace, or replaces its labels.
    pub(crate) fn apply_namespace(&mut self, name: Symbol, labels: Labels) {
        if self.namespaces.get(&name) != Some(&labels) {
            self.namespaces.insert(name, labels);
            self.namespace_changes += 1;
        }
    }

    pub(crate) fn remove_namespace(&mut self, name: Symbol) {
        self.namespaces.remove(&name);
        self.namespace_changes += 1;
    }

    pub(crate) fn budgets(&self) -> impl Iterator<Item = &DisruptionBudget> {
        self.budgets.values()
    }

    /// Grows when a disruption budget changes.
    pub(crate) fn budget_changes(&self) -> u64 {
        self.budget_changes
    }

    /// Sets a disruption budget, by namespace and name, or forgets it.
    pub(crate) fn set_budget(&mut self, key: BudgetKey, budget: Option<DisruptionBudget>) {
        self.budget_changes += 1;
        match budget {
            Some(budget) => self.budgets.insert(key, budget),
            None => self.budgets.remove(&key),
        };
    }

    /// Says when a pod started, in seconds since the Unix epoch.
    pub(crate) fn set_start(&mut self, pod: PodSlot, start: Option<i64>) {
        let record = self.pods.get_mut(pod);
        if let Some(node) = record.place.node().filter(|_| record.start != start) {
            self.started.push(node);
        }
        record.start = start;
    }

    /// Grows with every change that is not in the log: of a node itself, of a namespace, or of the caller's own plugins.
    pub(crate) fn epoch(&self) -> u64 {
        self.nodes.epoch() + self.namespace_changes + self.plugin_changes
    }

    /// Says that the caller's own plugins may answer differently from now on.
    pub(crate) fn plugins_changed(&mut self) {
        self.plugin_changes += 1;
    }

    /// Gives a pod another place.
    pub(crate) fn adopt(&mut self, pod: PodSlot, place: Place) {
        let left = self.detach(pod);
        if left.is_some() && place.node().is_some_and(|node| Some(node) != left) || place == Place::Pending {
            self.give_devices(pod, None);
        }
        self.attach(pod, place);
    }

    /// Takes a pod off its node, if it is on one; it is pending then.
    pub(crate) fn detach(&mut self, pod: PodSlot) -> Option<NodeId> {
        let class = Arc::clone(self.class(pod));
        let place = std::mem::replace(&mut self.pods.get_mut(pod).place, Place::Pending);
        if let Place::Orphan(name) = &place
            && let Some(pods) = self.orphans.get_mut(name)
        {
            pods.remove(&pod);
            if pods.is_empty() {
                self.orphans.remove(name);
            }
        }
        let node = place.node();
        if let Some(node) = node {
            self.nodes.detach(node, pod, &class, self.devices.get(&pod).map_or(&[], |devices| devices));
            self.record(node, pod, -1);
            if self.social.contains(&pod) {
                self.refusing.remove(&pod);
                self.social.remove(&pod);
            }
        }
        node
    }

    /// The pods on nodes that have required anti-affinity.
    pub(crate) fn refusing_pods(&self) -> impl Iterator<Item = (PodSlot, NodeId)> + '_ {
        self.placed(&self.refusing)
    }

    /// The pods on nodes that have any pod affinity or anti-affinity.
    pub(crate) fn social_pods(&self) -> impl Iterator<Item = (PodSlot, NodeId)> + '_ {
        self.placed(&self.social)
    }

    fn placed<'a>(&'a self, pods: &'a BTreeSet<PodSlot>) -> impl Iterator<Item = (PodSlot, NodeId)> + 'a {
        pods.iter().filter_map(|pod| self.pods.get(*pod).place.node().map(|node| (*pod, node)))
    }

    /// Forgets a pod that is on no node.
    pub(crate) fn forget(&mut self, pod: PodSlot) -> PodRecord {
        self.give_devices(pod, None);
        let record = self.pods.remove(pod);
        self.classes.release(record.class);
        record
    }

    /// Exchanges the class of a pod, recounting it on its node.
    pub(crate) fn reclass(&mut self, pod: PodSlot, class: PodClass) {
        if **self.class(pod) == class {
            return;
        }
        let place = self.pods.get(pod).place.clone();
        self.detach(pod);
        let class = self.classes.acquire(class);
        let old = std::mem::replace(&mut self.pods.get_mut(pod).class, class);
        self.classes.release(old);
        self.attach(pod, place);
    }
}
