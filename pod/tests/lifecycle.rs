//! Pods live as their specifications say, whatever happens to their containers.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use windlass_pod::decode_yaml_as;
use windlass_pod::kinds::{Pod, PodStatus};
use windlass_pod::lifecycle::{Action, Event, Exit, Hook, PodMachine, Settings};
use windlass_pod::probe::{Outcome, ProbeKind};

fn pod(spec: &str) -> Pod {
    decode_yaml_as(format!("metadata: {{name: p, namespace: default, uid: u}}\nspec:\n{spec}").as_bytes()).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn start(name: &str, attempt: u32) -> Action {
    Action::Start { container: name.into(), attempt }
}

fn started(name: &str, id: &str) -> Event {
    Event::Started { container: name.into(), id: id.into() }
}

fn exited(name: &str, id: &str, code: i32) -> Event {
    let exit = Exit { code, ..Exit::default() };
    Event::Exited { container: name.into(), id: id.into(), exit }
}

fn answer(name: &str, kind: ProbeKind, outcome: Outcome) -> Event {
    Event::ProbeFinished { container: name.into(), kind, outcome }
}

/// The machine of a pod whose sandbox is there, and its first actions.
fn begun(spec: &str) -> (PodMachine, Vec<Action>) {
    let mut machine = PodMachine::new(pod(spec), Settings::default());
    assert_eq!(machine.handle(Event::Tick, seconds(0)), [Action::CreateSandbox]);
    let actions = machine.handle(Event::SandboxReady { ips: vec!["10.0.0.1".into()] }, seconds(0));
    (machine, actions)
}

fn condition<'a>(status: &'a PodStatus, kind: &str) -> (&'a str, &'a str) {
    let found = status.conditions.iter().find(|one| one.type_.as_deref() == Some(kind)).unwrap();
    (found.status.as_deref().unwrap(), found.reason.as_deref().unwrap_or_default())
}

fn phase(machine: &PodMachine) -> &str {
    machine.status().phase.as_deref().unwrap()
}

#[test]
fn init_containers_and_sidecars_come_in_order() {
    let spec = "  initContainers:\n  - {name: a}\n  - {name: side, restartPolicy: Always, startupProbe: {exec: {command: [x]}}}\n  - {name: b}\n  containers:\n  - {name: c}\n";
    let (mut machine, actions) = begun(spec);
    assert_eq!(actions, [start("a", 0)]);
    machine.handle(started("a", "1"), seconds(1));
    assert_eq!(condition(machine.status(), "Initialized"), ("False", "ContainersNotInitialized"));
    assert_eq!(machine.handle(exited("a", "1", 0), seconds(2)), [start("side", 0)]);
    let actions = machine.handle(started("side", "2"), seconds(3));
    assert!(matches!(actions[..], [Action::Probe { kind: ProbeKind::Startup, .. }]), "{actions:?}");
    assert_eq!(machine.handle(answer("side", ProbeKind::Startup, Outcome::Success), seconds(4)), [start("b", 0)]);
    machine.handle(started("b", "3"), seconds(5));
    assert_eq!(machine.handle(exited("b", "3", 0), seconds(6)), [start("c", 0)]);
    machine.handle(started("c", "4"), seconds(7));
    assert_eq!((phase(&machine), condition(machine.status(), "Ready")), ("Running", ("True", "")));
}

#[test]
fn a_failed_init_container_ends_a_pod_that_never_restarts() {
    let (mut machine, _) = begun("  restartPolicy: Never\n  initContainers: [{name: a}]\n  containers: [{name: c}]\n");
    machine.handle(started("a", "1"), seconds(1));
    assert_eq!(machine.handle(exited("a", "1", 3), seconds(2)), [Action::RemoveSandbox]);
    assert_eq!(phase(&machine), "Failed");
}

#[test]
fn crashes_wait_longer_each_time() {
    let (mut machine, _) = begun("  containers: [{name: c}]\n");
    machine.handle(started("c", "1"), seconds(0));
    assert_eq!(machine.handle(exited("c", "1", 1), seconds(1)), [start("c", 1)]);
    machine.handle(started("c", "2"), seconds(1));
    assert_eq!(machine.handle(exited("c", "2", 1), seconds(2)), []);
    let state = &machine.status().container_statuses[0];
    let waiting = state.state.waiting.as_ref().unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("CrashLoopBackOff"));
    assert_eq!(waiting.message.as_deref(), Some("back-off 10s restarting failed container=c pod=p_default(u)"));
    assert_eq!((state.restart_count, state.last_state.terminated.as_ref().unwrap().exit_code), (Some(1), Some(1)));
    assert_eq!(machine.next_timeout(), Some(seconds(12)));
    assert_eq!(machine.handle(Event::Tick, seconds(11)), []);
    assert_eq!(machine.handle(Event::Tick, seconds(12)), [start("c", 2)]);
}

