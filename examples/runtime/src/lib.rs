//! Container runtimes over the windlass crates: composition only, every step is a library's.
//!
//! [`windlass`] is the command that people type: it packs programs into images and runs them isolated and limited.

pub mod windlass;
