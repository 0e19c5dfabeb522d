//! What a pod reports: its phase and conditions, from the states of its containers.
//!
//! Source: `pkg/kubelet/status` and `pkg/kubelet/kubelet_pods.go`.

use crate::kinds::{Container, ContainerStatus, PodCondition, PodSpec};
use crate::wire::text::Text as _;

/// The phase of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// A container has not been started yet.
    Pending,
    /// All containers have been started, and one runs or will again.
    Running,
    /// All containers have ended well and none will be restarted.
    Succeeded,
    /// All containers have ended, one of them badly, and none will be restarted.
    Failed,
}

impl Phase {
    /// The word in `status.phase`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    /// No container will run again.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// Whether the pod itself has come to its end, so that no restart policy counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodEnd {
    /// Its containers follow the restart policy.
    Open,
    /// It is being deleted or has been evicted.
    Terminal,
}

/// A container that starts before the others and keeps running beside them.
pub(crate) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.text() == "Always"
}

fn find<'a>(statuses: &'a [ContainerStatus], container: &Container) -> Option<&'a ContainerStatus> {
    statuses.iter().find(|status| status.name == container.name)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Ended {
        success: bool,
    },
    /// It waits after it has run before.
    Restarting {
        success: bool,
    },
    /// It waits for its first start.
    Waiting,
    Unknown,
}

fn state(status: Option<&ContainerStatus>) -> State {
    let Some(status) = status else { return State::Unknown };
    if status.state.running.is_some() {
        State::Running
    } else if let Some(terminated) = &status.state.terminated {
        State::Ended { success: terminated.exit_code.unwrap_or(0) == 0 }
    } else if status.state.waiting.is_some() {
        match &status.last_state.terminated {
            Some(terminated) => State::Restarting { success: terminated.exit_code.unwrap_or(0) == 0 },
            None => State::Waiting,
        }
    } else {
        State::Unknown
    }
}

#[derive(Default)]
struct Counts {
    pending_init: usize,
    failed_init: usize,
    pending_sidecars: usize,
    unknown: usize,
    running: usize,
    waiting: usize,
    stopped: usize,
    succeeded: usize,
}

fn count(spec: &PodSpec, statuses: &[ContainerStatus]) -> Counts {
    let mut counts = Counts::default();
    for container in &spec.init_containers {
        let status = find(statuses, container);
        if is_sidecar(container) {
            match state(status) {
                State::Running => {
                    counts.running += 1;
                    let started = status.is_some_and(|status| status.started == Some(true));
                    counts.pending_sidecars += usize::from(!started);
                }
                State::Ended { .. } | State::Restarting { .. } => {}
                State::Waiting => {
                    counts.pending_sidecars += 1;
                    counts.waiting += 1;
                }
                State::Unknown => {
                    counts.pending_sidecars += usize::from(status.is_some());
                    counts.unknown += 1;
                }
            }
        } else {
            match state(status) {
                State::Ended { success } | State::Restarting { success } => counts.failed_init += usize::from(!success),
                State::Running | State::Waiting | State::Unknown => counts.pending_init += 1,
            }
        }
    }
    for container in &spec.containers {
        match state(find(statuses, container)) {
            State::Running => counts.running += 1,
            State::Ended { success } => {
                counts.stopped += 1;
                counts.succeeded += usize::from(success);
            }
            State::Restarting { .. } => counts.stopped += 1,
            State::Waiting => counts.waiting += 1,
            State::Unknown => counts.unknown += 1,
        }
    }
    counts
}

/// One of the regular containers has been started.
fn any_regular_started(spec: &PodSpec, statuses: &[ContainerStatus]) -> bool {
    let has_run = |status: &ContainerStatus| status.state.running.is_some() || status.state.terminated.is_some();
    spec.containers.iter().filter_map(|container| find(statuses, container)).any(has_run)
}

/// The phase of a pod whose containers, init containers among them, are in these states.
pub fn phase(spec: &PodSpec, statuses: &[ContainerStatus], end: PodEnd) -> Phase {
    let counts = count(spec, statuses);
    let restart_policy = spec.restart_policy.text();
    if counts.failed_init > 0 && restart_policy == "Never" {
        return Phase::Failed;
    }
    let sidecars_hold = counts.pending_sidecars > 0 && !any_regular_started(spec, statuses);
    if counts.pending_init > 0 || sidecars_hold || counts.waiting > 0 || counts.unknown > 0 {
        return Phase::Pending;
    }
    if counts.running > 0 {
        return Phase::Running;
    }
    if counts.stopped == 0 {
        return Phase::Pending;
    }
    let all_well = counts.stopped == counts.succeeded;
    match (end, restart_policy) {
        (PodEnd::Open, "Always" | "") => Phase::Running,
        (PodEnd::Open, "OnFailure") if !all_well => Phase::Running,
        _ if all_well => Phase::Succeeded,
        _ => Phase::Failed,
    }
}