#[test]
fn restart_policies_differ() {
    for (policy, code, again, end) in [
        ("Always", 0, true, "Running"),
        ("OnFailure", 1, true, "Running"),
        ("OnFailure", 0, false, "Succeeded"),
        ("Never", 1, false, "Failed"),
        ("Never", 0, false, "Succeeded"),
    ] {
        let (mut machine, _) = begun(&format!("  restartPolicy: {policy}\n  containers: [{{name: c}}]\n"));
        machine.handle(started("c", "1"), seconds(0));
        let actions = machine.handle(exited("c", "1", code), seconds(1));
        assert_eq!(actions == [start("c", 1)], again, "{policy} {code}: {actions:?}");
        if again {
            machine.handle(started("c", "2"), seconds(1));
        } else {
            assert_eq!(actions, [Action::RemoveSandbox]);
        }
        assert_eq!(phase(&machine), end, "{policy} {code}");
    }
}

#[test]
fn a_container_is_ready_when_its_probe_says_so() {
    let spec = "  containers:\n  - name: c\n    readinessProbe: {exec: {command: [x]}, periodSeconds: 1, failureThreshold: 2}\n";
    let (mut machine, _) = begun(spec);
    let actions = machine.handle(started("c", "1"), seconds(0));
    assert!(matches!(actions[..], [Action::Probe { kind: ProbeKind::Readiness, .. }]));
    assert_eq!(condition(machine.status(), "Ready"), ("False", "ContainersNotReady"));
    machine.handle(answer("c", ProbeKind::Readiness, Outcome::Success), seconds(0));
    assert_eq!(condition(machine.status(), "Ready"), ("True", ""));
    for (second, ready) in [(1, "True"), (2, "False")] {
        let actions = machine.handle(Event::Tick, seconds(second));
        assert!(matches!(actions[..], [Action::Probe { .. }]), "{actions:?}");
        machine.handle(answer("c", ProbeKind::Readiness, Outcome::Failure), seconds(second));
        assert_eq!(condition(machine.status(), "Ready").0, ready);
    }
    assert_eq!(machine.status().container_statuses[0].restart_count, Some(0), "readiness restarts nothing");
}

#[test]
fn a_failed_liveness_probe_restarts_the_container() {
    let spec = "  terminationGracePeriodSeconds: 5\n  containers:\n  - name: c\n    livenessProbe: {tcpSocket: {port: 1}, failureThreshold: 1}\n";
    let (mut machine, _) = begun(spec);
    machine.handle(started("c", "1"), seconds(0));
    let actions = machine.handle(answer("c", ProbeKind::Liveness, Outcome::Failure), seconds(0));
    assert!(
        matches!(&actions[..], [Action::Note { reason: "Killing", .. }, Action::Terminate { id, .. }] if id == "1"),
        "{actions:?}"
    );
    assert_eq!(machine.next_timeout(), Some(seconds(5)));
    let actions = machine.handle(Event::Tick, seconds(5));
    assert_eq!(actions, [Action::Kill { container: "c".into(), id: "1".into() }]);
    let actions = machine.handle(exited("c", "1", 137), seconds(5));
    assert_eq!(actions, [start("c", 1)]);
}

#[test]
fn a_probe_that_does_not_answer_has_failed() {
    let spec = "  containers:\n  - name: c\n    livenessProbe: {exec: {command: [x]}, timeoutSeconds: 3, failureThreshold: 1}\n";
    let (mut machine, _) = begun(spec);
    machine.handle(started("c", "1"), seconds(0));
    assert_eq!(machine.next_timeout(), Some(seconds(3)));
    let actions = machine.handle(Event::Tick, seconds(3));
    assert!(matches!(actions[0], Action::CancelProbe { .. }), "{actions:?}");
    assert!(actions.iter().any(|action| matches!(action, Action::Terminate { .. })), "{actions:?}");
}

