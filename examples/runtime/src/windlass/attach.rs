//! `attach`, and the foreground of `run` and `start -a`: this process's descriptors on one side, a monitor on the other.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::sys::signal::SigSet;
use nix::sys::signal::Signal as Raw;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::containers::Containers;
use super::failure::Failure;
use super::protocol::{Decoder, Frame, PAYLOAD_MAX, send};
use super::status::{self, Status};
use super::tty::{self, DetachKeys, Typed};
use super::{exit, socket};

/// What a person or a supervisor sends to end or steer a program.
const FORWARDED: [Raw; 7] =
    [Raw::SIGHUP, Raw::SIGINT, Raw::SIGQUIT, Raw::SIGTERM, Raw::SIGUSR1, Raw::SIGUSR2, Raw::SIGWINCH];
/// A first process without a handler never gets SIGINT; who sends it this often wants the end.
const INTERRUPTS_MAX: u32 = 3;

/// What of this process is connected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wiring {
    pub(super) stdin: bool,
    /// The container has a terminal.
    pub(super) terminal: bool,
}

pub(super) fn attach(containers: &Containers, name: &str, stdin: bool) -> Result<u8, Failure> {
    let (container, config) = containers.find(name)?;
    match status::of(&container)?.0 {
        Status::Running | Status::Restarting => {}
        Status::Paused => {
            return Err(Failure::new(format!("container {0} is paused: `windlass unpause {0}` first", config.name)));
        }
        Status::Unattended => {
            return Err(Failure::new(format!(
                "container {} runs without its monitor, which was killed: its output leads nowhere",
                config.name
            )));
        }
        found => {
            return Err(Failure::new(format!("container {0} is {found}: `windlass start {0}` first", config.name)));
        }
    }
    let monitor = socket::connect(&container).map_err(Failure::during("reach the container's monitor"))?;
    relay(&monitor, Wiring { stdin: stdin && config.stdin, terminal: config.terminal })
}

/// One attachment.
struct Relay<'s> {
    monitor: &'s UnixStream,
    wiring: Wiring,
    decoder: Decoder,
    keys: DetachKeys,
    reads_stdin: bool,
    interrupts: u32,
}

/// Passes on until the container ends, and returns its exit code; 0 when the detach keys were typed.
pub(super) fn relay(monitor: &UnixStream, wiring: Wiring) -> Result<u8, Failure> {
    let signals: SigSet = FORWARDED.into_iter().collect();
    signals.thread_block().map_err(Failure::during("block signals"))?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(Failure::during("signalfd"))?;
    let mut relay = Relay {
        monitor,
        wiring,
        decoder: Decoder::default(),
        keys: DetachKeys::default(),
        reads_stdin: wiring.stdin,
        interrupts: 0,
    };
    relay.say(&Frame::Hello { output: true, input: wiring.stdin })?;
    let stdin = rustix::stdio::stdin();
    let _raw = if wiring.terminal && wiring.stdin {
        tty::Raw::set(stdin).map_err(Failure::during("set the terminal"))?
    } else {
        None
    };
    relay.tell_size()?;
    loop {
        if let Some(code) = relay.turn(stdin, &signals)? {
            return Ok(code);
        }
    }
}

impl Relay<'_> {
    fn say(&self, frame: &Frame) -> Result<(), Failure> {
        match send(self.monitor, frame) {
            // The end is on its way.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            said => said.map_err(Failure::during("speak to the container's monitor")),
        }
    }

    fn tell_size(&self) -> Result<(), Failure> {
        if !self.wiring.terminal {
            return Ok(());
        }
        match tty::size(rustix::stdio::stdout()).or_else(|| tty::size(rustix::stdio::stdin())) {
            Some((rows, columns)) => self.say(&Frame::Resize { rows, columns }),
            None => Ok(()),
        }
    }

    fn turn(&mut self, stdin: BorrowedFd<'_>, signals: &SignalFd) -> Result<Option<u8>, Failure> {
        let mut polled =
            vec![PollFd::new(self.monitor, PollFlags::IN), PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
        if self.reads_stdin {
            polled.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
        }
        match poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Failure::during("poll")(errno)),
        }
        let ready: Vec<bool> = polled.iter().map(|descriptor| !descriptor.revents().is_empty()).collect();
        drop(polled);
        if ready[1] {
            self.pass_signals(signals)?;
        }
        if ready.get(2) == Some(&true) && self.pass_input(stdin)? {
            return Ok(Some(0));
        }
        if ready[0] { self.pass_output() } else { Ok(None) }
    }

    fn pass_signals(&mut self, signals: &SignalFd) -> Result<(), Failure> {
        while let Some(signal) = signals.read_signal().map_err(Failure::during("read signals"))? {
            let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
            if number == Raw::SIGWINCH as i32 && self.wiring.terminal {
                self.tell_size()?;
                continue;
            }
            self.interrupts += u32::from(number == Raw::SIGINT as i32);
            let number = if self.interrupts >= INTERRUPTS_MAX { Raw::SIGKILL as i32 } else { number };
            self.say(&Frame::Signal { number })?;
        }
        Ok(())
    }

    /// Whether the detach keys were typed.
    fn pass_input(&mut self, stdin: BorrowedFd<'_>) -> Result<bool, Failure> {
        let mut buffer = vec![0; PAYLOAD_MAX / 2];
        let length = match rustix::io::read(stdin, &mut buffer[..]) {
            Ok(length) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            // What a terminal says after it was hung up.
            Err(Errno::IO) => 0,
            Err(errno) => return Err(Failure::during("read the input")(errno)),
        };
        if length == 0 {
            self.reads_stdin = false;
            self.say(&Frame::StdinEnd)?;
            return Ok(false);
        }
        let bytes = buffer[..length].to_vec();
        if !self.wiring.terminal {
            self.say(&Frame::Stdin(bytes))?;
            return Ok(false);
        }
        match self.keys.filter(&bytes) {
            Typed::Detach => return Ok(true),
            Typed::Pass(bytes) if !bytes.is_empty() => self.say(&Frame::Stdin(bytes))?,
            Typed::Pass(_) => {}
        }
        Ok(false)
    }

    fn pass_output(&mut self) -> Result<Option<u8>, Failure> {
        let mut buffer = vec![0; PAYLOAD_MAX];
        match io::Read::read(&mut &*self.monitor, &mut buffer) {
            Ok(0) => return Err(Failure::new("the container's monitor was killed")),
            Ok(length) => self.decoder.push(&buffer[..length]),
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(error) => return Err(Failure::during("hear from the container's monitor")(error)),
        }
        while let Some(frame) =
            self.decoder.next_frame().map_err(Failure::during("understand the container's monitor"))?
        {
            let written = match frame {
                Frame::Stdout(bytes) => write_all(&mut io::stdout().lock(), &bytes),
                Frame::Stderr(bytes) => write_all(&mut io::stderr().lock(), &bytes),
                Frame::Exit { code } => return Ok(Some(exit::of_code(code))),
                _ => Ok(()),
            };
            written.map_err(Failure::during("write the container's output"))?;
        }
        Ok(None)
    }
}

fn write_all(out: &mut impl io::Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(bytes)?;
    out.flush()
}
