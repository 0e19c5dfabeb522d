//! Archives: images as one file, in the format of `docker save`.
//!
//! What [`save`] writes is both: a layout in a tar archive, as other tools' `oci-archive`, and with its
//! `manifest.json` an archive for `docker load`. [`load`] reads that, the older format with uncompressed
//! layers, and App Container Images, each also compressed with gzip.

mod aci;
mod any;
mod entries;
mod load;
mod save;

pub use any::load;
pub use load::Loaded;
pub use save::{Saved, save};
