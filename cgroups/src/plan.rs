//! From what is asked of a group to an ordered list of writes, as a pure function.

use crate::controller::{Controller, Version};
use crate::error::{Error, Result};
use crate::interface::{FileAccess, FilePlace, InterfaceFile};
use crate::observed::{Home, Layout, Observed};
use crate::report::{Outcome, Reason, Report, ReportItem};
use crate::resources::Resources;
use crate::setting::{Action, Setting};
use crate::{pids, scalars, v1, v2};

/// What [`Group::apply`](crate::Group::apply) does, in its order; plain data that can be printed and compared.
///
/// ```
/// use windlass_cgroups::{Bytes, Home, Layout, Limit, Memory, Observed, Plan, Resources};
///
/// let memory = Memory { max: Some(Limit::At(Bytes::mib(64))), oom_group: Some(true), ..Memory::default() };
/// let resources = Resources { memory, ..Resources::default() };
/// let plan = Plan::new(&resources, &Layout::new(|_| Home::V2), &Observed::default())?;
/// assert_eq!(plan.to_string(), "memory.oom.group 1\nmemory.max 67108864\n");
/// # Ok::<(), windlass_cgroups::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The settings in the order of writing.
    pub settings: Vec<Setting>,
}

impl Plan {
    /// Plans the writes for a group whose controllers are at `layout` and whose values are `observed`.
    ///
    /// Errors: [`Error::Invalid`] for settings that no kernel takes, or that exclude each other.
    pub fn new(resources: &Resources, layout: &Layout, observed: &Observed) -> Result<Self> {
        check(resources)?;
        let mut settings = Vec::new();
        // The cpuset first: it decides where the rest applies. Devices last: nothing after them can fail, and the
        // program that they replace in v2 is not brought back.
        let order = [
            Controller::Cpuset,
            Controller::Cpu,
            Controller::Memory,
            Controller::Pids,
            Controller::Io,
            Controller::Hugetlb,
            Controller::Rdma,
            Controller::Misc,
            Controller::Dmem,
            Controller::NetCls,
            Controller::NetPrio,
            Controller::Devices,
        ];
        for controller in order {
            if controller == Controller::Devices {
                plan_unified(resources, layout, &mut settings)?;
            }
            let first = settings.len();
            let home = layout.home(controller);
            match home {
                Home::V1 => plan_v1(controller, resources, observed, &mut settings)?,
                Home::V2 | Home::Absent(_) => plan_v2(controller, resources, observed, &mut settings)?,
            }
            if let Home::Absent(reason) = home {
                settings[first..].iter_mut().for_each(|setting| unsupport(setting, reason));
            }
        }
        Ok(Self { settings })
    }

    /// The report of a plan of which everything that can be written was written.
    pub(crate) fn report(&self) -> Report {
        let items = self.settings.iter().map(|setting| ReportItem {
            setting: setting.name.clone(),
            outcome: match &setting.action {
                Action::Write { conversion: None, .. } | Action::Filter(_) => Outcome::Applied,
                Action::Write { conversion: Some(conversion), .. } => Outcome::Converted {
                    from: conversion.from.clone(),
                    to: conversion.to.clone(),
                    lossy: conversion.lossy,
                },
                Action::Unsupported { file, reason } => {
                    Outcome::Unsupported { controller: setting.controller, file: file.clone(), reason: *reason }
                }
            },
        });
        Report { items: items.collect() }
    }
}

impl std::fmt::Display for Plan {
    /// Prints a line `file value` for each write, and one with the reason for each setting that is unsupported.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for setting in &self.settings {
            match &setting.action {
                Action::Write { writes, .. } => {
                    for write in writes.iter() {
                        writeln!(f, "{} {}", write.file, write.value().escape_debug())?;
                    }
                }
                Action::Filter(program) => writeln!(f, "# device program: {program}")?,
                Action::Unsupported { file, reason } => writeln!(f, "# {file}: {reason}")?,
            }
        }
        Ok(())
    }
}

