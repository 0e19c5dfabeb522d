//! Archives: images as one file, in the format of `docker save`.
//!
//! What [`save`] writes is both: a layout in a tar archive, as other tools' `oci-archive`, and with its
//! `manifest.json` an archive for `docker load`. [`load`] reads that and the older format with uncompressed layers.

mod entries;
mod load;
mod save;

pub use load::{Loaded, load};
pub use save::{Saved, save};
