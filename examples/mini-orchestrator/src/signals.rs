//! Signals of a process that is the first one in its pid namespace.
//!
//! The kernel drops a signal to such a process unless it is blocked or handled, so the programs in the pods block the
//! ones that they take and wait for them; no handler runs and nothing is asynchronous.

use nix::sys::signal::{SigSet, Signal};

/// The signals that a program has blocked and takes one at a time.
#[derive(Debug)]
pub struct Signals {
    set: SigSet,
}

impl Signals {
    /// Blocks `signals` in this thread and in those that it starts later: call it before any other thread exists.
    pub fn block(signals: &[Signal]) -> nix::Result<Self> {
        let set: SigSet = signals.iter().copied().collect();
        set.thread_block()?;
        Ok(Self { set })
    }

    /// Waits for the next of them.
    pub fn wait(&self) -> nix::Result<Signal> {
        self.set.wait()
    }
}