#[test]
fn deletion_runs_the_hook_then_signals_then_kills() {
    let spec = "  terminationGracePeriodSeconds: 10\n  initContainers: [{name: side, restartPolicy: Always}]\n  containers:\n  - {name: c, lifecycle: {preStop: {exec: {command: [bye]}}}}\n";
    let (mut machine, _) = begun(spec);
    machine.handle(started("side", "1"), seconds(0));
    machine.handle(started("c", "2"), seconds(0));
    let actions = machine.handle(Event::Delete { grace: None }, seconds(1));
    assert!(matches!(&actions[..], [Action::Run { hook: Hook::PreStop, .. }]), "{actions:?}");
    let finished = Event::HookFinished { container: "c".into(), hook: Hook::PreStop, failure: None };
    assert_eq!(machine.handle(finished, seconds(3)), [Action::Terminate { container: "c".into(), id: "2".into() }]);
    assert_eq!(machine.handle(Event::Tick, seconds(11)), [Action::Kill { container: "c".into(), id: "2".into() }]);
    // The sidecar goes last, and has no time left.
    assert_eq!(
        machine.handle(exited("c", "2", 137), seconds(11)),
        [Action::Kill { container: "side".into(), id: "1".into() }]
    );
    assert_eq!(machine.handle(exited("side", "1", 137), seconds(11)), [Action::RemoveSandbox]);
    assert!(!machine.is_gone());
    machine.handle(Event::SandboxRemoved, seconds(12));
    assert!(machine.is_gone());
}

#[test]
fn a_pod_that_is_active_for_too_long_fails() {
    let (mut machine, _) = begun("  activeDeadlineSeconds: 60\n  containers: [{name: c}]\n");
    machine.handle(started("c", "1"), seconds(0));
    assert_eq!(machine.next_timeout(), Some(seconds(60)));
    let actions = machine.handle(Event::Tick, seconds(60));
    assert!(matches!(&actions[..], [Action::Note { .. }, Action::Terminate { .. }]), "{actions:?}");
    machine.handle(exited("c", "1", 143), seconds(61));
    assert_eq!((phase(&machine), machine.status().reason.as_deref()), ("Failed", Some("DeadlineExceeded")));
}

#[test]
fn running_out_of_memory_is_told() {
    let (mut machine, _) = begun("  restartPolicy: Never\n  containers: [{name: c}]\n");
    machine.handle(started("c", "1"), seconds(0));
    let exit = Exit { code: 137, signal: Some(9), oom_killed: true, message: String::new() };
    machine.handle(Event::Exited { container: "c".into(), id: "1".into(), exit }, seconds(1));
    let terminated = machine.status().container_statuses[0].state.terminated.as_ref().unwrap();
    assert_eq!((terminated.reason.as_deref(), terminated.exit_code), (Some("OOMKilled"), Some(137)));
}

const EVERYTHING: &str = "  terminationGracePeriodSeconds: 4\n  initContainers:\n  - {name: i}\n  - {name: s, restartPolicy: Always, livenessProbe: {exec: {command: [x]}, periodSeconds: 1, failureThreshold: 1}}\n  containers:\n  - name: a\n    startupProbe: {exec: {command: [x]}, periodSeconds: 1, failureThreshold: 3}\n    livenessProbe: {exec: {command: [x]}, periodSeconds: 1, failureThreshold: 2}\n    readinessProbe: {exec: {command: [x]}, periodSeconds: 1, failureThreshold: 1}\n    lifecycle: {preStop: {exec: {command: [x]}}, postStart: {exec: {command: [x]}}}\n  - {name: b, readinessProbe: {exec: {command: [x]}, periodSeconds: 2, successThreshold: 2}}\n";

/// An agent that answers everything sooner or later, as a list of dice says.
struct Agent {
    machine: PodMachine,
    now: Duration,
    due: Vec<(Duration, Event)>,
    /// What runs: the container and its identity.
    running: BTreeMap<String, String>,
    /// The last answer of each readiness probe that counts.
    last: BTreeMap<String, Outcome>,
    ids: u32,
    dice: Vec<u8>,
    next_die: usize,
}

impl Agent {
    fn roll(&mut self) -> u8 {
        self.next_die += 1;
        self.dice[self.next_die % self.dice.len()]
    }

