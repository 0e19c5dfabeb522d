//! The control groups of one pod: a parent with the pod's limits, and a group for each run of a container.
//!
//! A container that starts again gets a group of its own again: what was killed in the old one is still being counted
//! there, and the kernel may still be killing in it.

use std::time::Duration;

use windlass_cgroups::{Absence, Bytes, Controller, Group, Outcome, Resources};

use super::error::{Error, Result};

/// How long a group's processes may take to end once they are killed.
const KILL: Duration = Duration::from_secs(10);

/// The groups of one pod.
#[derive(Debug)]
pub(super) struct PodGroup {
    group: Group,
    uid: String,
}

/// What a pod has used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Time on a CPU.
    pub cpu: Counted<Duration>,
    /// Memory now.
    pub memory: Counted<Bytes>,
    /// The most memory at any time; not everywhere counted.
    pub memory_peak: Option<Bytes>,
    /// Bytes read from and written to block devices.
    pub io: Counted<(Bytes, Bytes)>,
    /// Processes and threads now.
    pub pids: Counted<u64>,
}

/// A number, or why there is none.
pub type Counted<T> = std::result::Result<T, String>;

impl PodGroup {
    /// Makes the parent below the node's group.
    pub(super) fn create(node: &Group, uid: &str, limits: &Resources) -> Result<Self> {
        let group = node.child(&format!("pod-{uid}")).map_err(Error::cgroup("create", uid))?;
        let made = Self { group, uid: uid.to_owned() };
        match made.limit(&made.group, limits) {
            Ok(()) => Ok(made),
            Err(error) => {
                // The refusal is what the pod is told; an empty group that stays goes with the node's.
                let _ = made.group.remove();
                Err(error)
            }
        }
    }

    /// Makes a group for one run of a container, or for the sandbox.
    pub(super) fn part(&self, name: &str, limits: &Resources) -> Result<Group> {
        let part = self.group.child(name).map_err(Error::cgroup("create", name))?;
        match self.limit(&part, limits) {
            Ok(()) => Ok(part),
            Err(error) => {
                // As above.
                let _ = part.remove();
                Err(error)
            }
        }
    }

    /// What the pod's processes have used, those that have ended included.
    pub(super) fn usage(&self) -> Result<Usage> {
        let stats = self.group.stats().map_err(Error::cgroup("read", &self.uid))?;
        let why = |controller| {
            stats
                .why_absent(controller)
                .map_or_else(|| "not counted".to_owned(), |absence: Absence| absence.to_string())
        };
        Ok(Usage {
            cpu: stats.cpu.as_ref().map(|cpu| cpu.usage).ok_or_else(|| why(Controller::Cpu)),
            memory: stats.memory.as_ref().map(|memory| memory.current).ok_or_else(|| why(Controller::Memory)),
            memory_peak: stats.memory.as_ref().and_then(|memory| memory.peak),
            io: stats.io.as_ref().map(|io| (io.read_bytes(), io.write_bytes())).ok_or_else(|| why(Controller::Io)),
            pids: stats.pids.as_ref().map(|pids| pids.current).ok_or_else(|| why(Controller::Pids)),
        })
    }

    /// Ends every process that is left, and removes the groups.
    pub(super) fn remove(self) -> Result<()> {
        self.group.kill_and_wait(KILL).map_err(Error::cgroup("empty", &self.uid))?;
        self.group.remove_tree().map_err(Error::cgroup("remove", &self.uid))
    }

    /// Sets limits; one on a controller that the pod's groups have must hold.
    fn limit(&self, group: &Group, limits: &Resources) -> Result<()> {
        let report = group.apply_best_effort(limits).map_err(Error::cgroup("limit", &self.uid))?;
        let held = self.group.controllers();
        let broken = report.items.iter().find(|item| match &item.outcome {
            Outcome::Unsupported { controller, .. } => held.contains(controller) && !OPTIONAL.contains(&&*item.setting),
            _ => false,
        });
        match broken {
            Some(item) => Err(Error::Limit { setting: item.to_string() }),
            None => Ok(()),
        }
    }
}

/// What is set where it can be: without swap accounting there is no swap to keep a container from.
const OPTIONAL: [&str; 1] = ["memory.swap"];

/// Removes the group of a run that has ended.
pub(super) fn remove_part(part: &Group, name: &str) -> Result<()> {
    part.kill_and_wait(KILL).map_err(Error::cgroup("empty", name))?;
    part.remove().map_err(Error::cgroup("remove", name))
}
