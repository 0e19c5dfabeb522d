//! What a caller asks of a group, whatever the version.
//!
//! Every setting is an `Option`: `None` leaves the kernel's value alone and is never written as 0 or -1.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::controller::Controller;
use crate::cpuset::CpuSet;
use crate::device::{DeviceFilter, DeviceNumber};
use crate::value::{Bytes, CpuMax, CpuProportion, CpuUtilization, IoWeight, Limit};

/// Settings for a group; the default asks for nothing.
///
/// ```
/// use windlass_cgroups::{Bytes, CpuMax, Cpu, Limit, Memory, Resources};
///
/// let resources = Resources {
///     cpu: Cpu { max: Some(CpuMax::millicores(500)), ..Cpu::default() },
///     memory: Memory { max: Some(Limit::At(Bytes::mib(64))), ..Memory::default() },
///     ..Resources::default()
/// };
/// assert_eq!(resources.pids.max, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resources {
    /// CPU time.
    pub cpu: Cpu,
    /// Which CPUs and memory nodes.
    pub cpuset: Cpuset,
    /// Memory and swap.
    pub memory: Memory,
    /// Number of processes and threads.
    pub pids: Pids,
    /// Block devices.
    pub io: Io,
    /// Huge pages, one entry for each page size.
    pub hugetlb: Vec<Hugetlb>,
    /// RDMA devices.
    pub rdma: Vec<Rdma>,
    /// Miscellaneous resources by their names in `misc.capacity`.
    ///
    /// Kernel: `misc.max`, since 5.13.
    #[doc(alias = "misc.max")]
    pub misc: BTreeMap<String, Limit<u64>>,
    /// Memory of devices, one entry for each region.
    pub dmem: Vec<Dmem>,
    /// Marks on the packets of the group.
    pub network: Network,
    /// Which device nodes may be used.
    pub devices: Option<DeviceFilter>,
    /// Raw files of v2 and what to write to them, for what has no field here.
    ///
    /// A key is `CONTROLLER.FILE`; it may not be a file that another field sets, nor one that moves processes,
    /// enables controllers, only tells something, or is an act and no setting ([`INTERFACE`](crate::INTERFACE) knows
    /// them). Where the controller is not in v2 the answer is `Unsupported`.
    pub unified: BTreeMap<String, String>,
}

impl Resources {
    /// The controllers of which something is asked, less those that a `unified` file of an unknown name may need.
    pub fn controllers(&self) -> Vec<Controller> {
        Controller::ALL.into_iter().filter(|controller| self.ask(*controller)).collect()
    }

    /// Whether something is asked of a controller.
    pub(crate) fn ask(&self, controller: Controller) -> bool {
        let raw = |file: &String| file.split('.').next() == Some(controller.name());
        self.unified.keys().any(raw)
            || match controller {
                Controller::Cpu => self.cpu != Cpu::default(),
                Controller::Cpuset => self.cpuset != Cpuset::default(),
                Controller::Memory => self.memory != Memory::default(),
                Controller::Pids => self.pids != Pids::default(),
                Controller::Io => self.io != Io::default(),
                Controller::Hugetlb => !self.hugetlb.is_empty(),
                Controller::Devices => self.devices.is_some(),
                Controller::Rdma => !self.rdma.is_empty(),
                Controller::Misc => !self.misc.is_empty(),
                Controller::Dmem => !self.dmem.is_empty(),
                Controller::NetCls => self.network.class_id.is_some(),
                Controller::NetPrio => !self.network.priorities.is_empty(),
                _ => false,
            }
    }
}

