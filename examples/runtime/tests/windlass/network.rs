//! Networks: every test in a network namespace of its own, so that nothing is made in the machine's.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::time::Duration;

use windlass_namespaces::net::NetNamespace;
use windlass_namespaces::net::link::Links;
use windlass_namespaces::{Namespace, enter};

use crate::home::{Home, eventually, stdout};

/// Runs a test inside a fresh network.
fn in_own_network(test: impl FnOnce(&NetNamespace) + Send) {
    let network = NetNamespace::create().expect("a network namespace");
    enter::within(&[(Namespace::Net, network.as_fd())], || test(&network)).expect("it is entered");
}

fn devices(network: &NetNamespace) -> Vec<String> {
    let mut links = Links::open_in(network.as_fd()).expect("links");
    let mut names: Vec<String> = links.list().expect("links").into_iter().map(|link| link.name).collect();
    names.sort();
    names
}

const ECHO: &str = "while :; do nc -l -p 7 -e cat; done";

pub(crate) fn host_and_none() {
    in_own_network(|network| {
        let home = Home::new();
        let mut links = Links::open_in(network.as_fd()).expect("links");
        links.add_bridge("marker").expect("a device");
        assert!(home.prints(&["--network", "host"], "cat /proc/net/dev").contains("marker"));
        assert!(!home.prints(&["--network", "none"], "cat /proc/net/dev").contains("marker"));
        let resolv = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        assert_eq!(home.prints(&["--network", "host"], "cat /etc/resolv.conf"), resolv);
    });
}

pub(crate) fn containers_on_the_bridge_reach_each_other() {
    in_own_network(|network| {
        let home = Home::new();
        home.detach("server", &["--network", "bridge"], ECHO);
        let address = home.inspect("server")["state"]["address"].as_str().expect("an address").to_owned();
        let ask = format!("until echo hello | nc -w 20 {address} 7; do sleep 0.05; done");
        assert_eq!(home.prints(&["--network", "bridge"], &ask), "hello\n");
        let hosts = home.ok(&["exec", "server", "cat", "/etc/hosts"]);
        assert!(hosts.contains(&address), "{hosts}");
        // From the machine itself, too.
        let mut stream = TcpStream::connect(format!("{address}:7")).expect("it answers");
        stream.write_all(b"x").expect("sent");
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("answered");
        drop(stream);
        assert!(devices(network).iter().any(|name| name == "windlass0"));
        home.ok(&["rm", "-f", "server"]);
        assert_eq!(devices(network), ["lo"], "something of the bridge is left");
    });
}

pub(crate) fn the_bridge_masquerades() {
    in_own_network(|_| {
        let home = Home::new();
        home.detach("one", &["--network", "bridge"], "sleep 600");
        // What nft, which nobody here wrote, reads of the rules.
        let listed = Command::new("nft").args(["list", "table", "ip", "windlass"]).output().expect("nft starts");
        let text = stdout(&listed);
        let words = "ip saddr 10.87.0.0/16 ip daddr != 10.87.0.0/16 masquerade";
        assert!(text.contains(words) && text.contains("hook postrouting"), "{text}");
        home.ok(&["rm", "-f", "one"]);
        assert!(
            !Command::new("nft")
                .args(["list", "table", "ip", "windlass"])
                .output()
                .expect("nft starts")
                .status
                .success()
        );
    });
}

pub(crate) fn a_container_shares_anothers_network() {
    in_own_network(|_| {
        let home = Home::new();
        home.detach("server", &[], ECHO);
        let script = "until echo hello | nc -w 20 127.0.0.1 7; do sleep 0.05; done";
        assert_eq!(home.prints(&["--network", "container:server"], script), "hello\n");
        home.ok(&["stop", "-t", "0", "server"]);
        let output = home.sh(&["--network", "container:server"], "true");
        assert_eq!(output.status.code(), Some(125));
    });
}

/// Sends a line to a port of this machine until it comes back.
pub(crate) fn echoes(port: u16) {
    eventually("the published port answers", || {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let mut text = [0; 6];
        stream.write_all(b"hello\n").is_ok() && stream.read_exact(&mut text).is_ok() && &text == b"hello\n"
    });
}

