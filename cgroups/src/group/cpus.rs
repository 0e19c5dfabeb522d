//! Which CPUs and memory nodes a group really has.

use crate::controller::{Controller, Version};
use crate::cpuset::CpuSet;
use crate::error::{Error, Result};
use crate::group::Group;

impl Group {
    /// The CPUs that the group's processes run on; `None` where the group has no cpuset.
    ///
    /// Kernel: `cpuset.cpus.effective` (v2), `cpuset.effective_cpus` (v1).
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn effective_cpus(&self) -> Result<Option<CpuSet>> {
        self.cpu_set("cpuset.effective_cpus", "cpuset.cpus.effective")
    }

    /// The memory nodes that the group's processes get memory from; `None` where the group has no cpuset.
    ///
    /// Kernel: `cpuset.mems.effective` (v2), `cpuset.effective_mems` (v1).
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn effective_mems(&self) -> Result<Option<CpuSet>> {
        self.cpu_set("cpuset.effective_mems", "cpuset.mems.effective")
    }

    /// The CPUs that groups below may make partitions of; `None` where the kernel has no such set.
    ///
    /// Kernel: `cpuset.cpus.exclusive.effective`, v2 only, since 6.7.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn exclusive_cpus(&self) -> Result<Option<CpuSet>> {
        self.check_there()?;
        match self.hierarchies().version_of(Controller::Cpuset) {
            Some(Version::V2) => self.read_set(Version::V2, "cpuset.cpus.exclusive.effective"),
            Some(Version::V1) | None => Ok(None),
        }
    }

    fn cpu_set(&self, v1: &str, v2: &str) -> Result<Option<CpuSet>> {
        self.check_there()?;
        match self.hierarchies().version_of(Controller::Cpuset) {
            Some(Version::V1) => self.read_set(Version::V1, v1),
            Some(Version::V2) => self.read_set(Version::V2, v2),
            None => Ok(None),
        }
    }

    fn read_set(&self, version: Version, file: &str) -> Result<Option<CpuSet>> {
        let Some(directory) = self.directory_of(version, file) else { return Ok(None) };
        let Some(content) = directory.read(file)? else { return Ok(None) };
        match content.trim().parse() {
            Ok(set) => Ok(Some(set)),
            Err(_) => Err(Error::Malformed { file: directory.file(file), reason: "a list of numbers is expected" }),
        }
    }
}
