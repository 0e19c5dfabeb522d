//! Where a prepared process waits until somebody lets its program begin.

use std::os::fd::OwnedFd;

/// Where a prepared process waits until somebody lets its program begin; see [`Command::gate`](crate::Command::gate).
///
/// ```
/// use windlass_namespaces::{Command, Gate};
///
/// let (gate, opener) = Gate::pair()?;
/// let mut child = Command::new("true").gate(gate).spawn()?;
/// // The process is made, in all its isolation; its program has not begun.
/// opener.open()?;
/// assert!(child.wait()?.success());
/// # Ok::<(), windlass_namespaces::Error>(())
/// ```
#[derive(Debug)]
pub struct Gate {
    pub(crate) descriptor: OwnedFd,
    pub(crate) kind: GateKind,
}

/// How the one who opens comes to the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GateKind {
    /// By connecting to the name.
    Named,
    /// It holds the other end.
    Paired,
}

/// The longest record of a failure behind the gate.
pub(crate) const RECORD_MAX: usize = 1024;
