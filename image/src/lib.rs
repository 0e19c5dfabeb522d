//! OCI images: references, digests, manifests, layouts and packing.
#![forbid(unsafe_code)]

pub mod codec;
pub mod config;
mod descriptor;
mod digest;
mod error;
mod index;
mod json;
mod limits;
mod manifest;
mod media_type;
mod platform;
mod reference;

pub use codec::LayerReader;
pub use config::ImageConfig;
pub use descriptor::{Descriptor, REF_NAME};
pub use digest::{Algorithm, Digest, Hasher, ParseDigestError};
pub use error::{Error, Fault, Result};
pub use index::Index;
pub use limits::Limits;
pub use manifest::Manifest;
pub use media_type::{Codec, MediaType};
pub use platform::Platform;
pub use reference::{ParseReferenceError, Reference};
