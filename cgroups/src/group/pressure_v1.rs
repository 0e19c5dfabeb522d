//! Pressure on the memory of a v1 group, of which an event descriptor tells.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use rustix::io::Errno;

use crate::controller::{Controller, Version};
use crate::error::{Error, Result};
use crate::group::deadline::Deadline;
use crate::group::{Group, Held};
use crate::hierarchy::directory::WriteFailure;
use crate::report::Reason;

/// How hard the kernel tries to reclaim memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PressureLevel {
    /// It reclaims at all.
    Low,
    /// It swaps, or drops page cache that is in use.
    Medium,
    /// It is about to run out.
    Critical,
}

/// The pressure of which groups is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PressureScope {
    /// Of the group and those below it, unless one of those has a listener that was told.
    UnlessToldBelow,
    /// Of the group and those below it, whoever else was told.
    Hierarchy,
    /// Of the group itself.
    Local,
}

/// Tells of pressure on the memory of a v1 group; ends with the group.
///
/// Its descriptor is readable (`POLLIN`) when there was some, or when the group was removed.
#[derive(Debug)]
pub struct MemoryPressure {
    fd: OwnedFd,
    directory: Held,
}

impl Group {
    /// Listens for pressure of at least `level`; a window over time is [`pressure_trigger`](Self::pressure_trigger)'s,
    /// which v2 has.
    ///
    /// Kernel: `memory.pressure_level` and `cgroup.event_control`, v1 only, in kernels with `CONFIG_MEMCG_V1`.
    ///
    /// Errors: [`Error::Unsupported`] where there is none; [`Error::Gone`] if the group was removed.
    pub fn memory_pressure_v1(&self, level: PressureLevel, scope: PressureScope) -> Result<MemoryPressure> {
        let file = "memory.pressure_level";
        let unsupported = |reason| Error::unsupported(file, Controller::Memory, file, reason);
        self.check_there()?;
        let Some(directory) = self.hold(Version::V1, file) else {
            let v1_only = self.hierarchies().of_subsystem("memory").is_none();
            return Err(unsupported(if v1_only { Reason::V1Only } else { Reason::NotEnabled }));
        };
        let Some(control) = directory.open(file)? else { return Err(unsupported(Reason::Kernel)) };
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| Error::sys("create an event descriptor for", self.name(), error))?;
        let level = match level {
            PressureLevel::Low => "low",
            PressureLevel::Medium => "medium",
            PressureLevel::Critical => "critical",
        };
        let scope = match scope {
            PressureScope::UnlessToldBelow => "default",
            PressureScope::Hierarchy => "hierarchy",
            PressureScope::Local => "local",
        };
        let line = format!("{} {} {level},{scope}", fd.as_raw_fd(), control.as_raw_fd());
        match directory.write("cgroup.event_control", &line) {
            Ok(()) => Ok(MemoryPressure { fd, directory }),
            Err(WriteFailure::NotPermitted) => Err(unsupported(Reason::NotDelegated)),
            Err(failure) => Err(directory.plainly("cgroup.event_control", failure)),
        }
    }
}

impl MemoryPressure {
    /// How often there was pressure since the last call; does not wait.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn read(&self) -> Result<u64> {
        let mut count = [0_u8; 8];
        if self.directory.is_gone() {
            return Err(self.directory.gone());
        }
        match rustix::io::read(&self.fd, &mut count) {
            Ok(_) => Ok(u64::from_ne_bytes(count)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(Error::sys("read", "an event descriptor", error)),
        }
    }

    /// Waits for pressure; `false` when `timeout` is over.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn wait(&self, timeout: Duration) -> Result<bool> {
        let deadline = Deadline::after(timeout);
        while self.read()? == 0 {
            if !deadline.wait(&mut [PollFd::new(&self.fd, PollFlags::IN)])? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl AsFd for MemoryPressure {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for MemoryPressure {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}
