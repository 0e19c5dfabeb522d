//! Network namespaces, devices, addresses and routes, compared with what `ip` and procfs say.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;

use support::{own, said, shell};
use trial::{Test, need::program, need::root};
use windlass_namespaces::net::link::{Links, Route, Scope, VethEnd};
use windlass_namespaces::net::netlink::{Message, Protocol, Reply, Socket, flag};
use windlass_namespaces::net::{NetNamespace, sysctl};
use windlass_namespaces::{Error, Namespace, Source, enter};

fn main() -> ExitCode {
    trial::main(vec![
        Test::new("a_network_namespace_lives_by_its_descriptor", namespace).needs(root),
        Test::new("two_namespaces_talk_through_a_veth", veth).needs(root),
        Test::new("a_bridge_joins_its_ports", bridge).needs(root),
        Test::new("ip_sees_what_was_made", ip).needs(root).needs(program("ip")),
        Test::new("links_are_as_ip_lists_them", listed).needs(program("ip")),
        Test::new("a_device_changes_in_every_way", changes).needs(root),
        Test::new("a_pod_reaches_its_node_by_a_gateway_off_its_network", pod).needs(root),
        Test::new("a_refusal_is_typed_and_explained", refusals).needs(root),
        Test::new("a_batch_tells_which_message_was_refused", batch).needs(root).needs(nftables),
        Test::new("a_device_moves_into_the_process_with_its_addresses", moved).needs(root).needs(program("ip")),
        Test::new("settings_are_those_of_the_namespace", settings).needs(root),
        trial::as_user(&[]),
    ])
}

fn links(netns: &NetNamespace) -> Links {
    Links::open_in(netns.as_fd()).expect("a socket inside")
}

fn create() -> NetNamespace {
    NetNamespace::create().expect("a network namespace")
}

/// What a script says inside a network namespace.
fn inside(netns: &NetNamespace, script: &str) -> String {
    let mut command = shell(script);
    command.namespace(Namespace::Net, Source::Join(OwnedFd::from(netns.try_clone().unwrap())));
    said(&mut command)
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn here(name: &str) -> VethEnd<'_> {
    VethEnd { name, netns: None }
}

fn there<'a>(name: &'a str, netns: &'a NetNamespace) -> VethEnd<'a> {
    VethEnd { name, netns: Some(netns.as_fd()) }
}

fn namespace() {
    let before = own(Namespace::Net);
    let netns = create();
    assert_eq!(own(Namespace::Net), before);
    let text = inside(&netns, "readlink /proc/self/ns/net; tail -n +3 /proc/net/dev | cut -d: -f1");
    let (link, devices) = text.split_once('\n').unwrap();
    assert_ne!(link, before);
    assert_eq!(devices.trim(), "lo");
    let found = links(&netns).list().unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].is_loopback && found[0].is_up);
    let listener = enter::within(&[(Namespace::Net, netns.as_fd())], || TcpListener::bind("127.0.0.1:0").unwrap());
    assert!(listener.unwrap().local_addr().unwrap().port() > 0);
}

