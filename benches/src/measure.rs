//! Interleaved measurement: the subject and its baseline take turns, so that noise hits both.

use std::time::{Duration, Instant};

/// What one line of the table measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The subject's value, in the line's unit.
    pub value: f64,
    /// The baseline's value, in the same unit.
    pub baseline: f64,
}

/// Why a line could not be measured on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped(pub String);

impl Skipped {
    /// Turns a failure while `doing` something into the reason for a skip.
    pub fn because(doing: &str) -> impl Fn(&dyn std::fmt::Display) -> Self {
        move |error| Self(format!("{doing}: {error}"))
    }
}

/// A line's measurement.
pub type Measured = Result<Sample, Skipped>;

/// Median microseconds of one call of `subject` and of `baseline`, each called `calls` times a round.
///
/// The rounds alternate and the first of each is thrown away. The median of the rounds is taken, because one
/// disturbed round must not decide.
pub fn interleaved(
    rounds: usize,
    calls: u32,
    mut subject: impl FnMut() -> Result<(), Skipped>,
    mut baseline: impl FnMut() -> Result<(), Skipped>,
) -> Measured {
    let mut ours = Vec::with_capacity(rounds);
    let mut theirs = Vec::with_capacity(rounds);
    for round in 0..=rounds {
        let value = time(calls, &mut subject)?;
        let other = time(calls, &mut baseline)?;
        if round > 0 {
            ours.push(value);
            theirs.push(other);
        }
    }
    Ok(Sample { value: median_us(&mut ours, calls), baseline: median_us(&mut theirs, calls) })
}

fn time(calls: u32, body: &mut impl FnMut() -> Result<(), Skipped>) -> Result<Duration, Skipped> {
    let start = Instant::now();
    for _ in 0..calls {
        body()?;
    }
    Ok(start.elapsed())
}

fn median_us(rounds: &mut [Duration], calls: u32) -> f64 {
    rounds.sort_unstable();
    rounds[rounds.len() / 2].as_secs_f64() * 1e6 / f64::from(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_take_turns() {
        let order = std::cell::RefCell::new(Vec::new());
        let push = |name| {
            order.borrow_mut().push(name);
            Ok(())
        };
        interleaved(2, 1, || push('a'), || push('b')).unwrap();
        assert_eq!(order.into_inner(), ['a', 'b', 'a', 'b', 'a', 'b']);
    }

    #[test]
    fn a_failure_is_a_skip() {
        let failed = interleaved(1, 1, || Err(Skipped("no kernel".into())), || Ok(()));
        assert_eq!(failed, Err(Skipped("no kernel".into())));
    }

    #[test]
    fn the_median_ignores_one_bad_round() {
        let mut rounds = [Duration::from_micros(10), Duration::from_secs(9), Duration::from_micros(12)];
        assert!((median_us(&mut rounds, 2) - 6.0).abs() < 1e-9);
    }
}
