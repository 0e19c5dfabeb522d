//! A proxy in this process, for kernels without nftables: it listens at the services' addresses inside the node's
//! network namespace and passes bytes on. Callers reach it because each address lies on the namespace's loopback; an
//! address stays there when its service goes, and its callers are refused.
//!
//! It serves TCP only, and a backend sees the node as its caller.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddrV4};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use windlass_namespaces::net::link::Links;
use windlass_namespaces::{Namespace, enter};

use super::Error;
use super::rules::{Frontend, Notice, Protocol, ServicePort, Table};

/// How long a backend may take to accept before the next one is tried.
const CONNECT: Duration = Duration::from_secs(3);

/// How long accepting rests after a failure such as too many open files.
const REST: Duration = Duration::from_millis(50);

/// The table that is served, and what of it is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) table: Table,
    pub(super) notices: Vec<Notice>,
}

/// Serves each table that `tables` tells until its sender is gone; tells when it does.
pub(super) fn serve(
    netns: BorrowedFd<'_>,
    tables: watch::Receiver<Table>,
    served: &watch::Sender<Served>,
) -> Result<(), Error> {
    let links = Links::open_in(netns)?;
    enter::within(&[(Namespace::Net, netns)], || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| Error::Runtime { source })?;
        runtime.block_on(follow(links, tables, served))
    })?
}

async fn follow(
    mut links: Links,
    mut tables: watch::Receiver<Table>,
    served: &watch::Sender<Served>,
) -> Result<(), Error> {
    let loopback = links.list()?.into_iter().find(|link| link.is_loopback).map(|link| link.index);
    let mut listening: BTreeMap<Frontend, Listening> = BTreeMap::new();
    loop {
        let table = tables.borrow_and_update().clone();
        let mut notices = Vec::new();
        let is_left =
            |frontend: &Frontend| table.ports.iter().any(|port| port.frontend == *frontend && is_served(port));
        for (_, gone) in listening.extract_if(.., |frontend, _| !is_left(frontend)) {
            gone.end().await;
        }
        for port in &table.ports {
            if let Some(loopback) = loopback {
                add_address(&mut links, loopback, IpAddr::V4(port.frontend.address))?;
            }
            if let Err(reason) = listen(&mut listening, port).await {
                notices.push(Notice { service: port.service.clone(), field: "spec.ports", reason });
            }
        }
        served.send_replace(Served { table, notices });
        if tables.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// Whether somebody listens for this port: one without backends refuses by itself.
fn is_served(port: &ServicePort) -> bool {
    port.frontend.protocol == Protocol::Tcp && !port.backends.is_empty()
}

fn add_address(links: &mut Links, loopback: u32, address: IpAddr) -> Result<(), Error> {
    match links.add_address(loopback, address, 32) {
        Err(error) if error.errno() == Some(EXISTS) => Ok(()),
        result => Ok(result?),
    }
}

/// The kernel's word for an address that is there already.
const EXISTS: i32 = 17;

/// Starts to listen for a port, or tells the one who does of its backends.
async fn listen(listening: &mut BTreeMap<Frontend, Listening>, port: &ServicePort) -> Result<(), String> {
    let Frontend { address, protocol, port: number } = port.frontend;
    if protocol != Protocol::Tcp {
        return Err(format!("{protocol} port {number} is not served without nftables"));
    }
    if port.backends.is_empty() {
        return Ok(());
    }
    if let Some(found) = listening.get(&port.frontend) {
        found.backends.send_replace(port.backends.clone());
        return Ok(());
    }
    let listener = TcpListener::bind(SocketAddrV4::new(address, number)).await;
    let listener = listener.map_err(|error| format!("cannot listen at {address}:{number}: {error}"))?;
    let (backends, known) = watch::channel(port.backends.clone());
    let task = tokio::spawn(accept(listener, known));
    listening.insert(port.frontend, Listening { backends, task });
    Ok(())
}

/// Somebody who listens at a frontend.
#[derive(Debug)]
struct Listening {
    backends: watch::Sender<Vec<SocketAddrV4>>,
    task: JoinHandle<()>,
}

impl Listening {
    /// Stops; callers are refused from now on.
    async fn end(self) {
        self.task.abort();
        // The socket is closed when the task is gone, not when it was told to go. That it was cancelled is no failure.
        drop(self.task.await);
    }
}

async fn accept(listener: TcpListener, backends: watch::Receiver<Vec<SocketAddrV4>>) {
    for turn in 0_usize.. {
        match listener.accept().await {
            Ok((caller, _)) => {
                let mut order = backends.borrow().clone();
                let first = turn % order.len().max(1);
                order.rotate_left(first);
                tokio::spawn(pass_on(caller, order));
            }
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

/// Passes bytes on until both sides have ended; a failure of one of them ends the other.
async fn pass_on(mut caller: TcpStream, backends: Vec<SocketAddrV4>) {
    for backend in backends {
        if let Ok(Ok(mut backend)) = tokio::time::timeout(CONNECT, TcpStream::connect(backend)).await {
            // The caller learns of a failure as the end of its connection; there is nobody else to tell.
            drop(copy_bidirectional(&mut caller, &mut backend).await);
            return;
        }
    }
    // Nobody accepted: a reset, not an orderly end, tells the caller.
    drop::<io::Result<()>>(caller.set_zero_linger());
}
