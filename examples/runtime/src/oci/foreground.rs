//! A process in the foreground: it gets the caller's signals and terminal, and the caller its exit code.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use nix::sys::signal::{SigSet, Signal as Raw};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use windlass_namespaces::{Child, Signal, pty};

use super::console::{self, Pipe};
use super::failure::{Failure, Result};
use super::notify::Listener;

/// The caller's signals, which from now on arrive at this descriptor alone.
#[derive(Debug)]
pub(super) struct Signals(SignalFd);

/// What is not the program's to handle: what stops and continues this process as part of its job, and what its own
/// faults and reads of the terminal raise.
const KEPT: [Raw; 12] = [
    Raw::SIGSEGV,
    Raw::SIGBUS,
    Raw::SIGFPE,
    Raw::SIGILL,
    Raw::SIGTRAP,
    Raw::SIGSYS,
    Raw::SIGABRT,
    Raw::SIGTSTP,
    Raw::SIGTTIN,
    Raw::SIGTTOU,
    Raw::SIGPIPE,
    Raw::SIGURG,
];

impl Signals {
    /// Takes them over; to be done before the process is made, so that none is lost in between.
    pub(super) fn take() -> Result<Self> {
        let mut signals = SigSet::all();
        for kept in KEPT {
            signals.remove(kept);
        }
        signals.thread_block().map_err(Failure::during("block signals"))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        SignalFd::with_flags(&signals, flags).map(Self).map_err(Failure::during("signalfd"))
    }
}

/// A process that this one stays with; its descriptor is a pidfd.
pub(super) trait Attended: AsFd {
    fn number(&self) -> u32;

    /// Sends a signal; one to a process that has ended is lost.
    fn send(&self, signal: Signal) -> Result<()>;

    /// How it ended, if it has.
    fn ended(&mut self) -> Result<Option<ExitStatus>>;
}

impl Attended for Child {
    fn number(&self) -> u32 {
        self.pid().as_raw()
    }

    fn send(&self, signal: Signal) -> Result<()> {
        match self.kill(signal) {
            Err(error) if error.errno() != Some(libc::ESRCH) => Err(Failure::during("forward a signal")(error)),
            _ => Ok(()),
        }
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.try_wait().map_err(Failure::during("wait"))
    }
}

/// Forwards signals, what passes through the terminal and the word that it is ready, until the process ends; returns its
/// exit code.
pub(super) fn attend(
    child: &mut impl Attended,
    signals: &Signals,
    terminal: Option<OwnedFd>,
    mut listener: Option<Listener>,
) -> Result<u8> {
    let raw = if terminal.is_some() { console::Raw::standard_input()? } else { None };
    let mut lines = terminal.map(Lines::new).transpose()?;
    let status = loop {
        if let Some(lines) = &mut lines {
            lines.step(child, signals, listener.as_ref())?;
        } else {
            wait(&mut awaited(child, signals, listener.as_ref()))?;
        }
        // Whom the manager started is the one it watches.
        if let Some(listening) = &listener
            && listening.pass_on(std::process::id())?
        {
            listener = None;
        }
        while let Some(signal) = signals.0.read_signal().map_err(Failure::during("read signals"))? {
            match Raw::try_from(signal.ssi_signo.cast_signed()) {
                Ok(Raw::SIGCHLD) => bury_orphans(child)?,
                Ok(Raw::SIGWINCH) if lines.is_some() => lines.iter().try_for_each(Lines::resize)?,
                _ => forward(child, signal.ssi_signo)?,
            }
        }
        if let Some(status) = child.ended()? {
            break status;
        }
    };
    if let Some(lines) = &mut lines {
        lines.last_words()?;
    }
    drop(raw);
    Ok(exit_code(status))
}

fn awaited<'a>(child: &'a impl Attended, signals: &'a Signals, listener: Option<&'a Listener>) -> Vec<PollFd<'a>> {
    let mut descriptors = vec![PollFd::new(child, PollFlags::IN), PollFd::new(&signals.0, PollFlags::IN)];
    descriptors.extend(listener.map(|listener| PollFd::new(listener, PollFlags::IN)));
    descriptors
}