    fn later(&mut self, event: Event) {
        let delay = Duration::from_millis(u64::from(self.roll()) * 5);
        self.due.push((self.now + delay, event));
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::CreateSandbox => {
                let event = if self.roll().is_multiple_of(8) {
                    Event::SandboxFailed { message: "no address".into() }
                } else {
                    Event::SandboxReady { ips: vec!["10.0.0.1".into()] }
                };
                self.later(event);
            }
            Action::RemoveSandbox => {
                assert!(self.running.is_empty(), "the sandbox goes last: {:?}", self.running);
                self.later(Event::SandboxRemoved);
            }
            Action::Start { container, .. } => {
                assert!(!self.running.contains_key(&container), "{container} runs already");
                self.ids += 1;
                let event = if self.roll().is_multiple_of(8) {
                    Event::StartFailed { container, reason: "RunContainerError".into(), message: "x".into() }
                } else {
                    started(&container, &self.ids.to_string())
                };
                self.later(event);
            }
            Action::Run { container, hook, .. } => {
                let failure = self.roll().is_multiple_of(8).then(|| "failed".to_owned());
                self.later(Event::HookFinished { container, hook, failure });
            }
            Action::Terminate { container, id } => {
                if self.roll().is_multiple_of(2) {
                    self.later(exited(&container, &id, 143));
                }
            }
            Action::Kill { container, id } => self.due.push((self.now, exited(&container, &id, 137))),
            Action::Probe { container, kind, .. } => {
                let outcome = match self.roll() % 5 {
                    0 => Outcome::Failure,
                    1 => return, // It hangs.
                    _ => Outcome::Success,
                };
                self.later(answer(&container, kind, outcome));
            }
            Action::CancelProbe { container, kind } => {
                let is_this = |event: &Event| matches!(event, Event::ProbeFinished { container: c, kind: k, .. } if *c == container && *k == kind);
                self.due.retain(|(_, event)| !is_this(event));
                if kind == ProbeKind::Readiness {
                    self.last.insert(container, Outcome::Failure);
                }
            }
            Action::Note { .. } => {}
        }
    }

    /// Hands over the next event or lets time pass; the pod's own containers may end at any time.
    fn step(&mut self) {
        self.due.sort_by_key(|(due, _)| *due);
        let timeout = self.machine.next_timeout();
        let first = self.due.first().map(|(due, _)| *due);
        let event = match (first, timeout) {
            (Some(due), timeout) if timeout.is_none_or(|timeout| due <= timeout) => {
                self.now = self.now.max(due);
                self.due.remove(0).1
            }
            (_, Some(timeout)) => {
                self.now = self.now.max(timeout);
                Event::Tick
            }
            (_, None) => Event::Tick,
        };
        self.give(event);
        if self.roll().is_multiple_of(16)
            && let Some((container, id)) = self.running.clone().pop_first()
        {
            let code = i32::from(self.roll() % 2);
            self.give(exited(&container, &id, code));
        }
    }

    fn give(&mut self, event: Event) {
        match &event {
            Event::Started { container, id } => {
                self.running.insert(container.clone(), id.clone());
                self.last.remove(container);
            }
            Event::Exited { container, id, .. } if self.running.get(container) == Some(id) => {
                self.running.remove(container);
                self.last.remove(container);
            }
            Event::ProbeFinished { container, kind: ProbeKind::Readiness, outcome } => {
                self.last.insert(container.clone(), *outcome);
            }
            _ => {}
        }
        let actions = self.machine.handle(event, self.now);
        for action in actions {
            self.perform(action);
        }
        self.check();
    }

    fn check(&self) {
        for status in &self.machine.status().container_statuses {
            let name = status.name.as_deref().unwrap();
            if status.ready == Some(true) {
                assert!(self.running.contains_key(name), "{name} is ready and does not run");
                let last = self.last.get(name);
                assert!(last == Some(&Outcome::Success) || name == "b", "{name} is ready after {last:?}");
            }
        }
        let ready = condition(self.machine.status(), "Ready").0 == "True";
        let all = self.machine.status().container_statuses.iter().all(|status| status.ready == Some(true));
        assert!(!ready || all, "a pod is ready when its containers are");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interleaving_breaks_or_stalls_a_pod(
        dice in proptest::collection::vec(any::<u8>(), 40..200),
        policy in prop_oneof![Just("Always"), Just("OnFailure"), Just("Never")],
        delete_after in 0usize..300,
    ) {
        let settings = Settings { backoff_initial: seconds(1), backoff_max: seconds(8), ..Settings::default() };
        let machine = PodMachine::new(pod(&format!("  restartPolicy: {policy}\n{EVERYTHING}")), settings);
        let mut agent = Agent {
            machine, now: seconds(0), due: Vec::new(), running: BTreeMap::new(), last: BTreeMap::new(),
            ids: 0, dice, next_die: 0,
        };
        for _ in 0..delete_after {
            agent.step();
            if agent.machine.is_gone() {
                break;
            }
        }
        agent.give(Event::Delete { grace: None });
        let deleted = agent.now;
        for _ in 0..200 {
            if agent.machine.is_gone() {
                break;
            }
            agent.step();
        }
        prop_assert!(agent.machine.is_gone(), "deleted at {deleted:?}, still there at {:?}", agent.now);
        prop_assert!(agent.running.is_empty());
    }
}
