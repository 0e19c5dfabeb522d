//! The one error of this crate.

use std::io;
use std::path::PathBuf;

use crate::fault::Fault;
use crate::layer_id::LayerId;
use crate::limits::Limit;
use crate::path::SafePath;

/// What went wrong, in variants that a caller can act on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("{op} {}", object.display())]
    Sys {
        /// The call, or the step that it belongs to.
        op: &'static str,
        /// What it was done to.
        object: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The stream that holds the archive could not be read.
    #[error("read the archive at byte {offset}")]
    Read {
        /// Bytes read before.
        offset: u64,
        /// The stream's answer.
        #[source]
        source: io::Error,
    },
    /// The stream that takes an archive could not be written.
    #[error("write the archive at {path}")]
    Write {
        /// The entry being written.
        path: SafePath,
        /// The stream's answer.
        #[source]
        source: io::Error,
    },
    /// The archive is malformed or says what may not be said.
    #[error("malformed archive: the header at byte {offset}")]
    Archive {
        /// Where the header starts in the uncompressed archive.
        offset: u64,
        /// What is wrong.
        #[source]
        fault: Fault,
    },
    /// An archive, or a chain of layers, asks for more than is allowed.
    #[error("more {limit} than {max}")]
    LimitExceeded {
        /// Which bound.
        limit: Limit,
        /// Its value.
        max: u64,
    },
    /// The archive is not the one that was expected.
    #[error("the layer is {found}, expected {expected}")]
    Mismatch {
        /// What the caller named.
        expected: LayerId,
        /// What the stream held.
        found: LayerId,
    },
    /// An owner of the archive has no number in the map.
    #[error("{path}: {kind} {id} is not in the id map")]
    UnmappedOwner {
        /// Whose owner it is.
        path: SafePath,
        /// `uid` or `gid`.
        kind: &'static str,
        /// The number in the archive.
        id: u32,
    },
    /// The archive holds a device, and devices were not asked for.
    #[error("{path}: a {kind} in the archive, and devices are refused")]
    DeviceRefused {
        /// The entry.
        path: SafePath,
        /// Which kind of device.
        kind: &'static str,
    },
    /// A hard link's target is in no layer beneath it.
    #[error("{path}: the hard link's target {target} is in no layer")]
    LinkTarget {
        /// The hard link.
        path: SafePath,
        /// What it names.
        target: SafePath,
    },
    /// A layer writes through a symbolic link of a lower layer and changes the same place by another path.
    #[error("{path}: {reason}")]
    Ambiguous {
        /// The place.
        path: SafePath,
        /// In which way.
        reason: &'static str,
    },
    /// A name cannot be written in an archive, because it is spelled like a whiteout.
    #[error("{path}: the name is spelled like a whiteout")]
    Unrepresentable {
        /// The name.
        path: SafePath,
    },
    /// An upper directory was changed in a way that it alone does not tell.
    #[error("{path}: the attribute {attribute} makes the upper directory depend on the lower ones")]
    NotNative {
        /// Where.
        path: SafePath,
        /// The overlay attribute.
        attribute: &'static str,
    },
    /// The kernel or the file system lacks something.
    #[error("{feature} is not available: {reason}")]
    Unsupported {
        /// What is missing.
        feature: &'static str,
        /// What the kernel said, or the version that has it.
        reason: String,
    },
    /// The writable layer would lie on an overlay mount, which the kernel refuses.
    ///
    /// A container's own root is one: keep the store on a volume, or on a tmpfs.
    #[error("{}: is on an overlay mount itself, which cannot hold another overlay's upper directory", path.display())]
    UpperOnOverlay {
        /// The directory.
        path: PathBuf,
    },
    /// The kernel refused an overlay mount.
    #[error("mount overlay: {step}{}", said(messages))]
    Mount {
        /// The step of the mount's plan.
        step: String,
        /// What the kernel wrote about it.
        messages: Vec<String>,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// An argument or a stored record is not valid.
    #[error("{field} {value:?}: {reason}")]
    Invalid {
        /// Which one.
        field: &'static str,
        /// Its value.
        value: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// No such layer or snapshot.
    #[error("no {what} {name}")]
    NotFound {
        /// `layer` or `snapshot`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The key is taken.
    #[error("{what} {name} exists already")]
    Exists {
        /// `snapshot`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Something still needs it.
    #[error("{what} {name} is in use by {by}")]
    Busy {
        /// `layer` or `store`.
        what: &'static str,
        /// Its name.
        name: String,
        /// Who uses it.
        by: String,
    },
    /// Something failed, and then removing what it left behind failed too.
    #[error("what a failure left behind could not be removed: {cleanup}")]
    Cleanup {
        /// The clean-up's failure.
        cleanup: Box<Error>,
        /// What failed first.
        #[source]
        first: Box<Error>,
    },
}

/// The result of this crate's calls.
pub type Result<T> = std::result::Result<T, Error>;

fn said(messages: &[String]) -> String {
    if messages.is_empty() { String::new() } else { format!(" ({})", messages.join("; ")) }
}

impl Error {
    /// The kernel's error number, where a system call failed.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Sys { source, .. }
            | Self::Read { source, .. }
            | Self::Write { source, .. }
            | Self::Mount { source, .. } => source.raw_os_error(),
            Self::Cleanup { first, .. } => first.errno(),
            _ => None,
        }
    }

    pub(crate) fn archive(offset: u64, fault: Fault) -> Self {
        Self::Archive { offset, fault }
    }
}
