//! The expressions of which the rules are made: each reads or writes registers.
//!
//! Source: `linux/netfilter/nf_tables.h`; every number below is one of its constants.

use super::attribute::Attributes;

/// The first register of 16 bytes; [`PART_1`] and [`PART_2`] are its second and third four bytes.
pub(super) const REGISTER: u32 = 1;
/// Four bytes after the beginning of [`REGISTER`].
pub(super) const PART_1: u32 = 9;
/// Eight bytes after the beginning of [`REGISTER`].
pub(super) const PART_2: u32 = 10;
/// Where a lookup puts a verdict.
pub(super) const VERDICT: u32 = 0;

/// Where a payload's offset counts from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Base {
    Network = 1,
    Transport = 2,
}

/// Which set a lookup asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct SetName<'a> {
    pub(super) name: &'a str,
    /// The set's number within the batch.
    pub(super) id: u32,
}

/// One element of a rule's list.
fn expression(name: &str, data: &Attributes) -> Attributes {
    Attributes::new().string(1, name).nested(2, data)
}

/// Bytes of the packet into a register.
pub(super) fn payload(base: Base, offset: u32, length: u32, register: u32) -> Attributes {
    let data = Attributes::new().number(1, register).number(2, base as u32).number(3, offset).number(4, length);
    expression("payload", &data)
}

/// The number of the transport protocol into a register.
pub(super) fn transport_protocol(register: u32) -> Attributes {
    const L4PROTO: u32 = 16;
    expression("meta", &Attributes::new().number(2, L4PROTO).number(1, register))
}

/// Ends the rule unless a register holds these bytes.
pub(super) fn equal(register: u32, bytes: &[u8]) -> Attributes {
    compare(register, 0, bytes)
}

fn compare(register: u32, operation: u32, bytes: &[u8]) -> Attributes {
    let value = Attributes::new().bytes(1, bytes);
    expression("cmp", &Attributes::new().number(1, register).number(2, operation).nested(3, &value))
}

/// Ends the rule unless the packet is the first of a connection.
pub(super) fn first_of_connection() -> [Attributes; 3] {
    const STATE: u32 = 0;
    const NEW: u32 = 1 << 3;
    const NOT_EQUAL: u32 = 1;
    let mask = Attributes::new().bytes(1, &NEW.to_ne_bytes());
    let flip = Attributes::new().bytes(1, &[0; 4]);
    let masked =
        Attributes::new().number(1, REGISTER).number(2, REGISTER).number(3, 4).nested(4, &mask).nested(5, &flip);
    [
        expression("ct", &Attributes::new().number(2, STATE).number(1, REGISTER)),
        expression("bitwise", &masked),
        compare(REGISTER, NOT_EQUAL, &[0; 4]),
    ]
}

/// A random number below `modulus` into a register.
pub(super) fn random(modulus: u32, register: u32) -> Attributes {
    const RANDOM: u32 = 1;
    expression("numgen", &Attributes::new().number(1, register).number(2, modulus).number(3, RANDOM).number(4, 0))
}

/// Ends the rule unless the set holds the key in [`REGISTER`].
pub(super) fn contained(set: SetName<'_>) -> Attributes {
    expression("lookup", &Attributes::new().number(2, REGISTER).string(1, set.name).number(4, set.id))
}

/// Like [`contained`], and puts what the map has for the key into a register.
pub(super) fn mapped(map: SetName<'_>, into: u32) -> Attributes {
    expression("lookup", &Attributes::new().number(2, REGISTER).number(3, into).string(1, map.name).number(4, map.id))
}

/// Sends the connection to the address and the port in these registers.
pub(super) fn redirect(address: u32, port: u32) -> Attributes {
    const DESTINATION: u32 = 1;
    const IPV4: u32 = 2;
    let data = Attributes::new().number(1, DESTINATION).number(2, IPV4).number(3, address).number(5, port);
    expression("nat", &data)
}

/// Replaces the source by the address of the interface through which the packet leaves.
pub(super) fn masquerade() -> Attributes {
    expression("masq", &Attributes::new())
}

/// Refuses a connection as a closed port does.
///
/// A caller on this very node holds its socket while it sends, and the kernel drops an ICMP error for a socket that is
/// held; a reset waits until it is let go.
pub(super) fn reset() -> Attributes {
    const TCP_RESET: u32 = 1;
    expression("reject", &Attributes::new().number(1, TCP_RESET))
}

/// Refuses with "port unreachable".
pub(super) fn unreachable() -> Attributes {
    const ICMP: u32 = 0;
    const PORT_UNREACHABLE: u8 = 3;
    expression("reject", &Attributes::new().number(1, ICMP).byte(2, PORT_UNREACHABLE))
}
