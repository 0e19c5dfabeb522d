//! Peaks of memory from a moment on, and reclaiming memory when asked.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::controller::{Controller, Version};
use crate::error::{Error, Result};
use crate::format::{self, FormatError};
use crate::group::{Group, Held};
use crate::hierarchy::directory::WriteFailure;
use crate::report::Reason;
use crate::value::Bytes;

/// A peak of memory that can be started anew, for this handle alone.
///
/// The peaks of [`MemoryStats`](crate::MemoryStats) and of other handles stay what they are.
#[derive(Debug)]
pub struct PeakMeter {
    fd: OwnedFd,
    directory: Held,
    file: &'static str,
}

/// The peak of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeakOf {
    /// Memory, page cache included.
    Memory,
    /// Swap.
    Swap,
}

/// How much memory was reclaimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reclaimed {
    /// As much as was asked for, or more.
    All,
    /// Less: nothing more could be reclaimed.
    Less,
}

impl Group {
    /// Opens a peak that can be started anew; `None` where the kernel has none.
    ///
    /// Kernel: `memory.peak` and `memory.swap.peak` of v2, since 6.12. The peak of v1 is one for all who look, so
    /// starting it anew would take it from others.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn peak_meter(&self, of: PeakOf) -> Result<Option<PeakMeter>> {
        self.check_there()?;
        let file = match of {
            PeakOf::Memory => "memory.peak",
            PeakOf::Swap => "memory.swap.peak",
        };
        let Some(directory) = self.hold(Version::V2, file) else { return Ok(None) };
        match directory.open_to_change(file) {
            Ok((fd, Some(_))) => Ok(Some(PeakMeter { fd, directory, file })),
            Ok((_, None)) | Err(WriteFailure::NoFile | WriteFailure::NotPermitted) => Ok(None),
            // Earlier kernels have the file, for reading only.
            Err(WriteFailure::Refused(source)) if Errno::from_io_error(&source) == Some(Errno::INVAL) => Ok(None),
            Err(failure) => Err(directory.plainly(file, failure)),
        }
    }

    /// Makes the kernel reclaim memory from the group and those below it, by dropping caches and swapping out.
    ///
    /// Kernel: `memory.reclaim`, v2 only, since 5.19.
    ///
    /// Errors: [`Error::Unsupported`] where there is none, [`Error::Gone`] if the group was removed.
    pub fn reclaim(&self, amount: Bytes) -> Result<Reclaimed> {
        let file = "memory.reclaim";
        let unsupported = |reason| Error::unsupported(file, Controller::Memory, file, reason);
        self.check_there()?;
        if self.member_of("memory").is_some() {
            return Err(unsupported(Reason::V2Only));
        }
        let Some(directory) = self.directory_of(Version::V2, file) else {
            return Err(unsupported(Reason::NotEnabled));
        };
        match directory.write(file, &amount.to_string()) {
            Ok(()) => Ok(Reclaimed::All),
            Err(WriteFailure::Refused(source)) if Errno::from_io_error(&source) == Some(Errno::AGAIN) => {
                Ok(Reclaimed::Less)
            }
            Err(WriteFailure::NoFile) if directory.open("memory.current")?.is_none() => {
                Err(unsupported(Reason::NotEnabled))
            }
            Err(WriteFailure::NoFile) => Err(unsupported(Reason::Kernel)),
            Err(WriteFailure::NotPermitted) => Err(unsupported(Reason::NotDelegated)),
            Err(failure) => Err(directory.plainly(file, failure)),
        }
    }
}

impl PeakMeter {
    /// The most since the meter was started anew, or since the group was made.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn read(&self) -> Result<Bytes> {
        let mut buffer = [0_u8; 32];
        let read = match rustix::io::retry_on_intr(|| rustix::io::pread(&self.fd, &mut buffer, 0)) {
            Ok(read) => read,
            Err(Errno::NODEV) => return Err(self.directory.gone()),
            Err(error) => return Err(Error::sys("read", self.directory.file(self.file), error)),
        };
        format::bytes(&buffer[..read])
            .map_err(|FormatError(reason)| Error::Malformed { file: self.directory.file(self.file), reason })
    }

    /// Starts anew from what is in use now.
    ///
    /// Errors: [`Error::Gone`] if the group was removed.
    pub fn reset(&self) -> Result<()> {
        self.directory.write_to(&self.fd, "reset").map_err(|failure| self.directory.plainly(self.file, failure))
    }
}