/// CPU time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cpu {
    /// The proportion against sibling groups, when they compete.
    ///
    /// Kernel: `cpu.weight` (v2), `cpu.shares` (v1).
    #[doc(alias = "shares")]
    pub weight: Option<CpuProportion>,
    /// The most CPU time in each period.
    ///
    /// Kernel: `cpu.max` (v2), `cpu.cfs_quota_us` and `cpu.cfs_period_us` (v1).
    #[doc(alias = "quota")]
    pub max: Option<CpuMax>,
    /// How much unused quota may be saved up for later periods.
    ///
    /// Kernel: `cpu.max.burst` (v2), `cpu.cfs_burst_us` (v1), since 5.14. At most the quota.
    pub burst: Option<Duration>,
    /// Whether the group runs only when nothing else wants the CPU; excludes `weight`.
    ///
    /// Kernel: `cpu.idle`, since 5.15.
    pub idle: Option<bool>,
    /// The proportion as a nice value, -20 to 19; excludes `weight` and `idle`.
    ///
    /// Kernel: `cpu.weight.nice`, v2 only.
    pub nice: Option<i8>,
    /// The least utilization that frequency selection assumes of the group's tasks.
    ///
    /// Kernel: `cpu.uclamp.min`, since 5.4 with `CONFIG_UCLAMP_TASK_GROUP`.
    #[doc(alias = "uclamp")]
    pub uclamp_min: Option<CpuUtilization>,
    /// The most utilization that frequency selection assumes of the group's tasks.
    ///
    /// Kernel: `cpu.uclamp.max`, since 5.4 with `CONFIG_UCLAMP_TASK_GROUP`.
    pub uclamp_max: Option<CpuUtilization>,
    /// CPU time for real-time tasks in each `realtime_period`; `Max` lifts the limit.
    ///
    /// Kernel: `cpu.rt_runtime_us`, v1 only, with `CONFIG_RT_GROUP_SCHED`. A new group has none.
    pub realtime_runtime: Option<Limit<Duration>>,
    /// The period of `realtime_runtime`.
    ///
    /// Kernel: `cpu.rt_period_us`, v1 only, with `CONFIG_RT_GROUP_SCHED`.
    pub realtime_period: Option<Duration>,
}

/// Which CPUs and memory nodes a group's processes use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cpuset {
    /// CPUs.
    ///
    /// Kernel: `cpuset.cpus`. v1 wants a subset of the parent's, and a superset of each child's.
    pub cpus: Option<CpuSet>,
    /// Memory nodes.
    ///
    /// Kernel: `cpuset.mems`.
    pub mems: Option<CpuSet>,
    /// CPUs that no sibling may have in its own such set: from them a partition takes its CPUs.
    ///
    /// Kernel: `cpuset.cpus.exclusive`, v2 only, since 6.7.
    pub exclusive: Option<CpuSet>,
    /// Whether the CPUs become a scheduling domain of their own.
    ///
    /// Kernel: `cpuset.cpus.partition`, v2 only. The kernel takes an impossible partition and marks it invalid
    /// in the file; applying one reads it back and answers with an error.
    pub partition: Option<CpusetPartition>,
    /// Whether no sibling may have any of these CPUs.
    ///
    /// Kernel: `cpuset.cpu_exclusive`, v1 only; v2 has `exclusive` and `partition`.
    pub cpu_exclusive: Option<bool>,
    /// Whether no sibling may have any of these memory nodes.
    ///
    /// Kernel: `cpuset.mem_exclusive`, v1 only.
    pub mem_exclusive: Option<bool>,
    /// Whether kernel memory for user data comes from these nodes alone too.
    ///
    /// Kernel: `cpuset.mem_hardwall`, v1 only.
    pub mem_hardwall: Option<bool>,
    /// Whether memory follows when `mems` change; v2 does so always.
    ///
    /// Kernel: `cpuset.memory_migrate`, v1 only.
    pub memory_migrate: Option<bool>,
    /// Whether the scheduler balances load over these CPUs.
    ///
    /// Kernel: `cpuset.sched_load_balance`, v1 only; v2 has [`CpusetPartition::Isolated`].
    pub load_balance: Option<bool>,
    /// How far from its CPU a waking task is looked for an idle one, -1 to 5; -1 is the system's default.
    ///
    /// Kernel: `cpuset.sched_relax_domain_level`, v1 only.
    pub relax_domain_level: Option<i8>,
    /// Whether page cache is spread over the nodes.
    ///
    /// Kernel: `cpuset.memory_spread_page`, v1 only.
    pub memory_spread_page: Option<bool>,
}

/// Kind of a CPU partition of v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CpusetPartition {
    /// No partition of its own.
    Member,
    /// A scheduling domain.
    Root,
    /// CPUs without load balancing (since 6.1).
    Isolated,
}

