//! The kernel's resource controllers and the two versions of their interface.

/// Version of the cgroup interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// One hierarchy for each controller, or for a few mounted together.
    V1,
    /// The unified hierarchy.
    V2,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        })
    }
}

/// What a group can limit or count, named as v2 names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Controller {
    /// CPU time: proportion, bandwidth and accounting (v1: `cpu` and `cpuacct`, which may be two hierarchies).
    #[doc(alias = "cpuacct")]
    Cpu,
    /// Which CPUs and memory nodes.
    Cpuset,
    /// Memory and swap.
    Memory,
    /// Block devices.
    #[doc(alias = "blkio")]
    Io,
    /// Number of processes and threads.
    Pids,
    /// Huge pages.
    Hugetlb,
    /// Stopping every process of a group (v2: built in).
    Freezer,
    /// Which device nodes may be opened (v2: a BPF program on the group).
    Devices,
    /// RDMA resources.
    Rdma,
    /// Miscellaneous scalar resources.
    Misc,
    /// Device memory; settable with raw keys of v2.
    Dmem,
    /// Scope for `perf` (v2: built in).
    PerfEvent,
    /// A mark on packets for traffic control; v1 only.
    NetCls,
    /// The priority of packets; v1 only.
    NetPrio,
}

impl Controller {
    /// Every controller that this crate knows, in the order in which reports list them.
    pub const ALL: [Self; 14] = [
        Self::Cpu,
        Self::Cpuset,
        Self::Memory,
        Self::Io,
        Self::Pids,
        Self::Hugetlb,
        Self::Freezer,
        Self::Devices,
        Self::Rdma,
        Self::Misc,
        Self::Dmem,
        Self::PerfEvent,
        Self::NetCls,
        Self::NetPrio,
    ];

    /// The name in `cgroup.controllers`, also of those that v2 has built in.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuset => "cpuset",
            Self::Memory => "memory",
            Self::Io => "io",
            Self::Pids => "pids",
            Self::Hugetlb => "hugetlb",
            Self::Freezer => "freezer",
            Self::Devices => "devices",
            Self::Rdma => "rdma",
            Self::Misc => "misc",
            Self::Dmem => "dmem",
            Self::PerfEvent => "perf_event",
            Self::NetCls => "net_cls",
            Self::NetPrio => "net_prio",
        }
    }

    /// The subsystems of v1 that do the same; the first one takes the settings.
    pub(crate) const fn subsystems(self) -> &'static [&'static str] {
        match self {
            Self::Cpu => &["cpu", "cpuacct"],
            Self::Cpuset => &["cpuset"],
            Self::Memory => &["memory"],
            Self::Io => &["blkio"],
            Self::Pids => &["pids"],
            Self::Hugetlb => &["hugetlb"],
            Self::Freezer => &["freezer"],
            Self::Devices => &["devices"],
            Self::Rdma => &["rdma"],
            Self::Misc => &["misc"],
            Self::Dmem => &["dmem"],
            Self::PerfEvent => &["perf_event"],
            Self::NetCls => &["net_cls"],
            Self::NetPrio => &["net_prio"],
        }
    }

    /// Whether v2 has it in every group, with nothing to enable.
    pub(crate) const fn built_into_v2(self) -> bool {
        matches!(self, Self::Freezer | Self::Devices | Self::PerfEvent)
    }

    /// The controller of this name in `cgroup.controllers`.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|controller| controller.name() == name)
    }
}

impl std::fmt::Display for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
