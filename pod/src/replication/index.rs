//! The pods of a controller in the order in which they go, kept while they change.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::decision::{BURST, Counts, Decision};
use super::rank::{Facts, Place, settle, ties};
use crate::kinds::Pod;
use crate::selector::Selector;
use crate::wire::text::Text as _;
use crate::wire::time::Time;

/// The pods of one controller, known by their identity (`metadata.uid`), each with a `P` that tells it in decisions.
///
/// A decision costs what changed since the last one: pods, their neighbours on a node, and those whose age doubled.
/// A decision at an earlier time than the last one costs as much as the first.
///
/// ```
/// use windlass_pod::replication::{Decision, Index};
/// use windlass_pod::{Pod, Time, decode_yaml_as};
///
/// let mut index = Index::new(&Default::default(), std::time::Duration::ZERO);
/// for (uid, phase) in [("1", "Running"), ("2", "Pending")] {
///     let text = format!("{{metadata: {{uid: '{uid}'}}, spec: {{nodeName: one}}, status: {{phase: {phase}}}}}");
///     let pod: Pod = decode_yaml_as(text.as_bytes()).unwrap();
///     index.set(&pod, uid);
/// }
/// let now = Time::from_unix_seconds(0);
/// assert_eq!(index.decide(1, now), Decision::Delete(vec!["2"]));
/// index.remove("2");
/// assert_eq!(index.decide(1, now), Decision::Keep);
/// ```
#[derive(Debug, Clone)]
pub struct Index<P> {
    template: Selector,
    min_ready: Duration,
    entries: BTreeMap<u64, Entry<P>>,
    numbers: HashMap<String, u64>,
    next_number: u64,
    /// Where pods of siblings are, by their identity.
    related: HashMap<String, Arc<str>>,
    nodes: HashMap<Arc<str>, Node>,
    order: BTreeSet<Place>,
    /// When which pod has another place or becomes available, in seconds.
    due: BTreeSet<(i64, u64)>,
    /// What has no place now.
    dirty: BTreeSet<u64>,
    dirty_nodes: BTreeSet<Arc<str>>,
    now: Option<Time>,
    counts: Counts,
}

#[derive(Debug, Clone)]
struct Entry<P> {
    pod: P,
    facts: Facts,
    fully_labeled: bool,
    available: bool,
    place: Option<Place>,
    due: Option<i64>,
}

#[derive(Debug, Clone, Default)]
struct Node {
    /// How many related active pods it has, those of siblings too.
    crowd: usize,
    own: BTreeSet<u64>,
}

impl<'a> Index<&'a Pod> {
    /// Those among these pods that are active.
    pub(super) fn of(pods: impl IntoIterator<Item = &'a Pod>, related: &[Pod]) -> Self {
        let mut index = Self::new(&BTreeMap::new(), Duration::ZERO);
        for pod in pods.into_iter().filter(|pod| pod.is_active()) {
            let number = index.number();
            index.insert(number, pod, pod);
        }
        for pod in related.iter().filter(|pod| pod.is_active()) {
            index.crowd(pod.spec.node_name.text().into()).crowd += 1;
        }
        index
    }
}

impl<P: Clone> Index<P> {
    /// No pods yet; `template_labels` and `min_ready` are for [`Index::counts`].
    pub fn new(template_labels: &BTreeMap<String, String>, min_ready: Duration) -> Self {
        Self {
            template: Selector::from_labels(template_labels),
            min_ready,
            entries: BTreeMap::new(),
            numbers: HashMap::new(),
            next_number: 0,
            related: HashMap::new(),
            nodes: HashMap::new(),
            order: BTreeSet::new(),
            due: BTreeSet::new(),
            dirty: BTreeSet::new(),
            dirty_nodes: BTreeSet::new(),
            now: None,
            counts: Counts::default(),
        }
    }

    /// Takes in a pod of the controller, or what became of it; one that is not active is as good as gone.
    pub fn set(&mut self, pod: &Pod, told: P) {
        let uid = pod.metadata.uid.text();
        if !pod.is_active() {
            return self.remove(uid);
        }
        self.forget_related(uid);
        let number = if let Some(number) = self.numbers.get(uid) {
            *number
        } else {
            let number = self.number();
            self.numbers.insert(uid.to_owned(), number);
            number
        };
        self.take(number);
        self.insert(number, pod, told);
    }

    /// Takes in a pod of a sibling, which counts where it is but is not decided about.
    pub fn set_related(&mut self, pod: &Pod) {
        let uid = pod.metadata.uid.text();
        self.remove(uid);
        if pod.is_active() {
            let node: Arc<str> = pod.spec.node_name.text().into();
            self.crowd(node.clone()).crowd += 1;
            self.related.insert(uid.to_owned(), node);
        }
    }

    /// Forgets a pod, of the controller or of a sibling.
    pub fn remove(&mut self, uid: &str) {
        self.forget_related(uid);
        if let Some(number) = self.numbers.remove(uid) {
            self.take(number);
        }
    }

    /// What to do to have this many.
    pub fn decide(&mut self, replicas: usize, now: Time) -> Decision<P> {
        let count = self.entries.len();
        Decision::without_surplus(count, replicas)
            .unwrap_or_else(|| Decision::Delete(self.first((count - replicas).min(BURST), now)))
    }

