//! `run` and `start`: containers that begin.

use std::os::unix::net::UnixStream;

use super::attach::{self, Wiring};
use super::cli::{self, Run};
use super::containers::{Container, Containers};
use super::failure::Failure;
use super::home::Home;
use super::protocol::{Frame, send};
use super::record::Config;
use super::{create, out, removal, start, volumes};

/// Makes a container, starts it, and stays with it unless it was to be left running.
pub(super) fn run(home: &Home, containers: &Containers, request: &Run) -> Result<u8, Failure> {
    if request.options.interactive
        && request.options.tty
        && !request.detach
        && !rustix::termios::isatty(rustix::stdio::stdin())
    {
        return Err(Failure::new("-i and -t together need a terminal as the input: leave -t away"));
    }
    let (container, config) = create::make(home, containers, &request.options)?;
    let wiring = Wiring { stdin: config.stdin, terminal: config.terminal };
    let (own, caller) = if request.detach { (None, None) } else { pair(wiring)? };
    if let Err(failure) = start::start(&home.root, &container, &config, caller) {
        if !config.remove {
            return Err(failure);
        }
        let claim = container.claim()?;
        let volumes = volumes::Volumes::open(&home.root);
        let removed = removal::remove_claimed(home, &volumes, &container, removal::Volumes::Anonymous);
        drop(claim);
        return Err(match removed {
            Ok(()) => failure,
            Err(second) => Failure::told(failure.code, format!("{failure}; and then: {second}")),
        });
    }
    match own {
        Some(monitor) => attach::relay(&monitor, wiring),
        None => out::line(&container.id).map(|()| 0),
    }
}

/// Starts containers that are there.
pub(super) fn start(home: &Home, containers: &Containers, request: &cli::Start) -> Result<u8, Failure> {
    if !request.attach && !request.interactive {
        return out::each(&request.containers, |name| {
            let (container, config) = containers.find(name)?;
            start::start(&home.root, &container, &config, None)?;
            out::line(name)
        });
    }
    let [name] = &request.containers[..] else {
        return Err(Failure::new("only one container can be attached to"));
    };
    let (container, config) = containers.find(name)?;
    let wiring = Wiring { stdin: request.interactive && config.stdin, terminal: config.terminal };
    let (own, caller) = pair(wiring)?;
    start::start(&home.root, &container, &config, caller)?;
    own.map_or(Ok(0), |monitor| attach::relay(&monitor, wiring))
}

/// Starts a container that is there, and stays with it to its end.
pub(super) fn attended(home: &Home, container: &Container, config: &Config) -> Result<u8, Failure> {
    let wiring = Wiring { stdin: false, terminal: false };
    let (own, caller) = pair(wiring)?;
    start::start(&home.root, container, config, caller)?;
    own.map_or(Ok(0), |monitor| attach::relay(&monitor, wiring))
}

type Pair = (Option<UnixStream>, Option<UnixStream>);

/// One end for the monitor, so that it has a caller before the container begins, and one to keep.
fn pair(wiring: Wiring) -> Result<Pair, Failure> {
    let failed = || Failure::during("make a pair of sockets");
    let (own, caller) = UnixStream::pair().map_err(failed())?;
    // The monitor waits for it before the container begins.
    send(&own, &Frame::Hello { output: true, input: wiring.stdin }).map_err(failed())?;
    Ok((Some(own), Some(caller)))
}
