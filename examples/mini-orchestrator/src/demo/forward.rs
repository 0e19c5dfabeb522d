//! The service on a port of 127.0.0.1, for `--keep`.
//!
//! The listening socket is the host's; each connection gets a second socket that a thread opened inside a node's
//! network namespace, where the service's address means something.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use windlass_namespaces::{Namespace, enter};

use super::error::{Error, Result};

const CONNECT: Duration = Duration::from_secs(2);

/// A port that is reserved before the demo makes anything, so that a taken one stops it in time.
#[derive(Debug)]
pub(super) struct Reserved {
    listener: TcpListener,
    address: SocketAddr,
}

impl Reserved {
    /// Takes `port`, or a free one.
    pub(super) fn take(port: Option<u16>) -> Result<Self> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
        let listener = TcpListener::bind(wanted).map_err(|source| Error::Port { address: wanted, source })?;
        let address = listener.local_addr().map_err(|source| Error::Port { address: wanted, source })?;
        Ok(Self { listener, address })
    }

    /// The address that was taken.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forwards connections to `service` until the process ends.
    pub(super) fn forward(self, node: OwnedFd, service: SocketAddr) -> Result<()> {
        let node = Arc::new(node);
        std::thread::Builder::new()
            .name("forward".to_owned())
            .spawn(move || {
                for stream in self.listener.incoming().flatten() {
                    let node = Arc::clone(&node);
                    // Without a thread this connection is closed, and the person at it tries again.
                    let _ = std::thread::Builder::new().spawn(move || carry(&stream, &node, service));
                }
            })
            .map(drop)
            .map_err(Error::io("start a thread for", Path::new("the forwarded port")))
    }
}

/// Carries one connection; whatever ends it, both sockets are closed.
fn carry(outside: &TcpStream, node: &OwnedFd, service: SocketAddr) {
    let connected =
        enter::within(&[(Namespace::Net, node.as_fd())], move || TcpStream::connect_timeout(&service, CONNECT));
    let Ok(Ok(inside)) = connected else { return };
    std::thread::scope(|scope| {
        scope.spawn(|| copy(outside, &inside));
        copy(&inside, outside);
    });
}

/// Copies one direction; the peer sees the end of the stream where it ended here.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    // Either side may close at any time: that is how a connection ends.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
