//! Approximate use of every node, in columns that a loop over all nodes goes through quickly.
//!
//! From these follows an upper bound of a node's points for its resources: where the bound is too low, the exact
//! computation in integers is not needed. No decision is made from the approximate values themselves.
//!
//! Amounts are 256ths of a hundredth of what is allocatable, in 16 bits: eight rows fit into the registers that every
//! processor has, and a point is what a shift leaves. Every amount is rounded down, so that no bound is too low.

use crate::shared::Pages;

/// Rows of a block, which are computed together.
pub(crate) const BLOCK: usize = 64;
/// The bound of a row on which the pod surely does not fit; that of any other is not negative.
pub(crate) const NOWHERE: i16 = i16::MIN;
/// Added to a row's points where bounds do not describe it: more than any other bound.
pub(crate) const ANYTHING: i16 = i16::MAX;
/// What the weights and the extra points may come to.
pub(crate) const POINTS_MAX: i64 = 30_000;

/// All that is allocatable.
const WHOLE: u16 = 100 << 8;
/// A row that is not there, or is full several times over.
const FULL: u16 = 2 * WHOLE;
/// What rounding may take from a difference of two shares.
const ROUNDING: u16 = 4;

/// The rows of a block; one that was never noted is full.
#[derive(Clone, Debug)]
struct Block([u16; BLOCK]);

impl Default for Block {
    fn default() -> Self {
        Self([FULL; BLOCK])
    }
}

/// cpu (0) and memory (1) of every node row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    rows: usize,
    /// Shares of what is allocatable.
    requested: [Pages<Block>; 2],
    scored: [Pages<Block>; 2],
    /// The unit divided by what is allocatable.
    inverse: [Pages<Block>; 2],
    /// No more than the least that a row has of a resource; 0 before the first row.
    units: [i64; 2],
    /// Shares that the scores count as more than what is requested.
    differing: usize,
}

/// What a pod asks of a node, and how its points are weighed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) requested: [i64; 2],
    pub(crate) scored: [i64; 2],
    /// The shares of cpu and memory in the points for room; together 1.
    pub(crate) shares: [f64; 2],
    pub(crate) room_weight: u16,
    pub(crate) balance_weight: u16,
}

/// An ask in the terms of the columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scaled {
    requested: [Amount; 2],
    scored: [Amount; 2],
    /// How much of a resource may be used with the pod.
    full: [u16; 2],
    shares: [u16; 2],
    room_weight: u16,
    balance_weight: u16,
}

/// A multiple of a row's inverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Amount {
    factor: u16,
    shift: u32,
}

impl Bounds {
    pub(crate) fn push(&mut self) {
        if self.rows.is_multiple_of(BLOCK) {
            for column in self.requested.iter_mut().chain(&mut self.scored).chain(&mut self.inverse) {
                column.push(Block::default());
            }
        }
        self.rows += 1;
    }

    /// Takes note of what a row has. `false` when the other rows are to be noted again, since their unit became
    /// smaller: seldom, for it is a power of two.
    #[must_use]
    pub(crate) fn allocate(&mut self, row: usize, allocatable: [i64; 2]) -> bool {
        let mut kept = true;
        for ((unit, column), amount) in self.units.iter_mut().zip(&mut self.inverse).zip(allocatable) {
            let amount = amount.max(1);
            if *unit == 0 || amount < *unit {
                *unit = 1 << amount.ilog2();
                kept = false;
            }
            column[row / BLOCK].0[row % BLOCK] = below(float(*unit) / float(amount) * f64::from(u16::MAX));
        }
        kept
    }

