//! A container that exists: its place, its state, and what it is doing.

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::failure::{Failure, Result};
use super::state::{State, Status};
use super::store::Place;

/// The socket at which a created container waits for its start.
pub(super) const GATE: &str = "gate";

/// Reads the state of a container.
pub(super) fn read(place: &Place) -> Result<State> {
    place.read()?.ok_or_else(|| Failure::new(format!("container {:?} is still being created", place.id().as_str())))
}

/// What the container is doing.
pub(super) fn status(place: &Place, state: &State) -> Result<Status> {
    let Some(init) = state.init else { return Ok(Status::Creating) };
    if !init.is_alive()? {
        return Ok(Status::Stopped);
    }
    if waits_at_gate(place)? {
        return Ok(Status::Created);
    }
    Ok(if is_frozen(state)? { Status::Paused } else { Status::Running })
}

/// Whether somebody listens at the gate.
///
/// A container that was started listens no more, also if whoever started it was killed before it could remove the
/// socket. A socket of another type is refused in other words than one that nobody holds open.
fn waits_at_gate(place: &Place) -> Result<bool> {
    if !place.has(GATE)? {
        return Ok(false);
    }
    let doing = || Failure::during(format!("ask at {}", place.file(GATE).display()));
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    let socket = socket.map_err(doing())?;
    match rustix::net::connect(&socket, &gate_address(place)?) {
        Err(Errno::PROTOTYPE) => Ok(true),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        Ok(()) => Err(Failure::new(format!("{} is no gate", place.file(GATE).display()))),
        Err(error) => Err(doing()(error)),
    }
}

/// Through the directory's descriptor, since an address has only 107 bytes for a path.
fn gate_address(place: &Place) -> Result<SocketAddrUnix> {
    use std::os::fd::{AsFd as _, AsRawFd as _};
    let path = format!("/proc/self/fd/{}/{GATE}", place.as_fd().as_raw_fd());
    SocketAddrUnix::new(path).map_err(Failure::during("name the gate"))
}

/// Whether its group is stopped.
fn is_frozen(state: &State) -> Result<bool> {
    let Some(file) = state.group.as_ref().and_then(|group| group.freezer.as_ref()) else { return Ok(false) };
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(matches!(text.trim(), "1" | "FROZEN" | "FREEZING")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::during(file.display())(error)),
    }
}
