//! Limit, freeze, kill and measure groups of Linux processes with cgroup v1, v2, or both at once.
//!
//! ```no_run
//! use windlass_cgroups::{Bytes, Controller, GroupPath, Hierarchies, Limit, Memory, Resources};
//!
//! let all = Hierarchies::discover()?;
//! let group = all.create(&GroupPath::new("my-service")?, &[Controller::Cpu, Controller::Memory])?;
//! let memory = Memory { max: Some(Limit::At(Bytes::mib(64))), ..Memory::default() };
//! group.apply(&Resources { memory, ..Resources::default() })?;
//! group.add(std::process::id())?;
//! println!("{:?}", group.stats()?.cpu);
//! # Ok::<(), windlass_cgroups::Error>(())
//! ```
//!
//! (The example moves its process into a new group, which takes root or a delegated group; it is compiled, not run.)
//!
//! # How data flows
//!
//! [`Resources`] says what is asked for, whatever the version. [`Plan::new`] turns it, as a pure function, into writes
//! in an order of which the kernel refuses no step; [`Group::plan`] prints what would be written. [`Group::apply`]
//! writes all of it or nothing and answers with a [`Report`]: applied, converted (from what to what, with or without
//! loss), or unsupported and why. The other way, [`Group::stats`] and [`StatReader`] read kernel files into [`Stats`],
//! with one unit for each field in both versions.
//!
//! # Where groups are
//!
//! [`Hierarchies::discover`] finds what is mounted by the options of the mounts. Groups are named by a [`GroupPath`]
//! below what [`Anchor`] says, by default the mounted root:
//!
//! - On a machine with v1, or v1 controllers beside v2, a group is a directory in each hierarchy that has one of its
//!   controllers, and in v2, by which its processes are frozen, killed and watched.
//! - On a systemd machine with v2, root makes groups beside `system.slice`, out of systemd's way. A user's program is
//!   started with `Delegate=yes` and `DelegateSubgroup=`, and takes [`Anchor::OwnParent`].
//! - In a container with its own cgroup namespace the mounted root is the container's group. It holds processes, and
//!   v2 lets no such group pass controllers on: [`Hierarchies::vacate`] moves them to a leaf first, when asked.
//!
//! # What holds
//!
//! - A [`Group`] is a set of directory descriptors, opened beneath each other without links and mounts. When the group
//!   is removed every operation is [`Error::Gone`], also if another of the same name is there.
//! - What is not set is left alone. What cannot be had is an error, or in
//!   [`apply_best_effort`](Group::apply_best_effort) an entry of the report.
//! - A statistic that nobody counts is `None`, with [`Stats::why_absent`]; never zero. v1 for one counts the io of a
//!   device only once a throttle rule names it, and never writes that go through the page cache.
//! - Nothing is killed but by [`Group::kill_and_wait`], and a removal waits for events of the kernel, not in a loop.
//!
//! # Features
//!
//! Both are off by default. `oci` adds a module that turns the `linux.resources` of an OCI runtime configuration into
//! [`Resources`], and lists the fields that it took. `systemd` adds a module that has systemd make a transient scope.
//!
//! # What it deliberately does not do
//!
//! It starts no processes: `descriptors()` are for whoever does. It has no global state, prints nothing, runs no
//! program, and leaves mounting hierarchies to the machine. It does not join named v1 hierarchies, which limit nothing.

#![deny(unsafe_code)]

mod bpf;
mod controller;
mod cpuset;
mod device;
mod error;
mod format;
mod group;
mod hierarchy;
mod interface;
mod io_cost;
mod mountinfo;
mod observed;
#[cfg(feature = "oci")]
pub mod oci;
mod path;
mod pids;
mod plan;
mod reader;
mod report;
mod resources;
mod scalars;
mod setting;
mod stat_file;
mod stats;
#[expect(unsafe_code, reason = "bpf(2) has no safe call in the crates in use")]
mod sys;
#[cfg(feature = "systemd")]
pub mod systemd;
mod text;
mod v1;
mod v2;
mod value;
mod watch;

pub use bpf::DeviceProgram;
pub use controller::{Controller, Version};
pub use cpuset::{CpuSet, ParseCpuSetError};
pub use device::{DeviceAccess, DeviceAction, DeviceFilter, DeviceKind, DeviceNumber, DeviceRule};
pub use error::{Error, FailedWrite, Holder, NotDelegated, Result, Rollback};
pub use group::Group;
pub use group::node::MemoryNode;
pub use group::peak::{PeakMeter, PeakOf, Reclaimed};
pub use group::pressure::{PressureOn, PressureTrigger, Stall};
pub use group::pressure_v1::{MemoryPressure, PressureLevel, PressureScope};
pub use group::thread::GroupType;
pub use group::tree::{TreeLimits, TreeStats};
pub use hierarchy::{Anchor, Hierarchies, Placement};
pub use interface::{FileAccess, FilePlace, INTERFACE, InterfaceFile};
pub use io_cost::{CostControl, IoCost, IoCostModel, IoCostQos};
pub use observed::{Home, Layout, Observed};
pub use path::{GroupPath, ParseGroupPathError};
pub use plan::Plan;
pub use reader::StatReader;
pub use report::{Outcome, Reason, Report, ReportItem};
pub use resources::{
    Cpu, Cpuset, CpusetPartition, Dmem, Hugetlb, Io, IoMax, IoPriority, Memory, Network, Pids, Rdma, Resources,
    swap_of_total,
};
pub use setting::{Action, Check, Conversion, Setting, Undo, Write, Writes};
pub use stat_file::{StatKind, StatSelection};
pub use stats::{
    Absence, CpuStats, DmemStats, HugetlbNodes, HugetlbStats, IoDeviceStats, IoStats, MemoryEvents, MemoryStats,
    MiscStats, PidsStats, Pressure, PressureShare, PressureStats, RdmaStats, Stats,
};
pub use value::{Bytes, CpuMax, CpuProportion, CpuShares, CpuUtilization, CpuWeight, IoWeight, Limit, OutOfRange};
pub use watch::many::{WatchKey, WatchMany};
pub use watch::{Event, Watch};
