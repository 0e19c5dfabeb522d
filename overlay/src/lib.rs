//! Image layers on disk: apply, stack, mount with overlay, and diff.
#![deny(unsafe_code)]

mod entry;
mod error;
mod fault;
mod layer_id;
mod limits;
mod path;
pub mod tar;
pub mod whiteout;

pub use entry::{DeviceKind, DeviceNumber, Entry, Kind, Metadata, Timestamp};
pub use error::{Error, Result};
pub use fault::Fault;
pub use layer_id::{LayerId, LayerIdError};
pub use limits::{Limit, Limits};
pub use path::{PathError, SafePath};
