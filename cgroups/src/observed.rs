//! What a plan must know of the group before it can order and convert.

use std::time::Duration;

use crate::controller::Controller;
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
