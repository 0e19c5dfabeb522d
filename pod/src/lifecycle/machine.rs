//! The machine itself: what follows from each event.

mod report;

use std::time::Duration;

use super::cell::{Cell, Role, State, Verdicts};
use super::{Action, Event, Hook, Settings};
use crate::kinds::{Pod, PodCondition, PodStatus};
use crate::probe::ProbeKind;
use crate::wire::text::Text as _;
use report::Report;

/// How long after a failure the sandbox is tried again.
const SANDBOX_RETRY: Duration = Duration::from_secs(1);

/// The namespaces and addresses of the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sandbox {
    Absent,
    Creating,
    Ready,
    /// It could not be made; a new try is due then.
    Failed(Duration),
    Removing,
    Removed,
}

/// Why the pod ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is being deleted, and all containers must have ended by then.
    Deleted(Duration),
    /// It has been active for too long.
    DeadlineExceeded,
    /// Its containers have done what they were for, or cannot.
    Done,
}

/// One pod on its node.
#[derive(Debug, Clone)]
pub struct PodMachine {
    pub(super) pod: Pod,
    /// Name, namespace and uid, as messages have them.
    full_name: String,
    pub(super) cells: Vec<Cell>,
    pub(super) sandbox: Sandbox,
    pub(super) sandbox_message: String,
    pub(super) ips: Vec<String>,
    pub(super) ending: Option<Ending>,
    pub(super) since: Option<Duration>,
    report: Report,
}

impl PodMachine {
    /// A pod that has been given to this node and of which nothing exists yet.
    ///
    /// The pod should have its defaults; where it has not, those of Kubernetes count.
    pub fn new(pod: Pod, settings: Settings) -> Self {
        let init = pod.spec.init_containers.iter().map(|container| (container, Role::Init));
        let regular = pod.spec.containers.iter().map(|container| (container, Role::Regular));
        let cells = init.chain(regular).map(|(container, role)| Cell::new(container, role, &settings)).collect();
        let metadata = &pod.metadata;
        Self {
            full_name: format!("{}_{}({})", metadata.name.text(), metadata.namespace.text(), metadata.uid.text()),
            report: Report::new(&pod, settings),
            pod,
            cells,
            sandbox: Sandbox::Absent,
            sandbox_message: String::new(),
            ips: Vec::new(),
            ending: None,
            since: None,
        }
    }

    /// The pod as it was given.
    pub fn pod(&self) -> &Pod {
        &self.pod
    }

    /// What the pod reports after the last event.
    pub fn status(&self) -> &PodStatus {
        self.report.status()
    }

    /// Nothing of the pod is left on the node.
    pub fn is_gone(&self) -> bool {
        self.sandbox == Sandbox::Removed
    }

    /// When to call [`PodMachine::handle`] with [`Event::Tick`]; `None` until something else happens.
    pub fn next_timeout(&self) -> Option<Duration> {
        let cells = self.cells.iter().filter_map(Cell::next_timeout);
        let sandbox = if let Sandbox::Failed(retry) = self.sandbox { Some(retry) } else { None };
        let deadline = if self.ending.is_none() { self.active_deadline() } else { None };
        cells.chain(sandbox).chain(deadline).min()
    }

    fn active_deadline(&self) -> Option<Duration> {
        let seconds = u64::try_from(self.pod.spec.active_deadline_seconds?).ok()?;
        Some(self.since? + Duration::from_secs(seconds))
    }

    /// Takes an event and returns what to do, in this order.
    pub fn handle(&mut self, event: Event, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        self.since.get_or_insert(now);
        self.take(event, now, &mut actions);
        self.tick(now, &mut actions);
        self.advance(now, &mut actions);
        self.watch(now, &mut actions);
        let mut report = std::mem::take(&mut self.report);
        report.update(self, now);
        self.report = report;
        actions
    }

    fn cell(&mut self, name: &str) -> Option<&mut Cell> {
        self.cells.iter_mut().find(|cell| cell.name == name)
    }

