//! A process in the foreground: it gets the caller's signals, and the caller its exit code.

use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::signal::Signal as Raw;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use windlass_namespaces::{Child, Command, Signal};

use super::exit;
use super::failure::Failure;

/// What a person or a supervisor sends to end or steer a program.
const FORWARDED: [Raw; 7] =
    [Raw::SIGHUP, Raw::SIGINT, Raw::SIGQUIT, Raw::SIGTERM, Raw::SIGUSR1, Raw::SIGUSR2, Raw::SIGWINCH];
/// A first process without a handler never gets SIGINT; who sends it this often wants the end.
const INTERRUPTS_MAX: u32 = 3;

/// Starts `command`, forwards signals until it ends, and returns its exit code; 128 and the signal if one ended it.
pub(super) fn run(program: &str, command: &mut Command) -> Result<u8, Failure> {
    let signals: SigSet = FORWARDED.into_iter().collect();
    // The new process starts with no signal blocked, so that this reaches it only through the descriptor below.
    signals.thread_block().map_err(Failure::during("block signals"))?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(Failure::during("signalfd"))?;
    let mut child = command.spawn().map_err(|error| Failure::to_start(program, &error))?;
    let mut interrupts = 0;
    loop {
        let mut descriptors =
            [PollFd::new(child.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        poll(&mut descriptors, PollTimeout::NONE).map_err(Failure::during("poll"))?;
        while let Some(signal) = signals.read_signal().map_err(Failure::during("read signals"))? {
            forward(&child, signal.ssi_signo, &mut interrupts)?;
        }
        if let Some(status) = child.try_wait().map_err(Failure::during("wait"))? {
            return Ok(exit::of_code(exit::code(status)));
        }
    }
}

fn forward(child: &Child, number: u32, interrupts: &mut u32) -> Result<(), Failure> {
    *interrupts += u32::from(number == Raw::SIGINT as u32);
    let signal = if *interrupts >= INTERRUPTS_MAX {
        Some(Signal::KILL)
    } else {
        i32::try_from(number).ok().and_then(Signal::new)
    };
    match signal.map(|signal| child.kill(signal)) {
        Some(Err(error)) if error.errno() != Some(nix::errno::Errno::ESRCH as i32) => {
            Err(Failure::during("forward a signal")(error))
        }
        _ => Ok(()),
    }
}
