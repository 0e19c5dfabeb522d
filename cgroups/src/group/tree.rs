//! How many groups are below one, how many may be, and what v2 keeps of every group without a controller.

use std::time::Duration;

use crate::controller::{Controller, Version};
use crate::error::{Error, Result};
use crate::format::{self, FormatError, micros, number, number_or_max, single};
use crate::group::Group;
use crate::hierarchy::directory::{Directory, WriteFailure};
use crate::report::Reason;
use crate::value::Limit;

const MAX_DEPTH: &str = "cgroup.max.depth";
const MAX_DESCENDANTS: &str = "cgroup.max.descendants";
const STAT_LOCAL: &str = "cgroup.stat.local";

/// Bounds on the groups below a group; `None` leaves one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TreeLimits {
    /// How deep they may be nested; 0 forbids any.
    pub depth: Option<Limit<u64>>,
    /// How many there may be.
    pub descendants: Option<Limit<u64>>,
}

/// The groups below a group of v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeStats {
    /// How many there are.
    pub descendants: u64,
    /// How many were removed of which the kernel still holds something, such as page cache.
    pub dying: u64,
    /// How many there may be.
    pub max_descendants: Option<Limit<u64>>,
    /// How deep they may be nested.
    pub max_depth: Option<Limit<u64>>,
    /// For how long the group was to be frozen, be it frozen or not; since 6.18.
    pub frozen: Option<Duration>,
}

impl Group {
    /// The groups below this one; `None` where the group is not in v2.
    ///
    /// Kernel: `cgroup.stat`, since 4.14.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn tree(&self) -> Result<Option<TreeStats>> {
        self.check_there()?;
        let Some(member) = self.member_v2() else { return Ok(None) };
        let directory = &member.directory;
        let Some(content) = directory.read("cgroup.stat")? else { return Ok(None) };
        let count = |key: &[u8]| {
            let value = format::value_of(content.as_bytes(), key).ok_or(FormatError("a count is missing"));
            value.and_then(number).map_err(|error| malformed(directory, "cgroup.stat", error))
        };
        let limit = |file| read(directory, file, |content| number_or_max(single(content)));
        let frozen = |content: &[u8]| format::value_of(content, b"frozen_usec").map(micros).transpose();
        Ok(Some(TreeStats {
            descendants: count(b"nr_descendants")?,
            dying: count(b"nr_dying_descendants")?,
            max_descendants: limit(MAX_DESCENDANTS)?,
            max_depth: limit(MAX_DEPTH)?,
            frozen: read(directory, STAT_LOCAL, frozen)?.flatten(),
        }))
    }

    /// Bounds the groups below this one, for instance before it is [delegated](Self::delegate).
    ///
    /// Kernel: `cgroup.max.depth` and `cgroup.max.descendants`, v2 since 4.14. Groups that are there stay.
    ///
    /// Errors: [`Error::Unsupported`] where the group is not in v2; [`Error::Gone`] if it was removed.
    pub fn limit_tree(&self, limits: TreeLimits) -> Result<()> {
        for (file, limit) in [(MAX_DEPTH, limits.depth), (MAX_DESCENDANTS, limits.descendants)] {
            if let Some(limit) = limit {
                self.write_core(file, &limit.to_string())?;
            }
        }
        Ok(())
    }

    /// Makes the kernel count pressure in this group, as it does by default, or spare the time that it takes.
    ///
    /// Kernel: `cgroup.pressure`, v2 since 6.1.
    ///
    /// Errors: [`Error::Unsupported`] where there is none; [`Error::Gone`] if the group was removed.
    pub fn count_pressure(&self, count: bool) -> Result<()> {
        self.write_core("cgroup.pressure", if count { "1" } else { "0" })
    }

    fn write_core(&self, file: &'static str, value: &str) -> Result<()> {
        self.check_there()?;
        // These files have no controller; the freezer is one that v2 has in every group likewise.
        let unsupported = |reason| Error::unsupported(file, Controller::Freezer, file, reason);
        let Some(directory) = self.directory_of(Version::V2, file) else {
            return Err(unsupported(Reason::V2Only));
        };
        match directory.write(file, value) {
            Ok(()) => Ok(()),
            Err(WriteFailure::NoFile) => Err(unsupported(Reason::Kernel)),
            Err(WriteFailure::NotPermitted) => Err(unsupported(Reason::NotDelegated)),
            Err(failure) => Err(directory.plainly(file, failure)),
        }
    }
}

fn read<T>(directory: &Directory, file: &str, parse: impl Fn(&[u8]) -> format::Result<T>) -> Result<Option<T>> {
    let Some(content) = directory.read(file)? else { return Ok(None) };
    parse(content.as_bytes()).map(Some).map_err(|error| malformed(directory, file, error))
}

fn malformed(directory: &Directory, file: &str, FormatError(reason): FormatError) -> Error {
    Error::Malformed { file: directory.file(file), reason }
}
