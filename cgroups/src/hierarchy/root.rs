//! What only the root of v2 has: what the whole machine can give, and what io costs.

use std::collections::BTreeMap;

use crate::controller::{Controller, Version};
use crate::cpuset::CpuSet;
use crate::error::{Error, Result};
use crate::format::{self, FormatError, number};
use crate::hierarchy::Hierarchies;
use crate::hierarchy::directory::{Directory, WriteFailure};
use crate::io_cost::{CONTROLLER, IoCost, MODEL, QOS};
use crate::observed::Home;
use crate::report::Reason;
use crate::value::Bytes;

impl Hierarchies {
    /// The CPUs that no scheduler balances, be it for partitions or since boot; `None` where the kernel does not tell.
    ///
    /// Kernel: `cpuset.cpus.isolated` of the root of v2, since 6.7.
    pub fn isolated_cpus(&self) -> Result<Option<CpuSet>> {
        let file = "cpuset.cpus.isolated";
        match self.read_root(Controller::Cpuset, file)? {
            None => Ok(None),
            Some((directory, content)) => content
                .trim()
                .parse()
                .map(Some)
                .map_err(|_| Error::Malformed { file: directory.file(file), reason: "a list of numbers is expected" }),
        }
    }

    /// How much of each miscellaneous resource the machine has, by name; empty where there is none.
    ///
    /// Kernel: `misc.capacity` of the root, since 5.13.
    pub fn misc_capacity(&self) -> Result<BTreeMap<String, u64>> {
        self.capacity(Controller::Misc, "misc.capacity")
    }

    /// How much memory each region of a device has, by name; empty where there is none.
    ///
    /// Kernel: `dmem.capacity` of the root, since 6.14.
    pub fn dmem_capacity(&self) -> Result<BTreeMap<String, Bytes>> {
        let regions = self.capacity(Controller::Dmem, "dmem.capacity")?;
        Ok(regions.into_iter().map(|(region, bytes)| (region, Bytes::new(bytes))).collect())
    }

    /// What io costs on each device for which that was set; empty where the kernel has no such model.
    ///
    /// Kernel: `io.cost.qos` and `io.cost.model` of the root of v2, since 5.4.
    pub fn io_cost(&self) -> Result<Vec<IoCost>> {
        let (Some((directory, qos)), Some((_, model))) =
            (self.read_root(Controller::Io, QOS)?, self.read_root(Controller::Io, MODEL)?)
        else {
            return Ok(Vec::new());
        };
        IoCost::parse(qos.as_bytes(), model.as_bytes())
            .map_err(|FormatError(reason)| Error::Malformed { file: directory.file(QOS), reason })
    }

    /// Sets what io costs on a device, for all groups of the machine: both files, or neither.
    ///
    /// Kernel: `io.cost.model` and `io.cost.qos` of the root of v2, since 5.4 with `CONFIG_BLK_CGROUP_IOCOST`.
    ///
    /// Errors: [`Error::Unsupported`] where there is none or where the base is not the root, [`Error::Invalid`] for
    /// numbers out of range, [`Error::Sys`] for what the kernel refuses, such as a device that is no whole disk.
    pub fn set_io_cost(&self, cost: &IoCost) -> Result<()> {
        let former = self.io_cost()?.into_iter().find(|found| found.device == cost.device);
        let mut done = Vec::new();
        for (file, line) in cost.lines()? {
            if let Err(error) = self.write_root(file, &line) {
                return Err(error.leaving(self.put_back(cost, former, &done)));
            }
            done.push(file);
        }
        Ok(())
    }

    fn put_back(&self, cost: &IoCost, former: Option<IoCost>, done: &[&str]) -> Vec<(String, std::io::Error)> {
        let mut left = Vec::new();
        for file in done {
            let lines = former.map(|former| former.lines()).and_then(Result::ok).unwrap_or_default();
            let line = lines.into_iter().find(|(found, _)| found == file).map(|(_, line)| line);
            // A device without a line has the numbers of the kernel.
            let line = line.unwrap_or_else(|| format!("{} ctrl=auto", cost.device));
            if let Err(error) = self.write_root(file, &line) {
                left.push(((*file).to_owned(), std::io::Error::other(error)));
            }
        }
        left
    }

    fn write_root(&self, file: &str, line: &str) -> Result<()> {
        let unsupported = |reason| Error::unsupported(file.to_owned(), CONTROLLER, file.to_owned(), reason);
        let unified = match (self.home(CONTROLLER), self.unified()) {
            (Home::V2, Some(unified)) => unified,
            (Home::Absent(reason), _) => return Err(unsupported(reason)),
            (Home::V1 | Home::V2, _) => return Err(unsupported(Reason::V2Only)),
        };
        match unified.base.write(file, line) {
            Ok(()) => Ok(()),
            // Only the root of the machine has no type.
            Err(WriteFailure::NoFile) if unified.base.read("cgroup.type")?.is_some() => {
                Err(unsupported(Reason::NotDelegated))
            }
            Err(WriteFailure::NoFile) => Err(unsupported(Reason::Kernel)),
            Err(WriteFailure::NotPermitted) => Err(unsupported(Reason::NotDelegated)),
            Err(failure) => Err(unified.base.plainly(file, failure)),
        }
    }

    fn capacity(&self, controller: Controller, file: &str) -> Result<BTreeMap<String, u64>> {
        let Some((directory, content)) = self.read_root(controller, file)? else { return Ok(BTreeMap::new()) };
        let amounts = format::keyed(content.as_bytes())
            .map(|(name, value)| Ok((String::from_utf8_lossy(name).into_owned(), number(value)?)));
        amounts
            .collect::<format::Result<_>>()
            .map_err(|FormatError(reason)| Error::Malformed { file: directory.file(file), reason })
    }

    /// A file of the base of the hierarchy that has a controller.
    fn read_root(&self, controller: Controller, file: &str) -> Result<Option<(&Directory, String)>> {
        let hierarchy = match self.home(controller) {
            Home::V2 => self.unified(),
            Home::V1 => self.all.iter().find(|it| it.version == Version::V1 && it.has(controller.subsystems()[0])),
            Home::Absent(_) => None,
        };
        let Some(hierarchy) = hierarchy else { return Ok(None) };
        let content = hierarchy.base.read(file)?;
        Ok(content.map(|content| (&*hierarchy.base, content)))
    }
}
