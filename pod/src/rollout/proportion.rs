//! Scaling in the middle of a rollout: every version grows or shrinks by its share.

use super::bounds::Bounds;
use super::revision::{MAX_REPLICAS, annotated};
use crate::kinds::{Deployment, ReplicaSet};

/// The sizes that the sets with pods should have, by name.
pub(super) fn sizes(deployment: &Deployment, active: &[&ReplicaSet]) -> Vec<(String, i32)> {
    let bounds = Bounds::of(deployment);
    let total: i32 = active.iter().map(|set| size(set)).sum();
    let allowed = if bounds.replicas > 0 { bounds.total() } else { 0 };
    let to_add = allowed - total;
    let mut sets = active.to_vec();
    // The largest first; of equals the newer one grows and the older one shrinks.
    sets.sort_by(|a, b| {
        let age = a.metadata.creation_timestamp.cmp(&b.metadata.creation_timestamp);
        size(b).cmp(&size(a)).then(if to_add > 0 { age.reverse() } else { age })
    });
    let mut added = 0;
    let mut sizes: Vec<(String, i32)> = Vec::new();
    for set in sets {
        let share = share(deployment, bounds, set, to_add, added);
        added += share;
        sizes.push((set.metadata.name.clone().unwrap_or_default(), size(set) + share));
    }
    if let Some((_, first)) = sizes.first_mut() {
        *first = (*first + to_add - added).max(0);
    }
    sizes
}

fn size(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

fn share(deployment: &Deployment, bounds: Bounds, set: &ReplicaSet, to_add: i32, added: i32) -> i32 {
    if size(set) == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let fraction = if bounds.replicas == 0 {
        -size(set)
    } else {
        let had = annotated(set, MAX_REPLICAS).or(deployment.status.replicas).unwrap_or(0).max(1);
        let product = i64::from(size(set)) * i64::from(bounds.total());
        // Half rounds up.
        let wanted = (2 * product + i64::from(had)) / (2 * i64::from(had));
        i32::try_from(wanted).unwrap_or(i32::MAX) - size(set)
    };
    let left = to_add - added;
    if to_add > 0 { fraction.min(left) } else { fraction.max(left) }
}
