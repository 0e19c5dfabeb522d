//! The best node for a class that came for the first time, when its shape is known.
//!
//! The shape is the class without its requests: a board of it has the groups, but not the nodes' points. Those are
//! bounded for all nodes in one pass, and computed exactly where the bound leaves a chance.

use std::cmp::Reverse;

use super::group::Group;
use super::rank::Member;
use super::{Board, Ground, Own};
use crate::bounds::{Ask, BLOCK, POINTS_MAX, Scaled};
use crate::filter::{ports, resources};
use crate::plugin::Plugins;
use crate::profile::{FitStrategy, ScorePlugin};
use crate::request::PodClass;
use crate::resources::{CPU, MEMORY};
use crate::score::scoring::Scoring;
use crate::slot::NodeId;

/// The best node of each group so far.
struct Leaders<'a, P> {
    ground: &'a Ground<'a, P>,
    class: &'a PodClass,
    own: Own,
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
    pub(crate) fn scan<P: Plugins>(&self, ground: &Ground<'_, P>, class: &PodClass) -> Scan {
        let Ground { cluster, scoring, .. } = *ground;
        let Some(ask) = ask(scoring, class).filter(|_| !self.needs_sizes()) else { return Scan::Unbounded };
        let ask = cluster.nodes.bounds().scale(&ask);
        let of = |(block, extra)| cluster.nodes.bounds().of(&ask, block, extra).into_iter().fold(i16::MIN, i16::max);
        let bounds: Vec<i16> = self.extra.iter().enumerate().map(of).collect();
        let admitted = |group: &Group| !group.ranking.is_empty() && self.admits(&group.key);
        let start = Leader { points: i64::MIN, node: None };
        let mut leaders = Leaders {
            ground,
            class,
            own: Own::new(scoring, class),
            board: self,
            best: self.groups.all().iter().map(|group| admitted(group).then_some(start)).collect(),
        };
        // The block with the highest bound first: what it has leads, and most others need not be opened.
        let start = (1..bounds.len()).fold(0, |best, next| if bounds[next] > bounds[best] { next } else { best });
        leaders.open(&ask, start);
        for (block, bound) in bounds.iter().enumerate() {
            if leaders.best.iter().flatten().any(|leader| leader.yields(*bound, block * BLOCK)) {
                leaders.open(&ask, block);
            }
        }
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

impl<P: Plugins> Leaders<'_, P> {
    /// Looks at every node of a block whose bound leaves it a chance.
    fn open(&mut self, ask: &Scaled, block: usize) {
        let Some(extra) = self.board.extra.get(block) else { return };
        let bounds = self.ground.cluster.nodes.bounds().of(ask, block, extra);
        let least = self.best.iter().flatten().map(|leader| leader.points).min().unwrap_or(i64::MAX);
        let least = i16::try_from(least.max(0)).unwrap_or(i16::MAX);
        for (row, bound) in (block * BLOCK..).zip(bounds).filter(|(_, bound)| *bound >= least) {
            let leader = self.board.groups.of_row(row).and_then(|group| self.best[group]);
            if leader.is_some_and(|leader| leader.yields(bound, row)) {
                self.look(row);
            }
        }
    }

    /// Computes a node exactly, and lets it lead its group when it is better, or as good and before the leader.
    fn look(&mut self, row: usize) {
        let Some(group) = self.board.groups.of_row(row) else { return };
        let Some(leader) = self.best[group] else { return };
        let node = NodeId::at(row);
        let cluster = self.ground.cluster;
        let usage = cluster.nodes.actual(node);
        let fits = ports::check(self.class, &usage).is_none()
            && resources::check(cluster, self.class, node, &usage).is_none()
            && self.ground.lets(self.class, node);
        if !fits {
            return;
        }
        let points = self.own.points(cluster, self.class, node)
            + self.board.fixed[row].image_points
            + self.ground.points(self.class, node);
        let before = leader.node.is_none_or(|leading| node < leading);
        if points > leader.points || (points == leader.points && before) {
            self.best[group] = Some(Leader { points, node: Some(node) });
        }
    }
}

impl Leader {
    /// Whether a node from a row on may take the lead with points up to a bound: with more, or with as many before it.
    fn yields(&self, bound: i16, row: usize) -> bool {
        let ahead = self.node.is_some_and(|node| node.row() <= row);
        bound >= 0 && i64::from(bound) >= self.points.saturating_add(i64::from(ahead))
    }
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
    if scoring.weight(ScorePlugin::GpuShare) != 0 {
        return None;
    }
    let most = [room, balance, scoring.weight(ScorePlugin::ImageLocality)].into_iter().try_fold(0, i64::checked_add)?;
    if most > POINTS_MAX / 100 {
        return None;
    }
    let sum = weights[0].checked_add(weights[1])? as f64;
    Some(Ask {
        requested,
        scored: class.requests.scored,
        shares: weights.map(|weight| weight as f64 / sum),
        room_weight: u16::try_from(room).ok()?,
        balance_weight: u16::try_from(balance).ok()?,
    })
}
