//! Short conversations with a container's monitor.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::containers::Container;
use super::failure::Failure;
use super::protocol::{Decoder, Frame, receive, send};
use super::socket;

/// What a monitor says of its container's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Code(i32),
    /// Nothing: it hung up. What it wrote down before, if it was not killed, is in the container's state.
    Unsaid,
    /// The container runs on.
    Later,
}

/// A connection that asks for things and hears of the end.
#[derive(Debug)]
pub(super) struct Control {
    socket: UnixStream,
    decoder: Decoder,
}

impl Control {
    /// `None` when there is no monitor any more.
    pub(super) fn open(container: &Container) -> Result<Option<Self>, Failure> {
        match socket::connect(container) {
            Ok(socket) => {
                let control = Self { socket, decoder: Decoder::default() };
                control.say(&Frame::Hello { output: false, input: false })?;
                Ok(Some(control))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
                Ok(None)
            }
            Err(error) => Err(Failure::during("reach the container's monitor")(error)),
        }
    }

    fn say(&self, frame: &Frame) -> Result<(), Failure> {
        match send(&self.socket, frame) {
            // The end has come before the question; hearing tells it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            said => said.map_err(Failure::during("speak to the container's monitor")),
        }
    }

    /// Asks for something; an answer other than that it is done is the failure.
    pub(super) fn ask(&mut self, frame: &Frame) -> Result<(), Failure> {
        self.say(frame)?;
        match self.hear(None)? {
            Some(Frame::Done(reason)) if !reason.is_empty() => Err(Failure::new(reason)),
            _ => Ok(()),
        }
    }

    /// Waits for the container's end.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Result<Ending, Failure> {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(Ending::Later);
            }
            match self.hear(left)? {
                Some(Frame::Exit { code }) => return Ok(Ending::Code(code)),
                None if left.is_none() || self.is_hung_up() => return Ok(Ending::Unsaid),
                Some(_) | None => {}
            }
        }
    }

    fn is_hung_up(&self) -> bool {
        let mut byte = [0];
        self.socket.set_nonblocking(true).is_ok()
            && matches!(io::Read::read(&mut &self.socket, &mut byte), Ok(0))
            && self.socket.set_nonblocking(false).is_ok()
    }

    fn hear(&mut self, timeout: Option<Duration>) -> Result<Option<Frame>, Failure> {
        let failed = || Failure::during("hear from the container's monitor");
        self.socket.set_nonblocking(false).map_err(failed())?;
        self.socket.set_read_timeout(timeout).map_err(failed())?;
        match receive(&self.socket, &mut self.decoder) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            heard => heard.map_err(failed()),
        }
    }
}
