//! Ending every process of a group and of the groups below it.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::error::{Error, Holder, Result};
use crate::group::deadline::Deadline;
use crate::group::events::GroupEvents;
use crate::group::freeze::{freeze_v1, thaw_tree_v1};
use crate::group::{Group, pids_in};
use crate::hierarchy::directory::{Directory, WriteFailure};

/// How long v1 processes may take to freeze before they are signalled unfrozen.
const FREEZE_AT_MOST: Duration = Duration::from_millis(200);

impl Group {
    /// Kills every process in the group and below it and waits until they have ended; frozen ones too.
    ///
    /// Kernel: `cgroup.kill` (v2, since 5.14), after which `cgroup.events` tells of the end. In v1, and for processes
    /// that are in the group's v1 hierarchies only: freeze, signal each by its pidfd, thaw, and wait for the pidfds;
    /// again until nothing is left. A parent that never waits for its children does not hinder this.
    ///
    /// Errors: [`Error::TimedOut`] if some process is still there, [`Error::Busy`] for processes of another pid
    /// namespace that v1 lists and that cannot be named from here.
    pub fn kill_and_wait(&self, timeout: Duration) -> Result<()> {
        let deadline = Deadline::after(timeout);
        let mut by_signal: Vec<&Directory> = self.members_v1().map(|member| &member.directory).collect();
        if let Some(member) = self.member_v2() {
            match member.directory.write("cgroup.kill", "1") {
                Ok(()) => {}
                Err(WriteFailure::Gone) => return Err(member.directory.gone()),
                Err(WriteFailure::NoFile) => by_signal.push(&member.directory),
                Err(WriteFailure::NotPermitted) => {
                    return Err(Error::sys("open", member.directory.file("cgroup.kill"), Errno::ACCESS));
                }
                Err(WriteFailure::Refused(source)) => {
                    return Err(Error::sys("write", member.directory.file("cgroup.kill"), source));
                }
            }
            // Where both versions hold the same processes this leaves nothing to signal one by one.
            let events = GroupEvents::open(&member.directory)?;
            let killed = !by_signal.iter().any(|directory| directory.path() == member.directory.path());
            if killed && !events.wait_until(deadline, |state| !state.populated)? {
                return Err(deadline.missed("end", self.name()));
            }
        }
        self.kill_by_signal(&by_signal, deadline)?;
        match self.member_v2() {
            Some(member)
                if !GroupEvents::open(&member.directory)?.wait_until(deadline, |state| !state.populated)? =>
            {
                Err(deadline.missed("end", self.name()))
            }
            _ => Ok(()),
        }
    }

    fn kill_by_signal(&self, directories: &[&Directory], deadline: Deadline) -> Result<()> {
        loop {
            let pids = listed(directories)?;
            if pids.is_empty() {
                return Ok(());
            }
            if deadline.left().is_none() {
                return Err(deadline.missed("end", self.name()));
            }
            let freezer = self.member_of("freezer").map(|member| &member.directory);
            if let Some(freezer) = freezer {
                // Frozen, nothing can fork while the list is read. What does not freeze is signalled all the same.
                match freeze_v1(freezer, Deadline::after(FREEZE_AT_MOST)) {
                    Ok(()) | Err(Error::TimedOut { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            let signalled = signal_all(directories);
            if let Some(freezer) = freezer {
                // A frozen process of v1 dies only once it is thawed.
                thaw_tree_v1(freezer)?;
            }
            let signalled = signalled?;
            if signalled.is_empty() && pids.iter().all(|pid| *pid == 0) {
                return Err(Error::Busy { group: self.name(), holder: Holder::Processes(pids) });
            }
            if !wait_for_end(&signalled, deadline)? {
                return Err(deadline.missed("end", self.name()));
            }
            if signalled.is_empty() && !deadline.pause() {
                // Listed and yet not to be opened: processes between their end and the removal from the group.
                return Err(deadline.missed("end", self.name()));
            }
        }
    }
}

/// The processes in directories and below them.
pub(crate) fn listed(directories: &[&Directory]) -> Result<Vec<i32>> {
    let mut pids = Vec::new();
    for directory in directories {
        listed_below(directory, &mut pids)?;
    }
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

fn listed_below(directory: &Directory, pids: &mut Vec<i32>) -> Result<()> {
    pids.extend(pids_in(directory)?);
    if !directory.has_directories()? {
        return Ok(());
    }
    for name in directory.directories()? {
        match directory.below(&name)?.map(|below| listed_below(&below, pids)) {
            None | Some(Ok(()) | Err(Error::Gone { .. })) => {}
            Some(Err(error)) => return Err(error),
        }
    }
    Ok(())
}

/// Signals what is listed, and holds each by a descriptor that cannot come to mean another process.
fn signal_all(directories: &[&Directory]) -> Result<Vec<OwnedFd>> {
    let mut opened = BTreeMap::new();
    for pid in listed(directories)? {
        let Some(named) = Pid::from_raw(pid) else { continue };
        match pidfd_open(named, PidfdFlags::empty()) {
            Ok(fd) => {
                opened.insert(pid, fd);
            }
            Err(Errno::SRCH) => {}
            Err(error) => return Err(Error::sys("open process", pid.to_string(), error)),
        }
    }
    // A number that is listed again, after its descriptor was opened, is that same process: if it had ended before,
    // the number may belong to a stranger, but then the descriptor does not.
    let again = listed(directories)?;
    let mut signalled = Vec::new();
    for (pid, fd) in opened {
        if again.binary_search(&pid).is_err() {
            continue;
        }
        match pidfd_send_signal(&fd, Signal::KILL) {
            Ok(()) => signalled.push(fd),
            Err(Errno::SRCH) => {}
            Err(error) => return Err(Error::sys("kill process", pid.to_string(), error)),
        }
    }
    Ok(signalled)
}

/// Waits until all have ended; `false` when the time is over.
pub(crate) fn wait_for_end(pidfds: &[OwnedFd], deadline: Deadline) -> Result<bool> {
    for pidfd in pidfds {
        loop {
            let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
            if !deadline.wait(&mut fds)? {
                return Ok(false);
            }
            if !fds[0].revents().is_empty() {
                break;
            }
        }
    }
    Ok(true)
}

/// Descriptors of those processes that are still there.
pub(crate) fn open_all(pids: &[i32]) -> Result<Vec<OwnedFd>> {
    let mut fds = Vec::new();
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fds.push(fd),
            Err(Errno::SRCH) => {}
            Err(error) => return Err(Error::sys("open process", pid.as_raw_nonzero().to_string(), error)),
        }
    }
    Ok(fds)
}
