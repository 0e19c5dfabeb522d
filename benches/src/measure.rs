//! Interleaved measurement: the subject and its baseline take turns, so that noise hits both.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

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
    /// The reason of a line whose baseline is a peer from the registry.
    pub fn without_peers() -> Self {
        Self("built without the feature `peers`".to_owned())
    }

    /// Turns a failure while `doing` something into the reason for a skip.
    pub fn because<E: std::fmt::Display>(doing: &str) -> impl Fn(E) -> Self {
        move |error| Self(format!("{doing}: {error}"))
    }
}

/// One call of what is measured.
pub type Run = Box<dyn FnMut() -> Result<(), Skipped>>;

/// What a subject is compared with.
pub enum Baseline {
    /// Something that runs now, in turns with the subject.
    Run(Run),
    /// The same, where the processor's time in this process counts: both sides wait for the kernel, or for nothing, so
    /// that the others on a busy machine are all that time would tell of.
    Cpu(Run),
    /// A figure in the line's unit that was measured elsewhere; the promise says where.
    Figure(f64),
    /// A figure for what only computes: the processor's time in this process counts.
    Bound(f64),
    /// Both sides were measured already, where they could meet.
    Held(Sample),
}

/// A subject and its baseline, ready to run.
pub struct Contest {
    /// Calls of each side in a round.
    pub calls: u32,
    /// Rounds whose median counts.
    pub rounds: usize,
    /// What is promised.
    pub subject: Run,
    /// What it is compared with.
    pub baseline: Baseline,
}

impl std::fmt::Debug for Contest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contest").field("calls", &self.calls).field("rounds", &self.rounds).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Baseline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Run(_) => f.write_str("Run"),
            Self::Cpu(_) => f.write_str("Cpu"),
            Self::Figure(figure) => f.debug_tuple("Figure").field(figure).finish(),
            Self::Bound(figure) => f.debug_tuple("Bound").field(figure).finish(),
            Self::Held(sample) => f.debug_tuple("Held").field(sample).finish(),
        }
    }
}

impl Contest {
    /// Median microseconds of one call of each side.
    ///
    /// The rounds alternate and the first of each is thrown away. The median of the rounds is taken, because one
    /// disturbed round must not decide.
    ///
    /// # Errors
    /// The reason why either side could not run.
    pub fn run(mut self) -> Result<Sample, Skipped> {
        if let Baseline::Held(sample) = self.baseline {
            return Ok(sample);
        }
        let mut ours = Vec::with_capacity(self.rounds);
        let mut theirs = Vec::with_capacity(self.rounds);
        let clock = match self.baseline {
            Baseline::Cpu(_) | Baseline::Bound(_) => ClockId::ProcessCPUTime,
            Baseline::Run(_) | Baseline::Figure(_) | Baseline::Held(_) => ClockId::Monotonic,
        };
        for round in 0..=self.rounds {
            let value = time(clock, self.calls, &mut self.subject)?;
            let other = match &mut self.baseline {
                Baseline::Run(run) | Baseline::Cpu(run) => time(clock, self.calls, run)?,
                Baseline::Figure(_) | Baseline::Bound(_) | Baseline::Held(_) => Duration::ZERO,
            };
            if round > 0 {
                ours.push(value);
                theirs.push(other);
            }
        }
        let baseline = match self.baseline {
            Baseline::Run(_) | Baseline::Cpu(_) => median_us(&mut theirs, self.calls),
            Baseline::Figure(figure) | Baseline::Bound(figure) => figure,
            Baseline::Held(sample) => sample.baseline,
        };
        Ok(Sample { value: median_us(&mut ours, self.calls), baseline })
    }
}

/// What this process has had of the processors.
pub fn cpu_time() -> Duration {
    now(ClockId::ProcessCPUTime)
}

fn time(clock: ClockId, calls: u32, body: &mut Run) -> Result<Duration, Skipped> {
    let start = now(clock);
    for _ in 0..calls {
        body()?;
    }
    Ok(now(clock).saturating_sub(start))
}

fn now(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

fn median_us(rounds: &mut [Duration], calls: u32) -> f64 {
    rounds.sort_unstable();
    rounds[rounds.len() / 2].as_secs_f64() * 1e6 / f64::from(calls)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn both_sides_take_turns() {
        let order = Rc::new(RefCell::new(Vec::new()));
        let push = |name| {
            let order = Rc::clone(&order);
            Box::new(move || {
                order.borrow_mut().push(name);
                Ok(())
            })
        };
        let contest = Contest { calls: 1, rounds: 2, subject: push('a'), baseline: Baseline::Run(push('b')) };
        contest.run().unwrap();
        assert_eq!(*order.borrow(), ['a', 'b', 'a', 'b', 'a', 'b']);
    }

    #[test]
    fn a_failure_is_a_skip() {
        let skipped = Skipped("no kernel".into());
        let fail = skipped.clone();
        let subject: Run = Box::new(move || Err(fail.clone()));
        assert_eq!(Contest { calls: 1, rounds: 1, subject, baseline: Baseline::Figure(1.0) }.run(), Err(skipped));
    }

    #[test]
    fn the_median_ignores_one_bad_round() {
        let mut rounds = [Duration::from_micros(10), Duration::from_secs(9), Duration::from_micros(12)];
        assert!((median_us(&mut rounds, 2) - 6.0).abs() < 1e-9);
    }
}
