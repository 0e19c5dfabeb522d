//! What a build needs of who runs its commands.

use std::io::Write;
use std::os::fd::OwnedFd;

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::layout::Image;
use crate::platform::Platform;
use crate::reference::Reference;

/// Why an executor could not do something.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A layer below a step: its blob in the layout, and the digest of its uncompressed form.
pub type Below = (Descriptor, Digest);

/// Whether a command changed its root file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// Nothing was written.
    None,
    /// A layer was written.
    Some,
}

/// A command of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// The layers that it sees, bottom first.
    pub layers: Vec<Below>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// `NAME=VALUE`, all there are.
    pub env: Vec<String>,
    /// `USER[:GROUP]`, by name or number, as the root file system knows them; user 0 otherwise.
    pub user: Option<String>,
    /// Where it runs; it is there.
    pub working_dir: String,
    /// The latest modification time that what it wrote may have, in seconds since 1970.
    pub epoch: Option<u64>,
}

/// Who stacks layers, runs commands over them, and knows images by name.
pub trait Executor {
    /// The image that `FROM` or `COPY --from` names.
    fn image(&mut self, reference: &Reference, platform: &Platform) -> Result<Image, Cause>;

    /// Opens a directory in which these layers are stacked, to be read only. It may go when the next method is called.
    fn open(&mut self, layers: &[Below]) -> Result<OwnedFd, Cause>;

    /// Runs a command in a root file system of these layers, and writes what it changed as an uncompressed layer.
    ///
    /// # Errors
    /// Also a command that does not exit with 0.
    fn run(&mut self, run: &Run, changes: &mut dyn Write) -> Result<Changes, Cause>;
}
