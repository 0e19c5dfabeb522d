//! The encoded batches against Debian's nft: the same rules, nothing left behind, all or nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::process::{Command, ExitCode, Stdio};

use mini_orchestrator::proxy::rules::{Frontend, Protocol, ServicePort, Table};
use mini_orchestrator::proxy::{Error, nftables};
use serde_json::Value;
use trial::{Test, need};
use windlass_namespaces::net::NetNamespace;
use windlass_namespaces::{Namespace, enter};

/// Tells this program, started again by a test as root of a user namespace, to try what it may there.
const ROOTLESS: &str = "PROXY_NFTABLES_ROOTLESS";

fn main() -> ExitCode {
    if std::env::var_os(ROOTLESS).is_some() {
        rootless();
        return ExitCode::SUCCESS;
    }
    let tests: [(&'static str, fn()); 6] = [
        ("the_rules_are_those_that_nft_makes_of_the_same_words", the_rules_are_those_that_nft_makes_of_the_same_words),
        ("a_table_replaces_its_own_and_no_other", a_table_replaces_its_own_and_no_other),
        ("a_probe_leaves_nothing", a_probe_leaves_nothing),
        ("a_refused_batch_is_named_and_changes_nothing", a_refused_batch_is_named_and_changes_nothing),
        ("a_large_table_fits", a_large_table_fits),
        ("root_of_a_user_namespace_may_as_far_as_its_limit", root_of_a_user_namespace_may_as_far_as_its_limit),
    ];
    let tests = tests.map(|(name, body)| {
        Test::new(name, body).needs(need::root).needs(need::program("nft")).needs(need::program("unshare"))
    });
    trial::main(tests.into_iter().collect())
}

/// What nft would be told for [`table`].
const WORDS: &str = "
table ip windlass {
    map services {
        type ipv4_addr . inet_proto . inet_service : verdict
        elements = {
            10.96.0.10 . tcp . 80 : goto service/default/web/tcp/80,
            10.96.0.10 . udp . 53 : goto service/default/web/udp/53,
            10.96.0.12 . tcp . 443 : goto service/kube-system/api/tcp/443
        }
    }
    map without-endpoints {
        type ipv4_addr . inet_proto . inet_service : verdict
        elements = { 10.96.0.11 . tcp . 80 : goto refuse, 10.96.0.11 . sctp . 80 : goto refuse }
    }
    set hairpins {
        type ipv4_addr . ipv4_addr
        elements = { 10.1.1.2 . 10.1.1.2, 10.1.1.3 . 10.1.1.3, 10.1.2.2 . 10.1.2.2 }
    }
    chain service/default/web/tcp/80 {
        meta l4proto tcp dnat ip to numgen random mod 3 map {
            0 : 10.1.1.2 . 8080, 1 : 10.1.1.3 . 8080, 2 : 10.1.2.2 . 8080 }
    }
    chain service/default/web/udp/53 {
        meta l4proto udp dnat ip to numgen random mod 1 map { 0 : 10.1.1.2 . 5353 }
    }
    chain service/kube-system/api/tcp/443 {
        meta l4proto tcp dnat ip to numgen random mod 1 map { 0 : 10.1.1.3 . 6443 }
    }
    chain refuse {
        meta l4proto tcp reject with tcp reset
        reject with icmp type port-unreachable
    }
    chain refuse-prerouting {
        type filter hook prerouting priority -110; policy accept;
        ct state new ip daddr . meta l4proto . th dport vmap @without-endpoints
    }
    chain refuse-output {
        type filter hook output priority -110; policy accept;
        ct state new ip daddr . meta l4proto . th dport vmap @without-endpoints
    }
    chain prerouting {
        type nat hook prerouting priority -100; policy accept;
        ip daddr . meta l4proto . th dport vmap @services
    }
    chain output {
        type nat hook output priority -100; policy accept;
        ip daddr . meta l4proto . th dport vmap @services
    }
    chain postrouting {
        type nat hook postrouting priority 100; policy accept;
        ip saddr . ip daddr @hairpins masquerade
    }
}
";

fn port(service: &str, address: [u8; 4], protocol: Protocol, port: u16, backends: &[&str]) -> ServicePort {
    let backends = backends.iter().map(|backend| backend.parse().unwrap()).collect();
    ServicePort {
        service: service.to_owned(),
        frontend: Frontend { address: address.into(), protocol, port },
        backends,
    }
}

fn table() -> Table {
    let web = ["10.1.1.2:8080", "10.1.1.3:8080", "10.1.2.2:8080"];
    Table {
        ports: vec![
            port("default/web", [10, 96, 0, 10], Protocol::Tcp, 80, &web),
            port("default/web", [10, 96, 0, 10], Protocol::Udp, 53, &["10.1.1.2:5353"]),
            port("default/none", [10, 96, 0, 11], Protocol::Tcp, 80, &[]),
            port("default/none", [10, 96, 0, 11], Protocol::Sctp, 80, &[]),
            port("kube-system/api", [10, 96, 0, 12], Protocol::Tcp, 443, &["10.1.1.3:6443"]),
        ],
    }
}

/// Runs nft inside a namespace.
fn nft(netns: &NetNamespace, arguments: &[&str], input: &str) -> String {
    let output = enter::within(&[(Namespace::Net, netns.as_fd())], || {
        let nft = Command::new("nft").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut nft = nft.unwrap();
        nft.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        nft.wait_with_output().unwrap()
    });
    let output = output.unwrap();
    assert!(output.status.success(), "nft {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every object of a namespace as nft tells it, without the numbers that the kernel gave it.
fn objects(netns: &NetNamespace) -> Vec<String> {
    let listing: Value = serde_json::from_str(&nft(netns, &["-j", "list", "ruleset"], "")).unwrap();
    let mut objects = Vec::new();
    for object in listing["nftables"].as_array().unwrap() {
        let (kind, body) = object.as_object().unwrap().iter().next().unwrap();
        if kind == "metainfo" {
            continue;
        }
        let mut body = body.clone();
        body.as_object_mut().unwrap().remove("handle");
        if let Some(Value::Array(elements)) = body.get_mut("elem") {
            // A hashed set lists its elements in any order.
            elements.sort_by_key(ToString::to_string);
        }
        objects.push(format!("{kind} {body}"));
    }
    objects.sort();
    objects
}

fn the_rules_are_those_that_nft_makes_of_the_same_words() {
    let (ours, theirs) = (NetNamespace::create().unwrap(), NetNamespace::create().unwrap());
    nftables::apply(ours.as_fd(), &nftables::replace("windlass", &table())).unwrap();
    nft(&theirs, &["-f", "-"], WORDS);
    let (ours_told, theirs_told) = (objects(&ours), objects(&theirs));
    assert_eq!(ours_told.len(), 1 + 3 + 9 + 10, "a table, three sets, nine chains, ten rules: {ours_told:#?}");
    assert_eq!(ours_told, theirs_told);

    let text = nft(&ours, &["list", "ruleset"], "");
    let again = NetNamespace::create().unwrap();
    nft(&again, &["-f", "-"], &text);
    assert_eq!(objects(&again), ours_told, "nft reads its own listing");
}

fn a_table_replaces_its_own_and_no_other() {
    let netns = NetNamespace::create().unwrap();
    let foreign = "table ip foreign { chain mine { type filter hook input priority 0; policy accept; }; }";
    nft(&netns, &["-f", "-"], foreign);
    let before = objects(&netns);
    for table in [table(), Table::default(), table()] {
        nftables::apply(netns.as_fd(), &nftables::replace("windlass", &table)).unwrap();
    }
    let fresh = NetNamespace::create().unwrap();
    nftables::apply(fresh.as_fd(), &nftables::replace("windlass", &table())).unwrap();
    let mut both = [objects(&fresh), before.clone()].concat();
    both.sort();
    assert_eq!(objects(&netns), both);

    for _ in 0..2 {
        nftables::apply(netns.as_fd(), &nftables::remove("windlass")).unwrap();
        assert_eq!(objects(&netns), before, "also when there is none to remove");
    }
}

fn a_probe_leaves_nothing() {
    let netns = NetNamespace::create().unwrap();
    nftables::apply(netns.as_fd(), &nftables::probe("windlass-probe")).unwrap();
    assert_eq!(objects(&netns), Vec::<String>::new());
}

fn a_refused_batch_is_named_and_changes_nothing() {
    let netns = NetNamespace::create().unwrap();
    nftables::apply(netns.as_fd(), &nftables::replace("windlass", &table())).unwrap();
    let before = objects(&netns);
    let mut twice = table();
    twice.ports.push(port("default/other", [10, 96, 0, 10], Protocol::Tcp, 80, &["10.1.1.9:80"]));
    let refused = nftables::apply(netns.as_fd(), &nftables::replace("windlass", &twice)).unwrap_err();
    let Error::Refused { action, source, .. } = &refused else { panic!("{refused}") };
    assert_eq!((action.as_str(), source.raw_os_error()), ("add elements to set services", Some(17)));
    let long = port(&"x".repeat(300), [10, 96, 0, 9], Protocol::Tcp, 80, &["10.1.1.9:80"]);
    let refused = nftables::apply(netns.as_fd(), &nftables::replace("windlass", &Table { ports: vec![long] }));
    assert!(matches!(refused, Err(Error::Refused { ref action, .. }) if action.starts_with("add chain service/xxx")));
    assert_eq!(objects(&netns), before);
}

/// A table of so many services with twenty backends each.
fn large(services: u16) -> Table {
    let ports = (0..services).map(|n| {
        let [high, low] = n.to_be_bytes();
        let backends: Vec<String> = (1..=20).map(|host| format!("10.{}.{low}.{host}:8080", 100 + high)).collect();
        let backends: Vec<&str> = backends.iter().map(String::as_str).collect();
        port(&format!("default/service-{n}"), [10, 96, high, low], Protocol::Tcp, 80, &backends)
    });
    Table { ports: ports.collect() }
}

fn a_large_table_fits() {
    let netns = NetNamespace::create().unwrap();
    nftables::apply(netns.as_fd(), &nftables::replace("windlass", &large(600))).unwrap();
    let text = nft(&netns, &["list", "ruleset"], "");
    assert_eq!(text.matches("numgen random mod 20").count(), 600);
    assert_eq!(text.matches(": goto service/").count(), 600);
    assert_eq!(text.matches(". 8080").count(), 600 * 20);
}

fn root_of_a_user_namespace_may_as_far_as_its_limit() {
    let child = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .arg(std::env::current_exe().unwrap())
        .env(ROOTLESS, "yes")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

fn rootless() {
    let netns = NetNamespace::current().unwrap();
    nftables::apply(netns.as_fd(), &nftables::probe("windlass-probe")).unwrap();
    nftables::apply(netns.as_fd(), &nftables::replace("windlass", &table())).unwrap();
    let before = objects(&netns);
    let limit: usize = std::fs::read_to_string("/proc/sys/net/core/wmem_max").unwrap().trim().parse().unwrap();
    let batch = nftables::replace("windlass", &large(u16::try_from(limit / 500).unwrap()));
    assert!(batch.as_bytes().len() > 2 * limit, "{limit}");
    let refused = nftables::apply(netns.as_fd(), &batch).unwrap_err();
    assert!(matches!(refused, Error::Buffer { .. }), "{refused}");
    assert_eq!(objects(&netns), before);
}
