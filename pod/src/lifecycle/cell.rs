//! One container of a pod: its state, its probes and its waits.

mod stop;

use std::time::Duration;

use super::{Action, Exit, Settings};
use crate::backoff::{Backoff, Verdict};
use crate::kinds::{Container, LifecycleHandler};
use crate::probe::{self, Outcome, ProbeKind, ProbeResult, Prober};
use crate::status::is_sidecar;
use crate::wire::text::Text as _;
use stop::Stop;

/// What a container is for its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It runs to its end before the next one starts.
    Init,
    /// It starts before the regular ones and ends after them.
    Sidecar,
    Regular,
}

/// What became of a container that ran.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) id: String,
    pub(super) exit: Exit,
    pub(super) started: Duration,
    pub(super) finished: Duration,
}

#[derive(Debug, Clone)]
pub(super) enum State {
    /// It has not been started, or its start has failed.
    Waiting,
    /// Its start has been asked for.
    Starting,
    Running {
        id: String,
        since: Duration,
    },
    Ended(Ended),
}

/// Why a container does not run yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Wait {
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) until: Option<Duration>,
}

#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) state: State,
    pub(super) wait: Wait,
    /// The last one that ended, when another has taken its place or will.
    pub(super) last: Option<Ended>,
    pub(super) attempts: u32,
    /// Its startup probe has succeeded, or it has none.
    pub(super) started: bool,
    pub(super) ready: bool,
    pub(super) stop: Option<Stop>,
    pub(super) post_start: Option<LifecycleHandler>,
    pub(super) pre_stop: Option<LifecycleHandler>,
    pub(super) probers: Vec<Prober>,
    /// Per-probe grace periods for liveness and startup.
    graces: Vec<(ProbeKind, Duration)>,
    backoff: Backoff,
    /// When the last try to start it failed.
    failed: Option<Duration>,
}

/// What the answers of a container's probes ask of its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdicts {
    Nothing,
    /// Restart it because of this probe.
    Restart(ProbeKind),
}

