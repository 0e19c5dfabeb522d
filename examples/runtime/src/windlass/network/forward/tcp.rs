//! One connection, passed on.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddrV4, TcpStream};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};

/// Bytes under way in one direction.
const BUFFER_MAX: usize = 64 << 10;

/// Whether a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Ended,
}

#[derive(Debug, Default)]
struct Way {
    buffer: Vec<u8>,
    /// The sender has ended its side.
    ended: bool,
    /// The receiver has been told.
    told: bool,
}

#[derive(Debug)]
pub(super) struct Connection {
    caller: TcpStream,
    container: TcpStream,
    is_connected: bool,
    inward: Way,
    outward: Way,
}

impl Connection {
    /// Begins to connect to the container's port.
    pub(super) fn open(caller: TcpStream, to: SocketAddrV4) -> io::Result<Self> {
        caller.set_nonblocking(true)?;
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        match connect(&socket, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno.into()),
        }
        let (inward, outward) = (Way::default(), Way::default());
        Ok(Self { caller, container: TcpStream::from(socket), is_connected: false, inward, outward })
    }

    /// What to wait for.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (&TcpStream, PollFlags)> {
        let caller = events(&self.inward, &self.outward, self.is_connected);
        let container = if self.is_connected { events(&self.outward, &self.inward, true) } else { PollFlags::OUT };
        [(&self.caller, caller), (&self.container, container)].into_iter()
    }

    /// Passes on what can be passed on.
    pub(super) fn work(&mut self) -> io::Result<State> {
        if !self.is_connected {
            if let Err(errno) = sockopt::socket_error(&self.container)? {
                return Err(errno.into());
            }
            if self.container.peer_addr().is_err() {
                return Ok(State::Open);
            }
            self.is_connected = true;
        }
        pass(&mut self.caller, &mut self.container, &mut self.inward)?;
        pass(&mut self.container, &mut self.caller, &mut self.outward)?;
        Ok(if self.inward.told && self.outward.told { State::Ended } else { State::Open })
    }
}

fn events(read: &Way, written: &Way, is_connected: bool) -> PollFlags {
    let mut events = PollFlags::empty();
    if is_connected && !read.ended && read.buffer.len() < BUFFER_MAX {
        events |= PollFlags::IN;
    }
    if !written.buffer.is_empty() {
        events |= PollFlags::OUT;
    }
    events
}

fn pass(from: &mut TcpStream, to: &mut TcpStream, way: &mut Way) -> io::Result<()> {
    let mut piece = [0; 16 << 10];
    loop {
        let mut moved = false;
        if !way.ended && way.buffer.len() < BUFFER_MAX {
            match from.read(&mut piece) {
                Ok(0) => way.ended = true,
                Ok(length) => {
                    way.buffer.extend_from_slice(&piece[..length]);
                    moved = true;
                }
                Err(error) if is_later(&error) => {}
                Err(error) => return Err(error),
            }
        }
        if !way.buffer.is_empty() {
            match to.write(&way.buffer) {
                Ok(length) => {
                    way.buffer.drain(..length);
                    moved |= length > 0;
                }
                Err(error) if is_later(&error) => {}
                Err(error) => return Err(error),
            }
        }
        if !moved {
            break;
        }
    }
    if way.ended && way.buffer.is_empty() && !way.told {
        way.told = true;
        match to.shutdown(Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
