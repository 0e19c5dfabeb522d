//! Scores from resources: the room that is left, and how evenly resources are used.

use crate::cluster::Cluster;
use crate::profile::FitStrategy;
use crate::request::PodClass;
use crate::resources::{CPU, MEMORY, ResourceId};
use crate::scale::POINTS_MAX;
use crate::score::scoring::Scoring;
use crate::slot::NodeId;

/// The points for the room that is left, for one pod.
#[derive(Clone, Debug)]
pub(crate) struct Fit {
    strategy: FitStrategy,
    /// Resource, weight and amount.
    wanted: Vec<(ResourceId, i64, i64)>,
}

impl Fit {
    pub(crate) fn new(scoring: &Scoring, class: &PodClass) -> Self {
        let resources = scoring.fit_resources.iter();
        let wanted = resources.map(|(resource, weight)| (*resource, *weight, scored_request(class, *resource)));
        let wanted = wanted.filter(|(resource, _, amount)| !resource.is_scalar() || *amount != 0);
        Self { strategy: scoring.fit.clone(), wanted: wanted.collect() }
    }

    pub(crate) fn points(&self, cluster: &Cluster, node: NodeId) -> i64 {
        let (mut sum, mut weights) = (0, 0);
        for (resource, weight, amount) in &self.wanted {
            let capacity = cluster.nodes.allocatable(node, *resource);
            if capacity == 0 {
                continue;
            }
            let used = match *resource {
                CPU => cluster.nodes.scored(node, 0),
                MEMORY => cluster.nodes.scored(node, 1),
                other => cluster.nodes.requested(node, other),
            };
            let points = points(&self.strategy, used + amount, capacity);
            if points > 0 || !matches!(self.strategy, FitStrategy::RequestedToCapacityRatio(_)) {
                sum += points * weight;
                weights += weight;
            }
        }
        match (weights, &self.strategy) {
            (0, _) => 0,
            // A rounded quotient; the others are cut off. Both operands are small and not negative.
            (weights, FitStrategy::RequestedToCapacityRatio(_)) => (2 * sum + weights) / (2 * weights),
            (weights, _) => sum / weights,
        }
    }
}

pub(crate) fn fit(cluster: &Cluster, scoring: &Scoring, class: &PodClass, nodes: &[NodeId]) -> Vec<i64> {
    let fit = Fit::new(scoring, class);
    nodes.iter().map(|node| fit.points(cluster, *node)).collect()
}

/// The amount of cpu or memory that the scores count for a pod, or the plain request of anything else.
fn scored_request(class: &PodClass, resource: ResourceId) -> i64 {
    match resource {
        CPU => class.requests.scored[0],
        MEMORY => class.requests.scored[1],
        other => class.requests.amount(other),
    }
}

fn points(strategy: &FitStrategy, requested: i64, capacity: i64) -> i64 {
    match strategy {
        FitStrategy::LeastAllocated if requested > capacity => 0,
        FitStrategy::LeastAllocated => (capacity - requested) * POINTS_MAX / capacity,
        FitStrategy::MostAllocated => requested.min(capacity) * POINTS_MAX / capacity,
        FitStrategy::RequestedToCapacityRatio(shape) if requested > capacity => shape.at(100),
        FitStrategy::RequestedToCapacityRatio(shape) => shape.at(requested * 100 / capacity),
    }
}

/// The points for equal shares, for one pod.
#[derive(Clone, Debug)]
pub(crate) struct Balance {
    wanted: Vec<(ResourceId, i64)>,
}

impl Balance {
    /// `None` for a pod that requests none of the resources: it has no opinion.
    pub(crate) fn new(scoring: &Scoring, class: &PodClass) -> Option<Self> {
        let wanted = scoring.balanced.iter().map(|resource| (*resource, class.requests.amount(*resource)));
        let mut wanted: Vec<(ResourceId, i64)> = wanted.collect();
        let any = wanted.iter().any(|(_, amount)| *amount != 0);
        wanted.retain(|(resource, amount)| !resource.is_scalar() || *amount != 0);
        any.then_some(Self { wanted })
    }

    pub(crate) fn points(&self, cluster: &Cluster, node: NodeId) -> i64 {
        let share = |(resource, amount): &(ResourceId, i64)| {
            let capacity = cluster.nodes.allocatable(node, *resource);
            (capacity != 0).then(|| share(cluster.nodes.requested(node, *resource) + amount, capacity))
        };
        if let [one, two] = &self.wanted[..]
            && let (Some(one), Some(two)) = (share(one), share(two))
        {
            return evenness(&[one, two]);
        }
        evenness(&self.wanted.iter().filter_map(share).collect::<Vec<_>>())
    }
}

pub(crate) fn balanced(cluster: &Cluster, scoring: &Scoring, class: &PodClass, nodes: &[NodeId]) -> Option<Vec<i64>> {
    let balance = Balance::new(scoring, class)?;
    Some(nodes.iter().map(|node| balance.points(cluster, *node)).collect())
}

#[expect(clippy::cast_precision_loss, reason = "kube-scheduler divides the same integers as 64-bit floats")]
fn share(requested: i64, capacity: i64) -> f64 {
    (requested as f64 / capacity as f64).min(1.0)
}

#[expect(clippy::cast_precision_loss, reason = "a handful of resources")]
#[expect(clippy::cast_possible_truncation, reason = "the value lies between 0 and 100, and its fraction is cut off")]
fn evenness(shares: &[f64]) -> i64 {
    let deviation = match shares {
        [] | [_] => 0.0,
        [a, b] => ((a - b) / 2.0).abs(),
        more => {
            let mean = more.iter().sum::<f64>() / more.len() as f64;
            let squares = more.iter().map(|share| (share - mean) * (share - mean));
            (squares.sum::<f64>() / more.len() as f64).sqrt()
        }
    };
    ((1.0 - deviation) * POINTS_MAX as f64) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Shape;

    #[test]
    fn strategies_follow_the_table() {
        let ratio = FitStrategy::RequestedToCapacityRatio(Shape::new(&[(0, 0), (100, 10)]).unwrap());
        for (strategy, requested, capacity, expected) in [
            (&FitStrategy::LeastAllocated, 250, 1000, 75),
            (&FitStrategy::LeastAllocated, 1001, 1000, 0),
            (&FitStrategy::LeastAllocated, 333, 1000, 66),
            (&FitStrategy::MostAllocated, 333, 1000, 33),
            (&FitStrategy::MostAllocated, 2000, 1000, 100),
            (&ratio, 339, 1000, 33),
            (&ratio, 2000, 1000, 100),
        ] {
            assert_eq!(points(strategy, requested, capacity), expected, "{strategy:?} {requested}");
        }
    }

    #[test]
    fn evenness_is_one_less_the_deviation() {
        assert_eq!(evenness(&[]), 100);
        assert_eq!(evenness(&[0.3]), 100);
        assert_eq!(evenness(&[0.5, 0.25]), 87);
        assert_eq!(evenness(&[0.0, 0.0, 0.3]), 85);
    }
}
