//! Hands a batch to the kernel and reads what it says to each message.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::net::sockopt;
use windlass_namespaces::net::netlink::{Protocol, Reply, Socket};

use super::message::Batch;
use crate::proxy::Error;

/// Asks the kernel to carry out a batch in a network namespace, as a whole or not at all. Blocks, briefly.
///
/// # Errors
/// [`Error::Refused`] with the first message that the kernel refuses; [`Error::Buffer`] when the batch is larger than the
/// user may send; [`Error::Namespaces`] when the kernel cannot be reached.
///
/// # Kernel
/// `nf_tables`; needs `CAP_NET_ADMIN` over the namespace.
pub fn apply(netns: BorrowedFd<'_>, batch: &Batch) -> Result<(), Error> {
    let mut socket = Socket::open_in(netns, Protocol::Netfilter)?;
    make_room(&socket, batch)?;
    send(&socket, batch)?;
    let mut refused = None;
    loop {
        for reply in socket.receive()? {
            match reply {
                Reply::Ack { sequence } if sequence == batch.last_number() => {
                    return refused.map_or(Ok(()), Err);
                }
                Reply::Refused { sequence, source, explanation } => {
                    let is_last = sequence == batch.last_number() || sequence == 0;
                    let first = refused.take().unwrap_or_else(|| refusal(batch, sequence, explanation, source));
                    if is_last {
                        return Err(first);
                    }
                    refused = Some(first);
                }
                _ => {}
            }
        }
    }
}

/// A batch is one datagram, and a large one is larger than what a socket may send unasked.
fn make_room(socket: &Socket, batch: &Batch) -> Result<(), Error> {
    let bytes = batch.as_bytes().len().saturating_mul(2).max(1 << 17);
    // Only root of the whole machine may go beyond the administrator's limit; for others the kernel stays below it.
    sockopt::set_socket_send_buffer_size_force(socket, bytes)
        .or_else(|_| sockopt::set_socket_send_buffer_size(socket, bytes))
        .map_err(|errno| Error::Buffer { bytes, source: errno.into() })
}

fn send(socket: &Socket, batch: &Batch) -> Result<(), Error> {
    // EMSGSIZE
    const TOO_LONG: i32 = 90;
    match socket.send(batch.as_bytes()) {
        Err(error) if error.errno() == Some(TOO_LONG) => {
            let source = io::Error::from_raw_os_error(TOO_LONG);
            Err(Error::Buffer { bytes: batch.as_bytes().len(), source })
        }
        result => Ok(result?),
    }
}

fn refusal(batch: &Batch, sequence: u32, explanation: Option<String>, source: io::Error) -> Error {
    Error::Refused { action: batch.describe(sequence).to_owned(), explanation, source }
}
