//! Groups of nodes that are alike but for what they are on their own.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use crate::slot::NodeId;

const NONE: u32 = u32::MAX;

/// The groups, and where each node is.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    keys: HashMap<Box<[i64]>, u32>,
    opened: Vec<Group>,
    free: Vec<u32>,
    places: Vec<Place>,
    scratch: Vec<i64>,
}

/// Nodes with the same key.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) key: Box<[i64]>,
    /// The best node first, and of equals the one with the lowest row.
    pub(super) ranking: BTreeSet<(Reverse<i64>, NodeId)>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    group: u32,
    points: i64,
}

impl Groups {
    pub(super) fn new(rows: usize) -> Self {
        Self {
            keys: HashMap::new(),
            opened: Vec::new(),
            free: Vec::new(),
            places: vec![Place { group: NONE, points: 0 }; rows],
            scratch: Vec::new(),
        }
    }

    /// All groups, empty ones included, by number.
    pub(super) fn all(&self) -> &[Group] {
        &self.opened
    }

    /// The number of the group that a row is in.
    pub(super) fn of_row(&self, row: usize) -> Option<usize> {
        match self.places[row].group {
            NONE => None,
            group => Some(group as usize),
        }
    }

    /// The groups that have nodes, in the order in which they were opened.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.opened.iter().filter(|group| !group.ranking.is_empty())
    }

    /// Puts a node into the group of a key, with its points.
    pub(super) fn put(&mut self, node: NodeId, points: i64, write_key: impl FnOnce(&mut Vec<i64>)) {
        self.scratch.clear();
        write_key(&mut self.scratch);
        let place = self.places[node.row()];
        let stays = place.group != NONE && *self.opened[place.group as usize].key == *self.scratch;
        if stays && place.points == points {
            return;
        }
        if stays {
            let ranking = &mut self.opened[place.group as usize].ranking;
            ranking.remove(&(Reverse(place.points), node));
            ranking.insert((Reverse(points), node));
            self.places[node.row()].points = points;
            return;
        }
        self.take_out(node);
        let group = match self.keys.get(&*self.scratch) {
            Some(group) => *group,
            None => self.open(),
        };
        self.opened[group as usize].ranking.insert((Reverse(points), node));
        self.places[node.row()] = Place { group, points };
    }

    /// Takes a node out of its group.
    pub(super) fn take_out(&mut self, node: NodeId) {
        let place = std::mem::replace(&mut self.places[node.row()], Place { group: NONE, points: 0 });
        if place.group == NONE {
            return;
        }
        let group = &mut self.opened[place.group as usize];
        group.ranking.remove(&(Reverse(place.points), node));
        if group.ranking.is_empty() {
            self.keys.remove(&group.key);
            self.free.push(place.group);
        }
    }

    /// Opens a group with the key in the scratch space.
    fn open(&mut self) -> u32 {
        let key: Box<[i64]> = self.scratch.as_slice().into();
        let group = Group { key: key.clone(), ranking: BTreeSet::new() };
        let id = if let Some(id) = self.free.pop() {
            self.opened[id as usize] = group;
            id
        } else {
            self.opened.push(group);
            u32::try_from(self.opened.len() - 1).expect("there are fewer groups than node rows")
        };
        self.keys.insert(key, id);
        id
    }
}
