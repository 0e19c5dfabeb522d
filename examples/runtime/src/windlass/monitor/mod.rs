//! The process that stays with a container: it holds its descriptors, writes its log, serves callers, starts it again as
//! its policy says and records how it ended.

mod client;
mod run;

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;
use nix::sys::signal::Signal as Raw;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use windlass_namespaces::Signal;

use self::client::Client;
use self::run::Run;
use super::containers::{Container, Containers, Held};
use super::failure::Failure;
use super::home::Home;
use super::identity::Identity;
use super::log::{Stream, Writer};
use super::network::Network;
use super::network::files;
use super::network::forward::Forwarder;
use super::protocol::{Frame, PAYLOAD_MAX};
use super::record::{Config, Phase, State};
use super::report::{Report, Starter};
use super::restart_policy::{Ended, next_delay};
use super::volumes::Volumes;
use super::{clock, exit, group, removal, socket};
use crate::cause::chain;

/// How long output may still come after the container's end.
const DRAIN: Duration = Duration::from_secs(2);

/// What the monitor has as long as it lives.
struct Monitor<'h> {
    home: &'h Home,
    containers: &'h Containers,
    volumes: Volumes,
    container: Container,
    config: Config,
    claim: Option<Held>,
    network: Option<Network>,
    forwarder: Option<Forwarder>,
    log: Writer,
    listener: UnixListener,
    clients: Vec<Client>,
    signals: SignalFd,
    restarts: u32,
    /// `stop` or `kill` was called.
    by_user: bool,
    /// Why the log is not whole.
    log_failure: Option<String>,
}

/// Runs a container until it has ended for good.
pub(super) fn run(home: &Home, containers: &Containers, id: &str) -> Result<u8, Failure> {
    let starter = Starter::take()?;
    let begun = Monitor::begin(home, containers, id).and_then(|mut monitor| {
        monitor.clients.extend(starter.caller().and_then(|caller| Client::new(caller).ok()));
        monitor.await_hello()?;
        match monitor.launch() {
            Ok(run) => Ok((monitor, run)),
            Err(failure) => Err(monitor.abandon(failure)),
        }
    });
    match begun {
        Ok((monitor, run)) => {
            let mut warnings = monitor.network.as_ref().map_or_else(Vec::new, |network| network.warnings.clone());
            warnings.extend(run.warnings.iter().cloned());
            starter.tell(&Report { code: 0, error: None, warnings })?;
            monitor.stay(run)?;
            Ok(0)
        }
        Err(failure) => {
            starter.tell(&Report { code: failure.code, error: Some(failure.to_string()), warnings: Vec::new() })?;
            Err(failure)
        }
    }
}

impl<'h> Monitor<'h> {
    fn begin(home: &'h Home, containers: &'h Containers, id: &str) -> Result<Self, Failure> {
        let (container, config) = containers.find(id)?;
        let claim = container.claim()?.ok_or_else(|| Failure::new(format!("container {id} is already running")))?;
        let signals: SigSet = [Raw::SIGTERM, Raw::SIGINT, Raw::SIGHUP].into_iter().collect();
        signals.thread_block().map_err(Failure::during("block signals"))?;
        let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(Failure::during("signalfd"))?;
        group::remove_left(&config.id)?;
        let listener = socket::listen(&container).map_err(Failure::during("listen at the container's socket"))?;
        let log = Writer::open(&container.path, config.log).map_err(Failure::during("open the log"))?;
        let network = Network::prepare(&config, containers)?;
        let mut monitor = Self {
            home,
            containers,
            volumes: Volumes::open(&home.root),
            container,
            config,
            claim: Some(claim),
            network: Some(network),
            forwarder: None,
            log,
            listener,
            clients: Vec::new(),
            signals,
            restarts: 0,
            by_user: false,
            log_failure: None,
        };
        match monitor.prepare_network() {
            Ok(()) => Ok(monitor),
            Err(failure) => Err(monitor.abandon(failure)),
        }
    }

    fn prepare_network(&mut self) -> Result<(), Failure> {
        let Some(network) = &self.network else { return Ok(()) };
        files::write(&self.container, &self.config, self.containers, network.address)?;
        if let (Some(namespace), false) = (network.namespace(), self.config.ports.is_empty()) {
            self.forwarder = Some(Forwarder::start(&self.config.ports, namespace, network.address)?);
        }
        Ok(())
    }

    /// A caller that was handed over at the start is heard first, so that it misses nothing.
    fn await_hello(&mut self) -> Result<(), Failure> {
        while self.clients.iter().any(|client| !client.is_gone && !client.wants_output) {
            self.turn(None, None)?;
        }
        Ok(())
    }

