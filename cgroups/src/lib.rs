//! Limit, freeze, kill and measure groups of Linux processes with cgroup v1 and v2.

mod apply;
mod controller;
mod cpuset;
mod create;
mod deadline;
mod device;
mod directory;
mod error;
mod events;
mod format;
mod freeze;
mod group;
mod hierarchy;
mod kill;
mod mountinfo;
mod observed;
mod path;
mod pids;
mod plan;
mod reader;
mod remove;
mod report;
mod resources;
mod setting;
mod stats;
mod v1;
mod v2;
mod value;
mod watch;

pub use controller::{Controller, Version};
pub use cpuset::{CpuSet, ParseCpuSetError};
pub use device::{DeviceAccess, DeviceAction, DeviceFilter, DeviceKind, DeviceNumber, DeviceRule};
pub use error::{Error, FailedWrite, Holder, NotDelegated, Result, Rollback};
pub use group::Group;
pub use hierarchy::{Anchor, Hierarchies, Placement};
pub use observed::{Home, Layout, Observed};
pub use path::{GroupPath, ParseGroupPathError};
pub use plan::Plan;
pub use reader::{StatKind, StatReader, StatSelection};
pub use report::{Outcome, Reason, Report, ReportItem};
pub use resources::{Cpu, Cpuset, CpusetPartition, Hugetlb, Io, IoMax, Memory, Pids, Resources, swap_of_total};
pub use setting::{Action, Check, Conversion, Setting, Undo, Write};
pub use stats::{
    Absence, CpuStats, HugetlbStats, IoDeviceStats, IoStats, MemoryStats, PidsStats, Pressure, PressureShare,
    PressureStats, Stats,
};
pub use value::{Bytes, CpuMax, CpuProportion, CpuShares, CpuWeight, IoWeight, Limit, OutOfRange};
pub use watch::{Event, Watch};