/// Connects from one namespace to an address in another, and brings a word over.
fn talk(from: &NetNamespace, to: &NetNamespace, target: IpAddr) {
    let listener = enter::within(&[(Namespace::Net, to.as_fd())], || TcpListener::bind((target, 0)).unwrap()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = || TcpStream::connect((target, port)).expect("a way to the other namespace");
    let mut stream = enter::within(&[(Namespace::Net, from.as_fd())], connect).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    stream.write_all(b"word").unwrap();
    drop(stream);
    let mut text = String::new();
    accepted.read_to_string(&mut text).unwrap();
    assert_eq!(text, "word");
}

fn veth() {
    let (one, two) = (create(), create());
    let mut first = links(&one);
    first.add_veth(here("left"), there("right", &two)).unwrap();
    let mut second = links(&two);
    for (links, name, own) in [(&mut first, "left", "10.9.0.1"), (&mut second, "right", "10.9.0.2")] {
        let index = links.index(name).unwrap().unwrap();
        links.add_address(index, address(own), 30).unwrap();
        let six = if name == "left" { "fd09::1" } else { "fd09::2" };
        links.add_address(index, address(six), 64).unwrap();
        links.set_up(index).unwrap();
    }
    talk(&one, &two, address("10.9.0.2"));
    talk(&two, &one, address("10.9.0.1"));
    talk(&one, &two, address("fd09::2"));
    let pair = first.list().unwrap().into_iter().find(|link| link.name == "left").unwrap();
    assert_eq!((pair.kind.as_deref(), pair.peer), (Some("veth"), second.index("right").unwrap()));
    // The other end goes with it.
    first.delete(pair.index).unwrap();
    assert_eq!(second.index("right").unwrap(), None);
}

fn bridge() {
    let fabric = create();
    let mut middle = links(&fabric);
    let bridge = middle.add_bridge("br0").unwrap();
    middle.set_up(bridge).unwrap();
    let nodes = [create(), create()];
    for (number, node) in (1_u8..).zip(&nodes) {
        let port = format!("port{number}");
        middle.add_veth(here(&port), there("eth0", node)).unwrap();
        let port = middle.index(&port).unwrap().unwrap();
        middle.set_master(port, bridge).unwrap();
        middle.set_up(port).unwrap();
        let mut links = links(node);
        let index = links.index("eth0").unwrap().unwrap();
        links.add_address(index, IpAddr::V4(Ipv4Addr::new(10, 8, 0, number)), 24).unwrap();
        links.set_up(index).unwrap();
    }
    talk(&nodes[0], &nodes[1], address("10.8.0.2"));
    let masters = middle.list().unwrap().into_iter().filter(|link| link.master == Some(bridge)).count();
    assert_eq!(masters, 2);
}

fn ip() {
    let netns = create();
    let mut links = links(&netns);
    links.add_veth(here("one"), here("two")).unwrap();
    let index = links.index("one").unwrap().unwrap();
    let other = links.index("two").unwrap().unwrap();
    links.set_mtu(index, 1400).unwrap();
    links.set_hardware_address(index, [2, 0, 0, 0, 0, 7]).unwrap();
    links.add_address(index, address("192.0.2.10"), 24).unwrap();
    links.add_address(index, address("2001:db8::10"), 64).unwrap();
    links.set_up(index).unwrap();
    links.set_up(other).unwrap();
    let route = |destination, prefix, gateway: Option<&str>, scope| Route {
        destination: address(destination),
        prefix,
        gateway: gateway.map(address),
        link: Some(index),
        scope,
    };
    let routes = [
        route("0.0.0.0", 0, Some("192.0.2.1"), Scope::Universe),
        route("198.51.100.0", 24, None, Scope::Link),
        route("2001:db8:1::", 48, Some("2001:db8::1"), Scope::Universe),
    ];
    for route in &routes {
        links.add_route(route).unwrap();
    }
    let text = inside(&netns, "ip -o link show one; ip -o addr show one; ip route; ip -6 route");
    for part in [
        "mtu 1400",
        "link/ether 02:00:00:00:00:07",
        "inet 192.0.2.10/24 brd 192.0.2.255 scope global one",
        "inet6 2001:db8::10/64 scope global",
        "default via 192.0.2.1 dev one proto static",
        "198.51.100.0/24 dev one proto static scope link",
        "2001:db8:1::/48 via 2001:db8::1 dev one proto static",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let usable = text.lines().find(|line| line.contains("2001:db8::10/64")).unwrap();
    assert!(!usable.contains("tentative"), "{usable}");
    let listed = links.routes().unwrap();
    assert!(routes.iter().all(|route| listed.contains(route)), "{listed:?}");
    for route in &routes {
        links.delete_route(route).unwrap();
        assert_eq!(links.delete_route(route).unwrap_err().errno(), Some(libc::ESRCH));
    }
    assert!(!inside(&netns, "ip route").contains("default"));
}

fn listed() {
    let mut links = Links::open().unwrap();
    let mut own: Vec<(u32, String, u32)> =
        links.list().unwrap().into_iter().map(|link| (link.index, link.name, link.mtu)).collect();
    own.sort();
    let text = said(&mut shell("ip -o link show"));
    let mut theirs: Vec<(u32, String, u32)> = text
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = words[1].trim_end_matches(':').split('@').next().unwrap();
            let mtu = words.iter().position(|word| *word == "mtu").unwrap();
            (words[0].trim_end_matches(':').parse().unwrap(), name.to_owned(), words[mtu + 1].parse().unwrap())
        })
        .collect();
    theirs.sort();
    assert_eq!(own, theirs);
    let count = said(&mut shell("ip -o addr show | wc -l"));
    assert_eq!(links.addresses().unwrap().len().to_string(), count);
}

