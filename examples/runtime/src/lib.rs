//! Container runtimes over the windlass crates: composition only, every step is a library's.
//!
//! [`windlass`] is the command that people type: it packs programs into images and runs them isolated and limited.
//! [`oci`] is what engines call: it runs containers as the OCI runtime specification says.

#![deny(unsafe_code)]

mod amount;
mod cause;
mod cgroup_path;
pub mod oci;
mod signal_name;
#[expect(unsafe_code, reason = "system calls that no safe crate offers")]
mod sys;
mod timestamp;
pub mod windlass;
