//! A table of services as nftables rules of one network namespace, encoded as the netlink messages that nft would send.
//!
//! The table of family `ip` holds:
//! - the map `services` from address, protocol and port to a chain for each port that has backends; that chain sends
//!   a new connection to a random backend. The chains `prerouting` (pods, other nodes) and `output` (this node) ask it.
//! - the map `without-endpoints` of the ports that nobody answers, and chains before the ones above that refuse them.
//! - the set `hairpins` of every backend's address paired with itself: the chain `postrouting` masquerades what a pod
//!   sends to itself, because its answer would not come back through this node, and nothing else.
//!
//! The kernel applies a batch as a whole: no packet sees half a table. Connections that are open stay with their backend,
//! and so does a flow of UDP until it has been silent for the kernel's timeout.

mod apply;
mod attribute;
mod expression;
mod message;
mod set;

pub use self::apply::apply;
use self::attribute::Attributes;
use self::expression::{Base, PART_1, PART_2, REGISTER, SetName, VERDICT};
use self::message::Action;
pub use self::message::Batch;
use super::rules::{Frontend, Protocol, ServicePort, Table};

const SERVICES: SetName<'static> = SetName { name: "services", id: 1 };
const WITHOUT_ENDPOINTS: SetName<'static> = SetName { name: "without-endpoints", id: 2 };
const HAIRPINS: SetName<'static> = SetName { name: "hairpins", id: 3 };
/// The number of the first backend map; the kernel puts a number for `%d`.
const FIRST_BACKENDS: u32 = 4;
const BACKENDS: &str = "__map%d";

const REFUSE: &str = "refuse";

/// Where a chain hangs in the kernel's way of a packet.
#[derive(Debug, Clone, Copy)]
struct Hook {
    chain: &'static str,
    kind: &'static str,
    number: u32,
    priority: i32,
}

const PREROUTING: u32 = 0;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;
/// The kernel translates destinations here and sources at 100; refusals look at the packet before it.
const DESTINATION: i32 = -100;
const SOURCE: i32 = 100;

const HOOKS: [Hook; 5] = [
    Hook { chain: "refuse-prerouting", kind: "filter", number: PREROUTING, priority: DESTINATION - 10 },
    Hook { chain: "refuse-output", kind: "filter", number: OUTPUT, priority: DESTINATION - 10 },
    Hook { chain: "prerouting", kind: "nat", number: PREROUTING, priority: DESTINATION },
    Hook { chain: "output", kind: "nat", number: OUTPUT, priority: DESTINATION },
    Hook { chain: "postrouting", kind: "nat", number: POSTROUTING, priority: SOURCE },
];

/// The batch that puts `table` in the place of whatever the nftables table `name` holds.
pub fn replace(name: &str, table: &Table) -> Batch {
    let mut batch = Batch::begin();
    add_fresh(&mut batch, name, table);
    batch.end()
}

/// The batch that removes the nftables table `name`, also when there is none.
pub fn remove(name: &str) -> Batch {
    let mut batch = Batch::begin();
    batch.add(Action::NewTable, name, &table_name(name));
    batch.add(Action::DeleteTable, name, &table_name(name));
    batch.end()
}

/// A batch that uses all that [`replace`] may use and leaves nothing: what the kernel says to it decides whether
/// nftables can serve here.
pub fn probe(name: &str) -> Batch {
    let frontend = |port| Frontend { address: [192, 0, 2, 1].into(), protocol: Protocol::Tcp, port };
    let port =
        |number, backends| ServicePort { service: "probe/probe".to_owned(), frontend: frontend(number), backends };
    let backends = vec!["192.0.2.2:1".parse().expect("an address"), "192.0.2.3:1".parse().expect("an address")];
    let mut batch = Batch::begin();
    add_fresh(&mut batch, name, &Table { ports: vec![port(1, backends), port(2, Vec::new())] });
    batch.add(Action::DeleteTable, name, &table_name(name));
    batch.end()
}