fn check(resources: &Resources) -> Result<()> {
    if resources.cpu.idle == Some(true) && resources.cpu.weight.is_some() {
        return Err(Error::invalid("cpu.weight", "set", "an idle group has no weight"));
    }
    let cpu = &resources.cpu;
    if cpu.nice.is_some() && (cpu.weight.is_some() || cpu.idle == Some(true)) {
        return Err(Error::invalid("cpu.nice", "set", "it sets the weight, which is set or which an idle group lacks"));
    }
    if let Some(nice) = cpu.nice.filter(|nice| !(-20..=19).contains(nice)) {
        return Err(Error::invalid("cpu.nice", nice, "the range is -20 to 19"));
    }
    if let (Some(burst), Some(crate::value::Limit::At(quota))) =
        (resources.cpu.burst, resources.cpu.max.map(crate::value::CpuMax::quota))
        && burst > quota
    {
        return Err(Error::invalid("cpu.burst", format!("{burst:?}"), "it is above the quota"));
    }
    match resources.memory.swappiness {
        Some(swappiness) if swappiness > 100 => {
            Err(Error::invalid("memory.swappiness", swappiness, "the range is 0 to 100"))
        }
        _ => Ok(()),
    }
}

fn plan_v1(
    controller: Controller,
    resources: &Resources,
    observed: &Observed,
    settings: &mut Vec<Setting>,
) -> Result<()> {
    match controller {
        Controller::Cpuset => v1::cpuset::plan(&resources.cpuset, settings),
        Controller::Cpu => v1::cpu::plan(&resources.cpu, observed, settings),
        Controller::Memory => v1::memory::plan(&resources.memory, observed, settings),
        Controller::Io => v1::io::plan(&resources.io, observed, settings),
        Controller::Devices => resources.devices.iter().try_for_each(|filter| v1::devices::plan(filter, settings)),
        Controller::Pids => {
            pids::plan(&resources.pids, Version::V1, settings);
            Ok(())
        }
        Controller::Hugetlb => {
            resources.hugetlb.iter().for_each(|hugetlb| v1::hugetlb::plan(hugetlb, settings));
            Ok(())
        }
        _ => plan_either(controller, Version::V1, resources, settings),
    }
}

