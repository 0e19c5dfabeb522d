//! The standard descriptors of a program in a container, as seen from outside: pipes, or a terminal.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::termios::{Winsize, tcsetwinsize};
use windlass_namespaces::{Child, Command, Stdio, Terminal};

use super::failure::Failure;
use super::log::Stream;

/// Bytes of input that wait for a container that does not read.
const INPUT_MAX: usize = 1 << 20;
const PIECE: usize = 32 << 10;

/// What is written to and read from.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// A pseudo terminal, which is input and output in one.
    pub(super) terminal: Option<OwnedFd>,
    pub(super) stdin: Option<OwnedFd>,
    pub(super) outputs: [Option<OwnedFd>; 2],
    waiting: Vec<u8>,
    /// The input ends once what waits is written.
    input_ended: bool,
}

/// What a program gets as its standard descriptors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wants {
    pub(super) terminal: bool,
    /// Input that somebody writes, where there is no terminal; nothing otherwise.
    pub(super) stdin: bool,
}

/// Starts a program with a terminal or with pipes.
pub(super) fn start(command: &mut Command, program: &str, wants: Wants) -> Result<(Child, Streams), Failure> {
    let failed = || Failure::during("make a pipe");
    let started = |error| Failure::to_start(program, &error);
    if wants.terminal {
        command.terminal(Terminal::default());
        let mut child = command.spawn().map_err(started)?;
        let terminal = child.take_terminal().ok_or_else(|| Failure::new("the program has no terminal"))?;
        let streams = Streams::with_terminal(terminal).map_err(Failure::during("use the program's terminal"))?;
        return Ok((child, streams));
    }
    let (stdout, out) = io::pipe().map_err(failed())?;
    let (stderr, err) = io::pipe().map_err(failed())?;
    command.stdout(out).stderr(err);
    let stdin = if wants.stdin {
        let (input, stdin) = io::pipe().map_err(failed())?;
        command.stdin(input);
        Some(stdin.into())
    } else {
        command.stdin(Stdio::Null);
        None
    };
    let child = command.spawn().map_err(started)?;
    let streams = Streams::with_pipes(stdin, stdout.into(), stderr.into()).map_err(failed())?;
    Ok((child, streams))
}

impl Streams {
    fn with_terminal(terminal: OwnedFd) -> io::Result<Self> {
        make_nonblocking(terminal.as_fd())?;
        Ok(Self { terminal: Some(terminal), ..Self::default() })
    }

    fn with_pipes(stdin: Option<OwnedFd>, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<Self> {
        for descriptor in stdin.iter().chain([&stdout, &stderr]) {
            make_nonblocking(descriptor.as_fd())?;
        }
        Ok(Self { stdin, outputs: [Some(stdout), Some(stderr)], ..Self::default() })
    }

    /// Whether all that will ever be written was read.
    pub(super) fn is_drained(&self) -> bool {
        self.terminal.is_none() && self.outputs.iter().all(Option::is_none)
    }

    /// Whether callers may send more.
    pub(super) fn takes_input(&self) -> bool {
        self.waiting.len() < INPUT_MAX
    }

    /// What to wait for; nothing is read while `is_full`.
    pub(super) fn wanted(&self, is_full: bool) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let read = if is_full { PollFlags::empty() } else { PollFlags::IN };
        let write = if self.waiting.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let terminal = self.terminal.iter().map(|terminal| (terminal.as_fd(), read | write));
        let outputs = self.outputs.iter().flatten().map(|output| (output.as_fd(), read));
        let stdin = self.stdin.iter().filter(|_| !write.is_empty()).map(|stdin| (stdin.as_fd(), write));
        // A descriptor that nothing is asked of would still report its other end's going, again and again.
        terminal.chain(outputs).chain(stdin).filter(|(_, events)| !events.is_empty()).collect()
    }

    /// Reads what there is, once from each.
    pub(super) fn read(&mut self) -> io::Result<Vec<(Stream, Vec<u8>)>> {
        let mut found = Vec::new();
        let sources = [(&mut self.terminal, Stream::Stdout)];
        let [stdout, stderr] = &mut self.outputs;
        for (source, stream) in sources.into_iter().chain([(stdout, Stream::Stdout), (stderr, Stream::Stderr)]) {
            let Some(descriptor) = source else { continue };
            let mut piece = vec![0; PIECE];
            match rustix::io::read(&*descriptor, &mut piece[..]) {
                // Input and output is the error of a terminal whose other end nobody holds.
                Ok(0) | Err(Errno::IO) => *source = None,
                Ok(length) => {
                    piece.truncate(length);
                    found.push((stream, piece));
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(found)
    }

    /// Takes input for the container.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.terminal.is_some() || self.stdin.is_some() {
            self.waiting.extend_from_slice(bytes);
        }
    }

    /// No input comes any more.
    pub(super) fn end_input(&mut self) {
        self.input_ended = true;
        if self.waiting.is_empty() {
            self.stdin = None;
        }
    }

    /// Writes what the container takes.
    pub(super) fn write(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            let Some(to) = self.terminal.as_ref().or(self.stdin.as_ref()) else {
                self.waiting.clear();
                break;
            };
            match rustix::io::write(to, &self.waiting) {
                Ok(length) => {
                    self.waiting.drain(..length);
                }
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                // Nobody reads it any more.
                Err(Errno::PIPE | Errno::IO) => {
                    self.stdin = None;
                    self.waiting.clear();
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        if self.input_ended {
            self.stdin = None;
        }
        Ok(())
    }

    pub(super) fn resize(&self, rows: u16, columns: u16) {
        if let Some(terminal) = &self.terminal {
            let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            // A terminal whose container has just ended has no size.
            _ = tcsetwinsize(terminal, size);
        }
    }
}

fn make_nonblocking(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    fcntl_setfl(descriptor, fcntl_getfl(descriptor)? | OFlags::NONBLOCK).map_err(io::Error::from)
}
