//! Approximate use of every node, in columns that a loop over all nodes goes through quickly.
//!
//! From these follows an upper bound of a node's points for its resources: where the bound is too low, the exact
//! computation in integers is not needed. No decision is made from the approximate values themselves.

/// How much of a resource may seem to be missing where it is not, relative to the whole.
const FULL: f32 = 1.0 + 1e-4;
/// How far below a whole number of points an approximation may lie that is that number exactly.
const SHORT: f32 = 0.001;
/// The largest weight that bounds are whole numbers for.
pub(crate) const WEIGHT_MAX: i64 = 1000;

/// cpu (0) and memory (1) of every node row, relative to what is allocatable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    requested: [Vec<f32>; 2],
    scored: [Vec<f32>; 2],
    inverse: [Vec<f32>; 2],
}

/// What a pod asks of a node, and how its points are weighed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) requested: [i64; 2],
    pub(crate) scored: [i64; 2],
    /// The shares of cpu and memory in the points for room; together 1.
    pub(crate) shares: [f32; 2],
    pub(crate) room_weight: f32,
    pub(crate) balance_weight: f32,
}

impl Bounds {
    pub(crate) fn push(&mut self) {
        for column in self.requested.iter_mut().chain(&mut self.scored).chain(&mut self.inverse) {
            column.push(0.0);
        }
    }

    /// Notes a row; both amounts of what is allocatable are positive, or the row is not looked at.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an approximation")]
    pub(crate) fn set(&mut self, row: usize, requested: [i64; 2], scored: [i64; 2], allocatable: [i64; 2]) {
        for which in 0..2 {
            let inverse = 1.0 / allocatable[which].max(1) as f64;
            self.inverse[which][row] = inverse as f32;
            self.requested[which][row] = (requested[which] as f64 * inverse) as f32;
            self.scored[which][row] = (scored[which] as f64 * inverse) as f32;
        }
    }

    /// Writes a bound for every row: a whole number of points, at least those that it gets exactly, `extra` added; and
    /// minus infinity where the pod surely does not fit.
    #[expect(clippy::cast_precision_loss, reason = "an approximation")]
    pub(crate) fn write(&self, ask: &Ask, extra: &[f32], out: &mut [f32]) {
        let rows = out.len();
        let [cpu_used, memory_used] = self.requested.each_ref().map(|column| &column[..rows]);
        let [cpu_scored, memory_scored] = self.scored.each_ref().map(|column| &column[..rows]);
        let [cpu_inverse, memory_inverse] = self.inverse.each_ref().map(|column| &column[..rows]);
        let extra = &extra[..rows];
        let requested = ask.requested.map(|amount| amount as f32);
        let scored = ask.scored.map(|amount| amount as f32);
        // A node may be over what it has: a pod that asks for nothing of it fits all the same.
        let full = ask.requested.map(|amount| if amount == 0 { f32::INFINITY } else { FULL });
        for row in 0..rows {
            let cpu = cpu_used[row] + requested[0] * cpu_inverse[row];
            let memory = memory_used[row] + requested[1] * memory_inverse[row];
            let cpu_room = at_least_zero(1.0 - (cpu_scored[row] + scored[0] * cpu_inverse[row]));
            let memory_room = at_least_zero(1.0 - (memory_scored[row] + scored[1] * memory_inverse[row]));
            let room = whole(ask.shares[0] * whole(100.0 * cpu_room) + ask.shares[1] * whole(100.0 * memory_room));
            let balance = whole(100.0 - 50.0 * (at_most_one(cpu) - at_most_one(memory)).abs());
            let points = ask.room_weight * room + ask.balance_weight * balance + extra[row];
            let points = if cpu <= full[0] { points } else { f32::NEG_INFINITY };
            out[row] = if memory <= full[1] { points } else { f32::NEG_INFINITY };
        }
    }
}

/// The whole number below, or the one above where that is nearer than [`SHORT`].
///
/// Between 2^23 and 2^24 there are no bits for a fraction: a sum there is rounded to the nearest. Unlike a conversion,
/// this is done for several rows at once.
fn whole(points: f32) -> f32 {
    const NO_FRACTION: f32 = 12_582_912.0;
    ((points - 0.5 + SHORT) + NO_FRACTION) - NO_FRACTION
}

fn at_least_zero(x: f32) -> f32 {
    if x > 0.0 { x } else { 0.0 }
}

fn at_most_one(x: f32) -> f32 {
    if x < 1.0 { x } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_points_are_never_too_few() {
        for hundredths in 0..=10_000_i16 {
            let points = f32::from(hundredths) / 100.0;
            for points in [points, points.next_down().max(0.0), points.next_up()] {
                let whole = whole(points);
                assert!(whole >= points.floor() && whole <= points + 1.0, "{points} {whole}");
                assert!((whole - whole.round()).abs() < f32::EPSILON, "{points} {whole}");
            }
        }
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn a_bound_is_not_below_the_exact_points() {
        let capacity = [3000, 3 << 30];
        let shares = [0.5, 0.5];
        for step in 0..=3000 {
            // cpu from empty to full in steps of a thousandth, memory against it.
            let used = [step, (3000 - step) * (1 << 20)];
            let asked = [3000 - step, step / 2];
            let mut bounds = Bounds::default();
            bounds.push();
            bounds.set(0, used, used, capacity);
            let ask = Ask { requested: asked, scored: asked, shares, room_weight: 1.0, balance_weight: 1.0 };
            let mut out = [0.0];
            bounds.write(&ask, &[0.0], &mut out);
            let sum = [used[0] + asked[0], used[1] + asked[1]];
            let room: i64 = (0..2).map(|which| (capacity[which] - sum[which]) * 100 / capacity[which]).sum();
            let share = |which: usize| sum[which] as f64 / capacity[which] as f64;
            let balance = ((1.0 - ((share(0) - share(1)) / 2.0).abs()) * 100.0).floor();
            let exact = (room / 2) as f64 + balance;
            assert!(f64::from(out[0]) >= exact && f64::from(out[0]) <= exact + 2.0, "{step}: {} {exact}", out[0]);
        }
    }
}
