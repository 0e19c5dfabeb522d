//! What a container's monitor and its callers say to each other over the socket in the container's folder.
//!
//! A frame is a kind (one byte), the length of what follows (four bytes, little-endian), and that. A caller begins with
//! [`Frame::Hello`].

use std::io::{self, Read, Write};

/// What one frame holds at most.
pub(super) const PAYLOAD_MAX: usize = 64 << 10;
const HEADER: usize = 5;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// From the caller: whether it wants the output, and gives input.
    Hello {
        output: bool,
        input: bool,
    },
    /// From the caller: input for the container.
    Stdin(Vec<u8>),
    /// From the caller: its input has ended.
    StdinEnd,
    /// From the caller: the size of its terminal.
    Resize {
        rows: u16,
        columns: u16,
    },
    /// From the caller: send this signal to the container's first process; answered by `Done`.
    Signal {
        number: i32,
    },
    /// From the caller: the container shall end and not be started again; answered by `Done`.
    Stop {
        number: i32,
    },
    /// From the monitor: what was asked for is done, or why not.
    Done(String),
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// From the monitor, last: the container has ended for good.
    Exit {
        code: i32,
    },
}

impl Frame {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, payload): (u8, Vec<u8>) = match self {
            Self::Hello { output, input } => (0, vec![u8::from(*output), u8::from(*input)]),
            Self::Stdin(bytes) => (1, bytes.clone()),
            Self::StdinEnd => (2, Vec::new()),
            Self::Resize { rows, columns } => (3, [rows.to_le_bytes(), columns.to_le_bytes()].concat()),
            Self::Signal { number } => (4, number.to_le_bytes().to_vec()),
            Self::Stop { number } => (5, number.to_le_bytes().to_vec()),
            Self::Done(text) => (6, text.clone().into_bytes()),
            Self::Stdout(bytes) => (7, bytes.clone()),
            Self::Stderr(bytes) => (8, bytes.clone()),
            Self::Exit { code } => (9, code.to_le_bytes().to_vec()),
        };
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&payload);
        bytes
    }

    fn parse(kind: u8, payload: &[u8]) -> Option<Self> {
        let number = || payload.try_into().ok().map(i32::from_le_bytes);
        Some(match (kind, payload) {
            (0, [output @ 0..=1, input @ 0..=1]) => Self::Hello { output: *output == 1, input: *input == 1 },
            (1, bytes) => Self::Stdin(bytes.to_vec()),
            (2, []) => Self::StdinEnd,
            (3, [a, b, c, d]) => {
                Self::Resize { rows: u16::from_le_bytes([*a, *b]), columns: u16::from_le_bytes([*c, *d]) }
            }
            (4, _) => Self::Signal { number: number()? },
            (5, _) => Self::Stop { number: number()? },
            (6, text) => Self::Done(String::from_utf8_lossy(text).into_owned()),
            (7, bytes) => Self::Stdout(bytes.to_vec()),
            (8, bytes) => Self::Stderr(bytes.to_vec()),
            (9, _) => Self::Exit { code: number()? },
            _ => return None,
        })
    }
}

/// Puts frames together from the pieces in which they come.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: Vec<u8>,
}

impl Decoder {
    /// Takes bytes as they come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// What is no frame: the other side is not one of ours.
    pub(super) fn next_frame(&mut self) -> io::Result<Option<Frame>> {
        let Some(header) = self.buffer.first_chunk::<HEADER>() else { return Ok(None) };
        let [kind, length @ ..] = *header;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > PAYLOAD_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Some(payload) = self.buffer.get(HEADER..HEADER + length) else { return Ok(None) };
        let frame = Frame::parse(kind, payload).ok_or(io::ErrorKind::InvalidData)?;
        self.buffer.drain(..HEADER + length);
        Ok(Some(frame))
    }
}

/// Writes one frame.
pub(super) fn send(mut socket: impl Write, frame: &Frame) -> io::Result<()> {
    socket.write_all(&frame.encode())
}

/// Waits for the next frame; `None` at the end of the connection.
pub(super) fn receive(mut socket: impl Read, decoder: &mut Decoder) -> io::Result<Option<Frame>> {
    let mut buffer = vec![0; PAYLOAD_MAX];
    loop {
        if let Some(frame) = decoder.next_frame()? {
            return Ok(Some(frame));
        }
        match socket.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(length) => decoder.push(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_their_way_in_any_pieces() {
        let frames = [
            Frame::Hello { output: true, input: false },
            Frame::Stdin(b"in".to_vec()),
            Frame::StdinEnd,
            Frame::Resize { rows: 24, columns: 300 },
            Frame::Signal { number: 15 },
            Frame::Stop { number: 64 },
            Frame::Done("no".to_owned()),
            Frame::Stdout(vec![0; PAYLOAD_MAX]),
            Frame::Stderr(Vec::new()),
            Frame::Exit { code: -1 },
        ];
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
        for size in [1, 3, 1000, bytes.len()] {
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                decoder.push(piece);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    found.push(frame);
                }
            }
            assert_eq!(found, frames);
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bytes in [&[99, 0, 0, 0, 0][..], &[0, 1, 0, 0, 0, 1], &[1, 255, 255, 255, 255], &[0, 2, 0, 0, 0, 7, 0]] {
            let mut decoder = Decoder::default();
            decoder.push(bytes);
            assert!(decoder.next_frame().is_err(), "{bytes:?}");
        }
    }
}
