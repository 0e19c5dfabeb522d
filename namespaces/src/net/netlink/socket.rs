//! The socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with, sockopt,
};

use super::message::{Message, flag};
use super::reply::Reply;
use crate::enter;
use crate::error::{Error, Result};
use crate::kind::Namespace;
use crate::sys;

/// A subsystem of the kernel that speaks netlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes: `rtnetlink(7)`.
    Route,
    /// nftables and its kin.
    Netfilter,
}

/// Larger than any datagram that the kernel makes for a dump (32 KiB).
const BUFFER: usize = 1 << 16;
/// Room for the answers to a large batch, as far as the administrator allows.
const RECEIVE_BUFFER: usize = 1 << 22;
/// The kernel answers before the sending call returns; a wait means that no answer comes.
const PATIENCE: Duration = Duration::from_secs(5);

/// A netlink socket of one network namespace: that of the thread that opened it.
#[derive(Debug)]
pub struct Socket {
    socket: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// A socket for links, addresses and routes of the caller's network namespace.
    pub fn route() -> Result<Self> {
        Self::open(Protocol::Route)
    }

    /// A socket for nftables of the caller's network namespace.
    pub fn netfilter() -> Result<Self> {
        Self::open(Protocol::Netfilter)
    }

    /// A socket in another network namespace.
    pub fn open_in(netns: BorrowedFd<'_>, protocol: Protocol) -> Result<Self> {
        enter::within(&[(Namespace::Net, netns)], || Self::open(protocol))?
    }

    /// A socket in the caller's network namespace.
    pub fn open(protocol: Protocol) -> Result<Self> {
        let number = match protocol {
            // Number 0, which rustix spells as no protocol.
            Protocol::Route => None,
            Protocol::Netfilter => Some(netlink::NETFILTER),
        };
        let failed = |op| move |errno| Error::sys(op, format!("{protocol:?} netlink socket"), errno);
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, number)
            .map_err(failed("socket"))?;
        bind(&socket, &SocketAddrNetlink::new(0, 0)).map_err(failed("bind"))?;
        sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER).map_err(failed("setsockopt"))?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE)).map_err(failed("setsockopt"))?;
        sys::set_netlink_options(socket.as_fd())
            .map_err(|source| Error::sys("setsockopt", format!("{protocol:?} netlink socket"), source))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// The next sequence number: every number is given out once until 4294967295 were.
    pub fn next_sequence(&mut self) -> u32 {
        // 0 marks notifications.
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        self.sequence
    }

    /// Sends a request, and waits until the kernel has carried it out; `op` and `object` go into an error.
    ///
    /// # Errors
    /// [`Error::Netlink`] when the kernel refuses.
    pub fn request(&mut self, op: &'static str, object: &str, message: Message) -> Result<()> {
        self.query(op, object, message).map(drop)
    }

    /// As [`Socket::request`], and gives what the kernel answers: type of message and everything after the netlink
    /// header.
    ///
    /// # Errors
    /// As [`Socket::request`].
    pub fn query(&mut self, op: &'static str, object: &str, message: Message) -> Result<Vec<(u16, Vec<u8>)>> {
        self.exchange(op, object, message.with(flag::ACK))
    }

    /// Asks for a list of objects.
    ///
    /// # Errors
    /// As [`Socket::request`]; [`Error::Malformed`] also when a change interrupted the list: ask again.
    pub fn dump(&mut self, op: &'static str, message: Message) -> Result<Vec<(u16, Vec<u8>)>> {
        self.exchange(op, "", message.with(flag::DUMP))
    }

    fn exchange(&mut self, op: &'static str, object: &str, message: Message) -> Result<Vec<(u16, Vec<u8>)>> {
        let own = self.next_sequence();
        self.send(&message.finish(own))?;
        let mut objects = Vec::new();
        loop {
            for reply in self.receive()? {
                match reply {
                    Reply::Object { sequence, kind, payload } if sequence == own => objects.push((kind, payload)),
                    Reply::Ack { sequence } | Reply::Done { sequence } if sequence == own => return Ok(objects),
                    Reply::Refused { sequence, source, explanation } if sequence == own => {
                        return Err(Error::Netlink { op, object: object.to_owned(), explanation, source });
                    }
                    // Left over from a request whose answers were not waited for.
                    _ => {}
                }
            }
        }
    }

    /// Sends the bytes of one or more finished messages in one datagram.
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        let kernel = SocketAddrNetlink::new(0, 0);
        let sent = retry_on_intr(|| sendto(&self.socket, bytes, SendFlags::empty(), &kernel))
            .map_err(|errno| Error::sys("sendto", "the kernel by netlink", errno))?;
        if sent == bytes.len() { Ok(()) } else { Err(Error::Malformed { reason: "a datagram was sent in part" }) }
    }

    /// Waits for a datagram of the kernel, and gives its messages.
    ///
    /// # Errors
    /// [`Error::Sys`] with `EAGAIN` when none came within five seconds, with `ENOBUFS` when some were lost.
    pub fn receive(&mut self) -> Result<Vec<Reply>> {
        let mut buffer = vec![0; BUFFER];
        // With TRUNC the kernel tells the datagram's true length.
        let (kept, length) = retry_on_intr(|| recv(&self.socket, &mut buffer[..], RecvFlags::TRUNC))
            .map_err(|errno| Error::sys("recv", "the kernel by netlink", errno))?;
        if length > kept {
            return Err(Error::Malformed { reason: "a datagram is longer than the buffer" });
        }
        Reply::parse(&buffer[..kept])
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
