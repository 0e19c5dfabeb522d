//! The scheduling queue: pods to try now, pods to try later, pods that wait for the cluster to change.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::profile::{FilterPlugin, Profile};
use crate::shared::{Pages, Shared};
use crate::slot::PodSlot;

/// A set of filter plugins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PluginSet(u16);

impl PluginSet {
    pub(crate) fn insert(&mut self, plugin: FilterPlugin) {
        self.0 |= Self::bit(plugin);
    }

    pub(crate) fn contains(self, plugin: FilterPlugin) -> bool {
        self.0 & Self::bit(plugin) != 0
    }

    /// The caller's own filters share one.
    fn bit(plugin: FilterPlugin) -> u16 {
        1 << match plugin {
            FilterPlugin::NodeUnschedulable => 0,
            FilterPlugin::NodeName => 1,
            FilterPlugin::TaintToleration => 2,
            FilterPlugin::NodeAffinity => 3,
            FilterPlugin::NodePorts => 4,
            FilterPlugin::NodeResourcesFit => 5,
            FilterPlugin::VolumeBinding => 6,
            FilterPlugin::PodTopologySpread => 7,
            FilterPlugin::InterPodAffinity => 8,
            FilterPlugin::GpuShare => 9,
            FilterPlugin::Own(_) => 10,
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn of(plugins: &[FilterPlugin]) -> Self {
        let mut set = Self::default();
        for plugin in plugins {
            set.insert(*plugin);
        }
        set
    }

    fn shares(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Pods by a time, then in the order of their arrival.
type TimeKey = (Duration, u64, PodSlot);

#[derive(Clone, Debug)]
struct Entry {
    state: State,
    priority: i32,
    /// When the pod came, or last failed.
    since: Duration,
    order: u64,
    attempts: u32,
    /// The plugins that stood against it in its last attempt.
    rejected_by: PluginSet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Active,
    Backoff(Duration),
    Waiting,
    Gated,
    /// Taken out for an attempt, or assumed on a node.
    Out,
}

/// Waits between attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    backoff_initial: Duration,
    backoff_max: Duration,
    unschedulable_max: Duration,
}

impl Waits {
    pub(crate) fn new(profile: &Profile) -> Self {
        Self {
            backoff_initial: profile.backoff_initial,
            backoff_max: profile.backoff_max,
            unschedulable_max: profile.unschedulable_max,
        }
    }

    fn backoff(&self, attempts: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        self.backoff_initial.saturating_mul(factor).min(self.backoff_max)
    }
}

/// The queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    waits: Waits,
    /// By slot.
    entries: Pages<Option<Entry>>,
    /// By priority, and there by when they came: pods mostly come in that order.
    active: BTreeMap<Reverse<i32>, Shared<VecDeque<TimeKey>>>,
    backoff: Shared<BTreeSet<TimeKey>>,
    waiting: Shared<BTreeSet<TimeKey>>,
    /// How many waiting pods were rejected by which plugins.
    waiting_for: BTreeMap<PluginSet, usize>,
    order: u64,
}

impl Queue {
    pub(crate) fn new(waits: Waits) -> Self {
        Self {
            waits,
            entries: Pages::default(),
            active: BTreeMap::new(),
            backoff: Shared::default(),
            waiting: Shared::default(),
            waiting_for: BTreeMap::new(),
            order: 0,
        }
    }

    /// Adds a pod that is tried at once.
    pub(crate) fn push(&mut self, pod: PodSlot, priority: i32, now: Duration) {
        self.add(pod, priority, now, State::Active);
    }

    /// Adds a pod whose scheduling gates hold it back.
    pub(crate) fn gate(&mut self, pod: PodSlot, priority: i32, now: Duration) {
        self.add(pod, priority, now, State::Gated);
    }

    /// Holds a pod back until it is released; its place among the others stays its own.
    pub(crate) fn hold(&mut self, pod: PodSlot) {
        self.set(pod, State::Gated);
    }

    /// Lets a pod that was held back be tried at once.
    pub(crate) fn release(&mut self, pod: PodSlot) {
        if self.is_gated(pod) {
            self.set(pod, State::Active);
        }
    }

    fn add(&mut self, pod: PodSlot, priority: i32, now: Duration, state: State) {
        self.remove(pod);
        let (order, rejected_by) = (self.order, PluginSet::default());
        let entry = Entry { state: State::Out, priority, since: now, order, attempts: 0, rejected_by };
        self.order += 1;
        let index = pod.0 as usize;
        self.entries.grow(index + 1);
        self.entries[index] = Some(entry);
        self.set(pod, state);
    }

    pub(crate) fn remove(&mut self, pod: PodSlot) {
        self.set(pod, State::Out);
        if self.contains(pod) {
            self.entries[pod.0 as usize] = None;
        }
    }

    pub(crate) fn contains(&self, pod: PodSlot) -> bool {
        self.entry(pod).is_some()
    }

    fn entry(&self, pod: PodSlot) -> Option<&Entry> {
        self.entries.get(pod.0 as usize)?.as_ref()
    }

    fn entry_mut(&mut self, pod: PodSlot) -> Option<&mut Entry> {
        self.contains(pod).then(|| self.entries[pod.0 as usize].as_mut())?
    }

    pub(crate) fn is_gated(&self, pod: PodSlot) -> bool {
        self.entry(pod).is_some_and(|entry| entry.state == State::Gated)
    }

    /// Takes out the next pod to try; it stays known until it is removed.
    pub(crate) fn pop(&mut self) -> Option<PodSlot> {
        let (_, _, pod) = *self.active.first_key_value()?.1.front()?;
        self.take(pod);
        Some(pod)
    }

    /// Takes a pod out for an attempt, whatever it waits for.
    pub(crate) fn take(&mut self, pod: PodSlot) {
        self.set(pod, State::Out);
        if let Some(entry) = self.entry_mut(pod) {
            entry.attempts = entry.attempts.saturating_add(1);
        }
    }

    /// Puts a pod back that was taken out and not tried to the end: it is tried at once.
    pub(crate) fn put_back(&mut self, pod: PodSlot) {
        self.set(pod, State::Out);
        if let Some(entry) = self.entry_mut(pod) {
            entry.attempts = entry.attempts.saturating_sub(1);
        }
        self.set(pod, State::Active);
    }

    /// The place of a pod among others: the important first, then those that came first.
    pub(crate) fn rank(&self, pod: PodSlot) -> impl Ord + use<> {
        self.entry(pod).map(|entry| (Reverse(entry.priority), entry.order))
    }

    /// Puts a pod back that no node took; it waits for an event that `rejected_by` could care about.
    pub(crate) fn fail(&mut self, pod: PodSlot, rejected_by: PluginSet, now: Duration) {
        self.set(pod, State::Out);
        let Some(entry) = self.entry_mut(pod) else { return };
        entry.since = now;
        entry.rejected_by = rejected_by;
        self.set(pod, State::Waiting);
    }

    /// Puts a pod back that is to be tried again after its backoff, whatever happens.
    pub(crate) fn retry(&mut self, pod: PodSlot, now: Duration) {
        self.set(pod, State::Out);
        let waits = self.waits;
        let Some(entry) = self.entry_mut(pod) else { return };
        entry.since = now;
        let expiry = now.saturating_add(waits.backoff(entry.attempts));
        self.set(pod, State::Backoff(expiry));
    }

    /// Lets a waiting pod be tried again: now, or when its backoff is over.
    pub(crate) fn wake(&mut self, pod: PodSlot, now: Duration) {
        let Some(entry) = self.entry(pod).filter(|entry| entry.state == State::Waiting) else { return };
        let expiry = entry.since.saturating_add(self.waits.backoff(entry.attempts));
        self.set(pod, if now >= expiry { State::Active } else { State::Backoff(expiry) });
    }

    /// The pods that wait for an event which concerns one of the plugins, longest first, with all plugins that stand
    /// against them. Pods that no plugin rejected wait for every event.
    pub(crate) fn waiting(&self, concerned: PluginSet) -> Vec<(PodSlot, PluginSet)> {
        let waits = |rejected_by: PluginSet| rejected_by.is_empty() || rejected_by.shares(concerned);
        if !self.waiting_for.keys().any(|rejected_by| waits(*rejected_by)) {
            return Vec::new();
        }
        let pods = self.waiting.iter().filter_map(|(_, _, pod)| Some((*pod, self.entry(*pod)?.rejected_by)));
        pods.filter(|(_, rejected_by)| waits(*rejected_by)).collect()
    }

    /// Moves the pods whose time has come.
    pub(crate) fn advance(&mut self, now: Duration) {
        while let Some((expiry, _, pod)) = self.backoff.first().copied()
            && expiry <= now
        {
            self.set(pod, State::Active);
        }
        while let Some((since, _, pod)) = self.waiting.first().copied()
            && since.saturating_add(self.waits.unschedulable_max) <= now
        {
            self.wake(pod, now);
        }
    }

    /// When [`Queue::advance`] would next move a pod.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let backoff = self.backoff.first().map(|key| key.0);
        let waiting = self.waiting.first().map(|key| key.0.saturating_add(self.waits.unschedulable_max));
        backoff.into_iter().chain(waiting).min()
    }

    /// Pods to try now, in backoff, waiting for an event, and gated.
    pub(crate) fn counts(&self) -> [usize; 4] {
        let gated = self.entries.iter().flatten().filter(|entry| entry.state == State::Gated).count();
        [self.active.values().map(|pods| pods.len()).sum(), self.backoff.len(), self.waiting.len(), gated]
    }

    fn set(&mut self, pod: PodSlot, state: State) {
        let Some(entry) = self.entry_mut(pod) else { return };
        let old = std::mem::replace(&mut entry.state, state);
        let (order, priority, rejected_by) = (entry.order, Reverse(entry.priority), entry.rejected_by);
        let timed = |time| (time, order, pod);
        let waiting = timed(entry.since);
        match old {
            State::Active => self.leave(priority, waiting),
            State::Backoff(expiry) => {
                self.backoff.remove(&timed(expiry));
            }
            // The time of a waiting pod, and what it waits for, do not change while it waits.
            State::Waiting => {
                self.waiting.remove(&waiting);
                if let Some(pods) = self.waiting_for.get_mut(&rejected_by) {
                    *pods -= 1;
                    if *pods == 0 {
                        self.waiting_for.remove(&rejected_by);
                    }
                }
            }
            State::Gated | State::Out => {}
        }
        match state {
            State::Active => {
                let pods = self.active.entry(priority).or_default();
                let place = pods.partition_point(|other| *other < waiting);
                pods.insert(place, waiting);
            }
            State::Backoff(expiry) => {
                self.backoff.insert(timed(expiry));
            }
            State::Waiting => {
                self.waiting.insert(waiting);
                *self.waiting_for.entry(rejected_by).or_default() += 1;
            }
            State::Gated | State::Out => {}
        }
    }

    fn leave(&mut self, priority: Reverse<i32>, key: TimeKey) {
        let Some(pods) = self.active.get_mut(&priority) else { return };
        if pods.front() == Some(&key) {
            pods.pop_front();
        } else if let Ok(place) = pods.binary_search(&key) {
            pods.remove(place);
        }
        if pods.is_empty() {
            self.active.remove(&priority);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::ClassId;
    use crate::class::Classes;
    use crate::pod_table::{PodName, PodTable};

    fn slots(count: usize) -> Vec<PodSlot> {
        let mut pods = PodTable::default();
        let class: ClassId = Classes::default().acquire(crate::request::PodClass::empty());
        let name = |index: usize| PodName {
            namespace: "default".into(),
            name: format!("p{index}").into(),
            uid: format!("u{index}").into(),
        };
        (0..count).map(|index| pods.insert(name(index), class)).collect()
    }

    fn queue() -> Queue {
        Queue::new(Waits::new(&Profile::default()))
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn priority_first_then_arrival() {
        let pods = slots(4);
        let mut queue = queue();
        queue.push(pods[0], 0, SECOND);
        queue.push(pods[1], 0, Duration::ZERO);
        queue.push(pods[2], 7, SECOND * 2);
        queue.push(pods[3], 0, Duration::ZERO);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [pods[2], pods[1], pods[3], pods[0]]);
    }

    #[test]
    fn backoff_doubles_up_to_its_maximum() {
        let waits = Waits::new(&Profile::default());
        let table = [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (40, 10)];
        assert_eq!(table.map(|(attempts, _)| (attempts, waits.backoff(attempts).as_secs())), table);
    }

    #[test]
    fn a_failed_pod_waits_for_an_event_and_its_backoff_or_five_minutes() {
        let pods = slots(1);
        let mut queue = queue();
        queue.push(pods[0], 0, Duration::ZERO);
        assert_eq!(queue.pop(), Some(pods[0]));
        queue.fail(pods[0], PluginSet::default(), Duration::ZERO);
        assert_eq!((queue.pop(), queue.next_deadline()), (None, Some(SECOND * 300)));
        queue.wake(pods[0], SECOND / 2);
        assert_eq!((queue.pop(), queue.next_deadline()), (None, Some(SECOND)));
        queue.advance(SECOND);
        assert_eq!(queue.pop(), Some(pods[0]));
        queue.fail(pods[0], PluginSet::default(), SECOND);
        queue.advance(SECOND * 300);
        assert_eq!(queue.pop(), None);
        queue.advance(SECOND * 301);
        assert_eq!(queue.pop(), Some(pods[0]));
        queue.remove(pods[0]);
        assert_eq!((queue.counts(), queue.contains(pods[0])), ([0; 4], false));
    }

    #[test]
    fn the_end_of_time_is_no_failure() {
        let pods = slots(1);
        let mut queue = Queue::new(Waits::new(&Profile { unschedulable_max: Duration::MAX, ..Profile::default() }));
        queue.push(pods[0], 0, Duration::MAX);
        assert_eq!(queue.pop(), Some(pods[0]));
        queue.fail(pods[0], PluginSet::default(), Duration::MAX);
        assert_eq!(queue.next_deadline(), Some(Duration::MAX));
        queue.wake(pods[0], Duration::MAX);
        queue.retry(pods[0], Duration::MAX);
        queue.advance(Duration::MAX);
        assert_eq!(queue.pop(), Some(pods[0]));
    }

    #[test]
    fn a_gated_pod_is_not_woken() {
        let pods = slots(1);
        let mut queue = queue();
        queue.gate(pods[0], 0, Duration::ZERO);
        queue.wake(pods[0], SECOND * 10);
        queue.advance(SECOND * 1000);
        assert_eq!((queue.pop(), queue.counts(), queue.is_gated(pods[0])), (None, [0, 0, 0, 1], true));
        queue.push(pods[0], 0, SECOND);
        assert_eq!(queue.pop(), Some(pods[0]));
    }
}
