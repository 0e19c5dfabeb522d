//! The best node for a class that came for the first time, when its shape is known.
//!
//! The shape is the class without its requests: a board of it has the groups, but not the nodes' points. Those are
//! bounded for all nodes in one pass, and computed exactly where the bound leaves a chance.

use std::cmp::Reverse;

use super::group::Group;
use super::rank::Member;
use super::{Board, Own};
use crate::bounds::{Ask, WEIGHT_MAX};
use crate::cluster::Cluster;
use crate::filter::{ports, resources};
use crate::profile::{FitStrategy, ScorePlugin};
use crate::request::PodClass;
use crate::resources::{CPU, MEMORY};
use crate::score::scoring::Scoring;
use crate::slot::NodeId;

/// Nodes that are passed over together when the best bound among them is too low.
const BLOCK: usize = 64;

/// The best node of each group so far.
struct Leaders<'a> {
    cluster: &'a Cluster,
    class: &'a PodClass,
    own: Own<'a>,
    board: &'a Board,
    /// By group: `None` where the filters that look at other pods keep the class out.
    best: Vec<Option<Leader>>,
}

#[derive(Clone, Copy)]
struct Leader {
    points: i64,
    node: Option<NodeId>,
}

/// What a scan found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scan {
    /// The first of the best nodes, with its total.
    Best(NodeId, i64),
    /// No node fits.
    NothingFits,
    /// The bounds do not describe this profile, or this shape.
    Unbounded,
}

impl Board {
    /// Looks for the best node for a class of this shape.
    pub(crate) fn scan(&self, cluster: &Cluster, scoring: &Scoring, class: &PodClass) -> Scan {
        let Some(ask) = ask(scoring, class).filter(|_| !self.needs_sizes()) else { return Scan::Unbounded };
        let mut bounds = vec![0.0; cluster.nodes.rows()];
        cluster.nodes.bounds().write(&ask, &self.extra, &mut bounds);
        let admitted = |group: &Group| !group.ranking.is_empty() && self.admits(&group.key);
        let start = Leader { points: i64::MIN, node: None };
        let mut leaders = Leaders {
            cluster,
            class,
            own: Own::new(scoring, class),
            board: self,
            best: self.groups.all().iter().map(|group| admitted(group).then_some(start)).collect(),
        };
        let blocks: Vec<f32> = bounds.chunks(BLOCK).map(highest).collect();
        leaders.seed(&bounds, &blocks);
        leaders.sweep(&bounds, &blocks);
        let groups = self.groups.all().iter().zip(&leaders.best);
        let found = groups.filter_map(|(group, leader)| {
            let leader = (*leader)?;
            Some((&*group.key, leader.points, leader.node?))
        });
        let found: Vec<(&[i64], i64, NodeId)> = found.collect();
        let members: Vec<Member<'_>> = found.iter().map(|(key, _, _)| (*key, 0)).collect();
        let common = self.common_points(scoring, &members);
        let totals = found.iter().zip(common).map(|((_, points, node), common)| (points + common, *node));
        match totals.max_by_key(|(total, node)| (*total, Reverse(*node))) {
            Some((total, node)) => Scan::Best(node, total),
            None => Scan::NothingFits,
        }
    }
}

