//! `cpuset.*` of v1.

use crate::controller::{Controller, Version};
use crate::cpuset::CpuSet;
use crate::error::{Error, Result};
use crate::report::Reason;
use crate::resources::Cpuset;
use crate::setting::Setting;
use crate::v2::cpuset::{EXCLUSIVE, flags};

/// Files that a new group holds empty, and without which it takes no process.
pub(crate) const FILLED_FROM_PARENT: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// Plans the settings.
pub(crate) fn plan(cpuset: &Cpuset, plan: &mut Vec<Setting>) -> Result<()> {
    if let Some(level) = cpuset.relax_domain_level.filter(|level| !(-1..=5).contains(level)) {
        return Err(Error::invalid("cpuset.relax_domain_level", level, "the range is -1 to 5"));
    }
    let flag = |(name, file, value)| Setting::write(name, Controller::Cpuset, Version::V1, file, value);
    // What is exclusive no longer may then be shared, and what is to be exclusive may not be shared any more.
    plan.extend(flags(cpuset).filter(|(_, _, value)| *value == 0).map(flag));
    for (file, set) in [("cpuset.cpus", &cpuset.cpus), ("cpuset.mems", &cpuset.mems)] {
        plan.extend(set.as_ref().map(|set| member(file, set)).transpose()?);
    }
    plan.extend(flags(cpuset).filter(|(_, _, value)| *value != 0).map(flag));
    let v2_only = |name, file| Setting::unsupported(name, Controller::Cpuset, file, Reason::V2Only);
    plan.extend(cpuset.exclusive.as_ref().map(|_| v2_only("cpuset.exclusive", EXCLUSIVE)));
    plan.extend(cpuset.partition.map(|_| v2_only("cpuset.partition", "cpuset.cpus.partition")));
    Ok(())
}

fn member(file: &'static str, set: &CpuSet) -> Result<Setting> {
    if set.is_empty() {
        return Err(Error::invalid(file, "empty", "a v1 group without CPUs or memory nodes takes no process"));
    }
    Ok(Setting::write(file, Controller::Cpuset, Version::V1, file, set))
}
