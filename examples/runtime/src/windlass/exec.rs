//! `exec`: one more program in a running container, below this process rather than the monitor.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;
use nix::sys::signal::Signal as Raw;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use windlass_namespaces::{Child, KillOnDrop, Namespace, Signal, Source, Stdio};

use super::cli::Exec;
use super::containers::Containers;
use super::failure::Failure;
use super::identity::Identity;
use super::log::Stream;
use super::record::{Config, State};
use super::status::{self, Status};
use super::streams::{self, Streams, Wants};
use super::{account, exit, group, launch, request, tty};

/// How long output may still come after the program's end.
const DRAIN: Duration = Duration::from_secs(2);
const NAMESPACES: [Namespace; 6] =
    [Namespace::Mount, Namespace::Pid, Namespace::Net, Namespace::Ipc, Namespace::Uts, Namespace::Cgroup];

/// The container's first process, by whose namespaces the program enters.
pub(super) fn process(containers: &Containers, name: &str) -> Result<(Config, State, Identity), Failure> {
    let (container, config) = containers.find(name)?;
    let (found, state) = status::of(&container)?;
    match (found, state.process.clone()) {
        (Status::Running | Status::Unattended, Some(process)) => Ok((config, state, process)),
        (Status::Paused, _) => {
            Err(Failure::new(format!("container {0} is paused: `windlass unpause {0}` first", config.name)))
        }
        (found, _) => Err(Failure::new(format!("container {0} is {found}: `windlass start {0}` first", config.name))),
    }
}

pub(super) fn exec(containers: &Containers, request: &Exec) -> Result<u8, Failure> {
    let (mut config, state, process) = process(containers, &request.container)?;
    if request.interactive && request.tty && !rustix::termios::isatty(rustix::stdio::stdin()) {
        return Err(Failure::new("-i and -t together need a terminal as the input: leave -t away"));
    }
    if request.tty {
        request::set_variable(&mut config.env, "TERM=xterm")?;
    }
    for variable in &request.env {
        request::set_variable(&mut config.env, variable)?;
    }
    config.security.privileged |= request.privileged;
    config.working_dir = request.workdir.clone().or(config.working_dir);
    let user = request.user.as_deref().or(config.user.as_deref());
    let account = account::look_up(process.open_proc("root")?.as_fd(), user)?;
    let mut command = launch::program(&config, &request.command, &account)?;
    for kind in NAMESPACES {
        let descriptor = process.open_proc(&format!("ns/{}", kind.file_name()))?;
        command.namespace(kind, Source::Join(descriptor));
    }
    launch::enter_group(&mut command, group::find(&state)?.as_ref())?;
    let program = &request.command[0];
    if request.detach {
        command.stdin(Stdio::Null).stdout(Stdio::Null).stderr(Stdio::Null);
        let child = command.spawn().map_err(|error| Failure::to_start(program, &error))?;
        // Nobody waits for it: it goes on below the machine's own first process.
        drop(child);
        return Ok(0);
    }
    command.kill_on_drop(KillOnDrop::Yes);
    let wants = Wants { terminal: request.tty, stdin: request.interactive };
    let (child, streams) = streams::start(&mut command, &request.command[0], wants)?;
    drop(command);
    Session { child, streams, reads_stdin: request.interactive, is_terminal: request.tty }.stay()
}

/// The program and this process's descriptors.
struct Session {
    child: Child,
    streams: Streams,
    reads_stdin: bool,
    is_terminal: bool,
}

impl Session {
    fn stay(mut self) -> Result<u8, Failure> {
        let signals: SigSet =
            [Raw::SIGHUP, Raw::SIGINT, Raw::SIGQUIT, Raw::SIGTERM, Raw::SIGWINCH].into_iter().collect();
        signals.thread_block().map_err(Failure::during("block signals"))?;
        let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(Failure::during("signalfd"))?;
        let stdin = rustix::stdio::stdin();
        let _raw = if self.is_terminal && self.reads_stdin {
            tty::Raw::set(stdin).map_err(Failure::during("set the terminal"))?
        } else {
            None
        };
        self.resize();
        let mut drained_by = None;
        loop {
            self.turn(stdin, &signals, drained_by)?;
            if let Some(status) = self.child.try_wait().map_err(Failure::during("wait for the program"))? {
                let deadline = *drained_by.get_or_insert_with(|| Instant::now() + DRAIN);
                if self.streams.is_drained() || Instant::now() >= deadline {
                    return Ok(exit::of_code(exit::code(status)));
                }
            }
        }
    }

    fn resize(&self) {
        if let (true, Some((rows, columns))) = (self.is_terminal, tty::size(rustix::stdio::stdout())) {
            self.streams.resize(rows, columns);
        }
    }

    fn turn(&mut self, stdin: BorrowedFd<'_>, signals: &SignalFd, until: Option<Instant>) -> Result<(), Failure> {
        let reads = self.reads_stdin && self.streams.takes_input();
        let mut polled = vec![PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
        polled.push(PollFd::from_borrowed_fd(stdin, if reads { PollFlags::IN } else { PollFlags::empty() }));
        if until.is_none() {
            polled.push(PollFd::from_borrowed_fd(self.child.as_fd(), PollFlags::IN));
        }
        let wanted = self.streams.wanted(false).into_iter();
        polled.extend(wanted.map(|(descriptor, events)| PollFd::from_borrowed_fd(descriptor, events)));
        // A descriptor that nothing is asked of reports its hanging up all the same.
        if !reads {
            polled.remove(1);
        }
        let timeout = until.map(|until| Timespec::try_from(until.saturating_duration_since(Instant::now())));
        let timeout = timeout.transpose().map_err(Failure::during("wait"))?;
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Failure::during("poll")(errno)),
        }
        let typed = reads && !polled[1].revents().is_empty();
        drop(polled);
        self.pass_signals(signals)?;
        if typed {
            self.pass_input(stdin)?;
        }
        self.streams.write().map_err(Failure::during("write to the program"))?;
        for (stream, bytes) in self.streams.read().map_err(Failure::during("read from the program"))? {
            let written = match stream {
                Stream::Stdout => write_all(&mut io::stdout().lock(), &bytes),
                Stream::Stderr => write_all(&mut io::stderr().lock(), &bytes),
            };
            written.map_err(Failure::during("write the program's output"))?;
        }
        Ok(())
    }

    fn pass_input(&mut self, stdin: BorrowedFd<'_>) -> Result<(), Failure> {
        let mut buffer = vec![0; 32 << 10];
        match rustix::io::read(stdin, &mut buffer[..]) {
            Ok(0) | Err(Errno::IO) => {
                self.reads_stdin = false;
                self.streams.end_input();
            }
            Ok(length) => self.streams.push(&buffer[..length]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(Failure::during("read the input")(errno)),
        }
        Ok(())
    }

    fn pass_signals(&self, signals: &SignalFd) -> Result<(), Failure> {
        while let Some(signal) = signals.read_signal().map_err(Failure::during("read signals"))? {
            let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
            if number == Raw::SIGWINCH as i32 {
                self.resize();
            } else if let Some(signal) = Signal::new(number) {
                drop(self.child.kill(signal)); // it may have ended by itself
            }
        }
        Ok(())
    }
}

fn write_all(out: &mut impl io::Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(bytes)?;
    out.flush()
}
