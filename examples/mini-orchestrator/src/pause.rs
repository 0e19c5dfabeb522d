//! The first process of a pod: it holds the namespaces that the containers share and reaps what they leave.

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::signals::Signals;

/// Reaps children until SIGTERM or SIGINT comes.
pub fn run() -> nix::Result<()> {
    let signals = Signals::block(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD])?;
    loop {
        match signals.wait()? {
            Signal::SIGCHLD => reap()?,
            _ => return Ok(()),
        }
    }
}

/// Takes every child that has ended: one SIGCHLD may stand for several.
fn reap() -> nix::Result<()> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
