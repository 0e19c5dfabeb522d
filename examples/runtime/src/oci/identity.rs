//! A process that stays the same one though numbers come back.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use windlass_namespaces::Signal;

use super::failure::{Failure, Result};

/// A process by its number and the time at which it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: u32,
    /// In ticks since the machine started.
    #[serde(rename = "startTime")]
    start_time: u64,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Alive,
    Ended,
}

impl Identity {
    /// The process that has this number now; `None` if there is none.
    pub(super) fn of(pid: u32) -> Result<Option<Self>> {
        Ok(read(pid)?.map(|(start_time, _)| Self { pid, start_time }))
    }

    /// Whether it runs: it is there, and it is no zombie.
    pub(super) fn is_alive(self) -> Result<bool> {
        Ok(read(self.pid)? == Some((self.start_time, Standing::Alive)))
    }

    /// A descriptor of it; `None` if it has ended.
    pub(super) fn open(self) -> Result<Option<OwnedFd>> {
        let doing = || format!("open process {}", self.pid);
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Failure::new(format!("{} is no process number", self.pid)))?;
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(Failure::during(doing())(error)),
        };
        // Asked after the descriptor was opened: what has this number and this start now is what it names.
        Ok(self.is_alive()?.then_some(pidfd))
    }

    /// Sends a signal; `false` if it has ended.
    pub(super) fn signal(self, signal: Signal) -> Result<bool> {
        let Some(pidfd) = self.open()? else { return Ok(false) };
        send(&pidfd, signal).map_err(|error| error.after(format_args!("process {}", self.pid)))
    }
}

/// Sends a signal to the process of a pidfd; `false` if it has ended.
pub(super) fn send(pidfd: &OwnedFd, signal: Signal) -> Result<bool> {
    match crate::sys::send_signal(pidfd.as_fd(), signal.as_raw()) {
        Ok(()) => Ok(true),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(Failure::during(format_args!("send {signal}"))(error)),
    }
}

fn read(pid: u32) -> Result<Option<(u64, Standing)>> {
    let path = format!("/proc/{pid}/stat");
    let mut buffer = [0; 1024];
    let read = File::open(&path).and_then(|mut file| file.read(&mut buffer));
    match read {
        Ok(length) => match parse(&buffer[..length]) {
            Some(found) => Ok(Some(found)),
            None => Err(Failure::new(format!("{path} is not as the kernel documents it"))),
        },
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(Failure::during(path)(error)),
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::SRCH))
}

/// Start time and state; the program's name before them may hold anything, so fields are counted from its end.
fn parse(stat: &[u8]) -> Option<(u64, Standing)> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?.split_ascii_whitespace();
    let standing = match fields.next()? {
        "Z" | "X" | "x" => Standing::Ended,
        _ => Standing::Alive,
    };
    // The state is field 3, the start time field 22.
    Some((fields.nth(18)?.parse().ok()?, standing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_the_fields() {
        let line = |name: &str, state: &str| format!("7 ({name}) {state} {}4242 0\n", "1 ".repeat(18));
        assert_eq!(parse(line("a) Z 9 (b", "S").as_bytes()), Some((4242, Standing::Alive)));
        for state in ["Z", "X"] {
            assert_eq!(parse(line("sh", state).as_bytes()), Some((4242, Standing::Ended)));
        }
        assert_eq!(parse(b"7 (sh) S 1"), None);
    }

    #[test]
    fn this_process_is_alive_and_another_of_its_number_is_not() {
        let own = Identity::of(std::process::id()).unwrap().unwrap();
        assert!(own.is_alive().unwrap() && own.open().unwrap().is_some());
        let earlier = Identity { start_time: own.start_time - 1, ..own };
        assert!(!earlier.is_alive().unwrap() && earlier.open().unwrap().is_none());
        assert_eq!(Identity::of(u32::MAX >> 1).unwrap(), None);
    }
}