impl Leaders<'_> {
    /// Looks at the node with the highest bound of each group, so that most others need not be looked at.
    fn seed(&mut self, bounds: &[f32], blocks: &[f32]) {
        let mut highest = vec![(f32::NEG_INFINITY, 0); self.best.len()];
        if highest.len() == 1 {
            let blocks = blocks.iter().copied().enumerate();
            let block = blocks.fold((0, f32::NEG_INFINITY), |best, next| if next.1 > best.1 { next } else { best });
            let rows = block.0 * BLOCK..bounds.len().min((block.0 + 1) * BLOCK);
            for row in rows.filter(|row| bounds[*row] >= block.1) {
                self.look(row);
            }
            return;
        }
        for (row, bound) in bounds.iter().enumerate() {
            if let Some(group) = self.board.groups.of_row(row)
                && *bound > highest[group].0
            {
                highest[group] = (*bound, row);
            }
        }
        for (bound, row) in highest {
            if bound > f32::NEG_INFINITY {
                self.look(row);
            }
        }
    }

    /// Looks at every node whose bound leaves it a chance: to be better than the leader, or as good and before it.
    fn sweep(&mut self, bounds: &[f32], blocks: &[f32]) {
        for (index, (block, highest)) in bounds.chunks(BLOCK).zip(blocks).enumerate() {
            let start = index * BLOCK;
            let chance = |leader: &Leader, bound: f32, row: usize| {
                let ahead = leader.node.is_some_and(|node| node.row() <= row);
                reaches(bound, leader.points.saturating_add(i64::from(ahead)))
            };
            if !self.best.iter().flatten().any(|leader| chance(leader, *highest, start)) {
                continue;
            }
            for (offset, bound) in block.iter().enumerate() {
                let row = start + offset;
                let leader = self.board.groups.of_row(row).and_then(|group| self.best[group]);
                if leader.is_some_and(|leader| chance(&leader, *bound, row)) {
                    self.look(row);
                }
            }
        }
    }

    /// Computes a node exactly, and lets it lead its group when it is better, or as good and before the leader.
    fn look(&mut self, row: usize) {
        let Some(group) = self.board.groups.of_row(row) else { return };
        let Some(leader) = self.best[group] else { return };
        let node = NodeId::at(row);
        let usage = self.cluster.nodes.actual(node);
        let fits = ports::check(self.class, &usage).is_none()
            && resources::check(self.cluster, self.class, node, &usage).is_none();
        if !fits {
            return;
        }
        let points = self.own.points(self.cluster, node) + self.board.fixed[row].image_points;
        let before = leader.node.is_none_or(|leading| node < leading);
        if points > leader.points || (points == leader.points && before) {
            self.best[group] = Some(Leader { points, node: Some(node) });
        }
    }
}

/// The highest of the bounds, in as many lanes as a processor takes at once.
fn highest(bounds: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = bounds.chunks_exact(LANES);
    let rest = chunks.remainder().iter().copied();
    for chunk in chunks {
        for (lane, bound) in lanes.iter_mut().zip(chunk) {
            *lane = if *bound > *lane { *bound } else { *lane };
        }
    }
    lanes.into_iter().chain(rest).fold(f32::NEG_INFINITY, f32::max)
}

/// Whether points up to a bound can be so many.
#[expect(clippy::cast_precision_loss, reason = "points are small, and the lowest stands for none")]
fn reaches(bound: f32, points: i64) -> bool {
    bound >= points as f32 && bound > f32::NEG_INFINITY
}

/// The question for the bounds; `None` for settings that they do not describe.
#[expect(clippy::cast_precision_loss, reason = "weights, which the bounds take approximately")]
fn ask(scoring: &Scoring, class: &PodClass) -> Option<Ask> {
    let weight_of = |wanted| {
        let mut weights = scoring.fit_resources.iter().filter(|(resource, _)| *resource == wanted);
        weights.next().filter(|_| weights.next().is_none()).map_or(0, |(_, weight)| *weight)
    };
    let weights = [weight_of(CPU), weight_of(MEMORY)];
    let both = scoring.fit_resources.len() == 2 && weights.iter().all(|weight| *weight > 0);
    let balanced = scoring.balanced == [CPU, MEMORY];
    if !both || !balanced || scoring.fit != FitStrategy::LeastAllocated {
        return None;
    }
    let requested = [class.requests.base[0], class.requests.base[1]];
    let balances = requested.iter().any(|amount| *amount != 0);
    let balance = if balances { scoring.weight(ScorePlugin::NodeResourcesBalancedAllocation) } else { 0 };
    let room = scoring.weight(ScorePlugin::NodeResourcesFit);
    if room.max(balance) > WEIGHT_MAX || weights.into_iter().any(|weight| weight > WEIGHT_MAX) {
        return None;
    }
    let sum = (weights[0] + weights[1]) as f32;
    Some(Ask {
        requested,
        scored: class.requests.scored,
        shares: weights.map(|weight| weight as f32 / sum),
        room_weight: room as f32,
        balance_weight: balance as f32,
    })
}
