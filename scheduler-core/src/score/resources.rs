//! Scores from resources: the room that is left, and how evenly resources are used.

use crate::cluster::Cluster;
use crate::profile::FitStrategy;
use crate::request::PodClass;
use crate::resources::{CPU, MEMORY, ResourceId};
use crate::score::scoring::{POINTS_MAX, Scoring};
use crate::slot::NodeId;

pub(crate) fn fit(cluster: &Cluster, scoring: &Scoring, class: &PodClass, nodes: &[NodeId]) -> Vec<i64> {
    let wanted: Vec<(ResourceId, i64, i64)> = scoring
        .fit_resources
        .iter()
        .map(|(resource, weight)| (*resource, *weight, scored_request(class, *resource)))
        .filter(|(resource, _, amount)| !resource.is_scalar() || *amount != 0)
        .collect();
    let one = |node: &NodeId| {
        let (mut sum, mut weights) = (0, 0);
        for (resource, weight, amount) in &wanted {
            let capacity = cluster.nodes.allocatable(*node, *resource);
            if capacity == 0 {
                continue;
            }
            let used = match *resource {
                CPU => cluster.nodes.scored(*node, 0),
                MEMORY => cluster.nodes.scored(*node, 1),
                other => cluster.nodes.requested(*node, other),
            };
            let points = points(&scoring.fit, used + amount, capacity);
            if points > 0 || !matches!(scoring.fit, FitStrategy::RequestedToCapacityRatio(_)) {
                sum += points * weight;
                weights += weight;
            }
        }
        match (weights, &scoring.fit) {
            (0, _) => 0,
            // A rounded quotient; the others are cut off. Both operands are small and not negative.
            (weights, FitStrategy::RequestedToCapacityRatio(_)) => (2 * sum + weights) / (2 * weights),
            (weights, _) => sum / weights,
        }
    };
    nodes.iter().map(one).collect()
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

/// Points for equal shares; pods that request none of the resources have no opinion.
pub(crate) fn balanced(cluster: &Cluster, scoring: &Scoring, class: &PodClass, nodes: &[NodeId]) -> Option<Vec<i64>> {
    let wanted = scoring.balanced.iter().map(|resource| (*resource, class.requests.amount(*resource)));
    let wanted: Vec<(ResourceId, i64)> = wanted.collect();
    if wanted.iter().all(|(_, amount)| *amount == 0) {
        return None;
    }
    let mut shares = Vec::with_capacity(wanted.len());
    let one = |node: &NodeId| {
        shares.clear();
        for (resource, amount) in wanted.iter().filter(|(resource, amount)| !resource.is_scalar() || *amount != 0) {
            let capacity = cluster.nodes.allocatable(*node, *resource);
            if capacity != 0 {
                shares.push(share(cluster.nodes.requested(*node, *resource) + amount, capacity));
            }
        }
        evenness(&shares)
    };
    Some(nodes.iter().map(one).collect())
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
