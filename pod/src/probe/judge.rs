//! What the answers to a probe amount to, step by step as the kubelet's probe worker counts them.

use std::time::Duration;

use super::{Outcome, ProbeKind, ProbeResult};
use crate::kinds::Probe;

/// What is seen of a container when its probe is due.
#[derive(Debug, Clone, Copy, Default)]
pub struct Observation<'a> {
    /// The identity of the container; empty when there is none.
    pub id: &'a str,
    /// How long it has been running; `None` when it does not run.
    pub running_for: Option<Duration>,
    /// Its startup probe has succeeded, or it has none.
    pub started: bool,
    /// It does not run, and another one will take its place.
    pub restarts: bool,
    /// The pod is being deleted.
    pub deleting: bool,
}

/// What follows from an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Probe it now.
    Probe,
    /// Look again after a period.
    Wait,
    /// There is nothing more to probe.
    Stop,
}

/// Counts the answers to one probe of one container.
#[derive(Debug, Clone)]
pub struct Judge {
    kind: ProbeKind,
    initial_delay: Duration,
    failure_threshold: u32,
    success_threshold: u32,
    container: String,
    result: ProbeResult,
    /// The container is to be restarted, or has started: no probe until there is another.
    on_hold: bool,
    last: Option<ProbeResult>,
    run: u32,
}

fn count(value: Option<i32>, default: u32) -> u32 {
    value.and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0).unwrap_or(default)
}

impl Judge {
    /// A judge for a container that does not exist yet; unset thresholds have the defaults of Kubernetes.
    pub fn new(kind: ProbeKind, probe: &Probe) -> Self {
        let delay = probe.initial_delay_seconds.and_then(|delay| u64::try_from(delay).ok()).unwrap_or(0);
        Self {
            kind,
            initial_delay: Duration::from_secs(delay),
            failure_threshold: count(probe.failure_threshold, 3),
            success_threshold: count(probe.success_threshold, 1),
            container: String::new(),
            result: ProbeResult::Unknown,
            on_hold: false,
            last: None,
            run: 0,
        }
    }

    /// What the probe decides.
    pub fn kind(&self) -> ProbeKind {
        self.kind
    }

    /// How long after its start a container is not probed.
    pub fn initial_delay(&self) -> Duration {
        self.initial_delay
    }

    /// What stands about the container.
    pub fn result(&self) -> ProbeResult {
        self.result
    }

    /// A container has been seen.
    pub fn has_container(&self) -> bool {
        !self.container.is_empty()
    }

    /// No probe is asked for until there is another container.
    pub fn is_on_hold(&self) -> bool {
        self.on_hold
    }

    /// How many answers in a row were the same.
    pub fn run(&self) -> u32 {
        self.run
    }

    fn initial_result(&self) -> ProbeResult {
        match self.kind {
            ProbeKind::Readiness => ProbeResult::Failure,
            ProbeKind::Liveness => ProbeResult::Success,
            ProbeKind::Startup => ProbeResult::Unknown,
        }
    }

    /// Takes what is seen when the probe is due.
    pub fn step(&mut self, seen: &Observation<'_>) -> Step {
        if seen.id.is_empty() {
            return Step::Wait;
        }
        if self.container != seen.id {
            seen.id.clone_into(&mut self.container);
            self.result = self.initial_result();
            self.on_hold = false;
        }
        if self.on_hold {
            return Step::Wait;
        }
        let Some(running_for) = seen.running_for else {
            self.result = ProbeResult::Failure;
            return if seen.restarts { Step::Wait } else { Step::Stop };
        };
        if seen.deleting && self.kind != ProbeKind::Readiness {
            self.result = ProbeResult::Success;
            return Step::Stop;
        }
        // The kubelet compares whole seconds.
        let delayed = running_for.as_secs() < self.initial_delay.as_secs();
        let waits_for_start = seen.started == (self.kind == ProbeKind::Startup);
        if delayed || waits_for_start { Step::Wait } else { Step::Probe }
    }

    /// Takes the answer to a probe.
    pub fn record(&mut self, outcome: Outcome) {
        let result = match outcome {
            Outcome::Success | Outcome::Warning => ProbeResult::Success,
            Outcome::Failure | Outcome::Unknown => ProbeResult::Failure,
            Outcome::Error => return,
        };
        self.run = if self.last == Some(result) { self.run.saturating_add(1) } else { 1 };
        self.last = Some(result);
        let threshold = if result == ProbeResult::Failure { self.failure_threshold } else { self.success_threshold };
        if self.run < threshold {
            return;
        }
        self.result = result;
        let restarts = self.kind == ProbeKind::Liveness && result == ProbeResult::Failure;
        if restarts || self.kind == ProbeKind::Startup {
            // Asking a container that is being stopped can harm it.
            self.on_hold = true;
            self.run = 0;
        }
    }
}
