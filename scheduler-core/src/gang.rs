//! Pod groups: pods that are placed together or not at all.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::Decision;
use crate::intern::Symbol;
use crate::shared::Shared;
use crate::slot::PodSlot;

/// The label by which a pod names its group.
pub(crate) const GROUP_LABEL: &str = "scheduling.x-k8s.io/pod-group";

/// A group's namespace and name.
pub(crate) type GroupKey = (Symbol, Symbol);

/// What an attempt to place a group led to.
#[derive(Debug)]
pub(crate) enum GangAttempt {
    /// The group has what it needs: the pod is tried by itself.
    Alone,
    /// Pods are missing; those that are there wait for them.
    Incomplete,
    Decided(Decision),
}

/// Which pods belong together, and how many of them are needed at least.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gangs {
    /// The groups that were applied.
    needed: BTreeMap<GroupKey, usize>,
    /// Of every group that a pod names, applied or not.
    members: Shared<BTreeMap<GroupKey, BTreeSet<PodSlot>>>,
    named: Shared<BTreeMap<PodSlot, GroupKey>>,
    /// Members that gates of their own hold back, or that are leaving.
    held: BTreeSet<PodSlot>,
}

impl Gangs {
    /// Says how many pods a group needs; `None` is no group.
    pub(crate) fn set(&mut self, group: GroupKey, needed: Option<usize>) {
        match needed {
            Some(needed) => self.needed.insert(group, needed),
            None => self.needed.remove(&group),
        };
    }

    /// Says which group a pod names, and whether something else holds it back.
    pub(crate) fn name(&mut self, pod: PodSlot, group: Option<GroupKey>, is_held: bool) {
        self.forget(pod);
        let Some(group) = group else { return };
        self.named.insert(pod, group);
        self.members.entry(group).or_default().insert(pod);
        if is_held {
            self.held.insert(pod);
        }
    }

    pub(crate) fn forget(&mut self, pod: PodSlot) {
        self.held.remove(&pod);
        let Some(group) = self.named.get(&pod).copied() else { return };
        self.named.remove(&pod);
        if let Some(pods) = self.members.get_mut(&group) {
            pods.remove(&pod);
            if pods.is_empty() {
                self.members.remove(&group);
            }
        }
    }

    /// The group that a pod is placed with.
    pub(crate) fn of(&self, pod: PodSlot) -> Option<GroupKey> {
        self.named.get(&pod).copied().filter(|group| self.needed.contains_key(group))
    }

    /// Whether a pod waits for others of its group.
    pub(crate) fn waits(&self, pod: PodSlot) -> bool {
        self.of(pod).is_some_and(|group| !self.is_complete(group))
    }

    /// How many pods a group needs at least.
    pub(crate) fn needed(&self, group: GroupKey) -> usize {
        self.needed.get(&group).copied().unwrap_or(0)
    }

    /// The pods of a group that nothing else holds back.
    pub(crate) fn ready(&self, group: GroupKey) -> impl Iterator<Item = PodSlot> + '_ {
        self.members.get(&group).into_iter().flatten().copied().filter(|pod| !self.held.contains(pod))
    }

    /// Whether there are as many pods as the group needs.
    pub(crate) fn is_complete(&self, group: GroupKey) -> bool {
        self.ready(group).count() >= self.needed(group)
    }
}
