//! What a group used, in one unit for each field whatever the version.
//!
//! A field is `None` where this kernel, version or group does not count it; it is never a made-up zero.

use std::mem::take;
use std::time::Duration;

use crate::controller::Controller;
use crate::device::DeviceNumber;
use crate::value::{Bytes, Limit};

/// The accounting of a group and all groups below it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stats {
    /// CPU time.
    pub cpu: Option<CpuStats>,
    /// Memory and swap.
    pub memory: Option<MemoryStats>,
    /// Number of processes and threads.
    pub pids: Option<PidsStats>,
    /// Block devices.
    ///
    /// Kernel: v1 counts a device only from the moment when some group has a throttle rule for it. Where no device
    /// was counted this is `None`, and [`Stats::why_absent`] says so.
    pub io: Option<IoStats>,
    /// Huge pages, one entry for each page size.
    pub hugetlb: Option<Vec<HugetlbStats>>,
    /// Handles and objects of RDMA devices, one entry for each device.
    pub rdma: Option<Vec<RdmaStats>>,
    /// Miscellaneous resources, one entry for each.
    pub misc: Option<Vec<MiscStats>>,
    /// Memory of devices, one entry for each region.
    pub dmem: Option<Vec<DmemStats>>,
    /// Time lost waiting, where the group is in v2.
    pub pressure: PressureStats,
    pub(crate) absent: Vec<(Controller, Absence)>,
}

impl Stats {
    /// Why the statistics of `controller` are `None`; `None` itself if they are there or were not selected.
    pub fn why_absent(&self, controller: Controller) -> Option<Absence> {
        self.absent.iter().find(|(absent, _)| *absent == controller).map(|(_, absence)| *absence)
    }

    /// Forgets the last reading and keeps the memory that it took.
    pub(crate) fn clear(&mut self) {
        if let Some(cpu) = &mut self.cpu {
            let mut per_cpu = cpu.per_cpu.take();
            per_cpu.iter_mut().for_each(Vec::clear);
            *cpu = CpuStats { per_cpu, ..CpuStats::default() };
        }
        self.memory = None;
        self.pids = None;
        if let Some(io) = &mut self.io {
            io.devices.clear();
        }
        if let Some(hugetlb) = &mut self.hugetlb {
            hugetlb.clear();
        }
        self.rdma.iter_mut().flatten().for_each(|entry| *entry = RdmaStats::new(take(&mut entry.device)));
        self.misc.iter_mut().flatten().for_each(|entry| *entry = MiscStats::new(take(&mut entry.resource)));
        self.dmem.iter_mut().flatten().for_each(|entry| *entry = DmemStats::new(take(&mut entry.region)));
        self.pressure = PressureStats::default();
        self.absent.clear();
    }

    /// Drops the entries of a former reading that this one did not find again.
    pub(crate) fn drop_unseen(&mut self) {
        self.rdma.iter_mut().for_each(|entries| entries.retain(|entry| entry.handles.is_some()));
        self.misc.iter_mut().for_each(|entries| entries.retain(|entry| entry.current.is_some()));
        self.dmem.iter_mut().for_each(|entries| entries.retain(|entry| entry.current.is_some()));
    }
}

/// Why there are no statistics of a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Absence {
    /// The group is in no hierarchy with this controller.
    NotEnabled,
    /// v1 counts io of a device only once a throttle rule names it, and none of this group's devices was counted.
    NoThrottleRule,
}

impl std::fmt::Display for Absence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotEnabled => "the group does not have this controller",
            Self::NoThrottleRule => "cgroup v1 counts io only on devices with a throttle rule",
        })
    }
}

/// CPU time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuStats {
    /// All CPU time.
    pub usage: Duration,
    /// In user space.
    ///
    /// Kernel: v1 samples this and [`system`](Self::system) at the clock's ticks: they need not add up to the usage.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
    /// Of [`user`](Self::user), what tasks of a raised nice value used; v2 since 6.11.
    pub nice: Option<Duration>,
    /// Time for which CPUs were kept idle lest a task that this group does not trust shares their core; v2 since 6.0
    /// with core scheduling.
    pub force_idle: Option<Duration>,
    /// Usage on each possible CPU, by its number; v1 only.
    pub per_cpu: Option<Vec<Duration>>,
    /// Bandwidth periods in which the group wanted to run.
    pub periods: Option<u64>,
    /// Periods in which the quota ran out.
    pub throttled_periods: Option<u64>,
    /// Time for which the group's tasks were held back, added over CPUs.
    pub throttled: Option<Duration>,
    /// Time for which this group's own quota held tasks back, added over CPUs; what groups above hold back is not in it.
    ///
    /// Kernel: `cpu.stat.local`, since 6.6.
    pub throttled_local: Option<Duration>,
    /// Periods that went over the quota on saved-up burst.
    pub burst_periods: Option<u64>,
    /// Time over the quota on saved-up burst, added over CPUs.
    pub burst: Option<Duration>,
}

