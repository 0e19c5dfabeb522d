//! Standing at the gate: nothing but the exec, and what belongs right before it, is left to do.

use std::os::fd::RawFd;

use super::call::{self, Call, Failure, Outcome};
use super::message::Message;
use super::prepared::Prepared;
use crate::gate::{GateKind, RECORD_MAX};
/// The longest text that a hook leaves.
pub(super) const TEXT_MAX: usize = 512;

/// Tells the caller that all is prepared, lets go of everything else and waits until somebody opens; gives the socket to
/// the one who did.
pub(super) fn stand(prepared: &Prepared<'_>, caller: RawFd, descriptor: RawFd, kind: GateKind) -> Outcome<RawFd> {
    // Processes that share the namespaces may come and look through `/proc`: no group's directory lies open.
    call::close_all_but(&prepared.kept_at_gate)?;
    // A filter that asks a listener was installed before: the caller waits no more.
    if caller >= 0 {
        call::write(caller, &Message::Waiting.encode())?;
        call::close(caller)?;
    }
    wait(descriptor, kind)
}

fn wait(descriptor: RawFd, kind: GateKind) -> Outcome<RawFd> {
    let mut byte = [0];
    match kind {
        GateKind::Paired => match call::read(descriptor, &mut byte)? {
            // Who could have opened gave up.
            0 => Err(Failure { call: Call::Read, errno: libc::EPIPE }),
            _ => Ok(descriptor),
        },
        GateKind::Named => loop {
            let visitor = call::accept(descriptor)?;
            if call::read(visitor, &mut byte)? > 0 {
                return Ok(visitor);
            }
            // It left, or was killed, without a word.
            call::close(visitor)?;
        },
    }
}

/// A message and the words to it, on lines of their own, as one record.
pub(super) fn tell(socket: RawFd, message: Message, text: &[u8], more: &[u8]) -> Outcome<usize> {
    let mut record = [0; RECORD_MAX];
    let message = message.encode();
    let newline: &[u8] = if more.is_empty() { b"" } else { b"\n" };
    let mut length = 0;
    for (slot, byte) in record.iter_mut().zip(message.iter().chain(text).chain(newline).chain(more)) {
        *slot = *byte;
        length += 1;
    }
    call::write(socket, record.get(..length).unwrap_or(&record))
}
