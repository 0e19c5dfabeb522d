//! `cgroup.events` of v2: whether a group is populated and frozen, and waiting for either.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::format;
use crate::group::deadline::Deadline;
use crate::hierarchy::directory::Directory;

/// The file, kept open so that the kernel tells of changes since the last reading.
#[derive(Debug)]
pub(crate) struct GroupEvents {
    fd: OwnedFd,
    file: String,
    group: String,
}

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupState {
    /// Whether a process is in the group or below it.
    pub(crate) populated: bool,
    /// Whether all its processes are stopped.
    pub(crate) frozen: bool,
}

impl GroupState {
    /// Reads the content of the file; `None` if it is not as documented.
    pub(crate) fn parse(content: &[u8]) -> Option<Self> {
        let flag = |key| format::value_of(content, key).map(|value| value == b"1");
        // `frozen` is there since 5.2.
        flag(b"populated").map(|populated| Self { populated, frozen: flag(b"frozen").unwrap_or(false) })
    }
}

impl AsFd for GroupEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl GroupEvents {
    /// Opens the file of a v2 group.
    pub(crate) fn open(directory: &Directory) -> Result<Self> {
        let file = directory.file("cgroup.events");
        match directory.open("cgroup.events")? {
            Some(fd) => Ok(Self { fd, file, group: directory.path() }),
            None => Err(Error::sys("open", file, Errno::NOENT)),
        }
    }

    /// Reads the file.
    pub(crate) fn read(&self) -> Result<GroupState> {
        let mut buffer = [0_u8; 128];
        let read = match rustix::io::pread(&self.fd, &mut buffer, 0) {
            Ok(read) => read,
            Err(Errno::NODEV) => return Err(Error::Gone { group: self.group.clone() }),
            Err(error) => return Err(Error::sys("read", &self.file, error)),
        };
        GroupState::parse(&buffer[..read])
            .ok_or_else(|| Error::Malformed { file: self.file.clone(), reason: "populated is missing" })
    }

    /// Waits until the state is as wanted; `false` when the time is over.
    pub(crate) fn wait_until(&self, deadline: Deadline, wanted: impl Fn(GroupState) -> bool) -> Result<bool> {
        while !wanted(self.read()?) {
            if !deadline.wait(&mut [PollFd::new(&self.fd, PollFlags::PRI)])? {
                return self.read().map(wanted);
            }
        }
        Ok(true)
    }
}
