//! Real connections to a service: from a pod, from a node, from a backend itself, with and without the kernel's help.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod network;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mini_orchestrator::proxy::{InForce, Mode, Proxy};
use mini_orchestrator::registry::{Key, Registry};
use mini_orchestrator::store::{Options, Store};
use network::{Network, Place};
use tokio::sync::watch;
use trial::{Test, need};
use windlass_pod::kinds::{EndpointSlice, Service};

fn main() -> ExitCode {
    let tests: [(&'static str, fn()); 2] = [
        ("the_kernel_balances_and_refuses", || run(Way::Nftables)),
        ("the_proxy_in_this_process_balances_and_refuses", || run(Way::Userspace)),
    ];
    trial::main(tests.map(|(name, body)| Test::new(name, body).needs(need::root)).into_iter().collect())
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Nftables,
    Userspace,
}

const WEB: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 96, 0, 10), 80);
const NOBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 96, 0, 11), 80);

const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.10, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {clusterIP: 10.96.0.11, ports: [{port: 80}]}
";

fn slice(addresses: &[Ipv4Addr]) -> EndpointSlice {
    let endpoints: Vec<String> = addresses
        .iter()
        .map(|address| format!("- {{addresses: ['{address}'], conditions: {{ready: true}}}}\n"))
        .collect();
    let endpoints = if endpoints.is_empty() { "  []".to_owned() } else { endpoints.concat() };
    let text = format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: web-1, labels: \
         {{kubernetes.io/service-name: web}}}}\naddressType: IPv4\nports: [{{name: '', port: 8080, protocol: \
         TCP}}]\nendpoints:\n{endpoints}"
    );
    windlass_pod::decode_yaml(text.as_bytes()).unwrap().remove(0).try_into().unwrap()
}

struct Backends {
    pods: [Place; 3],
    client: Place,
}

fn run(way: Way) {
    let network = Network::new(2);
    let backends = Backends {
        pods: [network.add_pod(1, 2), network.add_pod(1, 3), network.add_pod(2, 2)],
        client: network.add_pod(1, 9),
    };
    for (pod, name) in backends.pods.iter().zip(["a", "b", "c"]) {
        pod.serve(name, 8080);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(serve(way, &network, &backends));
}

async fn serve(way: Way, network: &Network, backends: &Backends) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store"), Options::default()).await.unwrap();
    let registry = Registry::new(store);
    for object in windlass_pod::decode_yaml(SERVICES.as_bytes()).unwrap() {
        registry.apply_object(object).await.unwrap();
    }
    let addresses: Vec<Ipv4Addr> = backends.pods.iter().map(|pod| pod.address).collect();
    registry.apply(slice(&addresses)).await.unwrap();

    let (stop, stopped) = watch::channel(false);
    let mut tasks = Vec::new();
    let mut in_force = Vec::new();
    for (number, node) in (1..).zip(&network.nodes) {
        let netns: OwnedFd = node.namespace.try_clone().unwrap().into();
        let (registry, name) = (registry.clone(), format!("node-{number}"));
        let proxy = match way {
            Way::Nftables => Proxy::open(registry, name, netns).await.unwrap(),
            Way::Userspace => Proxy::open_userspace(registry, name, netns, "the test wants it".to_owned()),
        };
        assert_eq!(*proxy.mode() == Mode::Nftables, way == Way::Nftables, "{:?}", proxy.mode());
        in_force.push(proxy.in_force());
        tasks.push(tokio::spawn(proxy.run(stopped.clone())));
    }
    reached(&mut in_force, |now| now.table.ports.len() == 2 && now.table.ports[0].backends.len() == 3).await;

    balanced(way, network, backends);
    refused(&[&backends.client, &network.nodes[0], &backends.pods[0]], NOBODY);

    registry.apply(slice(&addresses[2..])).await.unwrap();
    reached(&mut in_force, |now| now.table.ports[0].backends.len() == 1).await;
    assert_eq!(names(&answers(&backends.client, 20)), ["c"]);

    registry.apply(slice(&[])).await.unwrap();
    reached(&mut in_force, |now| now.table.ports[0].backends.is_empty()).await;
    refused(&[&backends.client, &network.nodes[1]], WEB);

    registry.delete::<EndpointSlice>(&Key::new("default", "web-1"), None).await.unwrap();
    registry.delete::<Service>(&Key::new("default", "web"), None).await.unwrap();
    reached(&mut in_force, |now| now.table.ports.len() == 1).await;
    stop.send(true).unwrap();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    if way == Way::Nftables && need::program("nft")().is_ok() {
        for node in &network.nodes {
            let left = node.run("nft", &["list", "ruleset"]);
            assert!(left.status.success() && left.stdout.is_empty(), "{}", String::from_utf8_lossy(&left.stdout));
        }
    }
}

/// Waits until every node's proxy is where it should be.
async fn reached(in_force: &mut [watch::Receiver<InForce>], is_there: impl Fn(&InForce) -> bool) {
    for one in in_force {
        let there = tokio::time::timeout(Duration::from_mins(1), one.wait_for(|now| is_there(now))).await;
        let there = there.unwrap().unwrap();
        assert_eq!((&there.failure, &there.notices), (&None, &Vec::new()));
    }
}

fn answers(from: &Place, calls: usize) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for _ in 0..calls {
        *answers.entry(from.call(WEB).unwrap()).or_insert(0) += 1;
    }
    answers
}

fn names(answers: &BTreeMap<String, usize>) -> Vec<&str> {
    let mut names: Vec<&str> = answers.keys().map(|answer| answer.split(' ').next().unwrap()).collect();
    names.dedup();
    names
}

fn balanced(way: Way, network: &Network, backends: &Backends) {
    let callers = [&backends.client, &network.nodes[1], &backends.pods[0]];
    for caller in callers {
        let answers = answers(caller, 150);
        assert_eq!(names(&answers), ["a", "b", "c"], "{}: {answers:?}", caller.address);
        // Of 150 fair throws, fewer than 20 for one side of three come once in ten million times.
        for name in ["a", "b", "c"] {
            let count: usize = answers.iter().filter(|(answer, _)| answer.starts_with(name)).map(|(_, n)| n).sum();
            assert!(count >= 20, "{}: {answers:?}", caller.address);
        }
        if way == Way::Nftables {
            for answer in answers.keys() {
                let (name, seen) = answer.split_once(' ').unwrap();
                let is_itself = name == "a" && caller.address == backends.pods[0].address;
                let is_own = seen == caller.address.to_string();
                assert_eq!(is_own, !is_itself, "only a pod that reaches itself is masqueraded: {answer}");
            }
        }
    }
}

fn refused(callers: &[&Place], to: SocketAddrV4) {
    for caller in callers {
        let asked = Instant::now();
        let error = caller.call(to).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused, "{}: {error}", caller.address);
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
}
