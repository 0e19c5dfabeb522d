//! Addresses of network devices.

use std::net::IpAddr;

use crate::error::{Error, Result};
use crate::net::netlink::{Attributes, Message, flag};

const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
/// An IPv6 address is used without looking for duplicates first.
const IFA_F_NODAD: u8 = 0x2;
const FAMILY_4: u8 = 2;
const FAMILY_6: u8 = 10;

/// An address of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// The number of the device.
    pub link: u32,
    /// The address.
    pub address: IpAddr,
    /// How many leading bits name the network.
    pub prefix: u8,
}

impl Address {
    /// Whether it reaches no further than the link, as those of IPv6 that every device makes for itself.
    pub fn is_link_local(&self) -> bool {
        match self.address {
            IpAddr::V4(_) => false,
            IpAddr::V6(address) => address.is_unicast_link_local(),
        }
    }
}

pub(super) const fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => FAMILY_4,
        IpAddr::V6(_) => FAMILY_6,
    }
}

/// The bits of an address of this family.
pub(super) const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

pub(super) fn check_prefix(address: IpAddr, prefix: u8) -> Result<()> {
    if prefix <= bits(address) {
        return Ok(());
    }
    Err(Error::invalid("prefix", format!("{address}/{prefix}"), "is longer than the address"))
}

pub(super) fn add(link: u32, address: IpAddr, prefix: u8) -> Result<Message> {
    check_prefix(address, prefix)?;
    let flags = if address.is_ipv6() { IFA_F_NODAD } else { 0 };
    let mut message = Message::new(NEW_ADDRESS, flag::CREATE | flag::EXCL);
    message.bytes(&header(family(address), prefix, flags, link));
    message.address(IFA_LOCAL, address).address(IFA_ADDRESS, address);
    if let IpAddr::V4(address) = address
        && prefix < 31
    {
        let hosts = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
        message.address(IFA_BROADCAST, IpAddr::V4((address.to_bits() | hosts).into()));
    }
    Ok(message)
}

pub(super) fn list() -> Message {
    let mut message = Message::new(GET_ADDRESS, 0);
    message.bytes(&header(0, 0, 0, 0));
    message
}

/// `struct ifaddrmsg`.
fn header(family: u8, prefix: u8, flags: u8, link: u32) -> [u8; 8] {
    const SCOPE_UNIVERSE: u8 = 0;
    let [a, b, c, d] = link.to_ne_bytes();
    [family, prefix, flags, SCOPE_UNIVERSE, a, b, c, d]
}

pub(super) fn parse(replies: &[(u16, Vec<u8>)]) -> Result<Vec<Address>> {
    let mut addresses = Vec::new();
    for (_, payload) in replies.iter().filter(|(kind, _)| *kind == NEW_ADDRESS) {
        let (header, attributes) =
            payload.split_first_chunk::<8>().ok_or(Error::Malformed { reason: "an address's header is cut" })?;
        let attributes = Attributes::parse(attributes)?;
        // On a point-to-point device the address is the peer's, and the local one is apart.
        let address = attributes.address(IFA_LOCAL).or_else(|| attributes.address(IFA_ADDRESS));
        let address = address.ok_or(Error::Malformed { reason: "an address entry without an address" })?;
        let link = u32::from_ne_bytes([header[4], header[5], header[6], header[7]]);
        addresses.push(Address { link, address, prefix: header[1] });
    }
    Ok(addresses)
}
