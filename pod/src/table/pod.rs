//! Pods.

use super::age::since;
use super::{Cell, NONE, Row, RowCondition};
use crate::kinds::{ContainerState, ContainerStatus, Pod};
use crate::status::is_sidecar;
use crate::wire::text::Text as _;
use crate::wire::time::Time;

const SUCCEEDED: RowCondition =
    RowCondition { kind: "Completed", reason: "Succeeded", message: "The pod has completed successfully." };
const FAILED: RowCondition = RowCondition { kind: "Completed", reason: "Failed", message: "The pod failed." };

/// What the containers of a pod say together.
struct Seen {
    reason: String,
    restarts: i32,
    restarted: Option<Time>,
    ready: usize,
}

fn last_end(status: &ContainerStatus) -> Option<Time> {
    status.last_state.terminated.as_ref().and_then(|end| end.finished_at)
}

/// `Completed`, or the signal or code that ended it.
fn end(state: &ContainerState) -> Option<String> {
    let end = state.terminated.as_ref()?;
    Some(match (end.reason.text(), end.signal.unwrap_or(0)) {
        ("", 0) => format!("ExitCode:{}", end.exit_code.unwrap_or(0)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    })
}

/// The init containers; `None` when all are through, else what they wait for, and what sidecars count.
fn init(pod: &Pod, seen: &mut Seen) -> (bool, Seen) {
    let mut sidecars = Seen { reason: String::new(), restarts: 0, restarted: None, ready: 0 };
    for (index, status) in pod.status.init_container_statuses.iter().enumerate() {
        let container = pod.spec.init_containers.iter().find(|container| container.name.text() == status.name.text());
        let sidecar = container.is_some_and(is_sidecar);
        let restarts = status.restart_count.unwrap_or(0);
        seen.restarts += restarts;
        seen.restarted = seen.restarted.max(last_end(status));
        if sidecar {
            sidecars.restarts += restarts;
            sidecars.restarted = sidecars.restarted.max(last_end(status));
        }
        let state = &status.state;
        let terminated = state.terminated.as_ref();
        if terminated.is_some_and(|end| end.exit_code.unwrap_or(0) == 0) {
            continue;
        }
        if sidecar && status.started == Some(true) {
            seen.ready += usize::from(status.ready == Some(true));
            continue;
        }
        let waiting = state.waiting.as_ref().map_or("", |waiting| waiting.reason.text());
        seen.reason = match end(state) {
            Some(end) => format!("Init:{end}"),
            None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
            None => format!("Init:{index}/{}", pod.spec.init_containers.len()),
        };
        return (true, sidecars);
    }
    (false, sidecars)
}

fn has_condition(pod: &Pod, kind: &str) -> bool {
    pod.condition(kind).is_some_and(|condition| condition.status.text() == "True")
}

fn containers(pod: &Pod, seen: &mut Seen) {
    let mut running = false;
    for status in pod.status.container_statuses.iter().rev() {
        seen.restarts += status.restart_count.unwrap_or(0);
        seen.restarted = seen.restarted.max(last_end(status));
        let waiting = status.state.waiting.as_ref().map_or("", |waiting| waiting.reason.text());
        if !waiting.is_empty() {
            waiting.clone_into(&mut seen.reason);
        } else if let Some(end) = end(&status.state) {
            seen.reason = end;
        } else if status.ready == Some(true) && status.state.running.is_some() {
            running = true;
            seen.ready += 1;
        }
    }
    if seen.reason == "Completed" && running {
        let reason = if has_condition(pod, "Ready") { "Running" } else { "NotReady" };
        reason.clone_into(&mut seen.reason);
    }
}

fn look(pod: &Pod) -> Seen {
    let status = &pod.status;
    let mut reason = if status.reason.text().is_empty() { status.phase.text() } else { status.reason.text() };
    if pod.condition("PodScheduled").is_some_and(|condition| condition.reason.text() == "SchedulingGated") {
        reason = "SchedulingGated";
    }
    let mut seen = Seen { reason: reason.to_owned(), restarts: 0, restarted: None, ready: 0 };
    let (initializing, sidecars) = init(pod, &mut seen);
    if !initializing || has_condition(pod, "Initialized") {
        (seen.restarts, seen.restarted) = (sidecars.restarts, sidecars.restarted);
        containers(pod, &mut seen);
    }
    if pod.metadata.deletion_timestamp.is_some() {
        if status.reason.text() == "NodeLost" {
            "Unknown".clone_into(&mut seen.reason);
        } else if !pod.is_terminal() {
            "Terminating".clone_into(&mut seen.reason);
        }
    }
    seen
}

fn or_none(text: &str) -> Cell {
    if text.is_empty() { NONE } else { text }.into()
}

pub(super) fn row(pod: &Pod, now: Time) -> Row {
    let seen = look(pod);
    let sidecars = pod.spec.init_containers.iter().filter(|container| is_sidecar(container)).count();
    let total = pod.spec.containers.len() + sidecars;
    let restarts = match seen.restarted {
        Some(time) if seen.restarts != 0 => format!("{} ({} ago)", seen.restarts, since(Some(time), now)),
        _ => seen.restarts.to_string(),
    };
    let ip = pod.status.pod_ips.first().map_or("", |ip| ip.ip.text());
    let gates = &pod.spec.readiness_gates;
    let open = gates.iter().filter(|gate| has_condition(pod, gate.condition_type.text())).count();
    let gates = if gates.is_empty() { NONE.to_owned() } else { format!("{open}/{}", gates.len()) };
    let conditions = match pod.status.phase.text() {
        "Succeeded" => vec![SUCCEEDED],
        "Failed" => vec![FAILED],
        _ => Vec::new(),
    };
    let cells = vec![
        pod.metadata.name.text().into(),
        format!("{}/{total}", seen.ready).into(),
        seen.reason.into(),
        restarts.into(),
        since(pod.metadata.creation_timestamp, now).into(),
        or_none(ip),
        or_none(pod.spec.node_name.text()),
        or_none(pod.status.nominated_node_name.text()),
        gates.into(),
    ];
    Row { cells, conditions }
}