/// Memory and swap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryStats {
    /// In use now, page cache included.
    pub current: Bytes,
    /// The most that was in use.
    ///
    /// Kernel: `memory.peak` since 5.19 (v2), `memory.max_usage_in_bytes` (v1).
    pub peak: Option<Bytes>,
    /// The hard limit of this group itself.
    pub max: Option<Limit<Bytes>>,
    /// Swap in use now.
    pub swap: Option<Bytes>,
    /// The limit on swap alone; `None` on v1, where swap has none of its own.
    pub swap_max: Option<Limit<Bytes>>,
    /// The most swap that was in use; v2 since 6.5.
    pub swap_peak: Option<Bytes>,
    /// Memory that compressed swap takes; v2 since 5.19.
    pub zswap: Option<Bytes>,
    /// Memory that belongs to no file.
    pub anon: Option<Bytes>,
    /// Page cache, shared memory included.
    pub file: Option<Bytes>,
    /// Memory of the kernel itself.
    pub kernel: Option<Bytes>,
    /// Objects of the kernel; v2 only.
    pub slab: Option<Bytes>,
    /// Buffers of sockets; v2 only.
    pub sock: Option<Bytes>,
    /// Shared memory and tmpfs, which [`file`](Self::file) includes.
    pub shmem: Option<Bytes>,
    /// Page cache that is mapped.
    pub file_mapped: Option<Bytes>,
    /// Page cache that was changed and not yet written.
    pub file_dirty: Option<Bytes>,
    /// Page cache that is being written.
    pub file_writeback: Option<Bytes>,
    /// Memory that belongs to no file and was not used lately.
    pub inactive_anon: Option<Bytes>,
    /// Memory that belongs to no file and was used lately.
    pub active_anon: Option<Bytes>,
    /// Page cache that was not used lately: what the kernel takes back first. Without it, `current` is the working set.
    pub inactive_file: Option<Bytes>,
    /// Page cache that was used lately.
    pub active_file: Option<Bytes>,
    /// Memory that cannot be reclaimed.
    pub unevictable: Option<Bytes>,
    /// Processes that the kernel killed for want of memory.
    ///
    /// Kernel: `oom_kill` of `memory.events` (v2: groups below included) or of `memory.oom_control` (v1, since
    /// 4.13: this group's own processes only).
    pub oom_kills: Option<u64>,
    /// How often whole groups were killed; v2 since 5.17.
    pub oom_group_kills: Option<u64>,
    /// What happened in this group itself and not below it; v2 since 5.2.
    pub local: Option<MemoryEvents>,
    /// How often the hard limit was hit.
    pub max_hits: Option<u64>,
    /// How often the soft limit was exceeded; v2 only.
    pub high_hits: Option<u64>,
    /// How often protected memory was reclaimed all the same; v2 only.
    pub low_hits: Option<u64>,
    /// How often memory could not be had; v2 only.
    pub ooms: Option<u64>,
    /// How often the limit on swap was hit; v2 since 4.18. In v1 it is that on memory and swap together.
    pub swap_max_hits: Option<u64>,
    /// How often swap could not be had, at the limit or because there was none; v2 since 4.18.
    pub swap_failures: Option<u64>,
    /// How often the limit on swap that slows down was exceeded; v2 since 5.8.
    pub swap_high_hits: Option<u64>,
    /// Page faults.
    pub page_faults: Option<u64>,
    /// Page faults that had to read from a device.
    pub major_page_faults: Option<u64>,
}

/// What happened to the memory of a group itself.
///
/// Kernel: `memory.events.local`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryEvents {
    /// How often protected memory was reclaimed all the same.
    pub low: u64,
    /// How often the soft limit was exceeded.
    pub high: u64,
    /// How often the hard limit was hit.
    pub max: u64,
    /// How often memory could not be had.
    pub oom: u64,
    /// Processes that the kernel killed for want of memory.
    pub oom_kills: u64,
    /// How often the whole group was killed; since 5.17.
    pub oom_group_kills: Option<u64>,
}

/// Number of processes and threads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PidsStats {
    /// Tasks now.
    pub current: u64,
    /// The limit of this group itself.
    pub max: Option<Limit<u64>>,
    /// The most tasks there were; since 6.6.
    pub peak: Option<u64>,
    /// How often a fork was refused, for the limit of this group or of one below it.
    ///
    /// Kernel: `pids.events`; before 6.11, and in v1, for the limit of any group above this one's tasks.
    pub max_hits: Option<u64>,
    /// How often the limit of this group itself refused a fork; v2 since 6.11.
    pub max_hits_local: Option<u64>,
}

/// Block devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IoStats {
    /// One entry for each device that was counted.
    pub devices: Vec<IoDeviceStats>,
}

impl IoStats {
    /// Bytes read from all devices.
    pub fn read_bytes(&self) -> Bytes {
        Bytes::new(self.devices.iter().map(|device| device.read_bytes.get()).sum())
    }

