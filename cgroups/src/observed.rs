//! What a plan must know of the group before it can order and convert.

use std::time::Duration;

use crate::controller::{Controller, Version};
use crate::report::Reason;
use crate::value::{Bytes, Limit};

/// Where each controller of a group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    homes: [Home; Controller::ALL.len()],
}

/// Where a controller of a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Home {
    /// In a hierarchy of v1.
    V1,
    /// In the unified hierarchy.
    V2,
    /// Nowhere, and why.
    Absent(Reason),
}

impl Layout {
    /// Asks `home` about each controller.
    pub fn new(mut home: impl FnMut(Controller) -> Home) -> Self {
        Self { homes: Controller::ALL.map(&mut home) }
    }

    /// Where a controller is.
    pub fn home(&self, controller: Controller) -> Home {
        self.homes[controller as usize]
    }
}

/// What a file holds in a group that nobody has changed yet; `None` where that depends on more than the kernel.
pub(crate) fn in_new_group(version: Version, file: &str) -> Option<&'static str> {
    let (_, _, value) = NEW_GROUP.iter().find(|(found, name, _)| (*found, *name) == (version, file))?;
    Some(value)
}

/// The files that most groups have changed, and what they hold before.
const NEW_GROUP: [(Version, &str, &str); 12] = [
    (Version::V1, "cpu.shares", "1024"),
    (Version::V1, "cpu.cfs_period_us", "100000"),
    (Version::V1, "cpu.cfs_quota_us", "-1"),
    (Version::V1, "memory.limit_in_bytes", "-1"),
    (Version::V1, "pids.max", "max"),
    (Version::V2, "cpu.weight", "100"),
    (Version::V2, "cpu.max", "max 100000"),
    (Version::V2, "memory.max", "max"),
    (Version::V2, "memory.high", "max"),
    (Version::V2, "memory.swap.max", "max"),
    (Version::V2, "memory.oom.group", "0"),
    (Version::V2, "pids.max", "max"),
];

/// The CPU period of v1 in a group that nobody has changed yet.
pub(crate) const NEW_CPU_PERIOD: Duration = Duration::from_millis(100);

/// The values of the group that decide the order of writes; a `None` was not read or is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// The CPU period of v1, which has it in a file of its own.
    pub cpu_period: Option<Duration>,
    /// The period of v1 for real-time tasks.
    pub realtime_period: Option<Duration>,
    /// Saved-up quota.
    pub cpu_burst: Option<Duration>,
    /// v1's limit on memory.
    pub memory_limit: Option<Limit<Bytes>>,
    /// v1's limit on memory and swap together.
    pub memory_and_swap_limit: Option<Limit<Bytes>>,
    /// The file for the io weight.
    pub io_weight_file: Option<&'static str>,
}