    fn launch(&self) -> Result<Run, Failure> {
        let network = self.network.as_ref().and_then(Network::namespace);
        let before = self.container.state()?;
        let mut run = Run::start(self.home, &self.container, &self.config, &self.volumes, network)?;
        let started = clock::Time::now();
        self.container.change_state(|state| {
            let (address, ports) = (self.network.as_ref().and_then(|network| network.address), self.forwarder.as_ref());
            *state = State {
                phase: Phase::Running,
                process: Some(run.identity.clone()),
                monitor: Identity::of(std::process::id()),
                started: Some(started),
                restarts: self.restarts,
                address,
                ports: ports.map_or_else(Vec::new, |forwarder| forwarder.ports.clone()),
                group: run.group.as_ref().map(|group| group.path().as_str().to_owned()),
                ..State::created()
            };
        })?;
        if let Err(failure) = run.begin(&self.config.command[0]) {
            self.container.change_state(|state| *state = before)?;
            return Err(failure);
        }
        Ok(run)
    }

    /// Serves until the container has ended and is not to be started again.
    fn stay(mut self, first: Run) -> Result<(), Failure> {
        let mut run = first;
        let mut delay = None;
        let (code, error) = loop {
            let (code, oom_killed, ran) = self.attend(run)?;
            let policy = self.container.config()?.map_or(self.config.restart, |config| config.restart);
            let ended = Ended { code, restarts: self.restarts, by_user: self.by_user };
            let again = policy.wants(ended);
            let record = |state: &mut State| {
                state.phase = if again { Phase::Restarting } else { Phase::Exited };
                state.process = None;
                state.exit_code = Some(code);
                state.oom_killed = oom_killed;
                state.finished = Some(clock::Time::now());
                state.group = None;
            };
            if !again {
                if let Err(error) = self.log.finish() {
                    self.log_failure.get_or_insert_with(|| format!("the log is not whole: {error}"));
                }
                self.container.change_state(record)?;
                break (code, self.log_failure.take());
            }
            self.container.change_state(record)?;
            let wait = next_delay(delay, ran);
            delay = Some(wait);
            if !self.rest(wait)? {
                break (code, None);
            }
            self.restarts += 1;
            run = match self.launch() {
                Ok(run) => run,
                Err(failure) => break (i32::from(failure.code), Some(failure.to_string())),
            };
        };
        self.conclude(code, error)
    }

    /// Serves while the container runs; its exit code, whether memory was short, and how long it ran.
    fn attend(&mut self, mut run: Run) -> Result<(i32, bool, Duration), Failure> {
        let mut drained_by = None;
        let status = loop {
            self.turn(Some(&mut run), drained_by)?;
            let ended = run.child.try_wait().map_err(Failure::during("wait for the container"))?;
            let Some(status) = ended else { continue };
            let deadline = *drained_by.get_or_insert_with(|| Instant::now() + DRAIN);
            if run.io.is_drained() || Instant::now() >= deadline {
                break status;
            }
        };
        let oom_killed = run.end()?;
        Ok((exit::code(status), oom_killed, run.started.elapsed()))
    }

    /// Serves callers before the next start; `false` when the container shall not be started again.
    fn rest(&mut self, wait: Duration) -> Result<bool, Failure> {
        let until = Instant::now() + wait;
        while Instant::now() < until && !self.by_user {
            self.turn(None, Some(until))?;
        }
        if self.by_user {
            self.container.change_state(|state| state.phase = Phase::Exited)?;
        }
        Ok(!self.by_user)
    }

    /// Gives everything back, and tells the callers of the end.
    fn conclude(mut self, code: i32, error: Option<String>) -> Result<(), Failure> {
        let mut first = self.give_back();
        // Nobody finds the socket any more; those who have, and were not heard yet, are told as well.
        self.accept();
        if error.is_some() {
            self.container.change_state(|state| {
                state.phase = Phase::Exited;
                state.error = error;
            })?;
        }
        if self.config.remove {
            first = first.and(removal::remove_claimed(
                self.home,
                &self.volumes,
                &self.container,
                removal::Volumes::Anonymous,
            ));
        }
        drop(self.claim.take());
        for client in &mut self.clients {
            client.send(&Frame::Exit { code });
        }
        while self.clients.iter().any(|client| !client.is_flushed()) {
            self.turn(None, None)?;
        }
        first
    }

    fn give_back(&mut self) -> Result<(), Failure> {
        drop(self.forwarder.take());
        let network = self.network.take().map_or(Ok(()), Network::end);
        socket::remove(&self.container).map_err(Failure::during("remove the container's socket"))?;
        network
    }

    /// The container could not be started: nothing of it is left but its record, which says why.
    fn abandon(mut self, failure: Failure) -> Failure {
        let given_back = self.give_back();
        let recorded = self.container.change_state(|state| {
            state.exit_code = Some(i32::from(failure.code));
            state.error = Some(failure.to_string());
        });
        match given_back.and(recorded.map(drop)) {
            Ok(()) => failure,
            Err(second) => Failure::told(failure.code, format!("{failure}; and then: {second}")),
        }
    }

