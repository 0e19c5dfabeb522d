//! Image layers on disk: apply, stack, mount with overlay, and diff.
//!
//! A container is an image and a thin writable layer. This crate turns layer archives into directories that any number
//! of containers share, stacks them, mounts the stack with overlay, and turns what a container changed back into a
//! layer.
//!
//! ```
//! use windlass_overlay::{ApplyOptions, IdMap, LayerStore, tar};
//!
//! let directory = std::env::temp_dir().join(format!("layers-{}", std::process::id()));
//! let store = LayerStore::open(&directory)?;
//! let archive = tar::Writer::new(Vec::new()).finish()?; // or any `Read` of an uncompressed layer
//! let options = ApplyOptions { id_map: IdMap::CurrentUser, ..ApplyOptions::default() };
//! let layer = store.ingest(&archive[..], &options)?;
//! let snapshot = store.snapshot("container-1", &[layer])?;
//! // As root or in a user namespace: `snapshot.mount(&MountOptions::default())?` gives the root file system.
//! assert!(snapshot.diff()?.is_empty());
//! snapshot.remove()?;
//! std::fs::remove_dir_all(&directory)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How data flows
//!
//! An uncompressed archive ([`std::io::Read`]) → [`tar::Reader`] → [`Entry`] → [`apply()`] → a layer of a [`LayerStore`],
//! named by the digest of its archive → [`Snapshot`] or [`View`] → [`DetachedMount`], a descriptor that is attached to
//! nobody's tree. Back: the upper directory → [`Snapshot::diff`] → [`Change`] → [`tar::Writer`], or at once with
//! [`LayerStore::commit_snapshot`] → [`Committed`], of which others are made.
//!
//! Each layer is applied alone, so that layers apply in parallel and any chain shares them. What a layer cannot know
//! alone is in its [`Unfinished`] and is finished, in order, when a snapshot stacks it: the owner and mode of a directory
//! that it only uses, a hard link to a lower layer's file, a path that leads through a lower layer's symbolic link.
//! Where the order of two entries of one archive would decide and is not known any more, stacking fails with
//! [`Error::Ambiguous`]; it never guesses.
//!
//! [`Tree`] is the same in memory, plain enough to be seen to be right; [`diff()`] is its inverse. All that works on disk
//! is tested against it, and it against what the kernel's overlay shows.
//!
//! # Archives are hostile
//!
//! Every path is a [`SafePath`] and is resolved beneath a directory descriptor with `openat2`, across no symbolic link and
//! no mount; links of the archive are followed as inside a container, with the target as the root. [`Limits`] bound what
//! an archive may ask for. Overlay's own attributes and devices do not come out of archives unless asked for, and what is
//! left out comes back as a [`Notice`]. Where tar readers are known to disagree, the archive is refused.
//!
//! # What is absent, on purpose
//!
//! No decompression and no registry: the caller hands over an uncompressed stream. No other backend than directories,
//! EROFS images ([`LayerFormat`]) and overlay: where overlay is missing, [`probe()`] says why, and [`Snapshot::root`] asks
//! `fuse-overlayfs` or makes a plain copy. Nothing is attached to the caller's tree unless [`DetachedMount::attach`] is
//! called. No global state, and no thread that outlives a call but the one of [`Emptying::Background`].
//!
//! # What survives
//!
//! A layer is written apart and [committed](LayerStore::commit) with a [`Durability`]: after a power cut it is there whole,
//! or it is not there. What a killed process left is removed when the store is opened again.
#![deny(unsafe_code)]

mod apply;
mod diff;
mod entry;
mod erofs;
mod error;
mod fault;
mod layer_id;
mod limits;
mod mount;
mod options;
mod path;
pub mod plan;
mod probe;
mod record;
mod scan;
mod snapshot;
mod store;
mod subtree;
mod sys;
pub mod tar;
mod tree;
mod unfinished;
pub mod whiteout;

pub use apply::{Applied, Notice, NoticeKind, apply};
pub use diff::Change;
pub use entry::{DeviceKind, DeviceNumber, Entry, Kind, Metadata, Timestamp};
pub use error::{Error, Result};
pub use fault::Fault;
pub use layer_id::{LayerId, LayerIdError};
pub use limits::{Limit, Limits};
pub use mount::{DetachedMount, MountGuard};
pub use options::{
    ApplyOptions, Copies, Devices, Durability, Emptying, IdMap, IdRange, ImageTier, Index, Inodes, LayerFormat,
    LowerTier, MountOptions, StoreOptions, Syncing, WhiteoutStyle, Whiteouts, Xattrs,
};
pub use path::{PathError, SafePath};
pub use probe::{Feature, Probe, Support, probe};
pub use record::LayerRecord;
pub use scan::Usage;
pub use snapshot::{Origin, RootKind, Snapshot, SnapshotRoot, View, diff_directories, write_changes};
pub use store::{Committed, LayerStore, Recovery, References, Staged};
pub use tree::{Tree, diff};
pub use unfinished::Unfinished;
