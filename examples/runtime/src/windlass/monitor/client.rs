//! One caller at the monitor's socket.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use rustix::event::PollFlags;

use crate::windlass::protocol::{Decoder, Frame, PAYLOAD_MAX};

/// Bytes that wait for a caller that does not read; beyond it the container's output is left in its pipe.
const OUTPUT_MAX: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: UnixStream,
    decoder: Decoder,
    waiting: Vec<u8>,
    pub(super) wants_output: bool,
    pub(super) gives_input: bool,
    pub(super) is_gone: bool,
}

impl Client {
    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            decoder: Decoder::default(),
            waiting: Vec::new(),
            wants_output: false,
            gives_input: false,
            is_gone: false,
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() > OUTPUT_MAX
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.is_gone || self.waiting.is_empty()
    }

    pub(super) fn wanted(&self, takes_input: bool) -> PollFlags {
        let mut events = PollFlags::empty();
        if takes_input || !self.gives_input {
            events |= PollFlags::IN;
        }
        if !self.waiting.is_empty() {
            events |= PollFlags::OUT;
        }
        events
    }

    pub(super) fn send(&mut self, frame: &Frame) {
        self.waiting.extend_from_slice(&frame.encode());
        self.flush();
    }

    /// Sends what the caller takes now.
    pub(super) fn flush(&mut self) {
        while !self.waiting.is_empty() && !self.is_gone {
            match self.socket.write(&self.waiting) {
                Ok(0) => self.is_gone = true,
                Ok(length) => {
                    self.waiting.drain(..length);
                }
                Err(error) if is_later(&error) => return,
                Err(_) => self.is_gone = true,
            }
        }
    }

    /// What the caller has said; one who says what is no frame is hung up on.
    pub(super) fn frames(&mut self) -> Vec<Frame> {
        let mut buffer = vec![0; PAYLOAD_MAX];
        match self.socket.read(&mut buffer) {
            Ok(0) => self.is_gone = true,
            Ok(length) => self.decoder.push(&buffer[..length]),
            Err(error) if is_later(&error) => {}
            Err(_) => self.is_gone = true,
        }
        let mut frames = Vec::new();
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return frames,
                Err(_) => {
                    self.is_gone = true;
                    return frames;
                }
            }
        }
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
