//! Crash back-off: how long to wait before a container that ended is started again.

use std::time::Duration;

/// Doubles the wait with each restart; twice the maximum without one resets it.
///
/// The kubelet's values are [`Backoff::default`]: 10 s, doubled to 300 s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    initial: Duration,
    maximum: Duration,
    entry: Option<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    wait: Duration,
    updated: Duration,
}

/// Whether a container may be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Start it now; the next one waits longer.
    Start,
    /// Wait.
    Wait {
        /// Until then.
        until: Duration,
        /// The whole wait since the container ended.
        wait: Duration,
    },
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_secs(10), Duration::from_mins(5))
    }
}

impl Backoff {
    /// A back-off that starts at `initial` and doubles up to `maximum`.
    pub fn new(initial: Duration, maximum: Duration) -> Self {
        Self { initial, maximum, entry: None }
    }

    /// The wait after the last start; zero before the first.
    pub fn wait(&self) -> Duration {
        self.entry.map_or(Duration::ZERO, |entry| entry.wait)
    }

    /// Asks to start a container whose predecessor ended at `finished`.
    pub fn start(&mut self, finished: Duration, now: Duration) -> Verdict {
        let current = self.entry.filter(|entry| finished.saturating_sub(entry.updated) <= self.maximum * 2);
        let wait = match current {
            Some(entry) if now.saturating_sub(finished) < entry.wait => {
                return Verdict::Wait { until: finished + entry.wait, wait: entry.wait };
            }
            Some(entry) => (entry.wait * 2).min(self.maximum),
            None => self.initial,
        };
        self.entry = Some(Entry { wait, updated: now });
        Verdict::Start
    }

    /// Forgets a wait that has not been used for twice the maximum.
    pub fn collect(&mut self, now: Duration) {
        self.entry = self.entry.filter(|entry| now.saturating_sub(entry.updated) <= self.maximum * 2);
    }
}

/// A duration as Go prints whole seconds: `40s`, `2m40s`.
pub(crate) fn print_wait(wait: Duration) -> String {
    let seconds = wait.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) if wait.subsec_nanos() > 0 => format!("{}s", wait.as_secs_f64()),
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}