fn changes() {
    let (one, two) = (create(), create());
    let mut first = links(&one);
    first.add_veth(here("old"), here("peer")).unwrap();
    let index = first.index("old").unwrap().unwrap();
    first.rename(index, "new").unwrap();
    assert_eq!(first.index("new").unwrap(), Some(index));
    first.set_up(index).unwrap();
    assert!(first.list().unwrap().iter().any(|link| link.index == index && link.is_up));
    first.set_down(index).unwrap();
    assert!(first.list().unwrap().iter().any(|link| link.index == index && !link.is_up));
    first.add_address(index, address("10.1.2.3"), 32).unwrap();
    let addresses = first.addresses().unwrap();
    assert!(
        addresses.iter().any(|found| (found.link, found.address, found.prefix) == (index, address("10.1.2.3"), 32))
    );
    first.move_to(index, two.as_fd()).unwrap();
    assert_eq!(first.index("new").unwrap(), None);
    assert!(links(&two).index("new").unwrap().is_some());
}

fn pod() {
    let (node, pod) = (create(), create());
    let mut outer = links(&node);
    outer.add_veth(here("pod1"), there("eth0", &pod)).unwrap();
    let end = outer.index("pod1").unwrap().unwrap();
    outer.add_address(end, address("169.254.1.1"), 32).unwrap();
    outer.set_up(end).unwrap();
    let mut inner = links(&pod);
    let eth0 = inner.index("eth0").unwrap().unwrap();
    inner.add_address(eth0, address("10.7.0.5"), 32).unwrap();
    inner.set_up(eth0).unwrap();
    let to = |destination, prefix, gateway: Option<IpAddr>, link, scope| Route {
        destination: address(destination),
        prefix,
        gateway,
        link: Some(link),
        scope,
    };
    inner.add_route(&to("169.254.1.1", 32, None, eth0, Scope::Link)).unwrap();
    inner.add_route(&to("0.0.0.0", 0, Some(address("169.254.1.1")), eth0, Scope::Universe)).unwrap();
    outer.add_route(&to("10.7.0.5", 32, None, end, Scope::Link)).unwrap();
    talk(&pod, &node, address("169.254.1.1"));
    talk(&node, &pod, address("10.7.0.5"));
}

