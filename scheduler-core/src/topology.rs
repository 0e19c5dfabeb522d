//! Topology domains: for every label key that a pod spreads or gathers by, the domain of every node as a dense number.
//!
//! A count per domain is then an array, and a node's count is one index into it.

use std::collections::HashMap;

use crate::intern::Symbol;
use crate::labels::Labels;

/// A registered topology key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TopologyId(u16);

/// A node without the label is in no domain.
const NONE: u32 = u32::MAX;

/// The registered topology keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topologies(Vec<Topology>);

#[derive(Clone, Debug)]
struct Topology {
    key: Symbol,
    /// The domain of each node row, or [`NONE`].
    domains: Vec<u32>,
    index: HashMap<Symbol, u32>,
    /// Nodes in each domain; an empty domain's number is used again.
    members: Vec<u32>,
    values: Vec<Symbol>,
    free: Vec<u32>,
}

impl Topologies {
    /// A key that is registered.
    pub(crate) fn find(&self, key: Symbol) -> Option<TopologyId> {
        let index = self.0.iter().position(|topology| topology.key == key)?;
        u16::try_from(index).ok().map(TopologyId)
    }

    /// Finds or registers a key; `rows` are the labels of every node row. `None` when there are too many keys.
    pub(crate) fn register<'a>(&mut self, key: Symbol, rows: impl Iterator<Item = &'a Labels>) -> Option<TopologyId> {
        if let Some(known) = self.find(key) {
            return Some(known);
        }
        let id = TopologyId(u16::try_from(self.0.len()).ok()?);
        let mut topology = Topology {
            key,
            domains: Vec::new(),
            index: HashMap::new(),
            members: Vec::new(),
            values: Vec::new(),
            free: Vec::new(),
        };
        for (row, labels) in rows.enumerate() {
            topology.place(row, labels);
        }
        self.0.push(topology);
        Some(id)
    }

    /// Sets the domains of a node row from its labels; empty labels take it out of every domain.
    pub(crate) fn place(&mut self, row: usize, labels: &Labels) {
        for topology in &mut self.0 {
            topology.place(row, labels);
        }
    }

    pub(crate) fn key(&self, id: TopologyId) -> Symbol {
        self.0[usize::from(id.0)].key
    }

    /// The domain of a node row, as an index below [`Topologies::domain_count`].
    pub(crate) fn domain(&self, id: TopologyId, row: usize) -> Option<usize> {
        match self.0[usize::from(id.0)].domains[row] {
            NONE => None,
            domain => Some(domain as usize),
        }
    }

    pub(crate) fn domain_count(&self, id: TopologyId) -> usize {
        self.0[usize::from(id.0)].members.len()
    }

    /// Whether no two nodes share a domain of this key.
    pub(crate) fn is_single(&self, id: TopologyId) -> bool {
        self.0[usize::from(id.0)].members.iter().all(|members| *members <= 1)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = TopologyId> + use<> {
        (0..u16::try_from(self.0.len()).expect("registration stays below 2^16")).map(TopologyId)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl TopologyId {
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl Topology {
    fn place(&mut self, row: usize, labels: &Labels) {
        if self.domains.len() <= row {
            self.domains.resize(row + 1, NONE);
        }
        let domain = labels.get(self.key).map_or(NONE, |value| self.enter(value));
        let left = std::mem::replace(&mut self.domains[row], domain);
        if left != NONE {
            self.leave(left);
        }
    }

    fn enter(&mut self, value: Symbol) -> u32 {
        let known = self.index.get(&value).copied();
        let domain = known.unwrap_or_else(|| self.open(value));
        self.members[domain as usize] += 1;
        domain
    }

    fn open(&mut self, value: Symbol) -> u32 {
        let domain = self.free.pop().unwrap_or_else(|| {
            self.members.push(0);
            self.values.push(value);
            u32::try_from(self.members.len() - 1).expect("there are fewer domains than node rows")
        });
        self.values[domain as usize] = value;
        self.index.insert(value, domain);
        domain
    }

    fn leave(&mut self, domain: u32) {
        let members = &mut self.members[domain as usize];
        *members -= 1;
        if *members == 0 {
            self.index.remove(&self.values[domain as usize]);
            self.free.push(domain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intern::Interner;

    #[test]
    fn domains_follow_labels_and_are_used_again() {
        let mut interner = Interner::default();
        let (zone, a, b, c) =
            (interner.intern("zone"), interner.intern("a"), interner.intern("b"), interner.intern("c"));
        let label = |value| Labels::new(vec![(zone, value)]);
        let rows = [label(a), label(b), label(a), Labels::default()];
        let mut topologies = Topologies::default();
        let id = topologies.register(zone, rows.iter()).unwrap();
        assert_eq!(topologies.register(zone, rows.iter()), Some(id));
        let domains = |topologies: &Topologies| (0..4).map(|row| topologies.domain(id, row)).collect::<Vec<_>>();
        assert_eq!(domains(&topologies), [Some(0), Some(1), Some(0), None]);
        topologies.place(1, &label(c));
        topologies.place(3, &label(b));
        assert_eq!(topologies.domain_count(id), 3);
        assert_eq!(domains(&topologies), [Some(0), Some(2), Some(0), Some(1)]);
        assert_eq!(topologies.key(id), zone);
    }
}
