//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container: files in its folder, bound into it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::windlass::containers::{Container, Containers};
use crate::windlass::failure::Failure;
use crate::windlass::record::{Config, NetworkMode};

/// The files by their names in the container's folder, and where the container sees them.
pub(in crate::windlass) const FILES: [(&str, &str); 3] =
    [("hosts", "/etc/hosts"), ("hostname", "/etc/hostname"), ("resolv.conf", "/etc/resolv.conf")];

/// Writes the files anew. What the container wrote into them earlier goes, as its address may have.
pub(in crate::windlass) fn write(
    container: &Container,
    config: &Config,
    containers: &Containers,
    address: Option<Ipv4Addr>,
) -> Result<(), Failure> {
    let put = |name: &str, text: &str| {
        let path = container.file(name);
        fs::write(&path, text).map_err(Failure::during(format_args!("write {}", path.display())))
    };
    put("hostname", &format!("{}\n", config.hostname))?;
    let host = |path: &str| fs::read_to_string(path).unwrap_or_default();
    match &config.network {
        NetworkMode::Host => {
            put("hosts", &hosts(&host("/etc/hosts"), &config.hostname, None))?;
            put("resolv.conf", &host("/etc/resolv.conf"))
        }
        NetworkMode::None => {
            put("hosts", &hosts(LOOPBACK, &config.hostname, None))?;
            put("resolv.conf", "")
        }
        NetworkMode::Bridge => {
            put("hosts", &hosts(LOOPBACK, &config.hostname, address))?;
            put("resolv.conf", &reachable(&host("/etc/resolv.conf")))
        }
        NetworkMode::Container(id) => {
            let (other, _) = containers.find(id)?;
            let of_other = |name: &str| fs::read_to_string(other.file(name)).unwrap_or_default();
            put("hosts", &hosts(&of_other("hosts"), &config.hostname, None))?;
            put("resolv.conf", &of_other("resolv.conf"))
        }
    }
}

const LOOPBACK: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// The given hosts and the container's own name, which leads to its address or to itself.
fn hosts(given: &str, hostname: &str, address: Option<Ipv4Addr>) -> String {
    let known = given.lines().any(|line| line.split_whitespace().skip(1).any(|name| name == hostname));
    let end = if given.is_empty() || given.ends_with('\n') { "" } else { "\n" };
    match address {
        Some(address) => format!("{given}{end}{address}\t{hostname}\n"),
        None if known => given.to_owned(),
        None => format!("{given}{end}127.0.1.1\t{hostname}\n"),
    }
}

/// A resolver on the host's loopback device is another one's loopback device inside.
fn reachable(text: &str) -> String {
    let is_loopback = |line: &&str| {
        let mut words = line.split_whitespace();
        words.next() == Some("nameserver")
            && words.next().is_some_and(|address| address.starts_with("127.") || address == "::1")
    };
    text.lines().filter(|line| !is_loopback(line)).flat_map(|line| [line, "\n"]).collect()
}

/// Where a file lies for binding.
pub(in crate::windlass) fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_finds_itself() {
        assert_eq!(hosts("1.2.3.4 a", "box", None), "1.2.3.4 a\n127.0.1.1\tbox\n");
        assert_eq!(hosts("1.2.3.4 box\n", "box", None), "1.2.3.4 box\n");
        assert_eq!(hosts("", "box", Some(Ipv4Addr::new(10, 87, 0, 2))), "10.87.0.2\tbox\n");
    }

    #[test]
    fn resolvers_of_the_hosts_loopback_are_left_out() {
        let text = "search a b\nnameserver 127.0.0.53\nnameserver 9.9.9.9\nnameserver ::1\noptions x\n";
        assert_eq!(reachable(text), "search a b\nnameserver 9.9.9.9\noptions x\n");
    }
}