    /// How many pods there are.
    pub fn counts(&mut self, now: Time) -> Counts {
        self.advance(now);
        self.counts
    }

    /// The first of those that are to go.
    pub(super) fn first(&mut self, count: usize, now: Time) -> Vec<P> {
        self.advance(now);
        let with_facts = |place| (place, &self.entries[&Place::number(place)].facts);
        let mut places = self.order.iter().map(with_facts).peekable();
        let mut chosen = Vec::with_capacity(count);
        let mut run = Vec::new();
        while chosen.len() < count
            && let Some(mut last) = places.next()
        {
            run.push(last);
            while let Some(next) = places.next_if(|next| ties(last, *next)) {
                run.push(next);
                last = next;
            }
            if run.len() > 1 {
                settle(&mut run, now);
            }
            let left = count - chosen.len();
            chosen.extend(run.drain(..).take(left).map(|(place, _)| self.entries[&place.number()].pod.clone()));
        }
        chosen
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// A node whose crowd is about to change.
    fn crowd(&mut self, node: Arc<str>) -> &mut Node {
        self.dirty_nodes.insert(node.clone());
        self.nodes.entry(node).or_default()
    }

    fn leave(&mut self, node: &Arc<str>, number: Option<u64>) {
        let cell = self.crowd(node.clone());
        cell.crowd -= 1;
        if let Some(number) = number {
            cell.own.remove(&number);
        }
        if cell.crowd == 0 {
            self.nodes.remove(node);
            self.dirty_nodes.remove(node);
        }
    }

    fn forget_related(&mut self, uid: &str) {
        if let Some(node) = self.related.remove(uid) {
            self.leave(&node, None);
        }
    }

    fn insert(&mut self, number: u64, pod: &Pod, told: P) {
        let facts = Facts::of(pod);
        let fully_labeled = self.template.matches(&pod.metadata.labels);
        let cell = self.crowd(facts.node.clone());
        cell.crowd += 1;
        cell.own.insert(number);
        self.counts.replicas += 1;
        self.counts.fully_labeled += usize::from(fully_labeled);
        self.counts.ready += usize::from(facts.ready);
        self.dirty.insert(number);
        let entry = Entry { pod: told, facts, fully_labeled, available: false, place: None, due: None };
        self.entries.insert(number, entry);
    }

    fn take(&mut self, number: u64) {
        let Some(entry) = self.entries.remove(&number) else { return };
        self.counts.replicas -= 1;
        self.counts.fully_labeled -= usize::from(entry.fully_labeled);
        self.counts.ready -= usize::from(entry.facts.ready);
        self.counts.available -= usize::from(entry.available);
        if let Some(place) = &entry.place {
            self.order.remove(place);
        }
        if let Some(due) = entry.due {
            self.due.remove(&(due, number));
        }
        self.dirty.remove(&number);
        self.leave(&entry.facts.node, Some(number));
    }

    /// Gives a place to all that have another one now.
    fn advance(&mut self, now: Time) {
        let mut dirty = std::mem::take(&mut self.dirty);
        if self.now.is_some_and(|before| now < before) {
            dirty.extend(self.entries.keys());
        }
        self.now = Some(now);
        for node in std::mem::take(&mut self.dirty_nodes) {
            // The crowd of those without a node tells none of them from another.
            if !node.is_empty()
                && let Some(cell) = self.nodes.get(&node)
            {
                dirty.extend(&cell.own);
            }
        }
        while let Some((due, number)) = self.due.first().copied().filter(|(due, _)| *due <= now.unix_seconds()) {
            self.due.remove(&(due, number));
            dirty.insert(number);
        }
        for number in dirty {
            self.place(number, now);
        }
    }

    fn place(&mut self, number: u64, now: Time) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        let crowd = self.nodes.get(&entry.facts.node).map_or(0, |cell| cell.crowd);
        let (place, grows) = entry.facts.place(crowd, number, now);
        if entry.place.as_ref() != Some(&place) {
            if let Some(old) = entry.place.replace(place.clone()) {
                self.order.remove(&old);
            }
            self.order.insert(place);
        }
        let (available, later) = available(&entry.facts, self.min_ready, now);
        self.counts.available -= usize::from(entry.available);
        self.counts.available += usize::from(available);
        entry.available = available;
        let due = grows.into_iter().chain(later).min();
        if let Some(old) = std::mem::replace(&mut entry.due, due) {
            self.due.remove(&(old, number));
        }
        self.due.extend(due.map(|due| (due, number)));
    }
}

/// Whether a pod is available now, and the second at which it will be.
fn available(facts: &Facts, min_ready: Duration, now: Time) -> (bool, Option<i64>) {
    let span = i64::try_from(min_ready.as_secs()).unwrap_or(i64::MAX);
    if !facts.ready || span == 0 {
        return (facts.ready, None);
    }
    match facts.ready_since.map(|since| since.unix_seconds().saturating_add(span)) {
        Some(at) if at <= now.unix_seconds() => (true, None),
        later => (false, later),
    }
}
