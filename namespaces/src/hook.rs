//! Programs that run at fixed points of a container's life.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// A program that runs at a fixed point of a container's life.
///
/// Source: runtime-spec, `config.md`, "POSIX-platform Hooks".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Its absolute path.
    pub path: PathBuf,
    /// All its arguments, its own name first; the path alone when empty.
    pub args: Vec<OsString>,
    /// All its environment: nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// How long it may take; it is killed then.
    pub timeout: Option<Duration>,
}

/// A point in the preparation of a process; see [`Command::hook`](crate::Command::hook).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookPoint {
    /// The mounts are made; nothing is hidden or read-only yet, and the root is still the caller's, in which the path of
    /// the hook is found. The working directory is the root file system to be.
    #[doc(alias = "createContainer")]
    BeforePivot,
    /// All is done but the exec, and the gate was opened: the hook is found in the container and has the user and the
    /// capabilities of the program, but not its filter of system calls.
    #[doc(alias = "startContainer")]
    BeforeExec,
}

/// What a hook reads from its standard input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookInput {
    before: Vec<u8>,
    after: Option<Vec<u8>>,
}

impl HookInput {
    /// These bytes.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self { before: bytes.into(), after: None }
    }

    /// The number that the process has in its own pid namespace, in decimal, between these bytes.
    pub fn around_pid(before: impl Into<Vec<u8>>, after: impl Into<Vec<u8>>) -> Self {
        Self { before: before.into(), after: Some(after.into()) }
    }

    pub(crate) fn parts(&self) -> (&[u8], Option<&[u8]>) {
        (&self.before, self.after.as_deref())
    }
}
