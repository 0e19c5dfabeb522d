//! Terminals: handing one to an engine, and lending the caller's own to a container.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    connect, sendmsg, socket_with,
};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

use windlass_namespaces::Child;

use super::cli::Parsed;
use super::failure::{Failure, Result};

/// A connection to a socket on which an engine waits for a descriptor.
#[derive(Debug)]
pub(super) struct Receiver(OwnedFd);

impl Receiver {
    /// Connects before anything is made: an engine that does not listen is found out early.
    pub(super) fn connect(path: &Path) -> Result<Self> {
        let doing = || Failure::during(format!("connect to {}", path.display()));
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let socket = socket.map_err(doing())?;
        connect(&socket, &address(path)?).map_err(doing())?;
        Ok(Self(socket))
    }

    /// Sends a descriptor, with its name as the message.
    pub(super) fn send(&self, descriptor: BorrowedFd<'_>, name: &str) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [descriptor];
        let fits = control.push(SendAncillaryMessage::ScmRights(&descriptors));
        assert!(fits, "the space is for one descriptor");
        let name = [io::IoSlice::new(name.as_bytes())];
        rustix::io::retry_on_intr(|| sendmsg(&self.0, &name, &mut control, SendFlags::NOSIGNAL))
            .map_err(Failure::during("send a descriptor to the engine"))?;
        Ok(())
    }
}

/// The address of a socket, through its directory's descriptor where the path is too long for an address.
fn address(path: &Path) -> Result<SocketAddrUnix> {
    let doing = || Failure::during(format!("name the socket {}", path.display()));
    SocketAddrUnix::new(path).map_err(doing())
}

/// Who waits for descriptors of a process; connected to before anything is made.
#[derive(Debug)]
pub(super) struct Receivers {
    console: Option<Receiver>,
    pidfd: Option<Receiver>,
}

impl Receivers {
    /// Connects to the sockets that the command line names.
    pub(super) fn connect(given: &Parsed, terminal: bool, stay: Stay) -> Result<Self> {
        let console = given.path("console-socket");
        match (&console, terminal, stay) {
            (None, true, Stay::Detached) => {
                let reason = "a detached process needs --console-socket to hand its terminal to";
                return Err(Failure::new(format!("cannot allocate a terminal: {reason}")));
            }
            (Some(_), false, _) | (Some(_), _, Stay::Attached) => {
                return Err(Failure::new("--console-socket is for a detached process with a terminal"));
            }
            _ => {}
        }
        let connect = |path: Option<PathBuf>| path.as_deref().map(Receiver::connect).transpose();
        Ok(Self { console: connect(console)?, pidfd: connect(given.path("pidfd-socket"))? })
    }

    /// Gives the engine what it listens for; a terminal that nobody else wants stays here.
    pub(super) fn hand_over(&self, child: &mut Child) -> Result<Option<OwnedFd>> {
        if let Some(receiver) = &self.pidfd {
            receiver.send(child.as_fd(), "pidfd")?;
        }
        let terminal = child.take_terminal();
        match (&self.console, &terminal) {
            (Some(receiver), Some(master)) => {
                receiver.send(master.as_fd(), "/dev/ptmx")?;
                Ok(None)
            }
            _ => Ok(terminal),
        }
    }
}

/// Whether the runtime stays with a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// Until its end.
    Attached,
    /// It leaves, and the process's terminal goes to whoever listens for it.
    Detached,
}

/// The caller's terminal in raw mode; as it was before once this is dropped.
#[derive(Debug)]
pub(super) struct Raw {
    terminal: File,
    before: Termios,
}

impl Raw {
    /// Takes over the terminal on the standard input; `None` if there is none.
    pub(super) fn standard_input() -> Result<Option<Self>> {
        let input = io::stdin();
        if !isatty(&input) {
            return Ok(None);
        }
        let doing = || Failure::during("take over the terminal");
        let terminal = input.as_fd().try_clone_to_owned().map_err(Failure::during("duplicate the standard input"))?;
        let terminal = File::from(terminal);
        let before = tcgetattr(&terminal).map_err(doing())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &raw).map_err(doing())?;
        Ok(Some(Self { terminal, before }))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The terminal may have gone away; then there is nothing to put back.
        _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Bytes on the way from one descriptor to another.
#[derive(Debug)]
pub(super) struct Pipe {
    buffer: Box<[u8; 4096]>,
    /// What was read and is not written yet.
    pending: std::ops::Range<usize>,
    pub(super) ended: bool,
}

impl Pipe {
    pub(super) fn new() -> Self {
        Self { buffer: Box::new([0; 4096]), pending: 0..0, ended: false }
    }

    /// Whether it can take more.
    pub(super) fn wants_input(&self) -> bool {
        self.pending.is_empty() && !self.ended
    }

    /// Whether it holds something to write.
    pub(super) fn has_output(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Reads what is there.
    pub(super) fn fill(&mut self, from: impl AsFd) -> rustix::io::Result<()> {
        match rustix::io::read(from, &mut self.buffer[..]) {
            // A terminal whose last user closed it says so by an error.
            Ok(0) | Err(Errno::IO) => self.ended = true,
            Ok(length) => self.pending = 0..length,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Writes what can be written.
    pub(super) fn drain(&mut self, to: impl AsFd) -> rustix::io::Result<()> {
        match rustix::io::write(to, &self.buffer[self.pending.clone()]) {
            Ok(length) => self.pending.start += length,
            // Nobody reads any more.
            Err(Errno::IO | Errno::PIPE) => {
                self.pending = 0..0;
                self.ended = true;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
