//! Datagrams, passed on: each caller has a socket of its own towards the container, so that answers find back.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

/// A caller that was silent this long is forgotten.
const IDLE_MAX: Duration = Duration::from_mins(1);
/// Callers at once; the one that was silent longest goes first.
const FLOWS_MAX: usize = 200;
const DATAGRAM_MAX: usize = 65_535;

#[derive(Debug)]
pub(super) struct Flows {
    to: SocketAddrV4,
    by_caller: BTreeMap<SocketAddr, (UdpSocket, Instant)>,
}

impl Flows {
    pub(super) fn new(to: SocketAddrV4) -> Self {
        Self { to, by_caller: BTreeMap::new() }
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = &UdpSocket> {
        self.by_caller.values().map(|(socket, _)| socket)
    }

    /// Passes on all that waits. A datagram that cannot be sent is lost, as on any network.
    pub(super) fn work(&mut self, outside: &UdpSocket) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        while let Ok((length, caller)) = outside.recv_from(&mut buffer) {
            if let Some(socket) = self.flow(caller) {
                drop(socket.send(&buffer[..length]));
            }
        }
        for (caller, (socket, last)) in &mut self.by_caller {
            while let Ok(length) = socket.recv(&mut buffer) {
                drop(outside.send_to(&buffer[..length], caller));
                *last = Instant::now();
            }
        }
        self.by_caller.retain(|_, (_, last)| last.elapsed() < IDLE_MAX);
    }

    fn flow(&mut self, caller: SocketAddr) -> Option<&UdpSocket> {
        if !self.by_caller.contains_key(&caller) {
            if self.by_caller.len() >= FLOWS_MAX {
                let oldest = self.by_caller.iter().min_by_key(|(_, (_, last))| *last).map(|(caller, _)| *caller);
                oldest.and_then(|oldest| self.by_caller.remove(&oldest));
            }
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
            socket.set_nonblocking(true).ok()?;
            socket.connect(self.to).ok()?;
            self.by_caller.insert(caller, (socket, Instant::now()));
        }
        let (socket, last) = self.by_caller.get_mut(&caller)?;
        *last = Instant::now();
        Some(socket)
    }
}