fn condition(kind: &str, fault: Option<(&str, String)>) -> PodCondition {
    let (status, reason, message) = match fault {
        None => ("True", String::new(), String::new()),
        Some((reason, message)) => ("False", reason.to_owned(), message),
    };
    PodCondition {
        type_: Some(kind.to_owned()),
        status: Some(status.to_owned()),
        reason: (!reason.is_empty()).then_some(reason),
        message: (!message.is_empty()).then_some(message),
        ..PodCondition::default()
    }
}

/// Names of containers, as messages list them.
fn listing(lists: [(&str, &[&str]); 2]) -> String {
    let parts: Vec<String> = lists
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("containers with {what} status: [{}]", names.join(" ")))
        .collect();
    parts.join(", ")
}

/// The condition `Initialized`: all init containers have done their part.
pub fn initialized(spec: &PodSpec, statuses: &[ContainerStatus], phase: Phase) -> PodCondition {
    let kind = "Initialized";
    let (mut unknown, mut incomplete) = (Vec::new(), Vec::new());
    for container in &spec.init_containers {
        match find(statuses, container) {
            None => unknown.push(container.name.text()),
            Some(status) => {
                let done = if is_sidecar(container) { status.started } else { status.ready };
                if done != Some(true) {
                    incomplete.push(container.name.text());
                }
            }
        }
    }
    if phase == Phase::Succeeded && unknown.is_empty() {
        return PodCondition { reason: Some("PodCompleted".to_owned()), ..condition(kind, None) };
    }
    if any_regular_started(spec, statuses) {
        return condition(kind, None);
    }
    let message = listing([("unknown", &unknown), ("incomplete", &incomplete)]);
    condition(kind, (!message.is_empty()).then_some(("ContainersNotInitialized", message)))
}

/// The condition `ContainersReady`: all containers and sidecars are ready.
pub fn containers_ready(spec: &PodSpec, statuses: &[ContainerStatus], phase: Phase) -> PodCondition {
    let kind = "ContainersReady";
    let (mut unknown, mut unready) = (Vec::new(), Vec::new());
    let sidecars = spec.init_containers.iter().filter(|container| is_sidecar(container));
    for container in sidecars.chain(&spec.containers) {
        match find(statuses, container) {
            None => unknown.push(container.name.text()),
            Some(status) if status.ready != Some(true) => unready.push(container.name.text()),
            Some(_) => {}
        }
    }
    if phase == Phase::Succeeded && unknown.is_empty() {
        return condition(kind, Some(("PodCompleted", String::new())));
    }
    if phase == Phase::Failed {
        return condition(kind, Some(("PodFailed", String::new())));
    }
    let message = listing([("unknown", &unknown), ("unready", &unready)]);
    condition(kind, (!message.is_empty()).then_some(("ContainersNotReady", message)))
}

/// The condition `Ready`: the containers are, and so is every readiness gate among the conditions.
pub fn ready(spec: &PodSpec, conditions: &[PodCondition], statuses: &[ContainerStatus], phase: Phase) -> PodCondition {
    let containers = containers_ready(spec, statuses, phase);
    if containers.status.text() != "True" {
        return PodCondition { type_: Some("Ready".to_owned()), ..containers };
    }
    let mut faults = Vec::new();
    for gate in &spec.readiness_gates {
        let name = gate.condition_type.text();
        match conditions.iter().find(|condition| condition.type_.text() == name) {
            None => faults.push(format!("corresponding condition of pod readiness gate {name:?} does not exist.")),
            Some(condition) if condition.status.text() != "True" => {
                let status = condition.status.text();
                faults.push(format!("the status of pod readiness gate {name:?} is not \"True\", but {status}"));
            }
            Some(_) => {}
        }
    }
    condition("Ready", (!faults.is_empty()).then(|| ("ReadinessGatesNotReady", faults.join(", "))))
}
