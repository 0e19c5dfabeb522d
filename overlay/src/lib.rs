//! Image layers on disk: apply, stack, mount with overlay, and diff.
#![deny(unsafe_code)]

mod apply;
mod diff;
mod entry;
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
    ApplyOptions, Devices, Durability, IdMap, IdRange, LowerTier, MountOptions, StoreOptions, Syncing, Whiteouts,
    Xattrs,
};
pub use path::{PathError, SafePath};
pub use probe::{Feature, Probe, Support, probe};
pub use record::LayerRecord;
pub use scan::Usage;
pub use snapshot::{Origin, Snapshot, View};
pub use store::{LayerStore, Recovery};
pub use tree::{Tree, diff};
pub use unfinished::Unfinished;
