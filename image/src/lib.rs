//! OCI images: named, verified, stored and packed, without a daemon.
//!
//! A program that handles images uses this crate to name them ([`Reference`]), to keep them in a directory that
//! other tools read at any moment ([`Layout`]), to read their layers as verified, uncompressed tar streams
//! ([`Layout::layer`]), and to make new ones: from entries ([`layer::Builder`]), from other images and Dockerfiles
//! ([`build`]), or from a program and exactly the shared libraries that it loads ([`pack::pack`]).
//!
//! ```
//! use windlass_image::pack::{PackRequest, Program, pack};
//! use windlass_image::{Layout, codec::verify_diff_id};
//!
//! # let directory = std::env::temp_dir().join(format!("windlass-image-example-{}", std::process::id()));
//! let layout = Layout::create(&directory)?;
//! let request = PackRequest::new(Program::Path { path: "/usr/bin/env".into(), name: None });
//! pack(&request, &layout, "env:latest")?;
//!
//! let image = layout.resolve("env:latest")?;
//! for (blob, diff_id) in image.layers() {
//!     let tar = layout.layer(blob)?; // any consumer of `io::Read` takes it from here
//!     verify_diff_id(tar, diff_id)?;
//! }
//! assert_eq!(image.config.execution().command_line().next(), Some("/usr/bin/env"));
//! # std::fs::remove_dir_all(&directory).expect("the layout was made above");
//! # Ok::<(), windlass_image::Error>(())
//! ```
//!
//! # How data flows
//!
//! Texts and documents become values that cannot be wrong: [`Reference`], [`Digest`], [`MediaType`], [`Platform`],
//! [`Descriptor`], and [`Manifest`], [`Index`] and [`ImageConfig`], which keep the bytes that were read beside what
//! those say. Content flows as streams: a blob through the check of its digest ([`codec::VerifyReader`]), through the
//! decompressor and its bounds ([`LayerReader`]), to whatever reads tar archives. [`Layout`] is the shell around
//! both: it opens and writes files. The protocol of registries is made of machines ([`registry`]) that say what to
//! send and are told what came back; [`client`] drives them over connections. [`pack`] reads ELF headers, decides what the dynamic linker would load, and
//! writes layers.
//!
//! [`chunked`] layers have a table of contents, so that one file of them is read without the rest.
//!
//! What other people wrote is held to [`Limits`]; a document that two readers could read differently (duplicate
//! keys, a manifest that is also an index, a media type that its descriptor contradicts) is an error.
//!
//! # What it does not do
//!
//! It unpacks no layers: the tar stream is for someone else, such as `windlass-overlay`. It verifies no signatures. It trusts media types rather than guessing a compression from the content. It never assumes a
//! platform: [`Platform::host`] is what the program was compiled for.
//!
//! # Features
//!
//! `client` (default): [`client`], which pulls from registries and pushes to them over HTTP; the machines of
//! [`registry`] need no feature.
//!
//! `oci`: conversions to and from the types of `oci-spec`.
//!
//! `zstd` (default): layers compressed with zstd; builds the C library.
#![deny(unsafe_code)]

pub mod archive;
mod base64;
pub mod build;
pub mod chunked;
#[cfg(feature = "client")]
pub mod client;
pub mod codec;
pub mod config;
mod descriptor;
mod digest;
pub mod dockerfile;
mod dockerfile_error;
mod elf;
mod error;
mod index;
mod json;
pub mod layer;
pub mod layout;
mod limits;
mod manifest;
mod media_type;
#[cfg(feature = "oci")]
pub mod oci;
pub mod pack;
mod platform;
mod reference;
pub mod registry;
mod sha256;
#[expect(unsafe_code, reason = "instructions that not every processor has")]
mod sys;

pub use codec::LayerReader;
pub use config::ImageConfig;
pub use descriptor::{Descriptor, REF_NAME};
pub use digest::{Algorithm, Digest, Hasher, ParseDigestError};
pub use error::{Error, Fault, Result};
pub use index::Index;
pub use layout::{Image, Layout};
pub use limits::Limits;
pub use manifest::Manifest;
pub use media_type::{Codec, MediaType};
pub use platform::Platform;
pub use reference::{ParseReferenceError, Reference};