    /// Takes note of what is used of a row.
    pub(crate) fn set(&mut self, row: usize, requested: [i64; 2], scored: [i64; 2], allocatable: [i64; 2]) {
        let cell = (row / BLOCK, row % BLOCK);
        for which in 0..2 {
            let whole = f64::from(WHOLE) / float(allocatable[which].max(1));
            let share = |amount: i64| below(float(amount) * whole).min(FULL);
            let (one, two) = (&mut self.requested[which][cell.0].0[cell.1], &mut self.scored[which][cell.0].0[cell.1]);
            self.differing -= usize::from(one != two);
            (*one, *two) = (share(requested[which]), share(scored[which]));
            self.differing += usize::from(one != two);
        }
    }

    pub(crate) fn scale(&self, ask: &Ask) -> Scaled {
        let amount = |which: usize, amount: i64| {
            let factor = float(amount) * f64::from(WHOLE) / float(self.units[which].max(1));
            let width = f64::from(u16::MAX);
            let shift = (0..u16::BITS).find(|shift| factor < width * power(*shift)).unwrap_or(u16::BITS - 1);
            Amount { factor: below(factor / power(shift)), shift }
        };
        Scaled {
            requested: [0, 1].map(|which| amount(which, ask.requested[which])),
            scored: [0, 1].map(|which| amount(which, ask.scored[which])),
            // A node may be over what it has: a pod that asks for nothing of it fits all the same.
            full: ask.requested.map(|amount| if amount == 0 { u16::MAX } else { WHOLE }),
            shares: ask.shares.map(|share| above(share * 65_536.0)),
            room_weight: ask.room_weight,
            balance_weight: ask.balance_weight,
        }
    }

    /// A bound for every row of a block: at least the points that it gets exactly, `extra` added; [`NOWHERE`] where the
    /// pod surely does not fit.
    pub(crate) fn of(&self, ask: &Scaled, block: usize, extra: &[i16; BLOCK]) -> [i16; BLOCK] {
        if self.differing == 0 && ask.is_scored_as_requested() {
            self.compute::<true>(ask, block, extra)
        } else {
            self.compute::<false>(ask, block, extra)
        }
    }

    /// `SAME` where the scores count what is requested, and nothing more.
    fn compute<const SAME: bool>(&self, ask: &Scaled, block: usize, extra: &[i16; BLOCK]) -> [i16; BLOCK] {
        let [cpu_used, memory_used] = self.requested.each_ref().map(|column| &column[block].0);
        let [cpu_scored, memory_scored] = self.scored.each_ref().map(|column| &column[block].0);
        let [cpu_inverse, memory_inverse] = self.inverse.each_ref().map(|column| &column[block].0);
        let mut out = [0; BLOCK];
        for row in 0..BLOCK {
            let cpu = cpu_used[row].saturating_add(ask.requested[0].of(cpu_inverse[row]));
            let memory = memory_used[row].saturating_add(ask.requested[1].of(memory_inverse[row]));
            let (cpu_score, memory_score) = if SAME {
                (cpu, memory)
            } else {
                let cpu = cpu_scored[row].saturating_add(ask.scored[0].of(cpu_inverse[row]));
                (cpu, memory_scored[row].saturating_add(ask.scored[1].of(memory_inverse[row])))
            };
            let cpu_room = high(WHOLE.saturating_sub(cpu_score) & 0xff00, ask.shares[0]);
            let memory_room = high(WHOLE.saturating_sub(memory_score) & 0xff00, ask.shares[1]);
            let room = (cpu_room + memory_room + 2) >> 8;
            let balance = (WHOLE + ROUNDING - difference(at_most_whole(cpu), at_most_whole(memory)) / 2) >> 8;
            let points = room.wrapping_mul(ask.room_weight).wrapping_add(balance.wrapping_mul(ask.balance_weight));
            let points = points.cast_signed().saturating_add(extra[row]);
            let fits = cpu.saturating_sub(ask.full[0]) | memory.saturating_sub(ask.full[1]) == 0;
            out[row] = if fits { points } else { NOWHERE };
        }
        out
    }
}

impl Scaled {
    fn is_scored_as_requested(&self) -> bool {
        self.requested == self.scored
    }
}

