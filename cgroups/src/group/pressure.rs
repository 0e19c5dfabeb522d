//! Triggers on pressure: a descriptor that is ready when tasks lost more than so much time in so long a window.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::controller::{Controller, Version};
use crate::error::{Error, Result};
use crate::group::Group;
use crate::group::deadline::Deadline;
use crate::hierarchy::directory::WriteFailure;
use crate::report::Reason;

/// What tasks wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PressureOn {
    /// A CPU.
    Cpu,
    /// Memory.
    Memory,
    /// Block devices.
    Io,
    /// The end of interrupts, which hold up all tasks at once; since 6.1, and only [`Stall::Full`].
    Irq,
}

/// How many of the tasks have to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stall {
    /// At least one.
    Some,
    /// All that could run.
    Full,
}

/// Tells when tasks of a group lose more than so much time in so long a window.
///
/// Its descriptor has `POLLPRI` (`EPOLLPRI`, "priority" to event loops) for each window in which that happened, once,
/// and `POLLERR` when the group was removed. Asking for the state takes the news: there is nothing to read.
#[derive(Debug)]
pub struct PressureTrigger {
    fd: OwnedFd,
    group: String,
}

const WINDOW_MIN: Duration = Duration::from_millis(500);
const WINDOW_MAX: Duration = Duration::from_secs(10);

impl Group {
    /// Sets a trigger for `threshold` of lost time within any `window`.
    ///
    /// Kernel: `cpu.pressure`, `memory.pressure`, `io.pressure` and `irq.pressure` of v2, with `CONFIG_PSI`. Windows are 500 ms to
    /// 10 s; without `CAP_SYS_RESOURCE` they are multiples of 2 s (since 6.5).
    ///
    /// Errors: [`Error::Invalid`] for a window or threshold that the kernel does not take from this caller,
    /// [`Error::Unsupported`] where the group is not in v2 or nothing counts pressure.
    pub fn pressure_trigger(
        &self,
        on: PressureOn,
        stall: Stall,
        threshold: Duration,
        window: Duration,
    ) -> Result<PressureTrigger> {
        if !(WINDOW_MIN..=WINDOW_MAX).contains(&window) {
            return Err(Error::invalid("window", format!("{window:?}"), "the range is 500 ms to 10 s"));
        }
        if (on, stall) == (PressureOn::Irq, Stall::Some) {
            return Err(Error::invalid("stall", "some", "interrupts hold up all tasks"));
        }
        if threshold.as_micros() == 0 || threshold > window {
            return Err(Error::invalid(
                "threshold",
                format!("{threshold:?}"),
                "it is above zero and within the window",
            ));
        }
        let (controller, file) = match on {
            PressureOn::Cpu => (Controller::Cpu, "cpu.pressure"),
            PressureOn::Memory => (Controller::Memory, "memory.pressure"),
            PressureOn::Io => (Controller::Io, "io.pressure"),
            PressureOn::Irq => (Controller::Cpu, "irq.pressure"),
        };
        let unsupported = |reason| Error::unsupported("pressure", controller, file, reason);
        self.check_there()?;
        let Some(directory) = self.directory_of(Version::V2, file) else {
            return Err(unsupported(Reason::NotEnabled));
        };
        let stall = match stall {
            Stall::Some => "some",
            Stall::Full => "full",
        };
        let line = format!("{stall} {} {}", threshold.as_micros(), window.as_micros());
        let opened = directory.open_to_write(file);
        match opened.and_then(|fd| directory.write_to(&fd, &line).map(|()| fd)) {
            Ok(fd) => Ok(PressureTrigger { fd, group: directory.path() }),
            Err(WriteFailure::NoFile) => Err(unsupported(Reason::Kernel)),
            Err(WriteFailure::NotPermitted) => Err(unsupported(Reason::NotDelegated)),
            Err(WriteFailure::Refused(source)) => match Errno::from_io_error(&source) {
                Some(Errno::OPNOTSUPP) => Err(unsupported(Reason::NotEnabled)),
                Some(Errno::INVAL) if !window.as_micros().is_multiple_of(2_000_000) => {
                    let reason = "without CAP_SYS_RESOURCE it is a multiple of 2 s";
                    Err(Error::invalid("window", format!("{window:?}"), reason))
                }
                _ => Err(Error::sys("write", directory.file(file), source)),
            },
            Err(failure @ WriteFailure::Gone) => Err(directory.plainly(file, failure)),
        }
    }
}

impl PressureTrigger {
    /// Waits for the next time; `false` when `timeout` is over.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn wait(&self, timeout: Duration) -> Result<bool> {
        let deadline = Deadline::after(timeout);
        loop {
            let mut fds = [PollFd::new(&self.fd, PollFlags::PRI)];
            if !deadline.wait(&mut fds)? {
                return Ok(false);
            }
            let news = fds[0].revents();
            if news.contains(PollFlags::ERR) {
                return Err(Error::Gone { group: self.group.clone() });
            }
            if news.contains(PollFlags::PRI) {
                return Ok(true);
            }
        }
    }
}

impl AsFd for PressureTrigger {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for PressureTrigger {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}
