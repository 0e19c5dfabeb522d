//! Counts of pods by topology domain, for everything that a class's filters and scores ask about other pods.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::class::ClassId;
use crate::cluster::Cluster;
use crate::filter::interpod::selects;
use crate::filter::spread::includes;
use crate::labels::Labels;
use crate::request::{AffinityTerm, PodClass, WhenUnsatisfiable};
use crate::score::interpod::{own_terms, terms_of};
use crate::score::scoring::Scoring;
use crate::score::spread::HOSTNAME;
use crate::slot::NodeId;
use crate::topology::TopologyId;

/// What a count is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A spread constraint that filters, by its position in the class.
    Hard(usize),
    /// A spread constraint that scores.
    Soft(usize),
    /// Pods that match all required affinity terms.
    Together,
    /// Pods that match a required anti-affinity term.
    Apart,
    /// Pods whose required anti-affinity selects the class.
    Refusing,
    /// The sum of weights of preferred terms, both ways.
    Weight,
}

impl Role {
    fn is_spread(self) -> bool {
        matches!(self, Self::Hard(_) | Self::Soft(_))
    }
}

/// One count by domain.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    pub(super) role: Role,
    topology: TopologyId,
    values: Vec<i64>,
    /// Domains with a count other than 0.
    pub(super) occupied: usize,
    /// Rows whose pods count; `None` for all.
    included: Option<Vec<bool>>,
    /// How many domains have which count, of those that a row that counts is in.
    histogram: BTreeMap<i64, usize>,
    counted_domains: Vec<bool>,
    /// No two nodes share a domain: the count is a property of the node.
    single: bool,
    slot: usize,
}

/// All counters of a class.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    pub(super) class: Arc<PodClass>,
    pub(super) list: Vec<Counter>,
    terms: Terms,
    /// By the number of the shape.
    effects: Vec<Option<Known>>,
    /// The topologies whose domains are part of the key.
    shared: Vec<TopologyId>,
    layout_changed: bool,
    changes: u64,
}

/// A shape, and what a pod of it adds to which counters.
type Known = (Arc<PodClass>, Box<[Effect]>);

/// What one pod of a class adds to a counter.
#[derive(Clone, Copy, Debug)]
struct Effect {
    counter: usize,
    amount: i64,
}

/// The class's terms with their namespaces resolved.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) together: Vec<AffinityTerm>,
    apart: Vec<AffinityTerm>,
    preferred: Vec<(i64, AffinityTerm)>,
    namespace_labels: Labels,
    hard_weight: i64,
    pub(super) selects_itself: bool,
}

impl Counters {
    /// `None` where one host has several nodes: scores then count the node, filters the host.
    pub(super) fn new(cluster: &Cluster, scoring: &Scoring, class: &Arc<PodClass>) -> Option<Self> {
        let resolve = |terms: &[AffinityTerm]| terms.iter().map(|term| cluster.resolve_namespaces(term)).collect();
        let together: Vec<AffinityTerm> = resolve(&class.affinity.required);
        let terms = Terms {
            selects_itself: is_gathered(&together, class),
            together,
            apart: resolve(&class.anti_affinity.required),
            preferred: own_terms(cluster, class),
            namespace_labels: cluster.namespace_labels(class.namespace).clone(),
            hard_weight: scoring.hard_pod_affinity_weight,
        };
        let (list, shared, effects) = (Vec::new(), Vec::new(), Vec::new());
        let mut this =
            Self { class: Arc::clone(class), list, terms, effects, shared, layout_changed: true, changes: 0 };
        let hostname = cluster.interner.get(HOSTNAME);
        for (position, constraint) in class.spread.iter().enumerate() {
            let by_host = Some(cluster.nodes.topologies().key(constraint.topology)) == hostname;
            if by_host && !cluster.nodes.topologies().is_single(constraint.topology) {
                return None;
            }
            match constraint.when {
                WhenUnsatisfiable::DoNotSchedule => {
                    let rows = included(cluster, class, position);
                    this.add(cluster, Role::Hard(position), constraint.topology, Some(rows));
                }
                WhenUnsatisfiable::ScheduleAnyway => {
                    let rows = (!by_host).then(|| included(cluster, class, position));
                    this.add(cluster, Role::Soft(position), constraint.topology, rows);
                }
            }
        }
        for term in this.terms.together.clone() {
            this.find(cluster, Role::Together, term.topology);
        }
        Some(this)
    }

    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Grows when a count changes.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn layout_changed(&self) -> bool {
        self.layout_changed
    }

