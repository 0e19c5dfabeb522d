//! What runs between the making of a process and its program.

use super::Command;
use crate::hook::{Hook, HookInput, HookPoint};

/// Hooks that the process itself runs, and whether the caller has a say in between.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    /// Whether the process waits for the caller before its root is changed.
    pub(crate) pauses: bool,
    pub(crate) list: Vec<(HookPoint, Hook, HookInput)>,
}

impl Command {
    /// Lets the process run another program at a point of its preparation; the hooks of a point run in the order given.
    ///
    /// A hook has the namespaces of the process, an environment and arguments of its own, and no other descriptor than
    /// the three standard ones: it reads `input`, and what it writes is part of the error when it fails. Its failure
    /// ends the process.
    ///
    /// Source: runtime-spec, `config.md`, "POSIX-platform Hooks".
    pub fn hook(&mut self, point: HookPoint, hook: Hook, input: HookInput) -> &mut Self {
        self.hooks.list.push((point, hook, input));
        self
    }
}
