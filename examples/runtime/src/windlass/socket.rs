//! The socket in a container's folder, whose path may be longer than a socket's address.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};

use super::containers::Container;

const NAME: &str = "attach.sock";

/// Listens at the container's socket, in the place of what a killed monitor left.
pub(super) fn listen(container: &Container) -> io::Result<UnixListener> {
    match fs::remove_file(container.file(NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let folder = File::open(&container.path)?;
    let listener = UnixListener::bind(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Connects to the container's monitor.
pub(super) fn connect(container: &Container) -> io::Result<UnixStream> {
    let folder = File::open(&container.path)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()))
}

/// Takes the socket away: nobody listens there any more.
pub(super) fn remove(container: &Container) -> io::Result<()> {
    match fs::remove_file(container.file(NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
