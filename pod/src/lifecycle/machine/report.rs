//! What a pod reports about itself.

use std::time::Duration;

use super::{Ending, PodMachine, Sandbox};
use crate::kinds::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod,
    PodCondition, PodIP, PodStatus,
};
use crate::lifecycle::Settings;
use crate::lifecycle::cell::{Cell, Ended, Role, State};
use crate::resources;
use crate::status::{self, Phase, PodEnd};
use crate::wire::text::Text as _;
use crate::wire::time::Time;

/// The last report, and when its conditions changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Report {
    status: PodStatus,
    epoch: Option<Time>,
}

impl Report {
    pub(super) fn new(pod: &Pod, settings: Settings) -> Self {
        let mut status = pod.status.clone();
        status.phase = Some(Phase::Pending.as_str().to_owned());
        status.qos_class = Some(resources::qos_class(&pod.spec).as_str().to_owned());
        Self { status, epoch: Some(settings.epoch) }
    }

    pub(super) fn status(&self) -> &PodStatus {
        &self.status
    }

    fn time(&self, elapsed: Duration) -> Time {
        let seconds = i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX);
        Time::from_unix_seconds(self.epoch.map_or(0, Time::unix_seconds).saturating_add(seconds))
    }

    pub(super) fn update(&mut self, machine: &PodMachine, now: Duration) {
        let of = |init: bool| machine.cells.iter().filter(move |cell| (cell.role != Role::Regular) == init);
        // The regular ones first, then those that start before them.
        let mut all: Vec<_> = of(false).chain(of(true)).map(|cell| self.container(machine, cell)).collect();
        let ended = machine.ending.is_some() && !machine.cells.iter().any(Cell::is_live);
        let spec = &machine.pod.spec;
        let mut phase = status::phase(spec, &all, if ended { PodEnd::Terminal } else { PodEnd::Open });
        if ended && !phase.is_terminal() {
            // Some containers never ran and never will.
            phase = Phase::Failed;
        }
        if machine.ending == Some(Ending::DeadlineExceeded) {
            phase = Phase::Failed;
            self.status.reason = Some("DeadlineExceeded".to_owned());
            self.status.message = Some("Pod was active on the node longer than the specified deadline".to_owned());
        }
        self.status.phase = Some(phase.as_str().to_owned());
        self.status.start_time = machine.since.map(|since| self.time(since));
        self.status.pod_ip = machine.ips.first().cloned();
        self.status.pod_ips = machine.ips.iter().map(|ip| PodIP { ip: Some(ip.clone()), ..PodIP::default() }).collect();
        let gates = &machine.pod.status.conditions;
        let sandbox = PodCondition {
            type_: Some("PodReadyToStartContainers".to_owned()),
            status: Some(if machine.sandbox == Sandbox::Ready { "True" } else { "False" }.to_owned()),
            ..PodCondition::default()
        };
        let scheduled = PodCondition {
            type_: Some("PodScheduled".to_owned()),
            status: Some("True".to_owned()),
            ..PodCondition::default()
        };
        let own = [
            sandbox,
            status::initialized(spec, &all, phase),
            status::ready(spec, gates, &all, phase),
            status::containers_ready(spec, &all, phase),
            scheduled,
        ];
        let mut conditions: Vec<PodCondition> =
            gates.iter().filter(|gate| own.iter().all(|own| own.type_ != gate.type_)).cloned().collect();
        conditions.extend(own);
        self.status.conditions = conditions.into_iter().map(|one| self.dated(one, now)).collect();
        self.status.init_container_statuses = all.split_off(of(false).count());
        self.status.container_statuses = all;
    }

    /// A condition keeps the time of its last change.
    fn dated(&self, mut condition: PodCondition, now: Duration) -> PodCondition {
        let before = self.status.conditions.iter().find(|before| before.type_ == condition.type_);
        let since = before.filter(|before| before.status == condition.status).and_then(|one| one.last_transition_time);
        if condition.last_transition_time.is_none() || since.is_some() {
            condition.last_transition_time = since.or_else(|| Some(self.time(now)));
        }
        condition
    }

    fn container(&self, machine: &PodMachine, cell: &Cell) -> ContainerStatus {
        let spec = machine.pod.spec.init_containers.iter().chain(&machine.pod.spec.containers);
        let spec = spec.into_iter().find(|container| container.name.text() == cell.name);
        let id = match &cell.state {
            State::Running { id, .. } => Some(id.clone()),
            State::Ended(ended) => Some(ended.id.clone()),
            State::Waiting | State::Starting => cell.last.as_ref().map(|last| last.id.clone()),
        };
        // A container that has ended and will run again waits; what it was is its last state.
        let waits = matches!(cell.state, State::Ended(_)) && cell.wait.until.is_some();
        let last = match &cell.state {
            State::Ended(ended) if waits => Some(ended),
            _ => cell.last.as_ref(),
        };
        ContainerStatus {
            name: Some(cell.name.clone()),
            state: if waits { waiting(&cell.wait.reason, &cell.wait.message) } else { self.state(machine, cell) },
            last_state: last.map(|ended| self.ended(ended)).unwrap_or_default(),
            ready: Some(if cell.role == Role::Init { cell.has_succeeded() } else { cell.ready }),
            restart_count: Some(i32::try_from(cell.attempts.saturating_sub(1)).unwrap_or(i32::MAX)),
            image: spec.and_then(|container| container.image.clone()),
            image_id: Some(String::new()),
            container_id: id,
            started: Some(cell.is_running() && cell.started),
            ..ContainerStatus::default()
        }
    }

    fn state(&self, machine: &PodMachine, cell: &Cell) -> ContainerState {
        match &cell.state {
            State::Running { since, .. } => {
                let running = ContainerStateRunning { started_at: Some(self.time(*since)), ..Default::default() };
                ContainerState { running: Some(Box::new(running)), ..Default::default() }
            }
            State::Ended(ended) => self.ended(ended),
            State::Waiting | State::Starting if !cell.wait.reason.is_empty() => {
                waiting(&cell.wait.reason, &cell.wait.message)
            }
            State::Waiting | State::Starting => {
                let initializes =
                    cell.role == Role::Regular && machine.cells.iter().any(|other| other.role != Role::Regular);
                let reason = if initializes && cell.attempts == 0 { "PodInitializing" } else { "ContainerCreating" };
                waiting(reason, &machine.sandbox_message)
            }
        }
    }

    fn ended(&self, ended: &Ended) -> ContainerState {
        let reason = match &ended.exit {
            exit if exit.oom_killed => "OOMKilled",
            exit if exit.code == 0 => "Completed",
            _ => "Error",
        };
        let terminated = ContainerStateTerminated {
            container_id: Some(ended.id.clone()),
            exit_code: Some(ended.exit.code),
            finished_at: Some(self.time(ended.finished)),
            message: Some(ended.exit.message.clone()).filter(|message| !message.is_empty()),
            reason: Some(reason.to_owned()),
            signal: ended.exit.signal,
            started_at: Some(self.time(ended.started)),
            ..ContainerStateTerminated::default()
        };
        ContainerState { terminated: Some(Box::new(terminated)), ..ContainerState::default() }
    }
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    let waiting = ContainerStateWaiting {
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()).filter(|message| !message.is_empty()),
        ..ContainerStateWaiting::default()
    };
    ContainerState { waiting: Some(Box::new(waiting)), ..ContainerState::default() }
}
