//! Filters of system calls: a policy of names becomes a program for the kernel.
//!
//! ```
//! use windlass_namespaces::seccomp::{Action, Policy, Rule};
//! use windlass_namespaces::{CapabilitySet, Command};
//!
//! let mut policy = Policy::container(CapabilitySet::DOCKER);
//! // Before the rules that allow more: of rules without conditions the first counts.
//! policy.rules.insert(0, Rule::new(["mkdir", "mkdirat"], Action::Errno(13)));
//! let filter = policy.compile()?;
//! assert!(filter.unknown_names().is_empty());
//!
//! let mut command = Command::new("sh");
//! command.args(["-c", "! mkdir /tmp/never 2>&1"]).no_new_privileges().seccomp(filter.clone());
//! assert!(command.spawn()?.wait()?.success());
//! # Ok::<(), windlass_namespaces::Error>(())
//! ```
//!
//! A [`Policy`] is compiled in the caller, once; the [`CompiledFilter`] is cheap to clone and serves any number of
//! commands. Source: runtime-spec, `config-linux.md`, "Seccomp"; the decisions are libseccomp's.

mod assemble;
mod call;
mod compile;
mod names;
mod policy;
mod preset;

pub use assemble::Instruction;
pub use compile::CompiledFilter;
pub use policy::{Action, Architecture, Comparison, Condition, Flag, Policy, Rule};
