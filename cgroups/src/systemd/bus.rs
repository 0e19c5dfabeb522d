//! A connection to a message bus: one call at a time, and the signals that come meanwhile.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::systemd::wire::{FIXED, Kind, Message, Value, WireError};

/// Which message bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bus {
    /// That of the machine, `/run/dbus/system_bus_socket`, with the systemd that root commands.
    System,
    /// That of a user, `/run/user/UID/bus`, with the systemd that the user commands.
    User(u32),
    /// Another, by its socket.
    Socket(PathBuf),
}

impl Bus {
    fn socket(&self) -> PathBuf {
        match self {
            Self::System => PathBuf::from("/run/dbus/system_bus_socket"),
            Self::User(uid) => PathBuf::from(format!("/run/user/{uid}/bus")),
            Self::Socket(path) => path.clone(),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    socket: PathBuf,
    serial: u32,
    signals: VecDeque<Message>,
    timeout: Duration,
}

/// A failure that the other side told.
pub(crate) struct Refusal {
    pub(crate) name: String,
    pub(crate) message: String,
}

/// How much may be kept of signals that nobody asked for yet.
const SIGNALS_MAX: usize = 256;

impl Connection {
    /// Connects as the calling user.
    pub(crate) fn open(bus: &Bus, timeout: Duration) -> Result<Self> {
        let socket = bus.socket();
        let stream = UnixStream::connect(&socket).map_err(|error| failed("connect to", &socket, error))?;
        let mut connection = Self { stream, socket, serial: 0, signals: VecDeque::new(), timeout };
        let deadline = Instant::now() + timeout;
        connection.authenticate(deadline)?;
        let hello = connection.call(BUS, "/org/freedesktop/DBus", BUS, "Hello", vec![])?;
        hello.map(drop).map_err(|_| connection.broken("it refuses the first call"))?;
        Ok(connection)
    }

    fn authenticate(&mut self, deadline: Instant) -> Result<()> {
        let uid = rustix::process::geteuid().as_raw().to_string();
        // Digits, as their codes in hexadecimal.
        let hex: String = uid.chars().flat_map(|digit| ['3', digit]).collect();
        self.send(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.receive(&mut byte, deadline)?;
            line.push(byte[0]);
            if line.len() > 4096 {
                return Err(self.broken("its answer has no end"));
            }
        }
        if !line.starts_with(b"OK ") {
            return Err(self.broken("it does not take this user"));
        }
        self.send(b"BEGIN\r\n")
    }

    /// Calls a method and waits for the answer.
    pub(crate) fn call(
        &mut self,
        destination: &str,
        path: &str,
        interface: &str,
        member: &str,
        body: Vec<Value>,
    ) -> Result<std::result::Result<Vec<Value>, Refusal>> {
        let mut message = Message::call(destination, path, interface, member, body);
        self.serial += 1;
        message.serial = self.serial;
        self.send(&message.encode())?;
        let deadline = Instant::now() + self.timeout;
        loop {
            let received = self.message(deadline)?;
            match received.kind {
                Kind::Signal => self.keep(received)?,
                Kind::Return if received.reply_to == Some(message.serial) => return Ok(Ok(received.body)),
                Kind::Failure if received.reply_to == Some(message.serial) => {
                    let message = match received.body.into_iter().next() {
                        Some(Value::Text(text)) => text,
                        _ => String::new(),
                    };
                    return Ok(Err(Refusal { name: received.error.unwrap_or_default(), message }));
                }
                // An answer that nobody waits for any more, or a call, which this client does not serve.
                Kind::Return | Kind::Failure | Kind::Call => {}
            }
        }
    }

    /// The next signal of this name.
    pub(crate) fn signal(&mut self, member: &str, deadline: Instant) -> Result<Message> {
        loop {
            let kept = self.signals.iter().position(|signal| signal.member.as_deref() == Some(member));
            if let Some(signal) = kept.and_then(|place| self.signals.remove(place)) {
                return Ok(signal);
            }
            let received = self.message(deadline)?;
            if received.kind == Kind::Signal {
                self.keep(received)?;
            }
        }
    }

    fn keep(&mut self, signal: Message) -> Result<()> {
        if self.signals.len() == SIGNALS_MAX {
            return Err(self.broken("it sends signals without end"));
        }
        self.signals.push_back(signal);
        Ok(())
    }

    /// Forgets the signals that came so far.
    pub(crate) fn forget_signals(&mut self) {
        self.signals.clear();
    }

    fn message(&mut self, deadline: Instant) -> Result<Message> {
        let mut fixed = [0; FIXED];
        self.receive(&mut fixed, deadline)?;
        let length = Message::length(&fixed).map_err(|error| self.malformed(error))?;
        let mut bytes = fixed.to_vec();
        bytes.resize(length, 0);
        self.receive(&mut bytes[FIXED..], deadline)?;
        Message::decode(&bytes).map_err(|error| self.malformed(error))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let timeout = self.stream.set_write_timeout(Some(self.timeout));
        timeout.and_then(|()| self.stream.write_all(bytes)).map_err(|error| failed("write to", &self.socket, error))
    }

    fn receive(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let late =
                || Error::TimedOut { op: "answer", object: self.socket.display().to_string(), after: self.timeout };
            let left =
                deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or_else(late)?;
            self.stream.set_read_timeout(Some(left)).map_err(|error| failed("read from", &self.socket, error))?;
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => return Err(self.broken("it closed the connection")),
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Err(late()),
                Err(error) => return Err(failed("read from", &self.socket, error)),
            }
        }
        Ok(())
    }

    fn malformed(&self, WireError(reason): WireError) -> Error {
        self.broken(reason)
    }

    fn broken(&self, reason: &'static str) -> Error {
        Error::Malformed { file: self.socket.display().to_string(), reason }
    }
}

pub(crate) const BUS: &str = "org.freedesktop.DBus";

fn failed(op: &'static str, socket: &Path, error: std::io::Error) -> Error {
    Error::sys(op, socket.display().to_string(), error)
}
