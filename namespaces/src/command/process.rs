//! What a process gets beside its namespaces, its tree and its user.

use super::Command;
use crate::terminal::Terminal;

/// The part of a command that concerns the process alone.
#[derive(Debug, Default)]
pub(crate) struct Process {
    pub(crate) terminal: Option<Terminal>,
}

impl Command {
    /// Gives the process a pseudo terminal of its own: its controlling terminal and its three standard descriptors. The
    /// other end comes from [`Child::take_terminal`](crate::Child::take_terminal).
    ///
    /// It is one of the pseudo terminals mounted at `/dev/pts` inside the root file system, or of the caller's when there
    /// are none inside. A process with a root file system of its own finds it at `/dev/console` as well. It belongs to
    /// the [`user`](Self::user) of the program, and the process leads a session.
    ///
    /// # Kernel
    /// The process's end is opened from the other one (`TIOCGPTPEER`), never by its path.
    #[doc(alias = "tty")]
    pub fn terminal(&mut self, terminal: Terminal) -> &mut Self {
        self.process.terminal = Some(terminal);
        self
    }
}
