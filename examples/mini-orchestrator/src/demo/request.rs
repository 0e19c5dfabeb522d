//! One request from inside a node's network, to where no route leads from outside.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use windlass_namespaces::{Namespace, enter};

use crate::http::{self, Response};

/// How long one step of it may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum RequestError {
    /// The node's network could not be entered.
    #[error("the node's network cannot be entered")]
    Enter(#[from] windlass_namespaces::Error),
    /// The socket could not be used.
    #[error("no answer")]
    Socket(#[from] std::io::Error),
}

/// Sends a request without a body.
pub(super) fn send(
    network: BorrowedFd<'_>,
    address: SocketAddr,
    method: &str,
    path: &str,
) -> Result<Response, RequestError> {
    // Only the socket is made inside; it stays there wherever it is used.
    let connect = || TcpStream::connect_timeout(&address, TIMEOUT);
    let mut stream = enter::within(&[(Namespace::Net, network)], connect)??;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(http::send(&mut stream, method, &address.to_string(), path, &[])?)
}
