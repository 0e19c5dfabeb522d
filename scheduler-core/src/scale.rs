//! From what a score counts to points.

/// The best that one plugin gives a node, before its weight.
pub(crate) const POINTS_MAX: i64 = 100;

pub(crate) fn fewer_is_better(mut counts: Vec<i64>) -> Vec<i64> {
    let most = counts.iter().copied().max().unwrap_or(0);
    for count in &mut counts {
        *count = if most == 0 { POINTS_MAX } else { POINTS_MAX - POINTS_MAX * *count / most };
    }
    counts
}

pub(crate) fn more_is_better(mut weights: Vec<i64>) -> Vec<i64> {
    let most = weights.iter().copied().max().unwrap_or(0);
    if most > 0 {
        for weight in &mut weights {
            *weight = POINTS_MAX * *weight / most;
        }
    }
    weights
}
