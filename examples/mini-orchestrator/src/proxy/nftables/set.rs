//! Sets and maps: their types, and their elements in messages that are short enough.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::attribute::Attributes;
use super::expression::SetName;
use super::message::{Action, Batch};

/// Bytes of elements that one message holds at most; the length of an attribute has 16 bits.
const ELEMENTS_BYTES_MAX: usize = 32 << 10;

/// The types that nft prints keys and values by; the kernel looks at lengths only.
#[derive(Debug, Clone, Copy)]
enum Type {
    Integer = 4,
    Ipv4Address = 7,
    InetProtocol = 12,
    InetService = 13,
}

/// Several types in a row, six bits each.
fn concatenation(types: &[Type]) -> u32 {
    types.iter().fold(0, |all, one| all << 6 | *one as u32)
}

/// What a map has for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    /// None: it is a set.
    None,
    Verdict,
    AddressAndPort,
}

/// How a set is declared.
#[derive(Debug, Clone, Copy)]
struct Declaration {
    key_type: u32,
    key_length: u32,
    values: Values,
    /// For the one rule that names it; the kernel chooses its name.
    is_anonymous: bool,
    /// Set for keys that are numbers of this machine: nft prints them in the right order then.
    is_host_order: bool,
}

/// A protocol's port of an address, the key of the services' maps.
pub(super) fn service_key(address: Ipv4Addr, protocol: u8, port: u16) -> [u8; 12] {
    let [a, b, c, d] = address.octets();
    let [high, low] = port.to_be_bytes();
    [a, b, c, d, protocol, 0, 0, 0, high, low, 0, 0]
}

/// A map from a service's address, protocol and port to the chain that serves it.
pub(super) fn verdict_map<'a>(
    batch: &mut Batch,
    table: &str,
    set: SetName<'_>,
    elements: impl Iterator<Item = ([u8; 12], &'a str)>,
) {
    const GOTO: u32 = 0xffff_fffc;
    let declaration = Declaration {
        key_type: concatenation(&[Type::Ipv4Address, Type::InetProtocol, Type::InetService]),
        key_length: 12,
        values: Values::Verdict,
        is_anonymous: false,
        is_host_order: false,
    };
    declare(batch, table, set, declaration, 0);
    let elements = elements.map(|(key, chain)| {
        let verdict = Attributes::new().number(1, GOTO).string(2, chain);
        element(&key).nested(2, &Attributes::new().nested(2, &verdict))
    });
    fill(batch, table, set, elements);
}

/// A set of pairs of an address with itself.
pub(super) fn hairpin_set(batch: &mut Batch, table: &str, set: SetName<'_>, addresses: impl Iterator<Item = Ipv4Addr>) {
    let declaration = Declaration {
        key_type: concatenation(&[Type::Ipv4Address, Type::Ipv4Address]),
        key_length: 8,
        values: Values::None,
        is_anonymous: false,
        is_host_order: false,
    };
    declare(batch, table, set, declaration, 0);
    let elements = addresses.map(|address| element(&[address.octets(), address.octets()].concat()));
    fill(batch, table, set, elements);
}

/// The map from a random number to a backend, for the one rule that names it.
pub(super) fn backend_map(batch: &mut Batch, table: &str, set: SetName<'_>, backends: &[SocketAddrV4]) {
    let declaration = Declaration {
        key_type: Type::Integer as u32,
        key_length: 4,
        values: Values::AddressAndPort,
        is_anonymous: true,
        is_host_order: true,
    };
    let count = u32::try_from(backends.len()).expect("a service has far fewer backends");
    declare(batch, table, set, declaration, count);
    let elements = (0_u32..).zip(backends).map(|(number, backend)| {
        let [high, low] = backend.port().to_be_bytes();
        let value = [backend.ip().octets(), [high, low, 0, 0]].concat();
        element(&number.to_ne_bytes()).nested(2, &Attributes::new().bytes(1, &value))
    });
    fill(batch, table, set, elements);
}

fn declare(batch: &mut Batch, table: &str, set: SetName<'_>, declaration: Declaration, size: u32) {
    const ANONYMOUS_AND_CONSTANT: u32 = 1 | 2;
    const MAP: u32 = 8;
    const VERDICTS: u32 = 0xffff_ff00;
    let mut flags = if declaration.is_anonymous { ANONYMOUS_AND_CONSTANT } else { 0 };
    if declaration.values != Values::None {
        flags |= MAP;
    }
    let mut attributes = Attributes::new()
        .string(1, table)
        .string(2, set.name)
        .number(3, flags)
        .number(4, declaration.key_type)
        .number(5, declaration.key_length);
    attributes = match declaration.values {
        Values::None => attributes,
        Values::Verdict => attributes.number(6, VERDICTS).number(7, 0),
        Values::AddressAndPort => {
            attributes.number(6, concatenation(&[Type::Ipv4Address, Type::InetService])).number(7, 8)
        }
    };
    attributes = attributes.number(10, set.id);
    if size > 0 {
        attributes = attributes.nested(9, &Attributes::new().number(1, size));
    }
    if declaration.is_host_order {
        attributes = attributes.bytes(13, &key_in_host_order());
    }
    batch.add(Action::NewSet, set.name, &attributes);
}

/// nft's own note on a set, which the kernel keeps for it: kind, length, value.
fn key_in_host_order() -> [u8; 6] {
    const KEY_BYTE_ORDER: u8 = 0;
    const HOST: u32 = 1;
    let [a, b, c, d] = HOST.to_ne_bytes();
    [KEY_BYTE_ORDER, 4, a, b, c, d]
}

fn element(key: &[u8]) -> Attributes {
    Attributes::new().nested(1, &Attributes::new().bytes(1, key))
}

fn fill(batch: &mut Batch, table: &str, set: SetName<'_>, elements: impl Iterator<Item = Attributes>) {
    let mut list = Attributes::new();
    let mut send = |list: &Attributes| {
        if !list.as_bytes().is_empty() {
            let attributes = Attributes::new().string(1, table).string(2, set.name).number(4, set.id).nested(3, list);
            batch.add(Action::NewElements, set.name, &attributes);
        }
    };
    for element in elements {
        if list.as_bytes().len() + element.as_bytes().len() > ELEMENTS_BYTES_MAX {
            send(&list);
            list = Attributes::new();
        }
        list = list.nested(1, &element);
    }
    send(&list);
}