    /// Waits for the next event, and does what it asks for.
    fn turn(&mut self, mut run: Option<&mut Run>, until: Option<Instant>) -> Result<(), Failure> {
        let is_full = self.clients.iter().any(Client::is_full);
        let takes_input = run.as_ref().is_none_or(|run| run.io.takes_input());
        let mut polled = vec![
            PollFd::new(&self.listener, PollFlags::IN),
            PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
        ];
        if let Some(run) = &run {
            if !run.has_ended {
                polled.push(PollFd::from_borrowed_fd(run.child.as_fd(), PollFlags::IN));
            }
            let wanted = run.io.wanted(is_full).into_iter();
            polled.extend(wanted.map(|(descriptor, events)| PollFd::from_borrowed_fd(descriptor, events)));
        }
        polled.extend(self.clients.iter().map(|client| PollFd::new(&client.socket, client.wanted(takes_input))));
        let timeout = until.map(|until| Timespec::try_from(until.saturating_duration_since(Instant::now())));
        let timeout = timeout.transpose().map_err(Failure::during("wait"))?;
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Failure::during("poll")(errno)),
        }
        drop(polled);
        self.accept();
        self.pass_signals(run.as_deref())?;
        if let Some(run) = run.as_deref_mut() {
            run.has_ended = run.child.try_wait().map_err(Failure::during("wait for the container"))?.is_some();
            self.pass_output(run, is_full)?;
        }
        self.hear_callers(run.as_deref_mut());
        if let Some(run) = run {
            run.io.write().map_err(Failure::during("write to the container"))?;
        }
        for client in &mut self.clients {
            client.flush();
        }
        self.clients.retain(|client| !client.is_gone);
        Ok(())
    }

    fn accept(&mut self) {
        // Nobody there, or gone again: the next turn asks anew.
        while let Ok((socket, _)) = self.listener.accept() {
            self.clients.extend(Client::new(socket).ok());
        }
    }

    /// Who ends the monitor means the container.
    fn pass_signals(&mut self, run: Option<&Run>) -> Result<(), Failure> {
        while let Some(signal) = self.signals.read_signal().map_err(Failure::during("read signals"))? {
            self.by_user = true;
            let signal = i32::try_from(signal.ssi_signo).ok().and_then(Signal::new);
            if let (Some(run), Some(signal)) = (run, signal) {
                drop(run.child.kill(signal)); // it may have ended by itself
            }
        }
        Ok(())
    }

    fn pass_output(&mut self, run: &mut Run, is_full: bool) -> Result<(), Failure> {
        if is_full {
            return Ok(());
        }
        for (stream, bytes) in run.io.read().map_err(Failure::during("read from the container"))? {
            // A full disk ends the log and not the container.
            if let Err(error) = self.log.take(stream, &bytes) {
                self.log_failure.get_or_insert_with(|| format!("the log is not whole: {error}"));
            }
            for piece in bytes.chunks(PAYLOAD_MAX) {
                let frame = match stream {
                    Stream::Stdout => Frame::Stdout(piece.to_vec()),
                    Stream::Stderr => Frame::Stderr(piece.to_vec()),
                };
                self.clients.iter_mut().filter(|client| client.wants_output).for_each(|client| client.send(&frame));
            }
        }
        Ok(())
    }

    fn hear_callers(&mut self, mut run: Option<&mut Run>) {
        for client in &mut self.clients {
            let takes_input = run.as_ref().is_none_or(|run| run.io.takes_input());
            if client.gives_input && !takes_input {
                continue;
            }
            for frame in client.frames() {
                match frame {
                    Frame::Hello { output, input } => {
                        client.wants_output = output;
                        client.gives_input = input;
                    }
                    Frame::Stdin(bytes) => run.iter_mut().for_each(|run| run.io.push(&bytes)),
                    Frame::StdinEnd => run.iter_mut().for_each(|run| run.io.end_input()),
                    Frame::Resize { rows, columns } => run.iter().for_each(|run| run.io.resize(rows, columns)),
                    Frame::Signal { number } => client.send(&Frame::Done(signal(run.as_deref(), number))),
                    Frame::Stop { number } => {
                        self.by_user = true;
                        client.send(&Frame::Done(signal(run.as_deref(), number)));
                    }
                    // What only a monitor says: the caller is none of ours.
                    Frame::Done(_) | Frame::Stdout(_) | Frame::Stderr(_) | Frame::Exit { .. } => client.is_gone = true,
                }
            }
        }
    }
}

/// Sends a signal to the container, and says why it could not.
fn signal(run: Option<&Run>, number: i32) -> String {
    let (Some(run), Some(signal)) = (run, Signal::new(number)) else { return String::new() };
    match run.child.kill(signal) {
        // It has just ended, as was wanted.
        Err(error) if error.errno() == Some(nix::errno::Errno::ESRCH as i32) => String::new(),
        Err(error) => chain(&error),
        Ok(()) => String::new(),
    }
}