    fn add(&mut self, cluster: &Cluster, role: Role, topology: TopologyId, included: Option<Vec<bool>>) -> usize {
        let topologies = cluster.nodes.topologies();
        let domains = topologies.domain_count(topology);
        let mut counter = Counter {
            role,
            topology,
            values: vec![0; domains],
            occupied: 0,
            included,
            histogram: BTreeMap::new(),
            counted_domains: vec![false; domains],
            single: topologies.is_single(topology),
            slot: 0,
        };
        if matches!(role, Role::Hard(_)) {
            counter.open_domains(cluster);
        }
        self.list.push(counter);
        self.layout_changed = true;
        self.list.len() - 1
    }

    /// The counter of a role and a topology, new if need be.
    fn find(&mut self, cluster: &Cluster, role: Role, topology: TopologyId) -> usize {
        let known = self.list.iter().position(|counter| counter.role == role && counter.topology == topology);
        known.unwrap_or_else(|| self.add(cluster, role, topology, None))
    }

    /// Counts pods of a shape that came to a node or left it.
    pub(super) fn count(
        &mut self,
        cluster: &Cluster,
        node: NodeId,
        shape: (ClassId, &Arc<PodClass>),
        change: i64,
        staying: i64,
    ) {
        let (id, shape) = shape;
        if self.effects.len() <= id.index() {
            self.effects.resize(id.index() + 1, None);
        }
        let known = self.effects[id.index()].as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, shape));
        if !known {
            let effects = self.effects_of(cluster, shape);
            self.effects[id.index()] = Some((Arc::clone(shape), effects));
        }
        let Some((_, effects)) = &self.effects[id.index()] else { return };
        self.changes += u64::from(!effects.is_empty());
        for effect in effects {
            let counter = &mut self.list[effect.counter];
            let change = if counter.role.is_spread() { staying } else { change };
            counter.change(cluster, node, effect.amount * change);
        }
    }

    fn effects_of(&mut self, cluster: &Cluster, other: &PodClass) -> Box<[Effect]> {
        let class = Arc::clone(&self.class);
        let terms = self.terms.clone();
        let mut effects = Vec::new();
        for (counter, role) in self.list.iter().map(|counter| counter.role).enumerate() {
            if let Role::Hard(position) | Role::Soft(position) = role {
                let selector = &class.spread[position].selector;
                if other.namespace == class.namespace && !selector.is_empty() && selector.matches(&other.labels) {
                    effects.push(Effect { counter, amount: 1 });
                }
            }
        }
        let mut add = |this: &mut Self, role, topology, amount| {
            let counter = this.find(cluster, role, topology);
            effects.push(Effect { counter, amount });
        };
        if is_gathered(&terms.together, other) {
            for term in &terms.together {
                add(self, Role::Together, term.topology, 1);
            }
        }
        for term in terms.apart.iter().filter(|term| selects(term, other)) {
            add(self, Role::Apart, term.topology, 1);
        }
        for (weight, term) in terms.preferred.iter().filter(|(_, term)| selects(term, other)) {
            add(self, Role::Weight, term.topology, *weight);
        }
        let selects_class = |term: &AffinityTerm| term.matches(class.namespace, &class.labels, &terms.namespace_labels);
        for term in other.anti_affinity.required.iter().filter(|term| selects_class(term)) {
            add(self, Role::Refusing, term.topology, 1);
        }
        for (weight, term) in terms_of(other, terms.hard_weight).filter(|(_, term)| selects_class(term)) {
            add(self, Role::Weight, term.topology, weight);
        }
        effects.into()
    }

    /// Decides which part of a key belongs to which counter.
    pub(super) fn lay_out(&mut self) {
        self.layout_changed = false;
        self.shared.clear();
        for counter in self.list.iter().filter(|counter| !counter.single) {
            if !self.shared.contains(&counter.topology) {
                self.shared.push(counter.topology);
            }
        }
        let mut next = KEY_START + self.shared.len();
        for counter in &mut self.list {
            let shared = self.shared.iter().position(|topology| *topology == counter.topology);
            counter.slot = shared.map_or(next, |index| KEY_START + index);
            next += if shared.is_some() { 0 } else { 2 };
        }
    }

    /// The part of a node's key that is about other pods.
    pub(super) fn write_key(&self, cluster: &Cluster, node: NodeId, key: &mut Vec<i64>) {
        for topology in &self.shared {
            let domain = cluster.nodes.domain(*topology, node);
            key.push(domain.map_or(0, |domain| 1 + i64::try_from(domain).expect("domains are counted in 32 bits")));
        }
        for counter in self.list.iter().filter(|counter| counter.single) {
            match cluster.nodes.domain(counter.topology, node) {
                Some(domain) => key.extend([1, counter.values[domain]]),
                None => key.extend([0, 0]),
            }
        }
    }
}

