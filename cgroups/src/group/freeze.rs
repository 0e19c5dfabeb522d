//! Stopping all processes of a group, and letting them run again.

use std::time::Duration;

use crate::error::{Error, NotDelegated, Result};
use crate::group::deadline::Deadline;
use crate::group::events::GroupEvents;
use crate::group::{Group, Member};
use crate::hierarchy::directory::Directory;
use crate::{Controller, Version};

const FREEZE: &str = "cgroup.freeze";
const STATE: &str = "freezer.state";

impl Group {
    /// Stops every process in the group and below it.
    ///
    /// Kernel: `cgroup.freeze` (v2, since 5.2), where the end is an event; `freezer.state` (v1), which the kernel asks
    /// to be written until it holds, of which it tells nobody: there this looks every millisecond.
    ///
    /// Errors: [`Error::TimedOut`] if a process could not be stopped in time; all of them then run again.
    /// [`Error::NotDelegated`] if the group is in no hierarchy that can freeze.
    pub fn freeze(&self, timeout: Duration) -> Result<()> {
        let deadline = Deadline::after(timeout);
        let (member, version) = self.freezer()?;
        match version {
            Version::V2 => self.freeze_v2(&member.directory, deadline),
            Version::V1 => freeze_v1(&member.directory, deadline),
        }
    }

    /// Lets the processes run again; those in a group below that was frozen by itself stay stopped.
    pub fn thaw(&self) -> Result<()> {
        let (member, version) = self.freezer()?;
        match version {
            Version::V2 => member.directory.write_plainly(FREEZE, "0"),
            Version::V1 => member.directory.write_plainly(STATE, "THAWED"),
        }
    }

    /// Whether every process of the group is stopped now.
    pub fn is_frozen(&self) -> Result<bool> {
        let (member, version) = self.freezer()?;
        match version {
            Version::V2 => GroupEvents::open(&member.directory)?.read().map(|state| state.frozen),
            Version::V1 => Ok(member.directory.read_always(STATE)?.trim() == "FROZEN"),
        }
    }

    fn freezer(&self) -> Result<(&Member, Version)> {
        self.check_there()?;
        if let Some(member) = self.member_v2() {
            return Ok((member, Version::V2));
        }
        self.member_of("freezer").map(|member| (member, Version::V1)).ok_or_else(|| Error::NotDelegated {
            controllers: vec![Controller::Freezer],
            stopped_at: self.name(),
            reason: NotDelegated::NotMounted,
        })
    }

    fn freeze_v2(&self, directory: &Directory, deadline: Deadline) -> Result<()> {
        let events = GroupEvents::open(directory)?;
        directory.write_plainly(FREEZE, "1")?;
        match events.wait_until(deadline, |state| state.frozen) {
            Ok(true) => Ok(()),
            Ok(false) => {
                directory.write_plainly(FREEZE, "0")?;
                Err(deadline.missed("freeze", self.name()))
            }
            Err(error) => Err(error),
        }
    }
}

/// Freezes a group of v1, or thaws it when it does not freeze in time.
pub(crate) fn freeze_v1(directory: &Directory, deadline: Deadline) -> Result<()> {
    loop {
        // A task that forked meanwhile is caught by the next write.
        directory.write_plainly(STATE, "FROZEN")?;
        if directory.read_always(STATE)?.trim() == "FROZEN" {
            return Ok(());
        }
        if !deadline.pause() {
            directory.write_plainly(STATE, "THAWED")?;
            return Err(deadline.missed("freeze", directory.path()));
        }
    }
}

/// Thaws a group of v1 and every group below it that was frozen by itself.
pub(crate) fn thaw_tree_v1(directory: &Directory) -> Result<()> {
    directory.write_plainly(STATE, "THAWED")?;
    for name in directory.directories()? {
        match directory.below(&name) {
            Ok(Some(below)) => thaw_tree_v1(&below)?,
            // Removed since it was listed.
            Ok(None) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
