//! Every file by which the kernel lets a group be seen and changed, and what of this crate covers it.

use self::FileAccess::{Act, Read, ReadWrite, Write};
use self::FilePlace::{All, NotRoot, Root};
use crate::controller::{Controller, Version};

/// A file of the kernel's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceFile {
    /// The version of cgroups that has it.
    pub version: Version,
    /// Its name; `SIZE` stands for the size of huge pages, such as `2MB`.
    pub name: &'static str,
    /// What can be done with it.
    pub access: FileAccess,
    /// Which groups have it.
    pub place: FilePlace,
    /// The first kernel that has it; those before 4.5, where v2 became official, are not told apart.
    pub since: &'static str,
    /// What of this crate covers it, or why nothing does.
    pub api: &'static str,
}

/// What can be done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileAccess {
    /// It tells something.
    Read,
    /// It takes something.
    Write,
    /// It takes a setting and tells it.
    ReadWrite,
    /// It takes an order, or something that lasts as long as the file is open: no setting.
    Act,
}

/// Which groups have a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FilePlace {
    /// The root and the groups below it.
    All,
    /// Only the root.
    Root,
    /// All but the root.
    NotRoot,
}

impl InterfaceFile {
    /// The entry of a file by its name in a group, such as `hugetlb.2MB.max`.
    pub fn find(version: Version, name: &str) -> Option<&'static Self> {
        let sized = name.strip_prefix("hugetlb.").and_then(|rest| rest.split_once('.'));
        INTERFACE.iter().find(|file| {
            file.version == version
                && match (sized, file.name.strip_prefix("hugetlb.SIZE.")) {
                    (Some((size, rest)), Some(of_each)) => {
                        rest == of_each && size.starts_with(|first: char| first.is_ascii_digit())
                    }
                    _ => file.name == name,
                }
        })
    }

    /// The controller whose file it is; `None` for those that every group has.
    pub fn controller(&self) -> Option<Controller> {
        let first = self.name.split('.').next()?;
        match self.version {
            Version::V2 => Controller::from_name(first),
            Version::V1 => Controller::ALL.into_iter().find(|controller| controller.subsystems().contains(&first)),
        }
    }

    /// The list as a table in Markdown.
    pub fn table() -> String {
        let head = "| version | file | groups | access | since | what covers it |\n|---|---|---|---|---|---|\n";
        let mut lines = vec![head.to_owned()];
        for file in INTERFACE {
            let access = match file.access {
                Read => "read",
                Write => "write",
                ReadWrite => "read, write",
                Act => "act",
            };
            let place = match file.place {
                All => "all",
                Root => "root",
                NotRoot => "not root",
            };
            let InterfaceFile { version, name, since, api, .. } = file;
            lines.push(format!("| {version} | `{name}` | {place} | {access} | {since} | {api} |\n"));
        }
        lines.concat()
    }
}

type Text = &'static str;

const fn v2(name: Text, place: FilePlace, access: FileAccess, since: Text, api: Text) -> InterfaceFile {
    InterfaceFile { version: Version::V2, name, access, place, since, api }
}

const fn v1(name: Text, place: FilePlace, access: FileAccess, since: Text, api: Text) -> InterfaceFile {
    InterfaceFile { version: Version::V1, name, access, place, since, api }
}

const OLD: &str = "4.5";
const SERVED_BY_TOTAL: &str = "none: the sum of user and system in `CpuStats::usage` and its parts";
const LOCAL_COUNT: &str = "none: counts without the groups below; `IoDeviceStats` has those with them";
const BFQ_DEBUG: &str = "none: for debugging the scheduler, where the kernel was built for it";
const DEBUG: &str = "none: for debugging the kernel, without a stable form";
const KMEM_TCP: &str = "none: a limit that 6.18 still shows and that v2 counts in `MemoryStats::sock`";
const NO_EFFECT: &str = "none: writing has no effect any more";

