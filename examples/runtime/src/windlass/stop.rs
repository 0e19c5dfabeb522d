//! `stop`, `kill`, `restart` and `wait`: how a container ends.

use std::time::Duration;

use windlass_namespaces::Signal;

use super::containers::{Container, Containers};
use super::control::{Control, Ending};
use super::failure::Failure;
use super::protocol::Frame;
use super::record::{Config, State};
use super::status::{self, Status};
use super::{group, out, start};

/// How long a killed container may take to be gone.
const KILLED: Duration = Duration::from_secs(20);

/// Asks a container to end, and kills it when it does not in time.
pub(super) fn stop(
    containers: &Containers,
    names: &[String],
    signal: Option<Signal>,
    seconds: Option<u64>,
) -> Result<u8, Failure> {
    out::each(names, |name| {
        let (container, config) = containers.find(name)?;
        stop_one(&container, &config, signal, seconds)?;
        out::line(name)
    })
}

fn stop_one(
    container: &Container,
    config: &Config,
    signal: Option<Signal>,
    seconds: Option<u64>,
) -> Result<(), Failure> {
    let (found, state) = status::of(container)?;
    if !found.is_live() {
        return Ok(());
    }
    let signal = match signal {
        Some(signal) => signal,
        None => config.stop_signal.parse().map_err(Failure::during("the container's stop signal"))?,
    };
    let patience = Duration::from_secs(seconds.unwrap_or(config.stop_timeout_seconds));
    end(container, config, &state, signal, Some(patience))
}

/// Sends a signal and, unless that is what kills, kills after `patience`; returns when nothing of it runs.
pub(super) fn end(
    container: &Container,
    config: &Config,
    state: &State,
    signal: Signal,
    patience: Option<Duration>,
) -> Result<(), Failure> {
    let Some(mut control) = Control::open(container)? else {
        return end_unattended(container, state, signal, patience);
    };
    control.ask(&Frame::Stop { number: signal.as_raw() })?;
    // A frozen process gets no signal.
    thaw(state)?;
    if let Some(patience) = patience
        && control.wait(Some(patience))? != Ending::Later
    {
        return Ok(());
    }
    control.ask(&Frame::Stop { number: Signal::KILL.as_raw() })?;
    match control.wait(Some(KILLED))? {
        Ending::Code(_) | Ending::Unsaid => Ok(()),
        Ending::Later => {
            Err(Failure::new(format!("container {} was killed and is not gone after {KILLED:?}", config.name)))
        }
    }
}

fn thaw(state: &State) -> Result<(), Failure> {
    match group::find(state)? {
        Some(group) if group.is_frozen().is_ok_and(|frozen| frozen) => {
            group.thaw().map_err(Failure::during("let the container run again"))
        }
        _ => Ok(()),
    }
}

/// Ends a container whose monitor is gone.
fn end_unattended(
    container: &Container,
    state: &State,
    signal: Signal,
    patience: Option<Duration>,
) -> Result<(), Failure> {
    thaw(state)?;
    let Some(process) = &state.process else { return status::of(container).map(drop) };
    for (signal, wait) in [(signal, patience.unwrap_or_default()), (Signal::KILL, KILLED)] {
        let Some(descriptor) = process.open() else { break };
        if !process.signal(signal)? {
            break;
        }
        let mut polled = [rustix::event::PollFd::new(&descriptor, rustix::event::PollFlags::IN)];
        let timeout = rustix::event::Timespec::try_from(wait).map_err(Failure::during("wait"))?;
        rustix::event::poll(&mut polled, Some(&timeout)).map_err(Failure::during("wait for the container"))?;
    }
    // Whoever adopted the process may take a moment to see its end.
    let until = std::time::Instant::now() + KILLED;
    while process.is_alive() {
        if std::time::Instant::now() > until {
            return Err(Failure::new(format!("process {} was killed and is not gone", process.pid)));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    group::remove_left(&container.id)?;
    status::of(container).map(drop)
}

/// Sends a signal; one that ends the container also keeps it from being started again.
pub(super) fn kill(containers: &Containers, names: &[String], signal: Signal) -> Result<u8, Failure> {
    out::each(names, |name| {
        let (container, config) = containers.find(name)?;
        let (found, state) = status::of(&container)?;
        if !found.is_live() {
            return Err(Failure::new(format!("container {} does not run: it is {found}", config.name)));
        }
        let ends = signal == Signal::KILL || config.stop_signal.parse() == Ok(signal);
        let number = signal.as_raw();
        match Control::open(&container)? {
            Some(mut control) => {
                control.ask(&if ends { Frame::Stop { number } } else { Frame::Signal { number } })?;
                if signal == Signal::KILL {
                    thaw(&state)?;
                    control.wait(Some(KILLED))?;
                }
            }
            None if signal == Signal::KILL => end_unattended(&container, &state, signal, None)?,
            None => drop(state.process.map(|process| process.signal(signal)).transpose()?),
        }
        out::line(name)
    })
}

/// Stops what runs, and starts it.
pub(super) fn restart(
    root: &std::path::Path,
    containers: &Containers,
    names: &[String],
    seconds: Option<u64>,
) -> Result<u8, Failure> {
    out::each(names, |name| {
        let (container, config) = containers.find(name)?;
        if config.remove && status::of(&container)?.0.is_live() {
            return Err(Failure::new(format!(
                "container {} was started with --rm and is gone once it has stopped: it cannot be restarted",
                config.name
            )));
        }
        stop_one(&container, &config, None, seconds)?;
        start::start(root, &container, &config, None)?;
        out::line(name)
    })
}

/// Waits for the end of each, and prints how it ended.
pub(super) fn wait(containers: &Containers, names: &[String]) -> Result<u8, Failure> {
    out::each(names, |name| {
        let (container, _) = containers.find(name)?;
        let (found, state) = status::of(&container)?;
        let said = match (found, Control::open(&container)?) {
            (Status::Exited | Status::Created, _) => Ending::Unsaid,
            (_, Some(mut control)) => control.wait(None)?,
            (_, None) => Ending::Later,
        };
        let code = match said {
            Ending::Code(code) => Some(code),
            Ending::Unsaid | Ending::Later if found.is_live() => wait_unattended(&container)?,
            Ending::Unsaid | Ending::Later => state.exit_code,
        };
        let text = code.map_or_else(|| "255".to_owned(), |code| code.to_string());
        out::line(&text)
    })
}

fn wait_unattended(container: &Container) -> Result<Option<i32>, Failure> {
    loop {
        let (found, state) = status::of(container)?;
        if !found.is_live() {
            return Ok(state.exit_code);
        }
        let Some(descriptor) = state.process.as_ref().and_then(super::identity::Identity::open) else { continue };
        let mut polled = [rustix::event::PollFd::new(&descriptor, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut polled, None).map_err(Failure::during("wait for the container"))?;
    }
}
