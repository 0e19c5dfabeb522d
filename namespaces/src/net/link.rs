//! Network devices, their addresses and routes, over rtnetlink.

mod address;
mod route;

use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

pub use address::Address;
pub use route::{Route, Scope};

use super::netlink::{Attributes, Message, Protocol, Socket, flag};
use crate::error::{Error, Result};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFF_UP: u32 = 0x1;
const IFF_LOOPBACK: u32 = 0x8;

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// The number by which the kernel knows it in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `veth`, `bridge` and so on; `None` for hardware and loopback.
    pub kind: Option<String>,
    /// Bytes of the largest packet.
    pub mtu: u32,
    /// Whether it was set up.
    pub is_up: bool,
    /// Whether it is the namespace's loopback device.
    pub is_loopback: bool,
    /// The bridge that it is a port of.
    pub master: Option<u32>,
    /// The other end of a veth pair, numbered in that end's namespace.
    pub peer: Option<u32>,
    /// The hardware address.
    pub address: Vec<u8>,
}

/// One end of a veth pair that shall be made.
#[derive(Debug, Clone, Copy)]
pub struct VethEnd<'a> {
    /// Its name, at most 15 bytes.
    pub name: &'a str,
    /// The namespace that it shall appear in; `None` for that of the [`Links`].
    pub netns: Option<BorrowedFd<'a>>,
}

/// The devices of one network namespace.
#[derive(Debug)]
pub struct Links {
    socket: Socket,
}

impl Links {
    /// Those of the caller's network namespace.
    pub fn open() -> Result<Self> {
        Ok(Self { socket: Socket::route()? })
    }

    /// Those of another network namespace.
    pub fn open_in(netns: BorrowedFd<'_>) -> Result<Self> {
        Ok(Self { socket: Socket::open_in(netns, Protocol::Route)? })
    }

    /// Every device.
    pub fn list(&mut self) -> Result<Vec<Link>> {
        let mut message = Message::new(GET_LINK, 0);
        message.bytes(&header(0, 0, 0));
        let replies = self.socket.dump("list links", message)?;
        replies.iter().filter(|(kind, _)| *kind == NEW_LINK).map(|(_, payload)| parse(payload)).collect()
    }

