//! Checks of the shape of the source tree, run by `cargo test -p tidy`.
//!
//! Each check is a function from sources to violations, so that a planted violation tests it.
//! What is enforced: the length of modules and functions, front pages, module names, acyclic modules,
//! the edges between crates and between the rooms of the orchestrator, `unsafe` only in `sys`, no clock,
//! file, socket or environment in pure modules, no unfinished code, and a reason for every dependency.

mod cycle;
mod dependency;
mod flow;
mod shape;
mod source;

pub use cycle::cycles;
pub use dependency::{edges, unexplained};
pub use flow::{Rooms, flows};
pub use shape::shape;
pub use source::{Source, Violation, read_tree};