/// Plans what is the same in both versions, or only in v1 and told as such.
fn plan_either(
    controller: Controller,
    version: Version,
    resources: &Resources,
    settings: &mut Vec<Setting>,
) -> Result<()> {
    match controller {
        Controller::Rdma => scalars::plan_rdma(&resources.rdma, version, settings),
        Controller::Misc => scalars::plan_misc(resources, version, settings),
        Controller::Dmem => scalars::plan_dmem(&resources.dmem, version, settings),
        Controller::NetPrio => v1::network::plan_priorities(&resources.network, version, settings),
        Controller::NetCls => {
            v1::network::plan_class(&resources.network, version, settings);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn plan_v2(
    controller: Controller,
    resources: &Resources,
    observed: &Observed,
    settings: &mut Vec<Setting>,
) -> Result<()> {
    match controller {
        Controller::Cpuset => v2::cpuset::plan(&resources.cpuset, settings),
        Controller::Cpu => v2::cpu::plan(&resources.cpu, observed, settings)?,
        Controller::Memory => v2::memory::plan(&resources.memory, settings),
        Controller::Io => v2::io::plan(&resources.io, observed, settings)?,
        Controller::Pids => pids::plan(&resources.pids, Version::V2, settings),
        Controller::Hugetlb => resources.hugetlb.iter().for_each(|hugetlb| v2::hugetlb::plan(hugetlb, settings)),
        Controller::Devices => resources.devices.iter().try_for_each(|filter| v2::devices::plan(filter, settings))?,
        _ => plan_either(controller, Version::V2, resources, settings)?,
    }
    Ok(())
}

/// Turns a setting of a controller that the group does not have into one that says so.
fn unsupport(setting: &mut Setting, reason: Reason) {
    let file = match &setting.action {
        Action::Write { writes, .. } => writes.first().map(|write| write.file.clone()),
        Action::Filter(_) => None,
        Action::Unsupported { file, .. } => Some(file.clone()),
    };
    setting.action = Action::Unsupported { file: file.unwrap_or_else(|| setting.name.clone()), reason };
}

fn plan_unified(resources: &Resources, layout: &Layout, settings: &mut Vec<Setting>) -> Result<()> {
    for (file, value) in &resources.unified {
        let controller = check_raw(file, value)?;
        let name = format!("unified[{file}]");
        let taken = settings.iter().any(|setting| match &setting.action {
            Action::Write { writes, .. } => writes.iter().any(|write| write.file == *file),
            Action::Filter(_) => false,
            Action::Unsupported { file: found, .. } => found == file,
        });
        if taken {
            return Err(Error::invalid(name, value, "another setting writes this file"));
        }
        settings.push(match layout.home(controller) {
            Home::V2 => Setting::write(name, controller, Version::V2, file.clone(), value),
            Home::V1 => Setting::unsupported(name, controller, file.clone(), Reason::V2Only),
            Home::Absent(reason) => Setting::unsupported(name, controller, file.clone(), reason),
        });
    }
    Ok(())
}

/// The controller of a raw key; refuses keys that are no file of a controller and values that are no single line.
fn check_raw(file: &str, value: &str) -> Result<Controller> {
    let fail = |reason: &'static str| Err(Error::invalid(format!("unified[{file}]"), value, reason));
    let Some((controller, rest)) = file.split_once('.') else { return fail("a key is CONTROLLER.FILE") };
    if rest.is_empty() || file.contains('/') || file.contains('\0') {
        return fail("a key is CONTROLLER.FILE");
    }
    let Some(controller) = Controller::from_name(controller) else {
        return fail("the first word of a key is a controller of v2");
    };
    if let Some(known) = InterfaceFile::find(Version::V2, file) {
        match (known.access, known.place) {
            (FileAccess::Read, _) => return fail("the kernel lets nobody write it"),
            (FileAccess::Act, _) => return fail("it takes an order and is no setting"),
            (_, FilePlace::Root) => return fail("only the root has it"),
            (FileAccess::Write | FileAccess::ReadWrite, _) => {}
        }
    }
    if value.trim().is_empty() {
        // memory.max takes a blank write as zero bytes, which is an out-of-memory kill.
        return fail("a blank value means something else in each file");
    }
    if value.contains('\n') || value.contains('\0') {
        return fail("a value is one line");
    }
    Ok(controller)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::device::{DeviceAction, DeviceFilter, DeviceNumber};
    use crate::resources::{
        Cpu, Cpuset, CpusetPartition, Dmem, Hugetlb, Io, IoMax, IoPriority, Memory, Network, Pids, Rdma,
    };
    use crate::value::{Bytes, CpuMax, CpuShares, CpuUtilization, IoWeight, Limit};

    fn everything() -> Resources {
        let disk = |minor| DeviceNumber { major: 8, minor };
        let (sdb, sdc) = (disk(16), disk(32));
        Resources {
            cpu: Cpu {
                weight: Some(CpuShares::new(512).unwrap().into()),
                max: Some(CpuMax::millicores(250)),
                burst: Some(Duration::from_millis(5)),
                idle: Some(false),
                nice: None,
                uclamp_min: Some(CpuUtilization::new(1250).unwrap()),
                uclamp_max: Some(CpuUtilization::new(10_000).unwrap()),
                realtime_runtime: Some(Limit::At(Duration::from_millis(1))),
                realtime_period: Some(Duration::from_millis(500)),
            },
            cpuset: Cpuset {
                cpus: Some("0-3,8".parse().unwrap()),
                mems: Some("0".parse().unwrap()),
                exclusive: Some("2-3".parse().unwrap()),
                partition: Some(CpusetPartition::Isolated),
                cpu_exclusive: Some(true),
                mem_exclusive: Some(false),
                mem_hardwall: Some(true),
                memory_migrate: Some(true),
                load_balance: Some(false),
                relax_domain_level: Some(-1),
                memory_spread_page: Some(true),
            },
            memory: Memory {
                max: Some(Limit::At(Bytes::mib(64))),
                high: Some(Limit::At(Bytes::mib(48))),
                low: Some(Limit::At(Bytes::mib(8))),
                min: Some(Limit::At(Bytes::mib(4))),
                swap: Some(Limit::At(Bytes::new(0))),
                oom_group: Some(true),
                swappiness: Some(10),
                swap_high: Some(Limit::Max),
                zswap_max: Some(Limit::At(Bytes::mib(2))),
                zswap_writeback: Some(false),
                oom_kill_disable: Some(true),
            },
            pids: Pids { max: Some(Limit::At(0)) },
            io: Io {
                weight: Some(IoWeight::new(2000).unwrap()),
                device_weights: vec![(sdb, Some(IoWeight::new(50).unwrap())), (sdc, None)],
                max: vec![IoMax {
                    read_bytes: Some(Limit::At(Bytes::mib(1))),
                    write_operations: Some(Limit::Max),
                    ..IoMax::new(sdb)
                }],
                latency: vec![(sdb, Duration::from_millis(75))],
                priority: Some(IoPriority::RestrictToBestEffort),
            },
            hugetlb: vec![Hugetlb { page_size: Bytes::mib(2), max: Some(Limit::Max), reserved_max: None }],
            rdma: vec![Rdma { device: "mlx5_0".to_owned(), handles: Some(Limit::At(2)), objects: Some(Limit::Max) }],
            misc: [("res_a".to_owned(), Limit::At(7))].into(),
            network: Network { class_id: Some(0x0010_0001), priorities: [("lo".to_owned(), 3)].into() },
            devices: Some(DeviceFilter { default: DeviceAction::Deny, rules: vec![] }),
            dmem: vec![Dmem {
                region: "drm/card0".to_owned(),
                max: Some(Limit::At(Bytes::mib(1))),
                low: None,
                min: None,
            }],
            unified: [("memory.new_file".to_owned(), "7".to_owned())].into(),
        }
    }

    #[test]
    fn everything_in_v1() {
        let observed = Observed {
            memory_and_swap_limit: Some(Limit::Max),
            io_weight_file: Some("blkio.bfq.weight"),
            ..Observed::default()
        };
        let plan = Plan::new(&everything(), &Layout::new(|_| Home::V1), &observed).unwrap();
        let expected = "\
cpuset.mem_exclusive 0
cpuset.sched_load_balance 0
cpuset.cpus 0-3,8
cpuset.mems 0
cpuset.cpu_exclusive 1
cpuset.mem_hardwall 1
cpuset.memory_migrate 1
cpuset.sched_relax_domain_level -1
cpuset.memory_spread_page 1
# cpuset.cpus.exclusive: only cgroup v2 has it
# cpuset.cpus.partition: only cgroup v2 has it
cpu.idle 0
cpu.shares 512
cpu.cfs_period_us 100000
cpu.cfs_quota_us 25000
cpu.cfs_burst_us 5000
cpu.rt_period_us 500000
cpu.rt_runtime_us 1000
cpu.uclamp.min 12.50
cpu.uclamp.max 100.00
memory.limit_in_bytes 67108864
memory.memsw.limit_in_bytes 67108864
memory.soft_limit_in_bytes 50331648
# memory.low: only cgroup v2 has it
# memory.min: only cgroup v2 has it
# memory.oom.group: only cgroup v2 has it
# memory.swap.high: only cgroup v2 has it
# memory.zswap.max: only cgroup v2 has it
# memory.zswap.writeback: only cgroup v2 has it
memory.swappiness 10
memory.oom_control 1
pids.max 0
blkio.bfq.weight 1000
blkio.bfq.weight_device 8:16 50
blkio.bfq.weight_device 8:32 default
blkio.throttle.read_bps_device 8:16 1048576
blkio.throttle.write_iops_device 8:16 0
# io.latency: only cgroup v2 has it
blkio.prio.class restrict-to-be
hugetlb.2MB.limit_in_bytes -1
rdma.max mlx5_0 hca_handle=2 hca_object=max
misc.max res_a 7
dmem.max drm/card0 1048576
net_cls.classid 1048577
net_prio.ifpriomap lo 3
# memory.new_file: only cgroup v2 has it
devices.deny a
";
        assert_eq!(plan.to_string(), expected);
    }

    #[test]
    fn everything_in_v2() {
        let observed = Observed { io_weight_file: Some("io.weight"), ..Observed::default() };
        let plan = Plan::new(&everything(), &Layout::new(|_| Home::V2), &observed).unwrap();
        let expected = "\
cpuset.cpus 0-3,8
cpuset.mems 0
cpuset.cpus.exclusive 2-3
cpuset.cpus.partition isolated
# cpuset.cpu_exclusive: only cgroup v1 has it
# cpuset.mem_exclusive: only cgroup v1 has it
# cpuset.mem_hardwall: only cgroup v1 has it
# cpuset.memory_migrate: only cgroup v1 has it
# cpuset.sched_load_balance: only cgroup v1 has it
# cpuset.sched_relax_domain_level: only cgroup v1 has it
# cpuset.memory_spread_page: only cgroup v1 has it
cpu.idle 0
cpu.weight 59
cpu.max 25000 100000
cpu.max.burst 5000
cpu.uclamp.min 12.50
cpu.uclamp.max 100.00
# cpu.rt_runtime_us: only cgroup v1 has it
# cpu.rt_period_us: only cgroup v1 has it
memory.min 4194304
memory.low 8388608
memory.high 50331648
memory.swap.high max
memory.swap.max 0
memory.zswap.max 2097152
memory.zswap.writeback 0
memory.oom.group 1
memory.max 67108864
# memory.swappiness: only cgroup v1 has it
# memory.oom_control: only cgroup v1 has it
pids.max 0
io.weight default 2000
io.weight 8:16 50
io.weight 8:32 default
io.max 8:16 rbps=1048576 wiops=max
io.latency 8:16 target=75000
io.prio.class restrict-to-be
hugetlb.2MB.max max
rdma.max mlx5_0 hca_handle=2 hca_object=max
misc.max res_a 7
dmem.max drm/card0 1048576
# net_cls.classid: only cgroup v1 has it
# net_prio.ifpriomap: only cgroup v1 has it
memory.new_file 7
# device program: deny all
";
        assert_eq!(plan.to_string(), expected);
    }

    #[test]
    fn a_mixture_is_planned_controller_by_controller() {
        let layout = Layout::new(|controller| match controller {
            Controller::Memory => Home::V1,
            Controller::Pids => Home::V2,
            _ => Home::Absent(Reason::NotEnabled),
        });
        let resources = Resources {
            cpu: Cpu { max: Some(CpuMax::UNLIMITED), ..Cpu::default() },
            memory: Memory { max: Some(Limit::Max), swappiness: Some(1), ..Memory::default() },
            pids: Pids { max: Some(Limit::Max) },
            devices: Some(DeviceFilter { default: DeviceAction::Allow, rules: vec![] }),
            ..Resources::default()
        };
        let plan = Plan::new(&resources, &layout, &Observed::default()).unwrap();
        let expected = "\
# cpu.max: the controller is not enabled for the group
memory.limit_in_bytes -1
memory.swappiness 1
pids.max max
# devices: the controller is not enabled for the group
";
        assert_eq!(plan.to_string(), expected);
    }

    #[test]
    fn nothing_asked_is_nothing_planned() {
        for home in [Home::V1, Home::V2, Home::Absent(Reason::Kernel)] {
            let plan = Plan::new(&Resources::default(), &Layout::new(|_| home), &Observed::default()).unwrap();
            assert_eq!(plan.settings, []);
        }
    }

    #[test]
    fn settings_that_exclude_each_other_are_invalid() {
        let fails = |resources: Resources| {
            let layout = Layout::new(|_| Home::V2);
            Plan::new(&resources, &layout, &Observed::default()).unwrap_err().to_string()
        };
        let weight = Some(CpuShares::new(2).unwrap().into());
        let cpu = Cpu { idle: Some(true), weight, ..Cpu::default() };
        assert_eq!(
            fails(Resources { cpu, ..Resources::default() }),
            "cpu.weight cannot be set: an idle group has no weight"
        );
        let cpu = Cpu { nice: Some(3), weight, ..Cpu::default() };
        assert!(fails(Resources { cpu, ..Resources::default() }).starts_with("cpu.nice cannot be set: "));
        let cpu = Cpu { nice: Some(20), ..Cpu::default() };
        assert_eq!(fails(Resources { cpu, ..Resources::default() }), "cpu.nice cannot be 20: the range is -20 to 19");
        let misc = [("res_a max\nres_b".to_owned(), Limit::At(1))].into();
        assert!(fails(Resources { misc, ..Resources::default() }).ends_with("a name is one word"));
        let max = Some(CpuMax::millicores(10));
        let cpu = Cpu { max, burst: Some(Duration::from_millis(2)), ..Cpu::default() };
        assert_eq!(fails(Resources { cpu, ..Resources::default() }), "cpu.burst cannot be 2ms: it is above the quota");
        let unified = [("pids.max".to_owned(), "1".to_owned())].into();
        let pids = Pids { max: Some(Limit::At(1)) };
        assert_eq!(
            fails(Resources { pids, unified, ..Resources::default() }),
            "unified[pids.max] cannot be 1: another setting writes this file"
        );
    }
}
