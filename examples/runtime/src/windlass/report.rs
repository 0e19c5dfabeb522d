//! What the monitor tells whoever started it, and how it was started.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{FileType, fstat};
use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// Whether the container runs, and what it lacks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) code: u8,
    pub(super) error: Option<String>,
    pub(super) warnings: Vec<String>,
}

impl Report {
    /// Waits for the monitor's report.
    pub(super) fn receive(mut from: std::io::PipeReader) -> Result<Self, Failure> {
        let mut text = Vec::new();
        from.read_to_end(&mut text).map_err(Failure::during("hear from the monitor"))?;
        if text.is_empty() {
            return Err(Failure::new("the container's monitor ended before the container began"));
        }
        serde_json::from_slice(&text).map_err(Failure::during("understand the monitor"))
    }
}

/// The monitor's descriptors 0 and 1: a caller that is there from the start, if it is a socket, and the starter's pipe.
pub(super) struct Starter {
    input: OwnedFd,
    output: OwnedFd,
}

impl Starter {
    /// Takes them, and leaves the null device in their place.
    pub(super) fn take() -> Result<Self, Failure> {
        let failed = Failure::during("take over the starter's descriptors");
        let take = || -> std::io::Result<Self> {
            let input = rustix::stdio::stdin().try_clone_to_owned()?;
            let output = rustix::stdio::stdout().try_clone_to_owned()?;
            let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
            rustix::stdio::dup2_stdin(&null)?;
            rustix::stdio::dup2_stdout(&null)?;
            Ok(Self { input, output })
        };
        take().map_err(failed)
    }

    pub(super) fn caller(&self) -> Option<UnixStream> {
        let kind = fstat(&self.input).ok()?.st_mode;
        if FileType::from_raw_mode(kind) != FileType::Socket {
            return None;
        }
        self.input.as_fd().try_clone_to_owned().ok().map(UnixStream::from)
    }

    /// Reports, and hangs up.
    pub(super) fn tell(self, report: &Report) -> Result<(), Failure> {
        let text = serde_json::to_vec(report).map_err(Failure::during("report"))?;
        // A starter that is gone wanted no answer; the container runs all the same.
        drop(std::fs::File::from(self.output).write_all(&text));
        Ok(())
    }
}