fn published(home: &Home, name: &str) -> u16 {
    let port: serde_json::Value = serde_json::from_str(&home.ok(&["port", name, "--json"])).expect("JSON");
    u16::try_from(port["host_port"].as_u64().expect("a number")).expect("a port")
}

pub(crate) fn published_ports_lead_inside() {
    in_own_network(|_| {
        let home = Home::new();
        for (name, network) in [("bridged", "bridge"), ("alone", "none")] {
            home.detach(name, &["--network", network, "-p", "127.0.0.1::7"], ECHO);
            let port = published(&home, name);
            echoes(port);
            assert!(home.ok(&["ps"]).contains(&format!("127.0.0.1:{port}->7/tcp")));
            assert_eq!(home.ok(&["port", name]), format!("7/tcp -> 127.0.0.1:{port}\n"));
            home.ok(&["stop", "-t", "0", name]);
            assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the port is still open");
            assert_eq!(home.ok(&["port", name]), "");
        }
    });
}

pub(crate) fn a_taken_port_is_an_error() {
    in_own_network(|_| {
        let home = Home::new();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("an address").port();
        let output = home.sh(&["-p", &format!("127.0.0.1:{port}:7")], "true");
        assert_eq!(output.status.code(), Some(125));
        assert!(crate::home::stderr(&output).contains(&port.to_string()));
    });
}

pub(crate) fn published_datagrams_find_back() {
    in_own_network(|_| {
        let home = Home::new();
        home.detach("one", &["-p", "127.0.0.1::7/udp"], "sleep 600");
        // Busybox has no server of datagrams, so this process is one inside the container's network.
        let inside = File::open(format!("/proc/{}/ns/net", home.pid("one", "process"))).expect("a network");
        let server = enter::within(&[(Namespace::Net, inside.as_fd())], || UdpSocket::bind("0.0.0.0:7"));
        let server = server.expect("it is entered").expect("a socket");
        let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        for socket in [&server, &client] {
            socket.set_read_timeout(Some(Duration::from_mins(1))).expect("a timeout");
        }
        let mut buffer = [0; 16];
        for text in [b"one", b"two"] {
            client.send_to(text, ("127.0.0.1", published(&home, "one"))).expect("sent");
            let (length, from) = server.recv_from(&mut buffer).expect("it came inside");
            assert_eq!(&buffer[..length], text);
            server.send_to(b"answer", from).expect("sent");
            let length = client.recv(&mut buffer).expect("the answer came back");
            assert_eq!(&buffer[..length], b"answer");
        }
    });
}

pub(crate) fn much_passes_a_published_port() {
    in_own_network(|_| {
        let home = Home::new();
        home.detach("one", &["-p", "127.0.0.1::7"], ECHO);
        let port = published(&home, "one");
        echoes(port);
        let given: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
        let mut stream = None;
        eventually("it listens again", || {
            stream = TcpStream::connect(("127.0.0.1", port)).ok();
            let Some(stream) = &mut stream else { return false };
            let mut byte = [0];
            stream.write_all(b"!").is_ok() && stream.read_exact(&mut byte).is_ok()
        });
        let mut stream = stream.expect("connected");
        let mut writer = stream.try_clone().expect("a descriptor");
        let bytes = given.clone();
        let writer = std::thread::spawn(move || {
            writer.write_all(&bytes).expect("sent");
            writer.shutdown(std::net::Shutdown::Write).expect("ended");
        });
        let mut found = Vec::new();
        stream.read_to_end(&mut found).expect("received");
        writer.join().expect("no panic");
        assert!(found == given, "{} of {} bytes came back", found.len(), given.len());
    });
}

pub(crate) fn a_killed_monitor_leaves_no_device() {
    in_own_network(|network| {
        let home = Home::new();
        home.detach("one", &["--network", "bridge"], "sleep 300");
        let (process, monitor) = (home.pid("one", "process"), home.pid("one", "monitor"));
        crate::home::kill_hard(monitor);
        crate::home::kill_hard(process);
        eventually("exited", || home.status("one") == "exited");
        home.ok(&["start", "one"]);
        assert_eq!(home.status("one"), "running");
        home.ok(&["rm", "-f", "one"]);
        eventually("nothing is left", || {
            home.ok(&["prune"]);
            devices(network) == ["lo"]
        });
    });
}