    fn take(&mut self, event: Event, now: Duration, actions: &mut Vec<Action>) {
        match event {
            Event::Tick => {}
            Event::SandboxReady { ips } => {
                self.sandbox = Sandbox::Ready;
                self.sandbox_message.clear();
                self.ips = ips;
            }
            Event::SandboxFailed { message } => {
                self.sandbox = Sandbox::Failed(now + SANDBOX_RETRY);
                actions.push(Action::Note { reason: "FailedCreatePodSandBox", message: message.clone() });
                self.sandbox_message = message;
            }
            Event::SandboxRemoved => self.sandbox = Sandbox::Removed,
            Event::Started { container, id } => {
                if let Some(cell) = self.cell(&container).filter(|cell| matches!(cell.state, State::Starting)) {
                    cell.run(id, now, actions);
                }
            }
            Event::StartFailed { container, reason, message } => {
                if let Some(cell) = self.cell(&container).filter(|cell| matches!(cell.state, State::Starting)) {
                    cell.fail(reason, message, now);
                }
            }
            Event::Exited { container, id, exit } => {
                let is_this = |cell: &&mut Cell| matches!(&cell.state, State::Running { id: own, .. } if *own == id);
                if let Some(cell) = self.cell(&container).filter(is_this) {
                    cell.end(exit, now);
                }
            }
            Event::HookFinished { container, hook, failure } => {
                self.hook_finished(&container, hook, failure.as_deref(), now, actions);
            }
            Event::ProbeFinished { container, kind, outcome } => {
                if let Some(index) = self.cells.iter().position(|cell| cell.name == container) {
                    let verdict = self.cells[index].answer(kind, outcome, now, actions);
                    self.judge(index, verdict, now, actions);
                }
            }
            Event::Condition(condition) => self.set_condition(condition),
            Event::Delete { grace } => self.delete(grace, now),
        }
    }

    fn set_condition(&mut self, condition: PodCondition) {
        let conditions = &mut self.pod.status.conditions;
        conditions.retain(|own| own.type_ != condition.type_);
        conditions.push(condition);
    }

    fn delete(&mut self, grace: Option<Duration>, now: Duration) {
        let deadline = now + grace.unwrap_or_else(|| self.grace());
        self.ending = Some(match self.ending {
            Some(Ending::Deleted(earlier)) => Ending::Deleted(earlier.min(deadline)),
            _ => Ending::Deleted(deadline),
        });
    }

