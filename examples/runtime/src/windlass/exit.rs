//! How a process ended, as shells say it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// The program's own code; 128 and the signal if one ended it.
pub(super) fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255)
}

/// The same as this process's own code.
pub(super) fn of_code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}