/// Memory and swap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    /// The hard limit: beyond it the kernel reclaims, then kills.
    ///
    /// Kernel: `memory.max` (v2), `memory.limit_in_bytes` (v1); rounded down to whole pages.
    #[doc(alias = "limit")]
    pub max: Option<Limit<Bytes>>,
    /// The soft limit: beyond it the group is slowed down and reclaimed from.
    ///
    /// Kernel: `memory.high` (v2); v1 has only `memory.soft_limit_in_bytes`, which acts when the machine is short
    /// of memory: `Converted`, lossy.
    #[doc(alias = "soft_limit")]
    pub high: Option<Limit<Bytes>>,
    /// Memory that is reclaimed last.
    ///
    /// Kernel: `memory.low`, v2 only.
    pub low: Option<Limit<Bytes>>,
    /// Memory that is never reclaimed.
    ///
    /// Kernel: `memory.min`, v2 only.
    pub min: Option<Limit<Bytes>>,
    /// The most swap, not counting memory.
    ///
    /// Kernel: `memory.swap.max` (v2); v1 limits the sum of memory and swap, so there a limit needs a `max` that is
    /// set here or was before. `None` leaves swap alone, `At(0)` forbids it, `Max` lifts the limit; a sum as OCI
    /// gives it goes through [`swap_of_total`].
    pub swap: Option<Limit<Bytes>>,
    /// Whether an out-of-memory kill ends every process of the group.
    ///
    /// Kernel: `memory.oom.group`, v2 only.
    pub oom_group: Option<bool>,
    /// How much the kernel prefers to swap, 0 to 100.
    ///
    /// Kernel: `memory.swappiness`, v1 only.
    pub swappiness: Option<u8>,
    /// Swap beyond which the group is slowed down.
    ///
    /// Kernel: `memory.swap.high`, v2 only, since 5.8.
    pub swap_high: Option<Limit<Bytes>>,
    /// The most memory for compressed swap.
    ///
    /// Kernel: `memory.zswap.max`, v2 only, since 5.19.
    pub zswap_max: Option<Limit<Bytes>>,
    /// Whether compressed swap may be written back to the disk.
    ///
    /// Kernel: `memory.zswap.writeback`, v2 only, since 6.8.
    pub zswap_writeback: Option<bool>,
    /// Whether tasks at the hard limit wait instead of being killed.
    ///
    /// Kernel: `memory.oom_control`, v1 only.
    pub oom_kill_disable: Option<bool>,
}

/// The amount of swap in a limit on memory and swap together, which is how OCI and v1 count.
///
/// A total equal to the memory limit is no swap at all.
///
/// Errors: a total below the memory limit, or a limited total over unlimited memory.
pub fn swap_of_total(total: Limit<Bytes>, memory: Limit<Bytes>) -> Result<Limit<Bytes>, crate::value::OutOfRange> {
    let fail = |reason| {
        Err(crate::value::OutOfRange {
            what: "the limit on memory and swap together",
            value: total.to_string(),
            reason,
        })
    };
    match (total, memory) {
        (Limit::Max, _) => Ok(Limit::Max),
        (Limit::At(_), Limit::Max) => fail("memory has no limit"),
        (Limit::At(total), Limit::At(memory)) => match total.checked_sub(memory) {
            Some(swap) => Ok(Limit::At(swap)),
            None => fail("it is below the limit on memory"),
        },
    }
}

/// Number of processes and threads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pids {
    /// The most tasks; `At(0)` forbids every fork, which is not the same as unset.
    ///
    /// Kernel: `pids.max`.
    pub max: Option<Limit<u64>>,
}

/// Block devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Io {
    /// The proportion against sibling groups.
    ///
    /// Kernel: `io.weight`, else `io.bfq.weight` (v2); `blkio.bfq.weight` (v1). BFQ ends at 1000: a greater weight
    /// is `Converted`, lossy.
    pub weight: Option<IoWeight>,
    /// The proportion on single devices; `None` for a device goes back to `weight`.
    ///
    /// Kernel: `io.weight`, else `io.bfq.weight` (v2); `blkio.bfq.weight_device` (v1), since 5.4. BFQ ends at 1000.
    pub device_weights: Vec<(DeviceNumber, Option<IoWeight>)>,
    /// The most data and operations a second, for each device.
    ///
    /// Kernel: `io.max` (v2), `blkio.throttle.*` (v1).
    #[doc(alias = "throttle")]
    pub max: Vec<IoMax>,
    /// The latency that is kept for the group on each device, at the cost of groups with a greater one; zero lifts it.
    ///
    /// Kernel: `io.latency`, v2 only, since 4.19 with `CONFIG_BLK_CGROUP_IOLATENCY`.
    pub latency: Vec<(DeviceNumber, Duration)>,
    /// What becomes of the io priority that tasks have by themselves.
    ///
    /// Kernel: `io.prio.class` (v2), `blkio.prio.class` (v1), since 5.14 with `CONFIG_BLK_CGROUP_IOPRIO`.
    pub priority: Option<IoPriority>,
}