/// Every file of Linux up to 6.18 in the order of versions and controllers, and what of this crate covers it.
///
#[doc = include_str!("../FILES.md")]
// One line a file: this is a table to read down.
#[rustfmt::skip]
pub const INTERFACE: &[InterfaceFile] = &[
    v2("cgroup.type", NotRoot, ReadWrite, "4.14", "`Group::group_type`, `Group::make_threaded`"),
    v2("cgroup.procs", All, Act, OLD, "`Group::add`, `Group::pids`"),
    v2("cgroup.threads", All, Act, "4.14", "`Group::add_thread`, `Group::threads`"),
    v2("cgroup.controllers", All, Read, OLD, "`Group::layout`, `Hierarchies::controllers`"),
    v2("cgroup.subtree_control", All, Act, OLD, "`Hierarchies::create`, `Group::child`"),
    v2("cgroup.events", NotRoot, Read, OLD, "`Group::events`, `WatchMany`, `Group::is_frozen`"),
    v2("cgroup.max.descendants", All, ReadWrite, "4.14", "`Group::limit_tree`, `TreeStats::max_descendants`"),
    v2("cgroup.max.depth", All, ReadWrite, "4.14", "`Group::limit_tree`, `TreeStats::max_depth`"),
    v2("cgroup.stat", All, Read, "4.14", "`Group::tree`, `TreeStats`"),
    v2("cgroup.stat.local", NotRoot, Read, "6.18", "`TreeStats::frozen`"),
    v2("cgroup.freeze", NotRoot, Act, "5.2", "`Group::freeze`, `Group::thaw`"),
    v2("cgroup.kill", NotRoot, Act, "5.14", "`Group::kill_and_wait`"),
    v2("cgroup.pressure", All, ReadWrite, "6.1", "`Group::count_pressure`"),
    v2("cpu.stat", All, Read, "4.15", "`CpuStats`"),
    v2("cpu.stat.local", All, Read, "6.6", "`CpuStats::throttled_local`"),
    v2("cpu.weight", NotRoot, ReadWrite, "4.15", "`Cpu::weight`"),
    v2("cpu.weight.nice", NotRoot, ReadWrite, "4.15", "`Cpu::nice`"),
    v2("cpu.idle", NotRoot, ReadWrite, "5.15", "`Cpu::idle`"),
    v2("cpu.max", NotRoot, ReadWrite, "4.15", "`Cpu::max`"),
    v2("cpu.max.burst", NotRoot, ReadWrite, "5.14", "`Cpu::burst`"),
    v2("cpu.uclamp.min", NotRoot, ReadWrite, "5.4", "`Cpu::uclamp_min`"),
    v2("cpu.uclamp.max", NotRoot, ReadWrite, "5.4", "`Cpu::uclamp_max`"),
    v2("cpu.pressure", All, Act, "4.20", "`PressureStats::cpu`, `Group::pressure_trigger`"),
    v2("irq.pressure", All, Act, "6.1", "`PressureStats::irq`, `Group::pressure_trigger`"),
    v2("cpuset.cpus", NotRoot, ReadWrite, "5.0", "`Cpuset::cpus`"),
    v2("cpuset.cpus.effective", All, Read, "5.0", "`Group::effective_cpus`"),
    v2("cpuset.cpus.exclusive", NotRoot, ReadWrite, "6.7", "`Cpuset::exclusive`"),
    v2("cpuset.cpus.exclusive.effective", NotRoot, Read, "6.7", "`Group::exclusive_cpus`"),
    v2("cpuset.cpus.isolated", Root, Read, "6.7", "`Hierarchies::isolated_cpus`"),
    v2("cpuset.cpus.partition", NotRoot, ReadWrite, "5.0", "`Cpuset::partition`"),
    v2("cpuset.cpus.subpartitions", NotRoot, Read, "5.0", DEBUG),
    v2("cpuset.mems", NotRoot, ReadWrite, "5.0", "`Cpuset::mems`"),
    v2("cpuset.mems.effective", All, Read, "5.0", "`Group::effective_mems`"),
    v2("memory.current", NotRoot, Read, OLD, "`MemoryStats::current`"),
    v2("memory.peak", NotRoot, ReadWrite, "5.19", "`MemoryStats::peak`, `Group::peak_meter`"),
    v2("memory.min", NotRoot, ReadWrite, "4.18", "`Memory::min`"),
    v2("memory.low", NotRoot, ReadWrite, OLD, "`Memory::low`"),
    v2("memory.high", NotRoot, ReadWrite, OLD, "`Memory::high`"),
    v2("memory.max", NotRoot, ReadWrite, OLD, "`Memory::max`, `MemoryStats::max`"),
    v2("memory.events", NotRoot, Read, OLD, "`MemoryStats::oom_kills` and others, `Group::events`, `WatchMany`"),
    v2("memory.events.local", NotRoot, Read, "5.2", "`MemoryEvents`"),
    v2("memory.stat", All, Read, OLD, "`MemoryStats`"),
    v2("memory.numa_stat", All, Read, "5.10", "`Group::memory_by_node`"),
    v2("memory.oom.group", NotRoot, ReadWrite, "4.19", "`Memory::oom_group`"),
    v2("memory.reclaim", All, Act, "5.19", "`Group::reclaim`"),
    v2("memory.swap.current", NotRoot, Read, OLD, "`MemoryStats::swap`"),
    v2("memory.swap.peak", NotRoot, ReadWrite, "6.5", "`MemoryStats::swap_peak`, `Group::peak_meter`"),
    v2("memory.swap.high", NotRoot, ReadWrite, "5.8", "`Memory::swap_high`"),
    v2("memory.swap.max", NotRoot, ReadWrite, OLD, "`Memory::swap`, `MemoryStats::swap_max`"),
    v2("memory.swap.events", NotRoot, Read, "4.18", "`MemoryStats::swap_max_hits` and others"),
    v2("memory.zswap.current", NotRoot, Read, "5.19", "`MemoryStats::zswap`"),
    v2("memory.zswap.max", NotRoot, ReadWrite, "5.19", "`Memory::zswap_max`"),
    v2("memory.zswap.writeback", All, ReadWrite, "6.8", "`Memory::zswap_writeback`"),
    v2("memory.pressure", All, Act, "4.20", "`PressureStats::memory`, `Group::pressure_trigger`"),
    v2("io.stat", All, Read, OLD, "`IoStats`"),
    v2("io.max", NotRoot, ReadWrite, OLD, "`Io::max`"),
    v2("io.low", NotRoot, ReadWrite, "4.12", "none: an experiment that 6.11 removed"),
    v2("io.weight", NotRoot, ReadWrite, OLD, "`Io::weight`, `Io::device_weights`"),
    v2("io.bfq.weight", NotRoot, ReadWrite, "4.19", "`Io::weight`, `Io::device_weights`"),
    v2("io.latency", NotRoot, ReadWrite, "4.19", "`Io::latency`"),
    v2("io.prio.class", NotRoot, ReadWrite, "5.14", "`Io::priority`"),
    v2("io.cost.qos", Root, ReadWrite, "5.4", "`Hierarchies::set_io_cost`, `IoCost::qos`"),
    v2("io.cost.model", Root, ReadWrite, "5.4", "`Hierarchies::set_io_cost`, `IoCost::model`"),
    v2("io.pressure", All, Act, "4.20", "`PressureStats::io`, `Group::pressure_trigger`"),
    v2("pids.current", NotRoot, Read, OLD, "`PidsStats::current`"),
    v2("pids.max", NotRoot, ReadWrite, OLD, "`Pids::max`, `PidsStats::max`"),
    v2("pids.peak", NotRoot, Read, "6.1", "`PidsStats::peak`"),
    v2("pids.events", NotRoot, Read, "4.8", "`PidsStats::max_hits`"),
    v2("pids.events.local", NotRoot, Read, "6.11", "`PidsStats::max_hits_local`"),
    v2("hugetlb.SIZE.max", NotRoot, ReadWrite, "5.6", "`Hugetlb::max`, `HugetlbStats::max`"),
    v2("hugetlb.SIZE.current", NotRoot, Read, "5.6", "`HugetlbStats::current`"),
    v2("hugetlb.SIZE.rsvd.max", NotRoot, ReadWrite, "5.7", "`Hugetlb::reserved_max`, `HugetlbStats::reserved_max`"),
    v2("hugetlb.SIZE.rsvd.current", NotRoot, Read, "5.7", "`HugetlbStats::reserved`"),
    v2("hugetlb.SIZE.events", NotRoot, Read, "5.6", "`HugetlbStats::max_hits`"),
    v2("hugetlb.SIZE.events.local", NotRoot, Read, "5.6", "`HugetlbStats::max_hits_local`"),
    v2("hugetlb.SIZE.numa_stat", NotRoot, Read, "5.17", "`Group::hugetlb_by_node`"),
    v2("rdma.max", NotRoot, ReadWrite, "4.11", "`Resources::rdma`, `RdmaStats::handles_max`"),
    v2("rdma.current", NotRoot, Read, "4.11", "`RdmaStats`"),
    v2("misc.capacity", Root, Read, "5.13", "`Hierarchies::misc_capacity`"),
    v2("misc.max", NotRoot, ReadWrite, "5.13", "`Resources::misc`, `MiscStats::max`"),
    v2("misc.current", All, Read, "5.13", "`MiscStats::current`"),
    v2("misc.peak", All, Read, "6.11", "`MiscStats::peak`"),
    v2("misc.events", NotRoot, Read, "5.16", "`MiscStats::max_hits`"),
    v2("misc.events.local", NotRoot, Read, "6.11", "`MiscStats::max_hits_local`"),
    v2("dmem.capacity", Root, Read, "6.14", "`Hierarchies::dmem_capacity`"),
    v2("dmem.current", NotRoot, Read, "6.14", "`DmemStats::current`"),
    v2("dmem.max", NotRoot, ReadWrite, "6.14", "`Dmem::max`, `DmemStats::max`"),
    v2("dmem.low", NotRoot, ReadWrite, "6.14", "`Dmem::low`, `DmemStats::low`"),
    v2("dmem.min", NotRoot, ReadWrite, "6.14", "`Dmem::min`, `DmemStats::min`"),
    v2("debug.taskcount", All, Read, "4.14", DEBUG),
    v2("debug.current_css_set", All, Read, "4.14", DEBUG),
    v2("debug.current_css_set_refcount", All, Read, "4.14", DEBUG),
    v2("debug.current_css_set_cg_links", All, Read, "4.14", DEBUG),
    v2("debug.cgroup_css_links", All, Read, "4.14", DEBUG),
    v2("debug.csses", All, Read, "4.14", DEBUG),
    v2("debug.masks", All, Read, "4.14", DEBUG),
    v1("cgroup.procs", All, Act, OLD, "`Group::add`, `Group::pids`"),
    v1("tasks", All, Act, OLD, "`Group::add_thread`, `Group::threads`"),
    v1("cgroup.clone_children", All, ReadWrite, OLD, "none: a new group is filled from its parent by `Hierarchies::create`"),
    v1("cgroup.sane_behavior", Root, Read, OLD, "none: tells nothing any more"),
    v1("notify_on_release", All, ReadWrite, OLD, "none: starts a program of the machine; `Group::events` tells of a removal"),
    v1("release_agent", Root, ReadWrite, OLD, "none: starts a program as root (CVE-2022-0492)"),
    v1("cgroup.event_control", All, Act, OLD, "`Group::events`, `Group::memory_pressure_v1`"),
    v1("cpu.shares", All, ReadWrite, OLD, "`Cpu::weight`"),
    v1("cpu.idle", All, ReadWrite, "5.15", "`Cpu::idle`"),
    v1("cpu.cfs_quota_us", All, ReadWrite, OLD, "`Cpu::max`"),
    v1("cpu.cfs_period_us", All, ReadWrite, OLD, "`Cpu::max`"),
    v1("cpu.cfs_burst_us", All, ReadWrite, "5.14", "`Cpu::burst`"),
    v1("cpu.rt_runtime_us", All, ReadWrite, OLD, "`Cpu::realtime_runtime`"),
    v1("cpu.rt_period_us", All, ReadWrite, OLD, "`Cpu::realtime_period`"),
    v1("cpu.uclamp.min", NotRoot, ReadWrite, "5.4", "`Cpu::uclamp_min`"),
    v1("cpu.uclamp.max", NotRoot, ReadWrite, "5.4", "`Cpu::uclamp_max`"),
    v1("cpu.stat", All, Read, OLD, "`CpuStats::throttled` and others"),
    v1("cpu.stat.local", All, Read, "6.6", "`CpuStats::throttled_local`"),
    v1("cpuacct.usage", All, ReadWrite, OLD, "none: the sum of `CpuStats::per_cpu`, which is `CpuStats::usage`"),
    v1("cpuacct.usage_user", All, Read, OLD, SERVED_BY_TOTAL),
    v1("cpuacct.usage_sys", All, Read, OLD, SERVED_BY_TOTAL),
    v1("cpuacct.usage_percpu", All, Read, OLD, "`CpuStats::per_cpu`, `CpuStats::usage`"),
    v1("cpuacct.usage_percpu_user", All, Read, OLD, SERVED_BY_TOTAL),
    v1("cpuacct.usage_percpu_sys", All, Read, OLD, SERVED_BY_TOTAL),
    v1("cpuacct.usage_all", All, Read, "4.10", "`CpuStats::user`, `CpuStats::system`"),
    v1("cpuacct.stat", All, Read, OLD, "none: the same in hundredths of a second as `CpuStats::user` in nanoseconds"),
    v1("cpuset.cpus", All, ReadWrite, OLD, "`Cpuset::cpus`"),
    v1("cpuset.mems", All, ReadWrite, OLD, "`Cpuset::mems`"),
    v1("cpuset.effective_cpus", All, Read, OLD, "`Group::effective_cpus`"),
    v1("cpuset.effective_mems", All, Read, OLD, "`Group::effective_mems`"),
    v1("cpuset.cpu_exclusive", All, ReadWrite, OLD, "`Cpuset::cpu_exclusive`"),
    v1("cpuset.mem_exclusive", All, ReadWrite, OLD, "`Cpuset::mem_exclusive`"),
    v1("cpuset.mem_hardwall", All, ReadWrite, OLD, "`Cpuset::mem_hardwall`"),
    v1("cpuset.memory_migrate", All, ReadWrite, OLD, "`Cpuset::memory_migrate`"),
    v1("cpuset.sched_load_balance", All, ReadWrite, OLD, "`Cpuset::load_balance`"),
    v1("cpuset.sched_relax_domain_level", All, ReadWrite, OLD, "`Cpuset::relax_domain_level`"),
    v1("cpuset.memory_spread_page", All, ReadWrite, OLD, "`Cpuset::memory_spread_page`"),
    v1("cpuset.memory_spread_slab", All, ReadWrite, OLD, NO_EFFECT),
    v1("cpuset.memory_pressure", All, Read, OLD, "none: counts only where the root enables it; `PressureStats` is its successor"),
    v1("cpuset.memory_pressure_enabled", Root, ReadWrite, OLD, "none: a switch of the whole machine"),
    v1("memory.usage_in_bytes", All, Read, OLD, "`MemoryStats::current`"),
    v1("memory.max_usage_in_bytes", All, ReadWrite, OLD, "`MemoryStats::peak`"),
    v1("memory.limit_in_bytes", All, ReadWrite, OLD, "`Memory::max`, `MemoryStats::max`"),
    v1("memory.soft_limit_in_bytes", All, ReadWrite, OLD, "`Memory::high`"),
    v1("memory.failcnt", All, ReadWrite, OLD, "`MemoryStats::max_hits`"),
    v1("memory.stat", All, Read, OLD, "`MemoryStats`"),
    v1("memory.numa_stat", All, Read, OLD, "`Group::memory_by_node`"),
    v1("memory.force_empty", All, Act, OLD, "none: `Group::reclaim` is its successor and in v2"),
    v1("memory.use_hierarchy", All, ReadWrite, OLD, NO_EFFECT),
    v1("memory.swappiness", All, ReadWrite, OLD, "`Memory::swappiness`"),
    v1("memory.move_charge_at_immigrate", All, ReadWrite, OLD, NO_EFFECT),
    v1("memory.oom_control", All, ReadWrite, OLD, "`Memory::oom_kill_disable`, `MemoryStats::oom_kills`, `Group::events`"),
    v1("memory.pressure_level", All, Read, OLD, "`Group::memory_pressure_v1`"),
    v1("memory.memsw.usage_in_bytes", All, Read, OLD, "none: the sum of `MemoryStats::current` and `MemoryStats::swap`"),
    v1("memory.memsw.max_usage_in_bytes", All, ReadWrite, OLD, "none: a peak of the sum of memory and swap, which v2 has not"),
    v1("memory.memsw.limit_in_bytes", All, ReadWrite, OLD, "`Memory::swap`"),
    v1("memory.memsw.failcnt", All, ReadWrite, OLD, "`MemoryStats::swap_max_hits`"),
    v1("memory.kmem.usage_in_bytes", All, Read, OLD, "`MemoryStats::kernel`"),
    v1("memory.kmem.limit_in_bytes", All, ReadWrite, OLD, NO_EFFECT),
    v1("memory.kmem.failcnt", All, ReadWrite, OLD, NO_EFFECT),
    v1("memory.kmem.max_usage_in_bytes", All, ReadWrite, OLD, "none: a peak of the kernel's part, which v2 has not"),
    v1("memory.kmem.slabinfo", All, Read, OLD, DEBUG),
    v1("memory.kmem.tcp.usage_in_bytes", All, Read, OLD, KMEM_TCP),
    v1("memory.kmem.tcp.limit_in_bytes", All, ReadWrite, OLD, KMEM_TCP),
    v1("memory.kmem.tcp.failcnt", All, ReadWrite, OLD, KMEM_TCP),
    v1("memory.kmem.tcp.max_usage_in_bytes", All, ReadWrite, OLD, KMEM_TCP),
    v1("blkio.throttle.read_bps_device", All, ReadWrite, OLD, "`IoMax::read_bytes`"),
    v1("blkio.throttle.write_bps_device", All, ReadWrite, OLD, "`IoMax::write_bytes`"),
    v1("blkio.throttle.read_iops_device", All, ReadWrite, OLD, "`IoMax::read_operations`"),
    v1("blkio.throttle.write_iops_device", All, ReadWrite, OLD, "`IoMax::write_operations`"),
    v1("blkio.throttle.io_service_bytes", All, Read, OLD, LOCAL_COUNT),
    v1("blkio.throttle.io_service_bytes_recursive", All, Read, "4.17", "`IoDeviceStats::read_bytes` and others"),
    v1("blkio.throttle.io_serviced", All, Read, OLD, LOCAL_COUNT),
    v1("blkio.throttle.io_serviced_recursive", All, Read, "4.17", "`IoDeviceStats::read_operations` and others"),
    v1("blkio.reset_stats", All, Act, OLD, "none: it takes the counts from everybody else who reads them"),
    v1("blkio.prio.class", NotRoot, ReadWrite, "5.14", "`Io::priority`"),
    v1("blkio.bfq.weight", NotRoot, ReadWrite, "4.12", "`Io::weight`"),
    v1("blkio.bfq.weight_device", NotRoot, ReadWrite, "5.4", "`Io::device_weights`"),
    v1("blkio.bfq.io_service_bytes", All, Read, "4.12", LOCAL_COUNT),
    v1("blkio.bfq.io_service_bytes_recursive", All, Read, "4.12", "none: what passed BFQ of `IoDeviceStats`"),
    v1("blkio.bfq.io_serviced", All, Read, "4.12", LOCAL_COUNT),
    v1("blkio.bfq.io_serviced_recursive", All, Read, "4.12", "none: what passed BFQ of `IoDeviceStats`"),
    v1("blkio.bfq.time", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.time_recursive", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.sectors", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.sectors_recursive", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.io_service_time", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.io_service_time_recursive", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.io_wait_time", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.io_wait_time_recursive", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.io_merged", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.io_merged_recursive", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.io_queued", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.io_queued_recursive", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.avg_queue_size", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.group_wait_time", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.idle_time", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.empty_time", All, Read, "4.12", BFQ_DEBUG),
    v1("blkio.bfq.dequeue", All, Read, "4.12", BFQ_DEBUG),
    v1("devices.allow", All, Write, OLD, "`Resources::devices`"),
    v1("devices.deny", All, Write, OLD, "`Resources::devices`"),
    v1("devices.list", All, Read, OLD, "none: read by `Group::apply` to put a filter back"),
    v1("freezer.state", NotRoot, Act, OLD, "`Group::freeze`, `Group::thaw`, `Group::is_frozen`"),
    v1("freezer.self_freezing", NotRoot, Read, OLD, "none: whether `Group::freeze` was asked of this group or of one above it"),
    v1("freezer.parent_freezing", NotRoot, Read, OLD, "none: whether `Group::freeze` was asked of this group or of one above it"),
    v1("pids.current", NotRoot, Read, OLD, "`PidsStats::current`"),
    v1("pids.max", NotRoot, ReadWrite, OLD, "`Pids::max`, `PidsStats::max`"),
    v1("pids.peak", NotRoot, Read, "6.1", "`PidsStats::peak`"),
    v1("pids.events", NotRoot, Read, "4.8", "`PidsStats::max_hits`"),
    v1("hugetlb.SIZE.limit_in_bytes", NotRoot, ReadWrite, OLD, "`Hugetlb::max`, `HugetlbStats::max`"),
    v1("hugetlb.SIZE.usage_in_bytes", All, Read, OLD, "`HugetlbStats::current`"),
    v1("hugetlb.SIZE.max_usage_in_bytes", All, ReadWrite, OLD, "`HugetlbStats::peak`"),
    v1("hugetlb.SIZE.failcnt", All, ReadWrite, OLD, "`HugetlbStats::max_hits`"),
    v1("hugetlb.SIZE.rsvd.limit_in_bytes", NotRoot, ReadWrite, "5.7", "`Hugetlb::reserved_max`, `HugetlbStats::reserved_max`"),
    v1("hugetlb.SIZE.rsvd.usage_in_bytes", All, Read, "5.7", "`HugetlbStats::reserved`"),
    v1("hugetlb.SIZE.rsvd.max_usage_in_bytes", All, ReadWrite, "5.7", "`HugetlbStats::reserved_peak`"),
    v1("hugetlb.SIZE.rsvd.failcnt", All, ReadWrite, "5.7", "`HugetlbStats::reserved_max_hits`"),
    v1("hugetlb.SIZE.numa_stat", All, Read, "5.17", "`Group::hugetlb_by_node`"),
    v1("net_cls.classid", All, ReadWrite, OLD, "`Network::class_id`"),
    v1("net_prio.prioidx", All, Read, OLD, "none: a number of the kernel's own"),
    v1("net_prio.ifpriomap", All, ReadWrite, OLD, "`Network::priorities`"),
    v1("rdma.max", NotRoot, ReadWrite, "4.11", "`Resources::rdma`, `RdmaStats::handles_max`"),
    v1("rdma.current", NotRoot, Read, "4.11", "`RdmaStats`"),
    v1("misc.capacity", Root, Read, "5.13", "`Hierarchies::misc_capacity`"),
    v1("misc.max", NotRoot, ReadWrite, "5.13", "`Resources::misc`, `MiscStats::max`"),
    v1("misc.current", All, Read, "5.13", "`MiscStats::current`"),
    v1("misc.peak", All, Read, "6.11", "`MiscStats::peak`"),
    v1("misc.events", NotRoot, Read, "5.16", "`MiscStats::max_hits`"),
    v1("misc.events.local", NotRoot, Read, "6.11", "`MiscStats::max_hits_local`"),
    v1("dmem.capacity", Root, Read, "6.14", "`Hierarchies::dmem_capacity`"),
    v1("dmem.current", NotRoot, Read, "6.14", "`DmemStats::current`"),
    v1("dmem.max", NotRoot, ReadWrite, "6.14", "`Dmem::max`, `DmemStats::max`"),
    v1("dmem.low", NotRoot, ReadWrite, "6.14", "`Dmem::low`, `DmemStats::low`"),
    v1("dmem.min", NotRoot, ReadWrite, "6.14", "`Dmem::min`, `DmemStats::min`"),
    v1("debug.taskcount", All, Read, OLD, DEBUG),
    v1("debug.current_css_set", All, Read, OLD, DEBUG),
    v1("debug.current_css_set_refcount", All, Read, OLD, DEBUG),
    v1("debug.current_css_set_cg_links", All, Read, OLD, DEBUG),
    v1("debug.cgroup_css_links", All, Read, OLD, DEBUG),
    v1("debug.releasable", All, Read, OLD, DEBUG),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn sources(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, text);
            } else if path.file_name().is_some_and(|name| name != "interface.rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn the_document_is_the_list() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("FILES.md");
        if std::env::var_os("UPDATE_FILES").is_some() {
            std::fs::write(&path, InterfaceFile::table()).unwrap();
        }
        let document = std::fs::read_to_string(path).unwrap();
        assert!(document == InterfaceFile::table(), "run the test again with UPDATE_FILES=1, which writes FILES.md");
    }

    #[test]
    fn what_covers_a_file_is_there() {
        let mut text = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
        let mut named = 0;
        for file in INTERFACE {
            for item in file.api.split('`').skip(1).step_by(2) {
                let (owner, member) = item.split_once("::").unwrap_or((item, ""));
                let declared = |kind: &str, name: &str| text.contains(&format!("pub {kind} {name} "));
                assert!(declared("struct", owner) || declared("enum", owner), "{}: {owner}", file.name);
                let found = ["pub {}:", "pub fn {}(", "    {},"].map(|form| text.contains(&form.replace("{}", member)));
                assert!(member.is_empty() || found.contains(&true), "{}: {item}", file.name);
                named += 1;
            }
            assert!(file.api.starts_with("none: ") || file.api.starts_with('`'), "{}", file.name);
        }
        assert!(named > 150, "{named}");
    }

    #[test]
    fn each_file_is_listed_once() {
        let names: BTreeSet<_> = INTERFACE.iter().map(|file| (file.version, file.name)).collect();
        assert_eq!(names.len(), INTERFACE.len());
        let found = InterfaceFile::find(Version::V2, "hugetlb.1GB.rsvd.max").unwrap();
        assert_eq!((found.name, found.controller()), ("hugetlb.SIZE.rsvd.max", Some(Controller::Hugetlb)));
        assert_eq!(InterfaceFile::find(Version::V1, "hugetlb.1GB.rsvd.max"), None);
        assert_eq!(InterfaceFile::find(Version::V1, "cpuacct.usage").unwrap().controller(), Some(Controller::Cpu));
        assert_eq!(InterfaceFile::find(Version::V2, "hugetlb.x.max"), None);
    }

    #[test]
    fn every_file_that_is_read_is_listed() {
        for crate::stat_file::StatFile(_, version, name, _) in crate::stat_file::FILES {
            let file = InterfaceFile::find(*version, name);
            assert!(file.is_some_and(|file| file.access != Write && file.api.starts_with('`')), "{version} {name}");
        }
    }
}