fn refusals() {
    let netns = create();
    let mut links = links(&netns);
    let bridge = links.add_bridge("br0").unwrap();
    match links.add_bridge("br0") {
        Err(Error::Netlink { op: "add bridge", object, source, .. }) => {
            assert_eq!((object.as_str(), source.raw_os_error()), ("br0", Some(libc::EEXIST)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(links.index("nothing").unwrap(), None);
    assert_eq!(links.set_up(4711).unwrap_err().errno(), Some(libc::ENODEV));
    let lo = links.index("lo").unwrap().unwrap();
    match links.set_mtu(bridge, 70_000_000) {
        // The kernel's own words.
        Err(Error::Netlink { explanation: Some(text), .. }) => assert!(text.contains("mtu"), "{text}"),
        other => panic!("{other:?}"),
    }
    let bad = Route { destination: address("10.0.0.0"), prefix: 33, gateway: None, link: Some(lo), scope: Scope::Link };
    assert!(matches!(links.add_route(&bad), Err(Error::Invalid { field: "prefix", .. })));
    let mixed = Route { prefix: 8, gateway: Some(address("::1")), ..bad };
    assert!(matches!(links.add_route(&mixed), Err(Error::Invalid { field: "gateway", .. })));
    let far = Route { prefix: 8, gateway: Some(address("203.0.113.1")), link: None, ..bad };
    assert_eq!(links.add_route(&Route { scope: Scope::Universe, ..far }).unwrap_err().errno(), Some(libc::ENETUNREACH));
    // The socket is none the worse for it.
    assert_eq!(links.list().unwrap().len(), 2);
}

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = 0x0a00;
const NEW_CHAIN: u16 = 0x0a03;

/// `struct nfgenmsg`: family, version, and the subsystem of a batch's limits.
fn generic(family: u8, resource: u8) -> [u8; 4] {
    [family, 0, 0, resource]
}

fn limit(kind: u16, sequence: u32) -> Vec<u8> {
    let mut message = Message::new(kind, 0);
    message.bytes(&generic(0, 10));
    message.finish(sequence)
}

fn nftables() -> Result<(), String> {
    root()?;
    let netns = NetNamespace::create().map_err(|error| error.to_string())?;
    table(&netns, &[("probe", NEW_TABLE)]).map(drop).map_err(|error| format!("needs nftables: {error}"))
}

/// Sends a batch of named objects; gives the answers by sequence number.
fn table(netns: &NetNamespace, objects: &[(&str, u16)]) -> Result<Vec<(u32, Option<i32>)>, Error> {
    let mut socket = Socket::open_in(netns.as_fd(), Protocol::Netfilter)?;
    let mut bytes = limit(BATCH_BEGIN, socket.next_sequence());
    let mut expected = Vec::new();
    for (name, kind) in objects {
        let mut message = Message::new(*kind, flag::CREATE | flag::ACK);
        message.bytes(&generic(2, 0)).string(1, name);
        if *kind == NEW_CHAIN {
            message.string(3, "chain");
        }
        let sequence = socket.next_sequence();
        expected.push(sequence);
        bytes.extend(message.finish(sequence));
    }
    bytes.extend(limit(BATCH_END, socket.next_sequence()));
    socket.send(&bytes)?;
    let mut answers = Vec::new();
    while answers.len() < expected.len() {
        for reply in socket.receive()? {
            match reply {
                Reply::Ack { sequence } => answers.push((sequence - expected[0], None)),
                Reply::Refused { sequence, source, .. } => {
                    answers.push((sequence - expected[0], source.raw_os_error()));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    Ok(answers)
}

fn batch() {
    let netns = create();
    let all = table(&netns, &[("one", NEW_TABLE), ("two", NEW_TABLE)]).unwrap();
    assert_eq!(all, [(0, None), (1, None)]);
    let bad = table(&netns, &[("three", NEW_TABLE), ("missing", NEW_CHAIN)]).unwrap();
    assert!(bad.contains(&(1, Some(libc::ENOENT))), "{bad:?}");
}

fn settings() {
    let netns = create();
    let read = || inside(&netns, "cat /proc/sys/net/ipv4/ip_forward");
    let host = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
    for value in ["1", "0", "1"] {
        sysctl(netns.as_fd(), "net.ipv4.ip_forward", value).unwrap();
        assert_eq!(read(), value);
    }
    sysctl(netns.as_fd(), "net/ipv4/conf/lo/forwarding", "0").unwrap();
    assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(), host);
    let fails = |name: &str| sysctl(netns.as_fd(), name, "1").unwrap_err();
    assert_eq!(fails("net.ipv4.nothing").errno(), Some(libc::ENOENT));
    assert!(matches!(fails("kernel.hostname"), Error::Invalid { field: "sysctl", .. }));
    assert!(matches!(fails("net/../kernel/hostname"), Error::Invalid { field: "sysctl", .. }));
}

fn moved() {
    // The caller is a process in a namespace of this test's, so that nothing of the host's moves.
    let netns = create();
    let mut outside = links(&netns);
    outside.add_veth(here("device"), here("peer")).unwrap();
    let index = outside.index("device").unwrap().unwrap();
    outside.set_mtu(index, 1400).unwrap();
    outside.add_address(index, address("10.9.8.7"), 24).unwrap();
    outside.add_address(index, address("fd09:8::7"), 64).unwrap();
    outside.set_up(index).unwrap();
    let script = "ip -o addr show dev eth0 scope global | awk '{print $4}'; cat /sys/class/net/eth0/mtu; \
        ip -o link show eth0 | grep -c 'NO-CARRIER,BROADCAST,MULTICAST,UP\\|BROADCAST,MULTICAST,UP'";
    let mut command = support::fresh(script, &[Namespace::Net, Namespace::Mount]);
    command.mount(windlass_namespaces::Mount::sysfs("/sys")).net_device("device", "eth0");
    let text = enter::within(&[(Namespace::Net, netns.as_fd())], || said(&mut command)).unwrap();
    assert_eq!(text, "10.9.8.7/24\nfd09:8::7/64\n1400\n1");
    assert_eq!(outside.index("device").unwrap(), None);
    // One that is not there.
    let failed = enter::within(&[(Namespace::Net, netns.as_fd())], || command.spawn().map(drop)).unwrap();
    assert_eq!(failed.unwrap_err().errno(), Some(libc::ENODEV));
}
