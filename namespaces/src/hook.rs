//! Programs that run at fixed points of a container's life.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// A program that runs at a fixed point of a container's life, with the container's state on its standard input.
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
