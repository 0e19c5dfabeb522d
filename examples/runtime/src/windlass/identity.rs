//! Which process a record means: its number alone may be somebody else's by now.

use std::fs;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// A process by its number, when it started, and in which run of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: u32,
    /// In clock ticks since the machine started.
    start_time: u64,
    boot_id: String,
}

impl Identity {
    /// The process that has this number now; `None` when there is none.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, start_time: start_time(pid)?, boot_id: boot_id()? })
    }

    /// A process that has ended before it could be looked at.
    pub(super) fn ended(pid: u32) -> Self {
        Self { pid, start_time: 0, boot_id: String::new() }
    }

    /// Its number and its start, as a part of a name that ends with this run of the machine.
    pub(super) fn mark(&self) -> String {
        format!("{}-{}", self.pid, self.start_time)
    }

    /// Whether the process of such a mark runs.
    pub(super) fn is_marked_alive(mark: &str) -> bool {
        let pid = mark.split_once('-').and_then(|(pid, _)| pid.parse().ok());
        pid.and_then(Self::of).is_some_and(|process| process.mark() == mark)
    }

    /// Whether it runs; a zombie does not.
    pub(super) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// A descriptor of the process, which names it for good; `None` when it has ended.
    pub(super) fn open(&self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Asked after opening: only now can the number not change its owner unseen.
        self.is_alive().then_some(descriptor)
    }

    /// Sends a signal; `false` when the process has ended.
    pub(super) fn signal(&self, signal: windlass_namespaces::Signal) -> Result<bool, Failure> {
        let Some(descriptor) = self.open() else { return Ok(false) };
        let doing = || format!("send {signal} to process {}", self.pid);
        let Some(named) = rustix::process::Signal::from_named_raw(signal.as_raw()) else {
            return Err(Failure::new(format!("{}: only named signals can be sent without a monitor", doing())));
        };
        match pidfd_send_signal(&descriptor, named) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(errno) => Err(Failure::during(doing())(errno)),
        }
    }

    /// Opens one of its files below `/proc`, when it is still this process.
    pub(super) fn open_proc(&self, file: &str) -> Result<OwnedFd, Failure> {
        let path = format!("/proc/{}/{file}", self.pid);
        let opened = nix::fcntl::open(
            path.as_str(),
            nix::fcntl::OFlag::O_RDONLY | nix::fcntl::OFlag::O_CLOEXEC,
            nix::sys::stat::Mode::empty(),
        )
        .map_err(Failure::during(&path))?;
        if self.is_alive() { Ok(opened) } else { Err(Failure::during(&path)(Errno::ESRCH)) }
    }
}

/// Field 22 of `/proc/PID/stat`; `None` when the process has ended, also when nobody has waited for it yet.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn boot_id() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_until_it_ends() {
        let own = Identity::of(std::process::id()).unwrap();
        assert!(own.is_alive() && own.open().is_some());
        let other = Identity { start_time: own.start_time + 1, ..own.clone() };
        assert!(!other.is_alive() && other.open().is_none());
        assert!(Identity::is_marked_alive(&own.mark()));
        assert!(!Identity::is_marked_alive(&other.mark()) && !Identity::is_marked_alive("x-1"));
        let before = Identity { boot_id: "another".to_owned(), ..own };
        assert!(!before.is_alive());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        assert!(identity.signal(windlass_namespaces::Signal::KILL).unwrap());
        let start = std::time::Instant::now();
        while identity.is_alive() {
            assert!(start.elapsed().as_secs() < 10, "a killed process stays alive");
        }
        assert_eq!(identity.signal(windlass_namespaces::Signal::KILL).ok(), Some(false));
        child.wait().unwrap();
    }
}