impl Cell {
    pub(super) fn new(container: &Container, role: Role, settings: &Settings) -> Self {
        let probes = [
            (ProbeKind::Startup, &container.startup_probe),
            (ProbeKind::Liveness, &container.liveness_probe),
            (ProbeKind::Readiness, &container.readiness_probe),
        ];
        let set = probes.iter().filter_map(|(kind, probe)| Some((*kind, probe.as_deref()?)));
        let grace = |(kind, probe): (ProbeKind, &crate::kinds::Probe)| {
            let seconds = u64::try_from(probe.termination_grace_period_seconds?).ok()?;
            Some((kind, Duration::from_secs(seconds)))
        };
        let hooks = container.lifecycle.as_ref();
        Self {
            name: container.name.text().to_owned(),
            role: if role == Role::Init && is_sidecar(container) { Role::Sidecar } else { role },
            state: State::Waiting,
            wait: Wait::default(),
            last: None,
            attempts: 0,
            started: false,
            ready: false,
            stop: None,
            post_start: hooks.and_then(|hooks| hooks.post_start.as_deref().cloned()),
            pre_stop: hooks.and_then(|hooks| hooks.pre_stop.as_deref().cloned()),
            probers: set.clone().map(|(kind, probe)| Prober::new(kind, probe)).collect(),
            graces: set.filter_map(grace).collect(),
            backoff: Backoff::new(settings.backoff_initial, settings.backoff_max),
            failed: None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// It runs, or has been asked to.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, State::Running { .. } | State::Starting)
    }

    /// It has ended well.
    pub(super) fn has_succeeded(&self) -> bool {
        matches!(&self.state, State::Ended(ended) if ended.exit.code == 0)
    }

    /// How long it may take to end because of this probe.
    pub(super) fn probe_grace(&self, kind: ProbeKind) -> Option<Duration> {
        self.graces.iter().find(|(own, _)| *own == kind).map(|(_, grace)| *grace)
    }

    fn has_probe(&self, kind: ProbeKind) -> bool {
        self.probers.iter().any(|prober| prober.kind() == kind)
    }

    /// Asks for its start unless its last end is too near.
    pub(super) fn try_start(&mut self, pod: &str, now: Duration, actions: &mut Vec<Action>) {
        let ended = match &self.state {
            State::Ended(ended) => Some(ended.finished),
            _ => self.failed,
        };
        if let Some(finished) = ended
            && let Verdict::Wait { until, wait } = self.backoff.start(finished, now)
        {
            if self.wait.until != Some(until) {
                let wait = crate::backoff::print_wait(wait);
                self.wait = Wait {
                    reason: "CrashLoopBackOff".to_owned(),
                    message: format!("back-off {wait} restarting failed container={} pod={pod}", self.name),
                    until: Some(until),
                };
            }
            return;
        }
        if let State::Ended(ended) = std::mem::replace(&mut self.state, State::Starting) {
            self.last = Some(ended);
        }
        self.wait = Wait::default();
        actions.push(Action::Start { container: self.name.clone(), attempt: self.attempts });
    }

    /// Its start has succeeded.
    pub(super) fn run(&mut self, id: String, now: Duration, actions: &mut Vec<Action>) {
        self.state = State::Running { id, since: now };
        self.attempts = self.attempts.saturating_add(1);
        self.failed = None;
        self.stop = None;
        self.started = !self.has_probe(ProbeKind::Startup);
        self.ready = self.started && !self.has_probe(ProbeKind::Readiness);
        if let Some(handler) = &self.post_start {
            let hook = super::Hook::PostStart;
            actions.push(Action::Run { container: self.name.clone(), hook, handler: handler.clone() });
        }
    }

    /// Its start has failed.
    pub(super) fn fail(&mut self, reason: String, message: String, now: Duration) {
        // What ran before stays visible as the last state.
        self.state = State::Waiting;
        self.failed = Some(now);
        self.wait = Wait { reason, message, until: None };
    }

    /// It has ended.
    pub(super) fn end(&mut self, exit: Exit, now: Duration) {
        if let State::Running { id, since } = std::mem::replace(&mut self.state, State::Waiting) {
            self.state = State::Ended(Ended { id, exit, started: since, finished: now });
        }
        self.started = false;
        self.ready = false;
        self.stop = None;
    }

    /// Tells its probes what it is now, and takes what they ask for.
    pub(super) fn watch(&mut self, restarts: bool, now: Duration, actions: &mut Vec<Action>) -> Verdicts {
        let mut verdict = Verdicts::Nothing;
        for index in 0..self.probers.len() {
            let event = probe::Event::Container(self.seen(restarts));
            verdict = self.ask(index, event, now, actions).or(verdict);
        }
        verdict
    }

    fn seen(&self, restarts: bool) -> probe::Container {
        match &self.state {
            State::Waiting | State::Starting => probe::Container::Absent,
            State::Running { id, since } => {
                probe::Container::Running { id: id.clone(), since: *since, started: self.started }
            }
            State::Ended(ended) => probe::Container::Stopped { id: ended.id.clone(), restarts },
        }
    }

    /// Gives the answer of a probe to it.
    pub(super) fn answer(
        &mut self,
        kind: ProbeKind,
        outcome: Outcome,
        now: Duration,
        actions: &mut Vec<Action>,
    ) -> Verdicts {
        match self.probers.iter().position(|prober| prober.kind() == kind) {
            Some(index) => self.ask(index, probe::Event::Finished(outcome), now, actions),
            None => Verdicts::Nothing,
        }
    }

    /// Lets time pass for its probes.
    pub(super) fn tick(&mut self, deleting: bool, now: Duration, actions: &mut Vec<Action>) -> Verdicts {
        let mut verdict = Verdicts::Nothing;
        for index in 0..self.probers.len() {
            if deleting {
                verdict = self.ask(index, probe::Event::Deleting, now, actions).or(verdict);
            }
            verdict = self.ask(index, probe::Event::Tick, now, actions).or(verdict);
        }
        verdict
    }

    fn ask(&mut self, index: usize, event: probe::Event, now: Duration, actions: &mut Vec<Action>) -> Verdicts {
        let kind = self.probers[index].kind();
        let mut verdict = Verdicts::Nothing;
        for action in self.probers[index].handle(event, now) {
            let container = self.name.clone();
            match action {
                probe::Action::Perform(request) => actions.push(Action::Probe { container, kind, request }),
                probe::Action::Cancel => actions.push(Action::CancelProbe { container, kind }),
                probe::Action::Result(result) => verdict = self.take(kind, result).or(verdict),
            }
        }
        verdict
    }

    fn take(&mut self, kind: ProbeKind, result: ProbeResult) -> Verdicts {
        if !self.is_running() {
            self.ready = false;
            return Verdicts::Nothing;
        }
        match (kind, result) {
            (ProbeKind::Readiness, result) => self.ready = self.started && result == ProbeResult::Success,
            (ProbeKind::Startup, ProbeResult::Success) => {
                self.started = true;
                self.ready = !self.has_probe(ProbeKind::Readiness);
            }
            (ProbeKind::Startup | ProbeKind::Liveness, ProbeResult::Failure) => return Verdicts::Restart(kind),
            (ProbeKind::Startup | ProbeKind::Liveness, _) => {}
        }
        Verdicts::Nothing
    }

    /// When something of it is due.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let probes = self.probers.iter().filter_map(Prober::next_timeout);
        let stop = self.stop.as_ref().and_then(Stop::deadline);
        probes.chain(stop).chain(self.wait.until).min()
    }
}

impl Verdicts {
    fn or(self, other: Self) -> Self {
        if self == Self::Nothing { other } else { self }
    }
}