    /// The number of the device of this name; `None` when there is none.
    pub fn index(&mut self, name: &str) -> Result<Option<u32>> {
        let mut message = Message::new(GET_LINK, 0);
        message.bytes(&header(0, 0, 0)).string(IFLA_IFNAME, name);
        match self.socket.query("find link", name, message) {
            Ok(replies) => replies.first().map(|(_, payload)| parse(payload).map(|link| link.index)).transpose(),
            Err(error) if error.errno() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a veth pair: what is sent into one end comes out of the other.
    ///
    /// # Errors
    /// [`Error::Netlink`] with `EEXIST` when a name is taken where its end shall appear.
    pub fn add_veth(&mut self, one: VethEnd<'_>, other: VethEnd<'_>) -> Result<()> {
        let mut message = Message::new(NEW_LINK, flag::CREATE | flag::EXCL);
        message.bytes(&header(0, 0, 0));
        end(&mut message, one)?;
        let mut peer = Ok(());
        message.nest(IFLA_LINKINFO, |info| {
            info.string(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |data| {
                data.nest_plain(VETH_INFO_PEER, |inside| {
                    inside.bytes(&header(0, 0, 0));
                    peer = end(inside, other);
                });
            });
        });
        peer?;
        self.socket.request("add veth", one.name, message)
    }

    /// Makes a bridge, and gives its number.
    ///
    /// # Errors
    /// [`Error::Netlink`] with `EEXIST` when the name is taken.
    pub fn add_bridge(&mut self, name: &str) -> Result<u32> {
        let mut message = Message::new(NEW_LINK, flag::CREATE | flag::EXCL);
        message.bytes(&header(0, 0, 0)).string(IFLA_IFNAME, name).nest(IFLA_LINKINFO, |info| {
            info.string(IFLA_INFO_KIND, "bridge");
        });
        self.socket.request("add bridge", name, message)?;
        self.index(name)?.ok_or(Error::Malformed { reason: "a bridge that was just made is not listed" })
    }

    /// Lets a device send and receive.
    pub fn set_up(&mut self, index: u32) -> Result<()> {
        self.change("set up", index, IFF_UP, |_| {})
    }

    /// Stops a device; its routes go.
    pub fn set_down(&mut self, index: u32) -> Result<()> {
        let mut message = Message::new(NEW_LINK, 0);
        message.bytes(&header(index, 0, IFF_UP));
        self.socket.request("set down", &format!("link {index}"), message)
    }

    /// Makes a device a port of a bridge.
    pub fn set_master(&mut self, index: u32, bridge: u32) -> Result<()> {
        self.change("set master of", index, 0, |message| {
            message.u32(IFLA_MASTER, bridge);
        })
    }

    /// Sets the largest packet of a device.
    ///
    /// Units: bytes.
    pub fn set_mtu(&mut self, index: u32, mtu: u32) -> Result<()> {
        self.change("set mtu of", index, 0, |message| {
            message.u32(IFLA_MTU, mtu);
        })
    }

    /// Sets the hardware address of a device.
    pub fn set_hardware_address(&mut self, index: u32, address: [u8; 6]) -> Result<()> {
        self.change("set address of", index, 0, |message| {
            message.attribute(IFLA_ADDRESS, &address);
        })
    }

    /// Renames a device, which must be down on kernels before 6.4.
    pub fn rename(&mut self, index: u32, name: &str) -> Result<()> {
        self.change("rename", index, 0, |message| {
            message.string(IFLA_IFNAME, name);
        })
    }

    /// Moves a device to another network namespace. It loses its addresses and routes and is down there; its number
    /// may change.
    pub fn move_to(&mut self, index: u32, netns: BorrowedFd<'_>) -> Result<()> {
        let number = namespace_number(netns)?;
        self.change("move", index, 0, |message| {
            message.u32(IFLA_NET_NS_FD, number);
        })
    }

    /// Moves a device to another network namespace under a name there, with its addresses, and sets it up. Those that the
    /// kernel makes itself from the hardware address are made anew.
    ///
    /// # Errors
    /// [`Error::Netlink`] with `ENODEV` when there is none of that name, with `EEXIST` when the new name is taken there.
    pub fn move_with_addresses(&mut self, name: &str, netns: BorrowedFd<'_>, new_name: &str) -> Result<()> {
        let missing = || Error::sys("find link", name, std::io::Error::from_raw_os_error(libc::ENODEV));
        let index = self.index(name)?.ok_or_else(missing)?;
        let addresses = self.addresses()?.into_iter().filter(|address| address.link == index);
        let addresses: Vec<Address> = addresses.filter(|address| !address.is_link_local()).collect();
        let number = namespace_number(netns)?;
        self.change("move", index, 0, |message| {
            message.u32(IFLA_NET_NS_FD, number).string(IFLA_IFNAME, new_name);
        })?;
        let mut there = Self::open_in(netns)?;
        let missing = Error::Malformed { reason: "a device that was just moved is not there" };
        let index = there.index(new_name)?.ok_or(missing)?;
        for address in addresses {
            there.add_address(index, address.address, address.prefix)?;
        }
        there.set_up(index)
    }

    /// Removes a device; the other end of a veth pair goes with it.
    pub fn delete(&mut self, index: u32) -> Result<()> {
        let mut message = Message::new(DELETE_LINK, 0);
        message.bytes(&header(index, 0, 0));
        self.socket.request("delete", &format!("link {index}"), message)
    }

    /// Gives a device an address with the network around it. An IPv6 address is usable at once, without the search for
    /// duplicates.
    ///
    /// # Errors
    /// [`Error::Netlink`] with `EEXIST` when the device has it.
    pub fn add_address(&mut self, index: u32, address: IpAddr, prefix: u8) -> Result<()> {
        self.socket.request("add address", &format!("{address}/{prefix}"), address::add(index, address, prefix)?)
    }

    /// The addresses of every device.
    pub fn addresses(&mut self) -> Result<Vec<Address>> {
        let replies = self.socket.dump("list addresses", address::list())?;
        address::parse(&replies)
    }

    /// Adds a route.
    ///
    /// # Errors
    /// [`Error::Netlink`] with `EEXIST` when the same destination has one, with `ENETUNREACH` when the gateway is not on
    /// a network that a device reaches.
    pub fn add_route(&mut self, route: &Route) -> Result<()> {
        self.socket.request("add route", &route.to_string(), route::add(route)?)
    }

    /// Removes a route.
    ///
    /// # Errors
    /// [`Error::Netlink`] with `ESRCH` when there is none such.
    pub fn delete_route(&mut self, route: &Route) -> Result<()> {
        self.socket.request("delete route", &route.to_string(), route::delete(route)?)
    }

    /// The unicast routes of the main table.
    pub fn routes(&mut self) -> Result<Vec<Route>> {
        let replies = self.socket.dump("list routes", route::list())?;
        route::parse(&replies)
    }

    fn change(
        &mut self,
        op: &'static str,
        index: u32,
        flags: u32,
        attributes: impl FnOnce(&mut Message),
    ) -> Result<()> {
        let mut message = Message::new(NEW_LINK, 0);
        message.bytes(&header(index, flags, flags));
        attributes(&mut message);
        self.socket.request(op, &format!("link {index}"), message)
    }
}

/// `struct ifinfomsg`.
fn header(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&change.to_ne_bytes());
    bytes
}

fn end(message: &mut Message, end: VethEnd<'_>) -> Result<()> {
    message.string(IFLA_IFNAME, end.name);
    if let Some(netns) = end.netns {
        message.u32(IFLA_NET_NS_FD, namespace_number(netns)?);
    }
    Ok(())
}

fn namespace_number(netns: BorrowedFd<'_>) -> Result<u32> {
    let raw = netns.as_raw_fd();
    u32::try_from(raw).map_err(|_| Error::invalid("netns", raw.to_string(), "is not a descriptor"))
}

fn parse(payload: &[u8]) -> Result<Link> {
    let (header, attributes) =
        payload.split_first_chunk::<16>().ok_or(Error::Malformed { reason: "a link's header is cut" })?;
    let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (index, flags) = (word(4), word(8));
    let attributes = Attributes::parse(attributes)?;
    let kind = attributes.nested(IFLA_LINKINFO)?.string(IFLA_INFO_KIND);
    Ok(Link {
        index,
        name: attributes.string(IFLA_IFNAME).ok_or(Error::Malformed { reason: "a link without a name" })?,
        peer: attributes.u32(IFLA_LINK).filter(|_| kind.as_deref() == Some("veth")),
        kind,
        mtu: attributes.u32(IFLA_MTU).ok_or(Error::Malformed { reason: "a link without an mtu" })?,
        is_up: flags & IFF_UP != 0,
        is_loopback: flags & IFF_LOOPBACK != 0,
        master: attributes.u32(IFLA_MASTER),
        address: attributes.get(IFLA_ADDRESS).unwrap_or_default().to_vec(),
    })
}