fn wait(descriptors: &mut [PollFd<'_>]) -> Result<()> {
    match poll(descriptors, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(Failure::during("poll")(error)),
    }
}

fn forward(child: &impl Attended, number: u32) -> Result<()> {
    let Some(signal) = i32::try_from(number).ok().and_then(Signal::new) else { return Ok(()) };
    child.send(signal)
}

/// Waits for what ended and was left to this process, but not for the process that it attends.
fn bury_orphans(child: &impl Attended) -> Result<()> {
    loop {
        // Looked at first: what is waited for by number here must not be the one whose status is wanted.
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let pid = match waitid(Id::All, look) {
            Ok(status) => status.pid(),
            Err(nix::errno::Errno::ECHILD) => None,
            Err(error) => return Err(Failure::during("wait")(error)),
        };
        match pid {
            Some(pid) if pid.as_raw().cast_unsigned() != child.number() => {
                waitid(Id::Pid(pid), WaitPidFlag::WEXITED).map_err(Failure::during("wait"))?;
            }
            _ => return Ok(()),
        }
    }
}

/// Gives a terminal the size of the caller's, if the caller has one.
pub(super) fn fit(terminal: &OwnedFd) -> Result<()> {
    match pty::window_size(io::stdin()) {
        Ok(size) => pty::resize(terminal, size).map_err(Failure::during("resize the terminal")),
        Err(_) => Ok(()),
    }
}

/// The two ways between the caller's standard descriptors and the terminal of the process.
#[derive(Debug)]
struct Lines {
    terminal: OwnedFd,
    inwards: Pipe,
    outwards: Pipe,
}

impl Lines {
    fn new(terminal: OwnedFd) -> Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&terminal).map_err(Failure::during("terminal"))?;
        rustix::fs::fcntl_setfl(&terminal, flags | rustix::fs::OFlags::NONBLOCK)
            .map_err(Failure::during("terminal"))?;
        let lines = Self { terminal, inwards: Pipe::new(), outwards: Pipe::new() };
        lines.resize()?;
        Ok(lines)
    }

    fn resize(&self) -> Result<()> {
        fit(&self.terminal)
    }

    fn step(&mut self, child: &impl Attended, signals: &Signals, listener: Option<&Listener>) -> Result<()> {
        let (input, output) = (io::stdin(), io::stdout());
        let none = PollFlags::empty();
        let mut of_terminal = none;
        of_terminal.set(PollFlags::IN, self.outwards.wants_input());
        of_terminal.set(PollFlags::OUT, self.inwards.has_output());
        let from_input = if self.inwards.wants_input() { PollFlags::IN } else { none };
        let to_output = if self.outwards.has_output() { PollFlags::OUT } else { none };
        let mut descriptors = awaited(child, signals, listener);
        let mut place = |asked: PollFlags, descriptor| {
            if asked.is_empty() {
                return None;
            }
            descriptors.push(PollFd::from_borrowed_fd(descriptor, asked));
            Some(descriptors.len() - 1)
        };
        let places = [
            place(of_terminal, self.terminal.as_fd()),
            place(from_input, input.as_fd()),
            place(to_output, output.as_fd()),
        ];
        wait(&mut descriptors)?;
        let [terminal, input_ready, output_ready] =
            places.map(|place| place.map_or(none, |place| descriptors[place].revents()));
        drop(descriptors);
        let doing = || Failure::during("pass on what is typed and written");
        let gone = PollFlags::HUP | PollFlags::ERR;
        if self.outwards.wants_input() && terminal.intersects(PollFlags::IN | gone) {
            self.outwards.fill(&self.terminal).map_err(doing())?;
        }
        if self.inwards.has_output() && terminal.intersects(PollFlags::OUT | gone) {
            self.inwards.drain(&self.terminal).map_err(doing())?;
        }
        if input_ready.intersects(PollFlags::IN | gone) {
            self.inwards.fill(&input).map_err(doing())?;
        }
        if output_ready.intersects(PollFlags::OUT | gone) {
            self.outwards.drain(&output).map_err(doing())?;
        }
        Ok(())
    }

    /// Passes on what the process wrote before its end.
    fn last_words(&mut self) -> Result<()> {
        let doing = || Failure::during("pass on what was written last");
        let output = io::stdout();
        loop {
            while self.outwards.has_output() {
                self.outwards.drain(&output).map_err(doing())?;
            }
            if self.outwards.ended {
                return Ok(());
            }
            self.outwards.fill(&self.terminal).map_err(doing())?;
            if !self.outwards.has_output() {
                return Ok(());
            }
        }
    }
}

/// The exit code that the caller sees; 128 and the signal if one ended the process.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
