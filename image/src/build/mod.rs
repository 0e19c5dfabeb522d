//! Building: images from layers, from other images, and from Dockerfiles.
//!
//! A [`Draft`] is an image while it is made: layers are appended, the base below them exchanged, the configuration
//! edited. [`build()`] makes one from a [`Dockerfile`](crate::dockerfile::Dockerfile). Files are copied here; what only
//! a container can do is an [`Executor`]'s: it stacks layers, and runs commands over them.
//!
//! A [`Cache`] remembers the layer of each step by all that the step could see: a command by the layers below it, its
//! words, environment, user and directory; files by the layer that they make. So a step that changes nothing
//! which later ones see does not make them run again.

mod account;
mod cache;
mod compress;
mod copy;
mod directory;
mod draft;
mod executor;
mod flatten;
mod key;
mod run;
mod step;

pub use cache::Cache;
pub use compress::Compression;
pub use draft::Draft;
pub use executor::{Below, Cause, Changes, Executor, Run};
pub use run::{Built, Progress, Request, Reuse, build};
