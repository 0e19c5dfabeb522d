//! `cpuset.*` of v2.

use crate::controller::{Controller, Version};
use crate::cpuset::CpuSet;
use crate::resources::{Cpuset, CpusetPartition};
use crate::setting::{Action, Check, Setting};

/// Plans the settings.
pub(crate) fn plan(cpuset: &Cpuset, plan: &mut Vec<Setting>) {
    for (file, set) in [("cpuset.cpus", &cpuset.cpus), ("cpuset.mems", &cpuset.mems)] {
        plan.extend(set.as_ref().map(|set| member(file, set)));
    }
    plan.extend(cpuset.partition.map(partition));
}

fn member(file: &'static str, set: &CpuSet) -> Setting {
    // A write of no bytes does not reach the kernel's file: the line break does.
    let value = if set.is_empty() { "\n".to_owned() } else { set.to_string() };
    Setting::write(file, Controller::Cpuset, Version::V2, file, value)
}

fn partition(partition: CpusetPartition) -> Setting {
    let value = match partition {
        CpusetPartition::Member => "member",
        CpusetPartition::Root => "root",
        CpusetPartition::Isolated => "isolated",
    };
    let file = "cpuset.cpus.partition";
    let mut setting = Setting::write("cpuset.partition", Controller::Cpuset, Version::V2, file, value);
    if let Action::Write { writes, .. } = &mut setting.action {
        for write in writes {
            write.check = Check::NotInvalid;
        }
    }
    setting
}
