//! Ports of a container that callers of the host reach.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "two ports make one published port")]
pub(super) struct Port {
    pub(super) host_address: IpAddr,
    /// 0 lets the kernel choose.
    pub(super) host_port: u16,
    pub(super) container_port: u16,
    pub(super) protocol: Protocol,
}

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not [ADDRESS:][HOST-PORT:]PORT[/tcp|/udp]");
        let (rest, protocol) = match text.rsplit_once('/') {
            None => (text, Protocol::Tcp),
            Some((rest, "tcp")) => (rest, Protocol::Tcp),
            Some((rest, "udp")) => (rest, Protocol::Udp),
            Some(_) => return Err(wrong()),
        };
        let number = |digits: &str| digits.parse::<u16>().map_err(|_| wrong());
        let (host, container) = rest.rsplit_once(':').map_or((None, rest), |(host, container)| (Some(host), container));
        let (address, host_port) = match host {
            None => (None, ""),
            Some(host) => host.rsplit_once(':').map_or((None, host), |(address, port)| (Some(address), port)),
        };
        let host_address = match address {
            None | Some("") => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Some(address) => {
                let address = address.trim_start_matches('[').trim_end_matches(']');
                address.parse().map_err(|_| wrong())?
            }
        };
        let container_port = number(container)?;
        let host_port = if host_port.is_empty() { 0 } else { number(host_port)? };
        if container_port == 0 {
            return Err(wrong());
        }
        Ok(Self { host_address, host_port, container_port, protocol })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = std::net::SocketAddr::new(self.host_address, self.host_port);
        write!(f, "{host}->{}/{}", self.container_port, self.protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_in_every_form() {
        for (text, shown) in [
            ("80", "0.0.0.0:0->80/tcp"),
            ("8080:80", "0.0.0.0:8080->80/tcp"),
            ("8080:80/udp", "0.0.0.0:8080->80/udp"),
            ("127.0.0.1:8080:80", "127.0.0.1:8080->80/tcp"),
            ("127.0.0.1::80", "127.0.0.1:0->80/tcp"),
            ("[::1]:8080:80", "[::1]:8080->80/tcp"),
        ] {
            assert_eq!(text.parse::<Port>().unwrap().to_string(), shown);
        }
        for wrong in ["", "x", "80/sctp", "0", "65536", "1:2:3", "host:80:80", "80:", ":"] {
            assert!(wrong.parse::<Port>().is_err(), "{wrong:?}");
        }
    }
}
