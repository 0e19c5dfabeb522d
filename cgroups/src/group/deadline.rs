//! Waiting on descriptors until a point in time.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec, poll};

use crate::error::{Error, Result};

/// A point in time, from a duration that a caller gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    given: Duration,
    at: Option<Instant>,
}

impl Deadline {
    /// So much later than now; a time too far to name is none.
    pub(crate) fn after(given: Duration) -> Self {
        Self { given, at: Instant::now().checked_add(given) }
    }

    /// The time that is left; `None` when it is over.
    pub(crate) fn left(self) -> Option<Duration> {
        match self.at {
            None => Some(Duration::MAX),
            Some(at) => at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()),
        }
    }

    /// The error when it is over.
    pub(crate) fn missed(self, op: &'static str, object: impl Into<String>) -> Error {
        Error::TimedOut { op, object: object.into(), after: self.given }
    }

    /// Waits until one of `fds` is ready; `false` when the time is over.
    pub(crate) fn wait(self, fds: &mut [PollFd<'_>]) -> Result<bool> {
        let Some(left) = self.left() else { return Ok(false) };
        let timeout = Timespec::try_from(left).ok();
        match poll(fds, timeout.as_ref()) {
            Ok(0) => Ok(false),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(true),
            Err(error) => Err(Error::sys("wait for", "a group's events", error)),
        }
    }

    /// Sleeps a moment, for the few things of v1 of which the kernel tells nobody; `false` when the time is over.
    pub(crate) fn pause(self) -> bool {
        match self.left() {
            None => false,
            Some(left) => {
                std::thread::sleep(left.min(Duration::from_millis(1)));
                true
            }
        }
    }
}