/// Where the part of a key begins that is about other pods.
const KEY_START: usize = 2;

impl Counter {
    /// The count that the nodes with a key see; `None` for nodes without the label.
    pub(super) fn value(&self, key: &[i64]) -> Option<i64> {
        if self.single {
            return (key[self.slot] == 1).then(|| key[self.slot + 1]);
        }
        self.domain(key).map(|domain| self.values[domain])
    }

    /// The shared domain that the nodes with a key are in; `None` also where every node is one of its own.
    pub(super) fn domain(&self, key: &[i64]) -> Option<usize> {
        let domain = if self.single { 0 } else { key[self.slot] };
        usize::try_from(domain).ok()?.checked_sub(1)
    }

    /// Whether every node is a domain of its own.
    pub(super) fn is_single(&self) -> bool {
        self.single
    }

    /// The lowest count of a domain, 0 where there are too few.
    pub(super) fn least(&self, domains_min: i64) -> i64 {
        let domains: usize = self.histogram.values().sum();
        let enough = i64::try_from(domains).is_ok_and(|domains| domains >= domains_min);
        self.histogram.keys().next().copied().filter(|_| enough).unwrap_or(0)
    }

    fn open_domains(&mut self, cluster: &Cluster) {
        for node in cluster.nodes.ids() {
            let counts = self.included.as_ref().is_none_or(|rows| rows[node.row()]);
            if let Some(domain) = cluster.nodes.domain(self.topology, node)
                && counts
                && !self.counted_domains[domain]
            {
                self.counted_domains[domain] = true;
                *self.histogram.entry(0).or_default() += 1;
            }
        }
    }

    fn change(&mut self, cluster: &Cluster, node: NodeId, change: i64) {
        let Some(domain) = cluster.nodes.domain(self.topology, node) else { return };
        if change == 0 || self.included.as_ref().is_some_and(|rows| !rows[node.row()]) {
            return;
        }
        let before = self.values[domain];
        let after = before + change;
        self.values[domain] = after;
        self.occupied = self.occupied + usize::from(after != 0) - usize::from(before != 0);
        if self.counted_domains[domain] {
            if let Some(domains) = self.histogram.get_mut(&before) {
                *domains -= 1;
                if *domains == 0 {
                    self.histogram.remove(&before);
                }
            }
            *self.histogram.entry(after).or_default() += 1;
        }
    }
}

fn is_gathered(terms: &[AffinityTerm], class: &PodClass) -> bool {
    !terms.is_empty() && terms.iter().all(|term| selects(term, class))
}

/// The rows whose pods a constraint counts: with the labels of all constraints of its kind, and included by its policies.
fn included(cluster: &Cluster, class: &PodClass, position: usize) -> Vec<bool> {
    let constraint = &class.spread[position];
    let alike: Vec<TopologyId> =
        class.spread.iter().filter(|other| other.when == constraint.when).map(|other| other.topology).collect();
    let mut rows = vec![false; cluster.nodes.rows()];
    for node in cluster.nodes.ids() {
        rows[node.row()] = alike.iter().all(|topology| cluster.nodes.domain(*topology, node).is_some())
            && includes(cluster, class, constraint, node);
    }
    rows
}
