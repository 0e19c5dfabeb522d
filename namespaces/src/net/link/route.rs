//! Routes.

use std::fmt;
use std::net::IpAddr;

use super::address::{check_prefix, family};
use crate::error::{Error, Result};
use crate::net::netlink::{Attributes, Message, flag};

const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;
const GET_ROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_TABLE: u16 = 15;
const TABLE_MAIN: u8 = 254;
const PROTOCOL_STATIC: u8 = 4;
const TYPE_UNICAST: u8 = 1;
/// An entry of the cache rather than of the table.
const FLAG_CLONED: u32 = 0x200;

/// How far away a destination is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// Anywhere, usually behind a gateway.
    #[default]
    Universe,
    /// On the network of the device.
    Link,
    /// On this machine.
    Host,
}

impl Scope {
    const fn number(self) -> u8 {
        match self {
            Self::Universe => 0,
            Self::Link => 253,
            Self::Host => 254,
        }
    }
}

/// Where packets to a destination go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The network; the unspecified address with prefix 0 is the default route of its family.
    pub destination: IpAddr,
    /// How many leading bits of the destination count.
    pub prefix: u8,
    /// The neighbour that forwards them.
    pub gateway: Option<IpAddr>,
    /// The number of the device that sends them; found by the gateway when not given.
    pub link: Option<u32>,
    /// How far away the destination is; IPv6 knows only the universe.
    pub scope: Scope,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.destination, self.prefix)?;
        self.gateway.iter().try_for_each(|gateway| write!(f, " via {gateway}"))?;
        self.link.iter().try_for_each(|link| write!(f, " by link {link}"))
    }
}

pub(super) fn add(route: &Route) -> Result<Message> {
    message(route, NEW_ROUTE, flag::CREATE | flag::EXCL)
}

pub(super) fn delete(route: &Route) -> Result<Message> {
    message(route, DELETE_ROUTE, 0)
}

fn message(route: &Route, kind: u16, flags: u16) -> Result<Message> {
    check_prefix(route.destination, route.prefix)?;
    if let Some(gateway) = route.gateway
        && family(gateway) != family(route.destination)
    {
        return Err(Error::invalid("gateway", route.to_string(), "is of another family than the destination"));
    }
    let mut message = Message::new(kind, flags);
    let header = [family(route.destination), route.prefix, 0, 0, TABLE_MAIN, PROTOCOL_STATIC];
    message.bytes(&[&header[..], &[route.scope.number(), TYPE_UNICAST, 0, 0, 0, 0]].concat());
    if route.prefix > 0 {
        message.address(RTA_DST, route.destination);
    }
    if let Some(gateway) = route.gateway {
        message.address(RTA_GATEWAY, gateway);
    }
    if let Some(link) = route.link {
        message.u32(RTA_OIF, link);
    }
    Ok(message)
}

pub(super) fn list() -> Message {
    let mut message = Message::new(GET_ROUTE, 0);
    message.bytes(&[0; 12]);
    message
}

pub(super) fn parse(replies: &[(u16, Vec<u8>)]) -> Result<Vec<Route>> {
    let parsed = replies.iter().filter(|(kind, _)| *kind == NEW_ROUTE).map(|(_, payload)| one(payload));
    parsed.filter_map(Result::transpose).collect()
}

fn one(payload: &[u8]) -> Result<Option<Route>> {
    let (header, attributes) =
        payload.split_first_chunk::<12>().ok_or(Error::Malformed { reason: "a route's header is cut" })?;
    let [family, prefix, _, _, table, _, scope, kind, flags @ ..] = *header;
    let attributes = Attributes::parse(attributes)?;
    let table = attributes.u32(RTA_TABLE).unwrap_or(u32::from(table));
    let unspecified: IpAddr = match family {
        2 => [0; 4].into(),
        10 => [0; 16].into(),
        _ => return Ok(None),
    };
    let is_entry = u32::from_ne_bytes(flags) & FLAG_CLONED == 0;
    if table != u32::from(TABLE_MAIN) || kind != TYPE_UNICAST || !is_entry {
        return Ok(None);
    }
    let scope = match scope {
        253 => Scope::Link,
        254 => Scope::Host,
        _ => Scope::Universe,
    };
    Ok(Some(Route {
        destination: attributes.address(RTA_DST).unwrap_or(unspecified),
        prefix,
        gateway: attributes.address(RTA_GATEWAY),
        link: attributes.u32(RTA_OIF),
        scope,
    }))
}
