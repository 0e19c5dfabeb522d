//! Handing the descriptor of a filter to the one who decides about system calls.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    connect, sendmsg, socket_with,
};
use serde::Serialize;

use super::state::State;
use crate::error::{Error, Result};

/// Who decides about system calls that a filter leaves open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The socket to which the filter's descriptor is sent.
    pub path: PathBuf,
    /// What is sent along.
    pub metadata: String,
}

/// The "container process state" of the specification.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    oci_version: &'a str,
    fds: [&'static str; 1],
    pid: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    state: &'a State,
}

impl Listener {
    /// Sends the descriptor that [`Child::take_listener`](crate::Child::take_listener) gave, of the process `pid` as the
    /// caller numbers it, in a container of this state.
    ///
    /// Source: runtime-spec, `config-linux.md`, "The Container Process State".
    pub fn send(&self, descriptor: BorrowedFd<'_>, pid: u32, state: &State) -> Result<()> {
        let error = |op| move |errno: rustix::io::Errno| Error::sys(op, self.path.display().to_string(), errno);
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .map_err(error("socket"))?;
        let address = SocketAddrUnix::new(&self.path).map_err(error("connect"))?;
        connect(&socket, &address).map_err(error("connect"))?;
        let told = Told { oci_version: &state.oci_version, fds: ["seccompFd"], pid, metadata: &self.metadata, state };
        let text = serde_json::to_string(&told).expect("strings, numbers and maps of strings are JSON");
        let descriptors = [descriptor];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fits = ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        assert!(fits, "there is room for one descriptor");
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let sent = rustix::io::retry_on_intr(|| {
                sendmsg(&socket, &[IoSlice::new(rest)], &mut ancillary, SendFlags::NOSIGNAL)
            });
            rest = rest.get(sent.map_err(error("sendmsg"))?..).unwrap_or_default();
            // The descriptor goes with the first part alone.
            ancillary.clear();
        }
        Ok(())
    }
}