fn add_fresh(batch: &mut Batch, name: &str, table: &Table) {
    // Deleting needs something to delete.
    for action in [Action::NewTable, Action::DeleteTable, Action::NewTable] {
        batch.add(action, name, &table_name(name));
    }
    let (served, refused): (Vec<_>, Vec<_>) = table.ports.iter().partition(|port| !port.backends.is_empty());
    let served: Vec<(&ServicePort, String)> = served.into_iter().map(|port| (port, chain_name(port))).collect();

    add_chains(batch, name, &served);
    let chains = served.iter().map(|(port, chain)| (key(port), chain.as_str()));
    set::verdict_map(batch, name, SERVICES, chains);
    set::verdict_map(batch, name, WITHOUT_ENDPOINTS, refused.into_iter().map(|port| (key(port), REFUSE)));
    set::hairpin_set(batch, name, HAIRPINS, table.backend_addresses().into_iter());

    for ((port, chain), id) in served.iter().zip(FIRST_BACKENDS..) {
        let backends = SetName { name: BACKENDS, id };
        set::backend_map(batch, name, backends, &port.backends);
        add_rule(batch, name, chain, &balance(port, backends));
    }
    add_rule(batch, name, REFUSE, &refuse_tcp());
    add_rule(batch, name, REFUSE, &[expression::unreachable()]);
    for chain in ["refuse-prerouting", "refuse-output"] {
        let rule = [expression::first_of_connection().to_vec(), ask(WITHOUT_ENDPOINTS)].concat();
        add_rule(batch, name, chain, &rule);
    }
    for chain in ["prerouting", "output"] {
        add_rule(batch, name, chain, &ask(SERVICES));
    }
    add_rule(batch, name, "postrouting", &masquerade_hairpins());
}

fn table_name(name: &str) -> Attributes {
    Attributes::new().string(1, name).number(2, 0)
}

/// `service/NAMESPACE/NAME/PROTOCOL/PORT`
fn chain_name(port: &ServicePort) -> String {
    format!("service/{}/{}/{}", port.service, port.frontend.protocol, port.frontend.port)
}

fn key(port: &ServicePort) -> [u8; 12] {
    set::service_key(port.frontend.address, port.frontend.protocol.number(), port.frontend.port)
}

fn add_chains(batch: &mut Batch, table: &str, served: &[(&ServicePort, String)]) {
    for chain in served.iter().map(|(_, chain)| chain.as_str()).chain([REFUSE]) {
        batch.add(Action::NewChain, chain, &Attributes::new().string(1, table).string(3, chain));
    }
    for hook in HOOKS {
        const ACCEPT: u32 = 1;
        let place = Attributes::new().number(1, hook.number).number(2, hook.priority.cast_unsigned());
        let attributes = Attributes::new()
            .string(1, table)
            .string(3, hook.chain)
            .string(7, hook.kind)
            .number(5, ACCEPT)
            .nested(4, &place);
        batch.add(Action::NewChain, hook.chain, &attributes);
    }
}

fn add_rule(batch: &mut Batch, table: &str, chain: &str, expressions: &[Attributes]) {
    let list = expressions.iter().fold(Attributes::new(), |list, expression| list.nested(1, expression));
    batch.add(Action::NewRule, chain, &Attributes::new().string(1, table).string(2, chain).nested(4, &list));
}

/// `ip daddr . meta l4proto . th dport vmap @MAP`
fn ask(map: SetName<'_>) -> Vec<Attributes> {
    vec![
        expression::payload(Base::Network, 16, 4, REGISTER),
        expression::transport_protocol(PART_1),
        expression::payload(Base::Transport, 2, 2, PART_2),
        expression::mapped(map, VERDICT),
    ]
}

/// `meta l4proto PROTOCOL dnat ip to numgen random mod N map { 0 : ADDRESS . PORT, ... }`
fn balance(port: &ServicePort, backends: SetName<'_>) -> [Attributes; 5] {
    let count = u32::try_from(port.backends.len()).expect("a service has far fewer backends");
    [
        // The map sends only this protocol here; nft reads its own listing only if the rule says so again.
        expression::transport_protocol(REGISTER),
        expression::equal(REGISTER, &[port.frontend.protocol.number()]),
        expression::random(count, REGISTER),
        expression::mapped(backends, REGISTER),
        expression::redirect(REGISTER, PART_1),
    ]
}

/// `meta l4proto tcp reject with tcp reset`
fn refuse_tcp() -> [Attributes; 3] {
    [
        expression::transport_protocol(REGISTER),
        expression::equal(REGISTER, &[Protocol::Tcp.number()]),
        expression::reset(),
    ]
}

/// `ip saddr . ip daddr @hairpins masquerade`
fn masquerade_hairpins() -> [Attributes; 4] {
    [
        expression::payload(Base::Network, 12, 4, REGISTER),
        expression::payload(Base::Network, 16, 4, PART_1),
        expression::contained(HAIRPINS),
        expression::masquerade(),
    ]
}
