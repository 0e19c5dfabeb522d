//! A handle on a started process.

use std::fmt;
use std::fs::File;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus, waitid};

use crate::command::KillOnDrop;
use crate::error::{Error, Result};
use crate::kind::Namespace;
use crate::plan::Notice;
use crate::signal::Signal;

/// A process number in the caller's pid namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(NonZeroU32);

impl Pid {
    pub(crate) fn new(raw: i32) -> Self {
        let positive = u32::try_from(raw).ok().and_then(NonZeroU32::new);
        Self(positive.expect("the kernel numbers processes from 1"))
    }

    /// The number.
    pub const fn as_raw(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A started process.
///
/// Its descriptor ([`AsFd`]) is a pidfd: readable once the process has ended, so it can be polled, or given to an
/// asynchronous runtime.
///
/// Kernel: the process is a child of the calling one and is waited for by its descriptor alone, from any thread. A
/// caller that ignores `SIGCHLD`, or waits for any child elsewhere, loses the status to `ECHILD`.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: OwnedFd,
    status: Option<ExitStatus>,
    kill_on_drop: KillOnDrop,
    notices: Vec<Notice>,
    terminal: Option<OwnedFd>,
    listener: Option<OwnedFd>,
}

impl Child {
    pub(crate) fn new(pid: Pid, pidfd: OwnedFd, kill_on_drop: KillOnDrop, notices: Vec<Notice>) -> Self {
        Self { pid, pidfd, status: None, kill_on_drop, notices, terminal: None, listener: None }
    }

    /// The same with the caller's end of a terminal.
    pub(crate) fn with_terminal(mut self, terminal: Option<OwnedFd>) -> Self {
        self.terminal = terminal;
        self
    }

    /// The same with the descriptor of a filter that asks a listener.
    pub(crate) fn with_listener(mut self, listener: Option<OwnedFd>) -> Self {
        self.listener = listener;
        self
    }

    /// Its number, which names it until it has been waited for.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// What was asked for and could not be given.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The caller's end of the terminal that [`Command::terminal`](crate::Command::terminal) asked for; `None` when none
    /// was asked for, or when it has been taken.
    ///
    /// What the process writes is read from it, and the other way round. Reading fails with `EIO` once nothing has the
    /// other end open.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// The descriptor on which a filter with [`Action::Notify`](crate::seccomp::Action::Notify) asks about system calls;
    /// `None` when the filter decides alone, or when it has been taken.
    ///
    /// Kernel: `seccomp_unotify(2)`. Once every copy of it is closed such calls fail with `ENOSYS`.
    pub fn take_listener(&mut self) -> Option<OwnedFd> {
        self.listener.take()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        let status = reap(self.pidfd.as_fd())?;
        self.status = Some(status);
        Ok(status)
    }

    /// Its status if it has ended.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = wait_for(self.pidfd.as_fd(), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)?;
        }
        Ok(self.status)
    }

    /// Waits for its end, at most this long; `None` when it runs on.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            let mut descriptors = [PollFd::new(&self.pidfd, PollFlags::IN)];
            let timeout = Timespec::try_from(timeout)
                .map_err(|_| Error::invalid("timeout", format!("{timeout:?}"), "is longer than the kernel counts"))?;
            match poll(&mut descriptors, Some(&timeout)) {
                // The caller may ask again; so may it after a signal.
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(self.error("poll", errno)),
            }
        }
        self.try_wait()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// [`Error::Sys`] with `ESRCH` after its end.
    pub fn kill(&self, signal: Signal) -> Result<()> {
        send(self.pidfd.as_fd(), signal)
    }

    /// One of its namespaces, for another command to join.
    ///
    /// # Errors
    /// [`Error::Sys`] with `ENOENT` or `ESRCH` after its end.
    pub fn namespace(&self, kind: Namespace) -> Result<OwnedFd> {
        let path = format!("/proc/{}/ns/{}", self.pid, kind.file_name());
        if self.status.is_some() {
            return Err(Error::sys("open", path, Errno::SRCH));
        }
        let file = File::open(&path).map_err(|source| Error::sys("open", path, source))?;
        // While the process runs nobody has reaped it, and the number is still its own.
        let mut descriptors = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut descriptors, Some(&Timespec::default())).map_err(|errno| self.error("poll", errno))?;
        if descriptors[0].revents().is_empty() { Ok(file.into()) } else { Err(self.error("open", Errno::SRCH)) }
    }

    fn error(&self, op: &'static str, errno: Errno) -> Error {
        Error::sys(op, format!("process {}", self.pid), errno)
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// For reactors that take numbers, such as tokio's `AsyncFd`; it stays the handle's own.
impl AsRawFd for Child {
    fn as_raw_fd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }
}

/// How long a drop waits for the end of what it killed.
const PATIENCE: Duration = Duration::from_secs(2);

impl Drop for Child {
    fn drop(&mut self) {
        if self.kill_on_drop == KillOnDrop::Yes && self.status.is_none() {
            // Nobody is left to tell: it fails only when the process is gone already.
            let ended = self.kill(Signal::KILL).and_then(|()| self.wait_timeout(PATIENCE));
            drop(ended);
        }
    }
}

pub(crate) fn send(pidfd: BorrowedFd<'_>, signal: Signal) -> Result<()> {
    crate::sys::send_signal(pidfd, signal.as_raw())
        .map_err(|source| Error::sys("pidfd_send_signal", signal.to_string(), source))
}

/// Waits for the end of a child, and takes its status.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> Result<ExitStatus> {
    let status = wait_for(pidfd, WaitIdOptions::EXITED)?;
    Ok(status.expect("a blocking wait returns a status"))
}

fn wait_for(pidfd: BorrowedFd<'_>, options: WaitIdOptions) -> Result<Option<ExitStatus>> {
    // A process that ended before its exec has no exit signal, and is found by `__WALL` alone.
    let options = options | WaitIdOptions::from_bits_retain(libc::__WALL.cast_unsigned());
    let status = retry_on_intr(|| waitid(WaitId::PidFd(pidfd), options))
        .map_err(|errno| Error::sys("waitid", format!("{pidfd:?}"), errno))?;
    Ok(status.as_ref().map(exit_status))
}

/// The status in the form of `wait(2)`.
fn exit_status(status: &WaitIdStatus) -> ExitStatus {
    const CORE_DUMPED: i32 = 0x80;
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::from_raw((code & 0xff) << 8),
        (None, Some(signal)) if status.dumped() => ExitStatus::from_raw(signal | CORE_DUMPED),
        (None, signal) => ExitStatus::from_raw(signal.unwrap_or(0)),
    }
}
