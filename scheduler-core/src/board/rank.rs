//! The best node of a board.

use super::Board;
use super::counter::{Counter, Role};
use super::group::Group;
use crate::profile::ScorePlugin;
use crate::scale::{fewer_is_better, more_is_better};
use crate::score::scoring::Scoring;
use crate::score::{interpod, spread};
use crate::slot::NodeId;

/// The key of a group, and how many nodes fit there.
pub(super) type Member<'a> = (&'a [i64], usize);

/// The groups that other pods let the class into, and what their nodes have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Admitted {
    /// Which changes of the groups and of the counters are in it; `None` before the first.
    seen: Option<(u64, u64)>,
    /// The number of a group, and its common points.
    groups: Vec<(usize, i64)>,
}

/// The best nodes: groups with the points that make a node of them one of the best.
#[derive(Debug)]
pub(crate) struct Best<'a> {
    pub(crate) total: i64,
    groups: Vec<(&'a Group, i64)>,
}

impl Best<'_> {
    /// The best node with the lowest row.
    pub(crate) fn first(&self) -> Option<NodeId> {
        self.groups.iter().filter_map(|(group, _)| group.ranking.first()).map(|(_, node)| node).min()
    }

    /// All of the best nodes, group by group.
    pub(crate) fn all(&self) -> impl Iterator<Item = NodeId> {
        self.groups.iter().flat_map(|(group, points)| {
            group.ranking.iter().take_while(move |(of, _)| of == points).map(|(_, node)| node)
        })
    }
}

impl Board {
    /// What there is to know of the groups and the counters.
    fn seen(&self) -> (u64, u64) {
        (self.groups.changes(), self.counters.changes())
    }

    /// Whether what the groups have in common is worked out already.
    pub(super) fn is_admitted(&self) -> bool {
        self.admitted.seen == Some(self.seen()) && !self.needs_sizes()
    }

    /// Works out again what the groups have in common.
    pub(super) fn admit(&mut self, scoring: &Scoring) {
        let seen = Some(self.seen());
        let opened = self.groups.all().iter().enumerate();
        let opened: Vec<(usize, &Group)> =
            opened.filter(|(_, group)| !group.ranking.is_empty() && self.admits(&group.key)).collect();
        let members: Vec<Member<'_>> = opened.iter().map(|(_, group)| (&*group.key, group.ranking.len())).collect();
        let common = self.common_points(scoring, &members);
        let groups = opened.iter().zip(common).map(|((number, _), common)| (*number, common)).collect();
        self.admitted = Admitted { seen, groups };
    }

    /// The best nodes; `None` when no node fits.
    pub(crate) fn best(&self) -> Option<Best<'_>> {
        let groups = self.admitted.groups.iter().map(|(number, common)| (&self.groups.all()[*number], *common));
        let totals = groups.filter_map(|(group, common)| Some((group, group.ranking.first()?.0, common)));
        let total = totals.clone().map(|(_, top, common)| top + common).max()?;
        let best = totals.filter(|(_, top, common)| top + common == total);
        Some(Best { total, groups: best.map(|(group, top, _)| (group, top)).collect() })
    }

    fn of_role(&self, role: fn(Role) -> bool) -> impl Iterator<Item = &Counter> {
        self.counters.list.iter().filter(move |counter| role(counter.role))
    }

    /// Whether the filters that look at other pods let the nodes with a key through.
    pub(super) fn admits(&self, key: &[i64]) -> bool {
        let class = &self.counters.class;
        for counter in &self.counters.list {
            let value = counter.value(key);
            let admitted = match counter.role {
                Role::Hard(position) => value.is_some_and(|value| {
                    let constraint = &class.spread[position];
                    let own = i64::from(constraint.selector.matches(&class.labels));
                    value + own - counter.least(constraint.min_domains) <= constraint.max_skew
                }),
                Role::Together => value.is_some(),
                Role::Apart | Role::Refusing => value.is_none_or(|value| value <= 0),
                Role::Soft(_) | Role::Weight => true,
            };
            if !admitted {
                return false;
            }
        }
        let together = || self.of_role(|role| role == Role::Together);
        let joined = together().all(|counter| counter.value(key).is_some_and(|value| value > 0));
        joined || (self.counters.terms().selects_itself && together().all(|counter| counter.occupied == 0))
    }

    /// The weighted points that all nodes of a group share.
    pub(super) fn common_points(&self, scoring: &Scoring, groups: &[Member<'_>]) -> Vec<i64> {
        let class = &self.counters.class;
        let mut common = vec![0; groups.len()];
        for (plugin, weight) in &scoring.plugins {
            let column = |index: usize| groups.iter().map(|(key, _)| key[index]).collect();
            let points = match plugin {
                ScorePlugin::TaintToleration => fewer_is_better(column(0)),
                ScorePlugin::NodeAffinity if !class.node_preferred.is_empty() => more_is_better(column(1)),
                ScorePlugin::PodTopologySpread if self.of_role(is_soft).next().is_some() => self.spread(groups),
                ScorePlugin::InterPodAffinity => {
                    let sum = |(key, _): &Member<'_>| -> i64 {
                        let weights = self.of_role(|role| role == Role::Weight);
                        weights.filter_map(|counter| counter.value(key)).sum()
                    };
                    interpod::normalize(groups.iter().map(sum).collect())
                }
                // The others are points that each node has on its own, or no opinion.
                _ => continue,
            };
            for (common, points) in common.iter_mut().zip(points) {
                *common += weight * points;
            }
        }
        common
    }

    /// Whether the points of a group depend on how many nodes others have.
    pub(super) fn needs_sizes(&self) -> bool {
        self.of_role(is_soft).any(Counter::is_single)
    }

    fn spread(&self, groups: &[Member<'_>]) -> Vec<i64> {
        let class = &self.counters.class;
        let softs: Vec<&Counter> = self.of_role(is_soft).collect();
        let scored = |key: &[i64]| softs.iter().all(|counter| counter.value(key).is_some());
        let weigh = |counter: &&Counter| {
            let groups = groups.iter().filter(|(key, _)| scored(key));
            if counter.is_single() {
                return spread::weight_of(groups.map(|(_, size)| *size).sum());
            }
            let mut domains: Vec<usize> = groups.filter_map(|(key, _)| counter.domain(key)).collect();
            domains.sort_unstable();
            domains.dedup();
            spread::weight_of(domains.len())
        };
        let weights: Vec<f64> = softs.iter().map(weigh).collect();
        let raw = |(key, _): &Member<'_>| {
            scored(key).then(|| {
                let parts = softs.iter().zip(&weights).filter_map(|(counter, weight)| {
                    let Role::Soft(position) = counter.role else { return None };
                    Some((counter.value(key)?, *weight, class.spread[position].max_skew))
                });
                spread::weighted_sum(parts)
            })
        };
        spread::normalize(&groups.iter().map(raw).collect::<Vec<_>>())
    }
}

fn is_soft(role: Role) -> bool {
    matches!(role, Role::Soft(_))
}
