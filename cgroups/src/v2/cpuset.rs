//! `cpuset.*` of v2.

use crate::controller::{Controller, Version};
use crate::cpuset::CpuSet;
use crate::report::Reason;
use crate::resources::{Cpuset, CpusetPartition};
use crate::setting::{Check, Setting, Write};

/// The file of CPUs for partitions.
pub(crate) const EXCLUSIVE: &str = "cpuset.cpus.exclusive";

/// Plans the settings.
pub(crate) fn plan(cpuset: &Cpuset, plan: &mut Vec<Setting>) {
    // A group that is no partition any more gives its CPUs back before it gets others.
    let (first, last) = match cpuset.partition {
        Some(CpusetPartition::Member) => (cpuset.partition, None),
        other => (None, other),
    };
    plan.extend(first.map(partition));
    let sets = [
        ("cpuset.cpus", "cpuset.cpus", &cpuset.cpus),
        ("cpuset.mems", "cpuset.mems", &cpuset.mems),
        ("cpuset.exclusive", EXCLUSIVE, &cpuset.exclusive),
    ];
    for (name, file, set) in sets {
        plan.extend(set.as_ref().map(|set| member(name, file, set)));
    }
    plan.extend(last.map(partition));
    plan.extend(
        flags(cpuset).map(|(name, file, _)| Setting::unsupported(name, Controller::Cpuset, file, Reason::V1Only)),
    );
}

/// The settings that only v1 has: name, file and value of those that are set.
pub(crate) fn flags(cpuset: &Cpuset) -> impl Iterator<Item = (&'static str, &'static str, i8)> {
    let flag = |flag: Option<bool>| flag.map(i8::from);
    [
        ("cpuset.cpu_exclusive", "cpuset.cpu_exclusive", flag(cpuset.cpu_exclusive)),
        ("cpuset.mem_exclusive", "cpuset.mem_exclusive", flag(cpuset.mem_exclusive)),
        ("cpuset.mem_hardwall", "cpuset.mem_hardwall", flag(cpuset.mem_hardwall)),
        ("cpuset.memory_migrate", "cpuset.memory_migrate", flag(cpuset.memory_migrate)),
        ("cpuset.load_balance", "cpuset.sched_load_balance", flag(cpuset.load_balance)),
        ("cpuset.relax_domain_level", "cpuset.sched_relax_domain_level", cpuset.relax_domain_level),
        ("cpuset.memory_spread_page", "cpuset.memory_spread_page", flag(cpuset.memory_spread_page)),
    ]
    .into_iter()
    .filter_map(|(name, file, value)| value.map(|value| (name, file, value)))
}

fn member(name: &'static str, file: &'static str, set: &CpuSet) -> Setting {
    // A write of no bytes does not reach the kernel's file: the line break does.
    let value = if set.is_empty() { "\n".to_owned() } else { set.to_string() };
    Setting::write(name, Controller::Cpuset, Version::V2, file, value)
}

fn partition(partition: CpusetPartition) -> Setting {
    let value = match partition {
        CpusetPartition::Member => "member",
        CpusetPartition::Root => "root",
        CpusetPartition::Isolated => "isolated",
    };
    let file = "cpuset.cpus.partition";
    let write = Write::new(Version::V2, file, value).checked_by(Check::NotInvalid);
    Setting::writes("cpuset.partition", Controller::Cpuset, write)
}
