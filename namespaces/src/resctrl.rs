//! Classes of service: which part of the caches and of the memory's bandwidth a process may use, and what it used.
//!
//! ```no_run
//! use windlass_namespaces::resctrl::{Class, Resctrl};
//! use windlass_namespaces::Command;
//!
//! let mut class = Class::named("batch")?;
//! class.schemata = "L3:0=f;1=f\nMB:0=20;1=20".parse()?;
//! let group = Resctrl::find()?.prepare(&class)?;
//! let mut command = Command::new("true");
//! // What the process starts is in its class, too.
//! let mut child = command.spawn_paused(|paused| group.add(paused.pid()))?;
//! child.wait()?;
//! group.remove()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Kernel: the file system `resctrl`, for processors that have it (Intel's RDT and its like), mounted by the
//! administrator; its root's owner alone makes classes.
//!
//! Source: the kernel's `filesystems/resctrl.rst`; runtime-spec, `config-linux.md`, section "`IntelRdt`".

mod class;
mod schemata;
mod tree;

pub use class::Class;
pub use schemata::{ParseSchemataError, Schemata};
pub use tree::{CacheUse, Group, Resctrl};