    /// How long the pod gives its containers to end.
    fn grace(&self) -> Duration {
        let seconds = self.pod.spec.termination_grace_period_seconds.unwrap_or(30);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(1))
    }

    fn hook_finished(
        &mut self,
        container: &str,
        hook: Hook,
        failure: Option<&str>,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        let grace = self.grace();
        let Some(cell) = self.cell(container) else { return };
        if let Some(message) = failure {
            let reason = if hook == Hook::PostStart { "FailedPostStartHook" } else { "FailedPreStopHook" };
            actions.push(Action::Note { reason, message: message.to_owned() });
        }
        match hook {
            Hook::PreStop => cell.hook_finished(now, actions),
            // A container whose hook fails does not count as started well.
            Hook::PostStart if failure.is_some() => cell.begin_stop(grace, now, actions),
            Hook::PostStart => {}
        }
    }

    /// Lets time pass for what runs.
    fn tick(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let deleting = matches!(self.ending, Some(Ending::Deleted(_)));
        for index in 0..self.cells.len() {
            self.cells[index].continue_stop(now, actions);
            let verdict = self.cells[index].tick(deleting, now, actions);
            self.judge(index, verdict, now, actions);
        }
        if self.ending.is_none() && self.active_deadline().is_some_and(|deadline| now >= deadline) {
            self.ending = Some(Ending::DeadlineExceeded);
            let message = "Pod was active on the node longer than the specified deadline".to_owned();
            actions.push(Action::Note { reason: "DeadlineExceeded", message });
        }
    }

    /// Stops a container whose probes ask for it; what it was is started again as its pod says.
    fn judge(&mut self, index: usize, verdict: Verdicts, now: Duration, actions: &mut Vec<Action>) {
        let Verdicts::Restart(kind) = verdict else { return };
        let grace = self.grace();
        let cell = &mut self.cells[index];
        let probe = if kind == ProbeKind::Liveness { "liveness" } else { "startup" };
        let message = format!("Container {} failed {probe} probe, will be restarted", cell.name);
        actions.push(Action::Note { reason: "Killing", message });
        let grace = cell.probe_grace(kind).unwrap_or(grace);
        cell.begin_stop(grace, now, actions);
    }

    /// Does what the state of the pod asks for.
    fn advance(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.ending.is_some() {
            self.end(now, actions);
            return;
        }
        let retry = matches!(self.sandbox, Sandbox::Failed(retry) if now >= retry);
        if self.sandbox == Sandbox::Absent || retry {
            self.sandbox = Sandbox::Creating;
            actions.push(Action::CreateSandbox);
        }
        if self.sandbox != Sandbox::Ready {
            return;
        }
        if self.start_init_containers(now, actions) {
            self.start_regular_containers(now, actions);
        }
        if self.ending.is_some() {
            self.end(now, actions);
        }
    }

    /// Whether a container that ended is started again.
    fn restarts(&self, cell: &Cell) -> bool {
        match (cell.role, self.pod.spec.restart_policy.text()) {
            (Role::Init | Role::Regular, "Never") => false,
            (Role::Init, _) | (Role::Regular, "OnFailure") => !cell.has_succeeded(),
            (Role::Sidecar | Role::Regular, _) => true,
        }
    }

    /// Starts init containers in their order; true when all have done their part.
    fn start_init_containers(&mut self, now: Duration, actions: &mut Vec<Action>) -> bool {
        let any_regular = self.cells.iter().any(|cell| cell.role == Role::Regular && cell.attempts > 0);
        for index in 0..self.cells.len() {
            let restarts = self.restarts(&self.cells[index]);
            let cell = &mut self.cells[index];
            match cell.role {
                Role::Regular => return true,
                Role::Sidecar => {
                    if !cell.is_live() {
                        cell.try_start(&self.full_name, now, actions);
                    }
                    // Once the regular containers run, a sidecar that restarts does not hold them up.
                    let holds = !cell.is_running() || !cell.started;
                    if holds && !any_regular {
                        return false;
                    }
                }
                Role::Init if cell.has_succeeded() => {}
                Role::Init => {
                    if matches!(cell.state, State::Ended(_)) && !restarts {
                        self.ending = Some(Ending::Done);
                    } else if !cell.is_live() {
                        cell.try_start(&self.full_name, now, actions);
                    }
                    return false;
                }
            }
        }
        true
    }

    fn start_regular_containers(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let mut all_done = true;
        for index in 0..self.cells.len() {
            let restarts = self.restarts(&self.cells[index]);
            let cell = &mut self.cells[index];
            if cell.role != Role::Regular {
                continue;
            }
            let done = matches!(cell.state, State::Ended(_)) && !restarts;
            all_done &= done;
            if !done && !cell.is_live() {
                cell.try_start(&self.full_name, now, actions);
            }
        }
        if all_done {
            self.ending = Some(Ending::Done);
        }
    }

    /// Stops what runs: first the others, then the sidecars from the last to the first, and then the sandbox.
    fn end(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let grace = match self.ending {
            Some(Ending::Deleted(deadline)) => deadline.saturating_sub(now),
            _ => self.grace(),
        };
        for cell in &mut self.cells {
            // What waits will not be started any more.
            cell.wait.until = None;
        }
        let others_live = self.cells.iter().any(|cell| cell.role != Role::Sidecar && cell.is_live());
        for cell in self.cells.iter_mut().filter(|cell| cell.role != Role::Sidecar) {
            stop_once(cell, grace, self.ending, now, actions);
        }
        let mut later_lives = others_live;
        for cell in self.cells.iter_mut().rev().filter(|cell| cell.role == Role::Sidecar) {
            if !later_lives {
                stop_once(cell, grace, self.ending, now, actions);
            }
            later_lives |= cell.is_live();
        }
        let all_ended = !self.cells.iter().any(Cell::is_live);
        match self.sandbox {
            Sandbox::Ready if all_ended => {
                self.sandbox = Sandbox::Removing;
                actions.push(Action::RemoveSandbox);
            }
            Sandbox::Absent | Sandbox::Failed(_) => self.sandbox = Sandbox::Removed,
            Sandbox::Ready | Sandbox::Creating | Sandbox::Removing | Sandbox::Removed => {}
        }
    }

    /// Tells the probes what became of their containers.
    fn watch(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for index in 0..self.cells.len() {
            let restarts = self.ending.is_none() && self.restarts(&self.cells[index]);
            let verdict = self.cells[index].watch(restarts, now, actions);
            self.judge(index, verdict, now, actions);
        }
    }
}

/// A deletion may shorten what has begun; any other end leaves it.
fn stop_once(cell: &mut Cell, grace: Duration, ending: Option<Ending>, now: Duration, actions: &mut Vec<Action>) {
    let shortens = matches!(ending, Some(Ending::Deleted(_)));
    if cell.is_running() && (cell.stop.is_none() || shortens) {
        cell.begin_stop(grace, now, actions);
    }
}