impl Amount {
    /// The share that the amount is of a row. One that is too large for the row may come out as less.
    fn of(self, inverse: u16) -> u16 {
        high(inverse, self.factor) << self.shift
    }
}

/// The upper half of a product.
fn high(a: u16, b: u16) -> u16 {
    ((u32::from(a) * u32::from(b)) >> 16) as u16
}

fn difference(a: u16, b: u16) -> u16 {
    a.saturating_sub(b) | b.saturating_sub(a)
}

fn at_most_whole(share: u16) -> u16 {
    share - share.saturating_sub(WHOLE)
}

#[expect(clippy::cast_precision_loss, reason = "an approximation; what rounds down makes up for it")]
fn float(amount: i64) -> f64 {
    amount as f64
}

fn power(exponent: u32) -> f64 {
    f64::from(1_u32 << exponent)
}

/// The whole number below, one less where the approximation could be that number by mistake.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what does not fit becomes the nearest")]
fn below(value: f64) -> u16 {
    (value * (1.0 - 1e-9)) as u16
}

/// The whole number above.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what does not fit becomes the nearest")]
fn above(value: f64) -> u16 {
    value.ceil() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(used: [i64; 2], asked: [i64; 2], capacity: [i64; 2], others: &[[i64; 2]]) -> i16 {
        let mut bounds = Bounds::default();
        for (row, allocatable) in others.iter().chain([&capacity]).enumerate() {
            bounds.push();
            while !bounds.allocate(row, *allocatable) {}
        }
        for (row, allocatable) in others.iter().enumerate() {
            assert!(bounds.allocate(row, *allocatable));
        }
        bounds.set(others.len(), used, used, capacity);
        let ask = Ask { requested: asked, scored: asked, shares: [0.5; 2], room_weight: 1, balance_weight: 1 };
        bounds.of(&bounds.scale(&ask), 0, &[0; BLOCK])[others.len()]
    }

    /// The points as the scores compute them.
    fn exact(used: [i64; 2], asked: [i64; 2], capacity: [i64; 2]) -> f64 {
        let sum = [used[0] + asked[0], used[1] + asked[1]];
        let room: i64 = (0..2).map(|which| (capacity[which] - sum[which]) * 100 / capacity[which]).sum();
        let share = |which: usize| float(sum[which]) / float(capacity[which]);
        float(room / 2) + ((1.0 - ((share(0) - share(1)) / 2.0).abs()) * 100.0).floor()
    }

    #[test]
    fn a_bound_is_not_below_the_exact_points_nor_far_above() {
        let capacity = [3000, 3 << 30];
        // The unit follows the smallest node.
        for others in [&[][..], &[[1000, 1 << 30]], &[[100, 1 << 20], [64_000, 1 << 39]]] {
            let mut loose = 0;
            for step in 0..=3000 {
                // cpu from empty to full in steps of a thousandth, memory against it.
                let used = [step, (3000 - step) * (1 << 20)];
                let asked = [3000 - step, step / 2];
                let (bound, exact) = (f64::from(bound(used, asked, capacity, others)), exact(used, asked, capacity));
                assert!(bound >= exact && bound <= exact + 2.0, "{others:?} {step}: {bound} {exact}");
                loose += usize::from(bound > exact);
            }
            assert!(loose < 300, "{others:?}: {loose} of 3000 bounds are too high");
        }
    }

    #[test]
    fn what_does_not_fit_is_nowhere_unless_nothing_is_asked() {
        let capacity = [1000, 1 << 30];
        assert_eq!(bound([900, 0], [110, 1], capacity, &[]), NOWHERE);
        assert_eq!(bound([0, 1 << 30], [110, 1 << 22], capacity, &[]), NOWHERE);
        assert!(bound([900, 0], [100, 1], capacity, &[]) >= 0);
        assert!(bound([5000, 0], [0, 1], capacity, &[]) >= 0);
    }
}
