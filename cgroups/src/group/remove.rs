//! Removing groups: from the leaves up, after their processes have ended, and never by killing.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

use crate::controller::Version;
use crate::error::{Error, Holder, Result};
use crate::group::deadline::Deadline;
use crate::group::events::GroupEvents;
use crate::group::kill::{listed, open_all, wait_for_end};
use crate::group::{Group, Member};
use crate::hierarchy::directory::{Directory, Standing};
use crate::hierarchy::{Hierarchies, Hierarchy};
use crate::path::GroupPath;

impl Hierarchies {
    /// Removes what there is of a group in any hierarchy, by its name and without opening it, if nothing is in it.
    ///
    /// For a caller that knows of the group no more than where it was, such as another run of the program.
    ///
    /// Errors: [`Error::Busy`] if processes or groups are in it; of a group that is in several hierarchies, those
    /// without are removed. That there is none is no error.
    pub fn remove(&self, path: &GroupPath) -> Result<()> {
        let (above, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
        let (v2, v1): (Vec<&Hierarchy>, Vec<&Hierarchy>) =
            self.all.iter().partition(|hierarchy| hierarchy.version == Version::V2);
        for hierarchy in v2.into_iter().chain(v1) {
            let removed = match above {
                "" => hierarchy.base.remove(name),
                _ => match hierarchy.base.below(above)? {
                    Some(parent) => parent.remove(name),
                    None => continue,
                },
            };
            match removed.map_err(|error| error.kind()) {
                Ok(()) | Err(io::ErrorKind::NotFound) => {}
                // The group itself tells what keeps it.
                Err(_) => return self.find(path)?.map_or(Ok(()), |group| group.remove_within(Duration::ZERO)),
            }
        }
        Ok(())
    }
}

impl Group {
    /// How long [`remove`](Self::remove) waits for processes that are about to end.
    pub const REMOVE_WAIT: Duration = Duration::from_secs(2);

    /// Removes the group once its last process has ended; a process that stays is not killed.
    ///
    /// Errors: [`Error::Busy`] if groups are below it, or if processes are still there after
    /// [`REMOVE_WAIT`](Self::REMOVE_WAIT). Nothing is removed then, unless the group or process is in some of the
    /// hierarchies only, where [`child`](Self::child) and [`add`](Self::add) put none: those without are removed first. [`Error::Gone`] if it
    /// was removed before, even if one of the same name is there now.
    pub fn remove(&self) -> Result<()> {
        self.remove_within(Self::REMOVE_WAIT)
    }

    /// Removes the group as [`remove`](Self::remove) does, with another limit on waiting.
    pub fn remove_within(&self, timeout: Duration) -> Result<()> {
        // The removal itself says whether processes or groups are there: v2 first, which has the processes of all.
        let ordered = || self.member_v2().into_iter().chain(self.members_v1());
        let name = self.path().name();
        let mut removed = 0;
        if !self.is_gone() {
            removed = ordered().take_while(|member| member.parent.remove(name).is_ok()).count();
        }
        if removed == self.members().len() {
            return Ok(());
        }
        let left: Vec<&Member> = ordered().skip(removed).collect();
        for member in &left {
            let directory = &member.directory;
            if member.parent.standing(name, directory)? == Standing::Parent {
                let groups = match directory.directories() {
                    Ok(groups) => groups,
                    Err(Error::Gone { .. }) => continue,
                    Err(error) => return Err(error),
                };
                if !groups.is_empty() {
                    return Err(Error::Busy { group: directory.path(), holder: Holder::Groups(groups) });
                }
            }
        }
        self.remove_members(&left, Deadline::after(timeout))
    }

    /// Removes the group and every group below it once their last process has ended.
    ///
    /// Errors: [`Error::Busy`] if processes are still there after [`REMOVE_WAIT`](Self::REMOVE_WAIT), [`Error::Gone`]
    /// as for [`remove`](Self::remove). What of it is in hierarchies without these errors is removed all the same.
    pub fn remove_tree(&self) -> Result<()> {
        self.remove_tree_within(Self::REMOVE_WAIT)
    }

    /// Removes the tree as [`remove_tree`](Self::remove_tree) does, with another limit on waiting.
    pub fn remove_tree_within(&self, timeout: Duration) -> Result<()> {
        self.remove_members(&self.members().iter().collect::<Vec<_>>(), Deadline::after(timeout))
    }

    fn remove_members(&self, members: &[&Member], deadline: Deadline) -> Result<()> {
        self.wait_until_empty(members, deadline)?;
        let mut first_error = None;
        for member in members {
            if let Err(error) = remove_member(member, self.path().name(), deadline) {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Waits until no process is in these directories or below them.
    fn wait_until_empty(&self, members: &[&Member], deadline: Deadline) -> Result<()> {
        for member in members {
            let emptied = match self.version_of(member) {
                Version::V2 => GroupEvents::open(&member.directory)
                    .and_then(|events| events.wait_until(deadline, |state| !state.populated)),
                Version::V1 => wait_until_unlisted(&member.directory, deadline),
            };
            match emptied {
                Ok(true) | Err(Error::Gone { .. }) => {}
                Ok(false) => return Err(busy(&member.directory)?),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// v1 has no event for it; the descriptors of the processes have.
fn wait_until_unlisted(directory: &Directory, deadline: Deadline) -> Result<bool> {
    loop {
        let pids = listed(&[directory])?;
        if pids.is_empty() {
            return Ok(true);
        }
        let open = open_all(&pids)?;
        let ended = wait_for_end(&open, deadline)?;
        if !ended || (open.is_empty() && !deadline.pause()) {
            return Ok(false);
        }
        if deadline.left().is_none() {
            return Ok(listed(&[directory])?.is_empty());
        }
    }
}

fn busy(directory: &Directory) -> Result<Error> {
    let mut pids = listed(&[directory])?;
    pids.truncate(8);
    Ok(Error::Busy { group: directory.path(), holder: Holder::Processes(pids) })
}

fn remove_member(member: &Member, name: &str, deadline: Deadline) -> Result<()> {
    match member.parent.standing(name, &member.directory)? {
        Standing::Gone => return Err(member.directory.gone()),
        Standing::Parent => remove_below(&member.directory, deadline)?,
        Standing::Leaf => {}
    }
    remove_directory(&member.parent, name, &member.directory, deadline)
}

fn remove_below(directory: &Directory, deadline: Deadline) -> Result<()> {
    for name in directory.directories()? {
        if let Some(below) = directory.below(&name)? {
            remove_below(&below, deadline)?;
            remove_directory(directory, &name, &below, deadline)?;
        }
    }
    Ok(())
}

fn remove_directory(parent: &Directory, name: &str, directory: &Directory, deadline: Deadline) -> Result<()> {
    loop {
        let error = match parent.remove(name) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match Errno::from_io_error(&error) {
            Some(Errno::NOENT) => return Ok(()),
            Some(Errno::BUSY) => {
                let groups = directory.directories()?;
                if !groups.is_empty() {
                    let group = directory.path();
                    return Err(Error::Busy { group, holder: Holder::Groups(groups) });
                }
                if !listed(&[directory])?.is_empty() {
                    return Err(busy(directory)?);
                }
                // A process that v1 lists no more and still counts: it is between its end and the last of its
                // bookkeeping, of which no event tells.
                if !deadline.pause() {
                    return Err(Error::sys("remove", directory.path(), error));
                }
            }
            _ => return Err(Error::sys("remove", directory.path(), error)),
        }
    }
}