/// What becomes of the io priority that tasks of a group have by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IoPriority {
    /// It stays.
    NoChange,
    /// What is not real-time becomes real-time (since 6.5).
    PromoteToRealtime,
    /// What is real-time becomes best-effort.
    RestrictToBestEffort,
    /// It becomes idle.
    Idle,
}

/// The most data and operations a second on one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IoMax {
    /// The whole disk; the kernel refuses partitions.
    pub device: DeviceNumber,
    /// Bytes read a second.
    pub read_bytes: Option<Limit<Bytes>>,
    /// Bytes written a second.
    pub write_bytes: Option<Limit<Bytes>>,
    /// Read operations a second.
    pub read_operations: Option<Limit<u64>>,
    /// Write operations a second.
    pub write_operations: Option<Limit<u64>>,
}

impl IoMax {
    /// A rule for this device that sets nothing yet.
    pub const fn new(device: DeviceNumber) -> Self {
        Self { device, read_bytes: None, write_bytes: None, read_operations: None, write_operations: None }
    }
}

/// Resources of one RDMA device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rdma {
    /// The device, such as `mlx5_0`.
    pub device: String,
    /// The most handles.
    ///
    /// Kernel: `hca_handle` in `rdma.max`, since 4.11.
    pub handles: Option<Limit<u32>>,
    /// The most objects.
    ///
    /// Kernel: `hca_object` in `rdma.max`, since 4.11.
    pub objects: Option<Limit<u32>>,
}

/// Memory of a device's region.
///
/// Kernel: `dmem.max`, `dmem.low` and `dmem.min`, since 6.14.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dmem {
    /// The region, such as `drm/0000:03:00.0/vram0`, as `dmem.capacity` of the root names it.
    pub region: String,
    /// The hard limit.
    pub max: Option<Limit<Bytes>>,
    /// Memory that is evicted last.
    pub low: Option<Limit<Bytes>>,
    /// Memory that is never evicted.
    pub min: Option<Limit<Bytes>>,
}

/// Marks on the packets of a group; v1 only, for v2 has nothing that answers to a class.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// The class of traffic control: major number in the upper, minor number in the lower half.
    ///
    /// Kernel: `net_cls.classid`.
    pub class_id: Option<u32>,
    /// The priority of packets by network interface.
    ///
    /// Kernel: `net_prio.ifpriomap`.
    pub priorities: BTreeMap<String, u32>,
}

/// Huge pages of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hugetlb {
    /// The page size, such as 2 MiB.
    pub page_size: Bytes,
    /// The most memory in such pages.
    ///
    /// Kernel: `hugetlb.SIZE.max` (v2), `hugetlb.SIZE.limit_in_bytes` (v1).
    pub max: Option<Limit<Bytes>>,
    /// The most memory reserved in such pages.
    ///
    /// Kernel: `hugetlb.SIZE.rsvd.max` (v2), `hugetlb.SIZE.rsvd.limit_in_bytes` (v1), since 5.7.
    pub reserved_max: Option<Limit<Bytes>>,
}

#[cfg(test)]
mod tests {
    use super::swap_of_total;
    use crate::value::{Bytes, Limit};

    #[test]
    fn the_four_cases_of_swap() {
        let at = |mib| Limit::At(Bytes::mib(mib));
        assert_eq!(swap_of_total(at(64), at(64)), Ok(Limit::At(Bytes::new(0))));
        assert_eq!(swap_of_total(at(96), at(64)), Ok(at(32)));
        assert_eq!(swap_of_total(Limit::Max, at(64)), Ok(Limit::Max));
        assert!(swap_of_total(at(32), at(64)).is_err());
        assert!(swap_of_total(at(32), Limit::Max).is_err());
    }
}
