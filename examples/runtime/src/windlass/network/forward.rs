//! Published ports: a thread of the monitor that passes on what comes in at a port of the host.
//!
//! It listens in the host's network and connects from inside the container's, so it works the same as root and as an
//! ordinary user, on a bridge and without any device, and for callers of this machine as for those of others. The
//! container sees its own address as the caller's.

mod tcp;
mod udp;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use windlass_namespaces::{Namespace, enter};

use self::tcp::Connection;
use self::udp::Flows;
use crate::windlass::failure::Failure;
use crate::windlass::port::{Port, Protocol};

/// Connections at once; each takes two descriptors of the monitor, which has 1024 by custom.
const CONNECTIONS_MAX: usize = 400;
/// How often flows of UDP are looked at that have been silent.
const TICK: Duration = Duration::from_secs(10);

/// Forwards until it is dropped.
#[derive(Debug)]
pub(in crate::windlass) struct Forwarder {
    /// The ports, with the numbers that the kernel chose.
    pub(in crate::windlass) ports: Vec<Port>,
    /// The thread ends when this is closed.
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener, SocketAddrV4),
    Udp(UdpSocket, Flows),
}

impl Forwarder {
    /// Listens at the ports; `address` is the container's inside its network.
    pub(in crate::windlass) fn start(
        ports: &[Port],
        namespace: BorrowedFd<'_>,
        address: Option<Ipv4Addr>,
    ) -> Result<Self, Failure> {
        let target = address.unwrap_or(Ipv4Addr::LOCALHOST);
        let mut listeners = Vec::new();
        let mut published = Vec::new();
        for port in ports {
            let (listener, chosen) = listen(port, target).map_err(Failure::during(format_args!("publish {port}")))?;
            listeners.push(listener);
            published.push(Port { host_port: chosen, ..port.clone() });
        }
        if listeners.is_empty() {
            return Ok(Self { ports: published, stop: None, thread: None });
        }
        let (read, write) = io::pipe().map_err(Failure::during("make a pipe"))?;
        let namespace = super::descriptor(namespace)?;
        let serve = move || {
            // A forwarder that cannot go on ends, and with it the ports: callers are refused.
            let served = enter::within(&[(Namespace::Net, namespace.as_fd())], || serve(listeners, &read.into()));
            drop(served);
        };
        let thread = std::thread::Builder::new().name("ports".to_owned()).spawn(serve);
        let thread = thread.map_err(Failure::during("start a thread"))?;
        Ok(Self { ports: published, stop: Some(write.into()), thread: Some(thread) })
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it was told where it happened.
            drop(thread.join());
        }
    }
}

fn listen(port: &Port, target: Ipv4Addr) -> io::Result<(Listener, u16)> {
    let at = SocketAddr::new(port.host_address, port.host_port);
    let to = SocketAddrV4::new(target, port.container_port);
    match port.protocol {
        Protocol::Tcp => {
            let listener = TcpListener::bind(at)?;
            listener.set_nonblocking(true)?;
            let chosen = listener.local_addr()?.port();
            Ok((Listener::Tcp(listener, to), chosen))
        }
        Protocol::Udp => {
            let socket = UdpSocket::bind(at)?;
            socket.set_nonblocking(true)?;
            let chosen = socket.local_addr()?.port();
            Ok((Listener::Udp(socket, Flows::new(to)), chosen))
        }
    }
}

/// Runs inside the container's network until `stop` is closed.
fn serve(mut listeners: Vec<Listener>, stop: &OwnedFd) -> io::Result<()> {
    let mut connections: Vec<Connection> = Vec::new();
    let tick = Timespec::try_from(TICK).map_err(io::Error::other)?;
    loop {
        let room = connections.len() < CONNECTIONS_MAX;
        let mut polled = vec![PollFd::new(stop, PollFlags::empty())];
        for listener in &listeners {
            match listener {
                Listener::Tcp(listener, _) => {
                    polled.push(PollFd::new(listener, if room { PollFlags::IN } else { PollFlags::empty() }));
                }
                Listener::Udp(socket, flows) => {
                    polled.push(PollFd::new(socket, PollFlags::IN));
                    polled.extend(flows.sockets().map(|socket| PollFd::new(socket, PollFlags::IN)));
                }
            }
        }
        for connection in &connections {
            polled.extend(connection.wanted().map(|(socket, events)| PollFd::new(socket, events)));
        }
        match poll(&mut polled, Some(&tick)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        if !polled[0].revents().is_empty() {
            return Ok(());
        }
        drop(polled);
        connections.retain_mut(|connection| connection.work().is_ok_and(|state| state == tcp::State::Open));
        for listener in &mut listeners {
            match listener {
                Listener::Tcp(listener, to) => accept(listener, *to, &mut connections),
                Listener::Udp(socket, flows) => flows.work(socket),
            }
        }
    }
}

fn accept(listener: &TcpListener, to: SocketAddrV4, connections: &mut Vec<Connection>) {
    while connections.len() < CONNECTIONS_MAX {
        // Nobody is waiting, or the caller is gone again; the next turn asks anew.
        let Ok((caller, _)) = listener.accept() else { return };
        // Who cannot be passed on is hung up on.
        if let Ok(connection) = Connection::open(caller, to) {
            connections.push(connection);
        }
    }
}
