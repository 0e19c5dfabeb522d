//! One nftables table: what leaves the bridge's network takes the address of the machine.
//!
//! `table ip windlass { chain postrouting { type nat hook postrouting priority srcnat;
//! ip saddr 10.87.0.0/16 ip daddr != 10.87.0.0/16 masquerade } }`

use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

use windlass_namespaces::net::netlink::{Message, Protocol, Reply, Socket, flag};
use windlass_namespaces::{Error, Result};

/// A network by one of its addresses and how many leading bits it shares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subnet {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
}

const TABLE: &str = "windlass";
const CHAIN: &str = "postrouting";
const NFTABLES: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const IPV4: u8 = 2;
const REGISTER: u32 = 1;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;

/// Puts the table in the place of what is there.
pub(super) fn replace(netns: BorrowedFd<'_>, subnet: Subnet) -> Result<()> {
    send(netns, &[table(NEW_TABLE), table(DELETE_TABLE), table(NEW_TABLE), chain(), rule(subnet)])
}

/// Removes the table, also when there is none.
pub(super) fn remove(netns: BorrowedFd<'_>) -> Result<()> {
    send(netns, &[table(NEW_TABLE), table(DELETE_TABLE)])
}

fn message(kind: u16, family: u8, resource: u16, flags: u16) -> Message {
    let mut message = Message::new(kind, flags);
    let [high, low] = resource.to_be_bytes();
    message.bytes(&[family, 0, high, low]);
    message
}

fn action(kind: u16, flags: u16) -> Message {
    message(NFTABLES << 8 | kind, IPV4, 0, flags | flag::ACK)
}

fn table(kind: u16) -> Message {
    let mut table = action(kind, if kind == NEW_TABLE { flag::CREATE } else { 0 });
    table.string(1, TABLE);
    table
}

fn chain() -> Message {
    const POSTROUTING: u32 = 4;
    const SOURCE_NAT: u32 = 100;
    let mut chain = action(NEW_CHAIN, flag::CREATE);
    chain.string(1, TABLE).string(3, CHAIN).nest(4, |hook| {
        hook.u32_be(1, POSTROUTING).u32_be(2, SOURCE_NAT);
    });
    chain.string(7, "nat");
    chain
}

fn rule(subnet: Subnet) -> Message {
    let mut rule = action(NEW_RULE, flag::CREATE | flag::APPEND);
    rule.string(1, TABLE).string(2, CHAIN).nest(4, |expressions| {
        in_network(expressions, subnet, SOURCE, EQUAL);
        in_network(expressions, subnet, DESTINATION, NOT_EQUAL);
        expression(expressions, "masq", |_| {});
    });
    rule
}

fn expression(list: &mut Message, name: &str, data: impl FnOnce(&mut Message)) {
    list.nest(1, |element| {
        element.string(1, name).nest(2, data);
    });
}

/// Ends the rule unless an address of the packet compares so with the bridge's network.
fn in_network(list: &mut Message, subnet: Subnet, offset: u32, operation: u32) {
    const NETWORK_HEADER: u32 = 1;
    let mask = u32::MAX << (32 - u32::from(subnet.prefix));
    let network = u32::from(subnet.address) & mask;
    expression(list, "payload", |data| {
        data.u32_be(1, REGISTER).u32_be(2, NETWORK_HEADER).u32_be(3, offset).u32_be(4, 4);
    });
    expression(list, "bitwise", |data| {
        data.u32_be(1, REGISTER).u32_be(2, REGISTER).u32_be(3, 4);
        data.nest(4, |value| {
            value.attribute(1, &mask.to_be_bytes());
        });
        data.nest(5, |value| {
            value.attribute(1, &[0; 4]);
        });
    });
    expression(list, "cmp", |data| {
        data.u32_be(1, REGISTER).u32_be(2, operation).nest(3, |value| {
            value.attribute(1, &network.to_be_bytes());
        });
    });
}

/// Hands the actions to the kernel as one batch, which it carries out as a whole or not at all.
fn send(netns: BorrowedFd<'_>, actions: &[Message]) -> Result<()> {
    let mut socket = Socket::open_in(netns, Protocol::Netfilter)?;
    let mut batch = message(BATCH_BEGIN, 0, NFTABLES, 0).finish(socket.next_sequence());
    let mut waiting = Vec::new();
    for action in actions {
        let sequence = socket.next_sequence();
        batch.extend(action.clone().finish(sequence));
        waiting.push(sequence);
    }
    batch.extend(message(BATCH_END, 0, NFTABLES, 0).finish(socket.next_sequence()));
    socket.send(&batch)?;
    let mut refused = None;
    while !waiting.is_empty() {
        for reply in socket.receive()? {
            let (sequence, failure) = match reply {
                Reply::Ack { sequence } => (sequence, None),
                Reply::Refused { sequence, source, explanation } => (sequence, Some((source, explanation))),
                Reply::Done { .. } | Reply::Object { .. } => continue,
            };
            let is_ours = waiting.contains(&sequence);
            waiting.retain(|waited| *waited != sequence);
            if let Some((source, explanation)) = failure {
                let error = Error::Netlink { op: "change nftables", object: TABLE.to_owned(), explanation, source };
                // The batch itself was refused: nothing else is answered.
                if !is_ours {
                    return Err(error);
                }
                refused.get_or_insert(error);
            }
        }
    }
    refused.map_or(Ok(()), Err)
}
