//! The step that gives the process its terminal.

use std::fmt;

use crate::command::{Command, Root, Stdio};
use crate::error::{Error, Result};
use crate::kind::Namespace;
use crate::terminal::WindowSize;

/// Where the pseudo terminals of a process may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Devpts {
    /// Inside its root, or else where the caller's are.
    InsideOrCaller,
    /// Inside its root alone: the tree is another container's.
    Inside,
}

/// Whether the terminal appears at `/dev/console`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Console {
    Bind,
    Leave,
}

#[derive(Debug)]
pub(crate) struct TerminalStep {
    pub(crate) devpts: Devpts,
    pub(crate) console: Console,
    /// Whom it is given to, where that is not who opens it.
    pub(crate) owner: Option<u32>,
    pub(crate) size: Option<WindowSize>,
}

impl fmt::Display for TerminalStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("open a terminal")?;
        self.size.iter().try_for_each(|size| write!(f, " of {size}"))?;
        f.write_str(match self.devpts {
            Devpts::InsideOrCaller => "",
            Devpts::Inside => " inside the root only",
        })?;
        self.owner.iter().try_for_each(|owner| write!(f, ", give it to uid {owner}"))?;
        f.write_str(match self.console {
            Console::Bind => ", bind it on /dev/console",
            Console::Leave => "",
        })
    }
}

/// The step, made as `owner` will be the user of the program.
pub(super) fn step(command: &Command, owner: Option<u32>) -> Result<Option<TerminalStep>> {
    let Some(terminal) = command.process.terminal else { return Ok(None) };
    if command.stdio.iter().any(|stdio| !matches!(stdio, Stdio::Inherit)) {
        return Err(Error::invalid("terminal", "stdio", "the standard descriptors lead to the terminal"));
    }
    let devpts = if command.is_joined(Namespace::Mount) { Devpts::Inside } else { Devpts::InsideOrCaller };
    let console = if matches!(command.root, Root::None) { Console::Leave } else { Console::Bind };
    Ok(Some(TerminalStep { devpts, console, owner, size: terminal.size }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Source;
    use crate::rootfs::Rootfs;
    use crate::terminal::Terminal;

    fn said(command: &Command, owner: Option<u32>) -> String {
        step(command, owner).unwrap().unwrap().to_string()
    }

    #[test]
    fn where_a_terminal_is_depends_on_the_tree() {
        let mut command = Command::new("/x");
        assert!(step(&command, None).unwrap().is_none());
        command.terminal(Terminal::default());
        assert_eq!(said(&command, None), "open a terminal");
        let mounts = std::fs::File::open("/dev/null").unwrap();
        command.namespace(Namespace::Mount, Source::Join(mounts.into()));
        assert_eq!(said(&command, Some(5)), "open a terminal inside the root only, give it to uid 5");
        command.namespace(Namespace::Mount, Source::New).rootfs(Rootfs::Path("/r".into()));
        command.terminal(Terminal { size: Some(WindowSize { columns: 80, rows: 24 }) });
        assert_eq!(said(&command, None), "open a terminal of 80x24, bind it on /dev/console");
        command.stdin(Stdio::Null);
        assert!(step(&command, None).is_err());
    }
}
