//! Groups of nodes that are alike but for what they are on their own.

use std::collections::{BTreeSet, HashMap};

use crate::slot::NodeId;

const NONE: u32 = u32::MAX;
/// The most points that a node may have.
pub(super) const POINTS_MAX: i64 = u32::MAX as i64;

/// The groups, and where each node is.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    keys: HashMap<Box<[i64]>, u32>,
    opened: Vec<Group>,
    free: Vec<u32>,
    places: Vec<Place>,
    scratch: Vec<i64>,
    changes: u64,
}

/// Nodes with the same key.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) key: Box<[i64]>,
    /// The best node first, and of equals the one with the lowest row.
    pub(super) ranking: Ranking,
}

/// Nodes by their points, each in one word: the order of the words is theirs.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranking(BTreeSet<u64>);

#[derive(Clone, Copy, Debug)]
struct Place {
    group: u32,
    points: i64,
}

impl Ranking {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The points of the best node, and the node.
    pub(super) fn first(&self) -> Option<(i64, NodeId)> {
        self.0.first().map(|word| unpack(*word))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, NodeId)> {
        self.0.iter().map(|word| unpack(*word))
    }

    fn insert(&mut self, points: i64, node: NodeId) {
        self.0.insert(pack(points, node));
    }

    fn remove(&mut self, points: i64, node: NodeId) {
        self.0.remove(&pack(points, node));
    }
}

fn pack(points: i64, node: NodeId) -> u64 {
    u64::from(u32::MAX - points_in_range(points)) << 32 | u64::from(node.0)
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of a word")]
fn unpack(word: u64) -> (i64, NodeId) {
    (i64::from(u32::MAX - (word >> 32) as u32), NodeId(word as u32))
}

fn points_in_range(points: i64) -> u32 {
    u32::try_from(points).expect("there is no board where nodes may get more than POINTS_MAX")
}

impl Groups {
    pub(super) fn new(rows: usize) -> Self {
        Self {
            keys: HashMap::new(),
            opened: Vec::new(),
            free: Vec::new(),
            places: vec![Place { group: NONE, points: 0 }; rows],
            scratch: Vec::new(),
            changes: 0,
        }
    }

    /// All groups, empty ones included, by number.
    pub(super) fn all(&self) -> &[Group] {
        &self.opened
    }

    /// The number of the group that a row is in.
    pub(super) fn of_row(&self, row: usize) -> Option<usize> {
        self.places.get(row).map(|place| place.group).filter(|group| *group != NONE).map(|group| group as usize)
    }

    /// Grows when a group gets its first node or loses its last.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn clear(&mut self) {
        self.changes += 1;
        self.keys.clear();
        self.opened.clear();
        self.free.clear();
        self.places.fill(Place { group: NONE, points: 0 });
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
            ranking.remove(place.points, node);
            ranking.insert(points, node);
            self.places[node.row()].points = points;
            return;
        }
        self.take_out(node);
        let group = match self.keys.get(&*self.scratch) {
            Some(group) => *group,
            None => self.open(),
        };
        self.opened[group as usize].ranking.insert(points, node);
        self.places[node.row()] = Place { group, points };
    }

    /// Takes a node out of its group.
    pub(super) fn take_out(&mut self, node: NodeId) {
        let place = std::mem::replace(&mut self.places[node.row()], Place { group: NONE, points: 0 });
        if place.group == NONE {
            return;
        }
        let group = &mut self.opened[place.group as usize];
        group.ranking.remove(place.points, node);
        if group.ranking.is_empty() {
            self.keys.remove(&group.key);
            self.free.push(place.group);
            self.changes += 1;
        }
    }

    /// Opens a group with the key in the scratch space.
    fn open(&mut self) -> u32 {
        let key: Box<[i64]> = self.scratch.as_slice().into();
        let group = Group { key: key.clone(), ranking: Ranking::default() };
        let id = if let Some(id) = self.free.pop() {
            self.opened[id as usize] = group;
            id
        } else {
            self.opened.push(group);
            u32::try_from(self.opened.len() - 1).expect("there are fewer groups than node rows")
        };
        self.keys.insert(key, id);
        self.changes += 1;
        id
    }
}
