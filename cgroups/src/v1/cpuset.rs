//! `cpuset.*` of v1.

use crate::controller::{Controller, Version};
use crate::cpuset::CpuSet;
use crate::error::{Error, Result};
use crate::report::Reason;
use crate::resources::Cpuset;
use crate::setting::Setting;

/// Files that a new group holds empty, and without which it takes no process.
pub(crate) const FILLED_FROM_PARENT: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// Plans the settings.
pub(crate) fn plan(cpuset: &Cpuset, plan: &mut Vec<Setting>) -> Result<()> {
    for (file, set) in [("cpuset.cpus", &cpuset.cpus), ("cpuset.mems", &cpuset.mems)] {
        plan.extend(set.as_ref().map(|set| member(file, set)).transpose()?);
    }
    if cpuset.partition.is_some() {
        let file = "cpuset.cpus.partition";
        plan.push(Setting::unsupported("cpuset.partition", Controller::Cpuset, file, Reason::V2Only));
    }
    Ok(())
}

fn member(file: &'static str, set: &CpuSet) -> Result<Setting> {
    if set.is_empty() {
        return Err(Error::invalid(file, "empty", "a v1 group without CPUs or memory nodes takes no process"));
    }
    Ok(Setting::write(file, Controller::Cpuset, Version::V1, file, set))
}