    /// Bytes written to all devices.
    pub fn write_bytes(&self) -> Bytes {
        Bytes::new(self.devices.iter().map(|device| device.write_bytes.get()).sum())
    }
}

/// Data and operations on one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoDeviceStats {
    /// Which device.
    pub device: DeviceNumber,
    /// Bytes read.
    pub read_bytes: Bytes,
    /// Bytes written.
    pub write_bytes: Bytes,
    /// Read operations.
    pub read_operations: u64,
    /// Write operations.
    pub write_operations: u64,
    /// Bytes discarded, where the kernel counts them.
    pub discard_bytes: Option<Bytes>,
    /// Discard operations, where the kernel counts them.
    pub discard_operations: Option<u64>,
}

impl IoDeviceStats {
    pub(crate) const fn new(device: DeviceNumber) -> Self {
        Self {
            device,
            read_bytes: Bytes::new(0),
            write_bytes: Bytes::new(0),
            read_operations: 0,
            write_operations: 0,
            discard_bytes: None,
            discard_operations: None,
        }
    }
}

/// Huge pages of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugetlbStats {
    /// The page size.
    pub page_size: Bytes,
    /// In use now.
    pub current: Bytes,
    /// The limit of this group itself.
    pub max: Option<Limit<Bytes>>,
    /// How often an allocation was refused.
    pub max_hits: Option<u64>,
    /// How often the limit of this group itself refused one; v2 only.
    pub max_hits_local: Option<u64>,
    /// The most that was in use; v1 only.
    pub peak: Option<Bytes>,
    /// Reserved now, whether in use or not; since 5.7.
    pub reserved: Option<Bytes>,
    /// The limit on reserving of this group itself; since 5.7.
    pub reserved_max: Option<Limit<Bytes>>,
    /// The most that was reserved; v1 only.
    pub reserved_peak: Option<Bytes>,
    /// How often reserving was refused; v1 only.
    pub reserved_max_hits: Option<u64>,
}

/// Huge pages of one size on each memory node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HugetlbNodes {
    /// The page size.
    pub page_size: Bytes,
    /// The node's number, and what is in use there.
    pub nodes: Vec<(u32, Bytes)>,
}

/// Handles and objects of one RDMA device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RdmaStats {
    /// The device, such as `mlx5_0`.
    pub device: String,
    /// Handles in use; an entry always has them.
    pub handles: Option<u32>,
    /// Objects in use.
    pub objects: Option<u32>,
    /// The limit on handles of this group itself.
    pub handles_max: Option<Limit<u32>>,
    /// The limit on objects of this group itself.
    pub objects_max: Option<Limit<u32>>,
}

impl RdmaStats {
    pub(crate) const fn new(device: String) -> Self {
        Self { device, handles: None, objects: None, handles_max: None, objects_max: None }
    }
}

/// A miscellaneous resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MiscStats {
    /// Its name, such as `sev`.
    pub resource: String,
    /// In use now; an entry always has it.
    pub current: Option<u64>,
    /// The most that was in use; since 6.11.
    pub peak: Option<u64>,
    /// The limit of this group itself.
    pub max: Option<Limit<u64>>,
    /// How often it was refused, for the limit of this group or of one below it; since 5.16.
    pub max_hits: Option<u64>,
    /// How often the limit of this group itself refused it; since 6.11.
    pub max_hits_local: Option<u64>,
}

impl MiscStats {
    pub(crate) const fn new(resource: String) -> Self {
        Self { resource, current: None, peak: None, max: None, max_hits: None, max_hits_local: None }
    }
}

/// Memory of one region of a device; since 6.14.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmemStats {
    /// The region, such as `drm/0000:03:00.0/vram0`.
    pub region: String,
    /// In use now; an entry always has it.
    pub current: Option<Bytes>,
    /// The hard limit of this group itself.
    pub max: Option<Limit<Bytes>>,
    /// What is evicted last.
    pub low: Option<Limit<Bytes>>,
    /// What is never evicted.
    pub min: Option<Limit<Bytes>>,
}

impl DmemStats {
    pub(crate) const fn new(region: String) -> Self {
        Self { region, current: None, max: None, low: None, min: None }
    }
}

/// Time lost waiting for each resource; v2 with `CONFIG_PSI`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PressureStats {
    /// Waiting for a CPU.
    pub cpu: Option<Pressure>,
    /// Waiting for memory.
    pub memory: Option<Pressure>,
    /// Waiting for block devices.
    pub io: Option<Pressure>,
    /// Held up by interrupts, of which only `full` is counted; since 6.1.
    pub irq: Option<Pressure>,
}

/// Time lost waiting for one resource.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pressure {
    /// While at least one task waited.
    pub some: PressureShare,
    /// While every task waited.
    pub full: PressureShare,
}

/// Share of time lost.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PressureShare {
    /// Percent over the last 10 seconds.
    pub average_10s: f32,
    /// Percent over the last 60 seconds.
    pub average_60s: f32,
    /// Percent over the last 300 seconds.
    pub average_300s: f32,
    /// All time lost.
    pub total: Duration,
}
