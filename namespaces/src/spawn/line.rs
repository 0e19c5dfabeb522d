//! The caller's end of the socket to a new process.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{OwnedFd, RawFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType, recvmsg,
    send, socketpair,
};

use super::lift;
use crate::error::{Error, Result};
use crate::gate::RECORD_MAX;
use crate::sys::{MESSAGE_LENGTH, Message, Release};

/// What a new process told, and the descriptor that came along.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) message: Message,
    /// What was said with it.
    pub(super) text: String,
    pub(super) descriptor: Option<OwnedFd>,
}

/// The caller's end of the socket to the new process.
pub(super) struct Line {
    here: OwnedFd,
}

impl Line {
    /// The caller's end, and the other one.
    pub(super) fn open(floor: RawFd) -> Result<(Self, OwnedFd)> {
        let (mut here, mut there) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(|errno| Error::sys("socketpair", "to the new process", errno))?;
        lift(&mut here, floor)?;
        lift(&mut there, floor)?;
        Ok((Self { here }, there))
    }

    pub(super) fn release(&self, release: Release) -> Result<()> {
        retry_on_intr(|| send(&self.here, &[release as u8], SendFlags::NOSIGNAL))
            .map_err(|errno| Error::sys("send", "to the new process", errno))?;
        Ok(())
    }

    /// The next message; `None` when the other end is closed.
    pub(super) fn receive(&mut self) -> Result<Option<Heard>> {
        self.receive_with(RecvFlags::empty()).map_err(|errno| Error::sys("recvmsg", "from the new process", errno))
    }

    /// The next message if there is one already.
    pub(super) fn receive_now(&mut self) -> Option<Heard> {
        self.receive_with(RecvFlags::DONTWAIT).ok().flatten()
    }

    fn receive_with(&mut self, flags: RecvFlags) -> rustix::io::Result<Option<Heard>> {
        let mut bytes = [0; RECORD_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        let received = retry_on_intr(|| {
            recvmsg(&self.here, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags).map(|message| message.bytes)
        });
        // The other end was closed with something unread.
        let length = received.or_else(|errno| if errno == Errno::CONNRESET { Ok(0) } else { Err(errno) })?;
        let descriptor = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        if length == 0 {
            return Ok(None);
        }
        let (head, text) = bytes.get(..length).unwrap_or(&bytes).split_at(MESSAGE_LENGTH.min(length));
        let message = head.try_into().ok().and_then(Message::decode);
        let message = message.expect("only this crate's code writes to the socket");
        Ok(Some(Heard { message, text: String::from_utf8_lossy(text).into_owned(), descriptor }))
    }
}
