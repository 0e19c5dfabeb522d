//! The nodes' network on the real kernel: who reaches whom, and that the host's is untouched.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::BorrowedFd;
use std::process::ExitCode;
use std::time::Duration;

use mini_orchestrator::net::{Fabric, PodNetwork};
use trial::{Test, need};
use windlass_namespaces::{Namespace, enter};

const TIMEOUT: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("every_pod_reaches_every_other_and_itself_by_its_address", every_pod_reaches_every_other)
            .needs(need::root),
        Test::new("a_node_reaches_all_pods", a_node_reaches_all_pods).needs(need::root),
        Test::new("a_disconnected_pod_is_gone_and_its_address_waits", a_disconnected_pod_is_gone).needs(need::root),
        Test::new("the_host_has_no_new_device", the_host_has_no_new_device).needs(need::root),
    ])
}

fn inside<T: Send>(namespace: BorrowedFd<'_>, work: impl FnOnce() -> T + Send) -> T {
    enter::within(&[(Namespace::Net, namespace)], work).unwrap()
}

/// Connects from one namespace to a listener in another and returns the caller's address as the listener saw it.
fn exchange(from: BorrowedFd<'_>, to: BorrowedFd<'_>, address: IpAddr) -> std::io::Result<IpAddr> {
    let listener = inside(to, || TcpListener::bind("0.0.0.0:0")).unwrap();
    let target = SocketAddr::new(address, listener.local_addr().unwrap().port());
    let serving = std::thread::spawn(move || {
        listener.accept().map(|(mut stream, peer)| stream.write_all(b"here").map(|()| peer.ip()))
    });
    let mut stream = match inside(from, || TcpStream::connect_timeout(&target, TIMEOUT)) {
        Ok(stream) => stream,
        Err(error) => {
            // Ends the listener's wait, so that no thread stays behind.
            inside(to, || TcpStream::connect(SocketAddr::new("127.0.0.1".parse().unwrap(), target.port()))).unwrap();
            serving.join().unwrap().unwrap().unwrap();
            return Err(error);
        }
    };
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert_eq!(answer, "here");
    serving.join().unwrap().unwrap()
}

fn every_pod_reaches_every_other() {
    let (_fabric, nodes) = Fabric::create(2).unwrap();
    let pods: Vec<PodNetwork> = [0, 0, 1].map(|node: usize| nodes[node].connect().unwrap()).into();
    for from in &pods {
        for to in &pods {
            let seen = exchange(from.namespace(), to.namespace(), to.address()).unwrap();
            assert_eq!(seen, from.address(), "towards {}", to.address());
        }
    }
}

fn a_node_reaches_all_pods() {
    let (_fabric, nodes) = Fabric::create(2).unwrap();
    for (index, node) in nodes.iter().enumerate() {
        let pod = nodes[1 - index].connect().unwrap();
        assert_eq!(exchange(node.namespace(), pod.namespace(), pod.address()).unwrap(), IpAddr::from(node.address()));
        let own = node.connect().unwrap();
        exchange(node.namespace(), own.namespace(), own.address()).unwrap();
    }
}

fn a_disconnected_pod_is_gone() {
    let (_fabric, nodes) = Fabric::create(1).unwrap();
    let (first, other) = (nodes[0].connect().unwrap(), nodes[0].connect().unwrap());
    let address = first.address();
    let held = first.descriptor().unwrap();
    nodes[0].disconnect(first).unwrap();
    let namespace = std::os::fd::AsFd::as_fd(&held);
    exchange(other.namespace(), namespace, address).unwrap_err();
    assert_ne!(nodes[0].connect().unwrap().address(), address);
}

fn the_host_has_no_new_device() {
    // The kernel's own table, of this thread's network namespace.
    let devices = || std::fs::read_to_string("/proc/thread-self/net/dev").unwrap().lines().count();
    let before = devices();
    let (_fabric, nodes) = Fabric::create(3).unwrap();
    let _pod = nodes[2].connect().unwrap();
    assert_eq!(devices(), before);
}
