//! The life of a pod on its node: what to start, probe, restart and stop, and what to report.
//!
//! A [`PodMachine`] has no input and output of its own. The agent tells it what happened ([`Event`]), performs what it
//! asks for ([`Action`]) and calls it again with [`Event::Tick`] when [`PodMachine::next_timeout`] is reached. Every
//! action is answered by exactly one event about the same container, named with it.
//!
//! ```
//! use std::time::Duration;
//! use windlass_pod::lifecycle::{Action, Event, Exit, PodMachine, Settings};
//! use windlass_pod::{decode_yaml_as, kinds::Pod};
//!
//! let pod: Pod = decode_yaml_as(b"spec: {containers: [{name: web}], restartPolicy: Always}").unwrap();
//! let mut machine = PodMachine::new(pod, Settings::default());
//! let now = Duration::from_secs(1000);
//! assert_eq!(machine.handle(Event::Tick, now), [Action::CreateSandbox]);
//! let actions = machine.handle(Event::SandboxReady { ips: vec!["10.0.0.1".into()] }, now);
//! assert_eq!(actions, [Action::Start { container: "web".into(), attempt: 0 }]);
//! machine.handle(Event::Started { container: "web".into(), id: "1".into() }, now);
//! assert_eq!(machine.status().phase.as_deref(), Some("Running"));
//!
//! let exit = Exit { code: 137, signal: Some(9), oom_killed: false, message: String::new() };
//! let actions = machine.handle(Event::Exited { container: "web".into(), id: "1".into(), exit }, now);
//! assert_eq!(actions, [Action::Start { container: "web".into(), attempt: 1 }]);
//! ```

mod cell;
mod machine;

use std::time::Duration;

use crate::kinds::{LifecycleHandler, PodCondition};
use crate::probe::{Outcome, ProbeKind, Request};
use crate::wire::time::Time;
pub use machine::PodMachine;

/// What the agent decides for all of its pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The first wait before a container that ended is started again.
    pub backoff_initial: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
    /// The point in time from which `now` counts.
    pub epoch: Time,
}

impl Default for Settings {
    /// The kubelet's back-off of 10 s to 5 min; `now` counts from 1970.
    fn default() -> Self {
        Self {
            backoff_initial: Duration::from_secs(10),
            backoff_max: Duration::from_mins(5),
            epoch: Time::from_unix_seconds(0),
        }
    }
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exit {
    /// The exit code; 128 and the signal's number when one ended it.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The kernel ended it because its memory ran out.
    pub oom_killed: bool,
    /// What it left to say.
    pub message: String,
}

/// The commands that a container has run beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// After it was started.
    PostStart,
    /// Before it is stopped.
    PreStop,
}

/// What happens to a pod.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Time has passed.
    Tick,
    /// Answers [`Action::CreateSandbox`]: the pod's namespaces and addresses are there.
    SandboxReady {
        /// The addresses, the primary one first.
        ips: Vec<String>,
    },
    /// Answers [`Action::CreateSandbox`]: they are not, and a new try is due after a wait.
    SandboxFailed {
        /// What went wrong.
        message: String,
    },
    /// Answers [`Action::RemoveSandbox`].
    SandboxRemoved,
    /// Answers [`Action::Start`]: the container runs.
    Started {
        /// The container.
        container: String,
        /// The identity that it has until it ends.
        id: String,
    },
    /// Answers [`Action::Start`]: the container cannot run.
    StartFailed {
        /// The container.
        container: String,
        /// One word, such as `CreateContainerConfigError`.
        reason: String,
        /// What went wrong.
        message: String,
    },
    /// A container has ended, by itself or after [`Action::Terminate`] or [`Action::Kill`].
    Exited {
        /// The container.
        container: String,
        /// Its identity.
        id: String,
        /// How it ended.
        exit: Exit,
    },
    /// Answers [`Action::Run`].
    HookFinished {
        /// The container.
        container: String,
        /// Which hook.
        hook: Hook,
        /// What went wrong, if anything did.
        failure: Option<String>,
    },
    /// Answers [`Action::Probe`].
    ProbeFinished {
        /// The container.
        container: String,
        /// Which probe.
        kind: ProbeKind,
        /// The answer.
        outcome: Outcome,
    },
    /// Somebody else has set a condition that a readiness gate of the pod names.
    Condition(PodCondition),
    /// The pod is being deleted; a second time it can only get shorter.
    Delete {
        /// How long its containers may take to end; the pod says if this does not.
        grace: Option<Duration>,
    },
}

/// What a pod asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Make the pod's namespaces and addresses.
    CreateSandbox,
    /// Take them away; all containers have ended.
    RemoveSandbox,
    /// Start a container.
    Start {
        /// The container.
        container: String,
        /// How many were started before it.
        attempt: u32,
    },
    /// Perform a hook.
    Run {
        /// The container.
        container: String,
        /// Which hook.
        hook: Hook,
        /// How.
        handler: LifecycleHandler,
    },
    /// Ask a container to end: send it its stop signal.
    Terminate {
        /// The container.
        container: String,
        /// Its identity.
        id: String,
    },
    /// End a container now.
    Kill {
        /// The container.
        container: String,
        /// Its identity.
        id: String,
    },
    /// Perform a probe.
    Probe {
        /// The container.
        container: String,
        /// Which probe.
        kind: ProbeKind,
        /// How.
        request: Request,
    },
    /// Give up a probe; it is not to be answered.
    CancelProbe {
        /// The container.
        container: String,
        /// Which probe.
        kind: ProbeKind,
    },
    /// Write an event about the pod.
    Note {
        /// One word, such as `Unhealthy`.
        reason: &'static str,
        /// What happened.
        message: String,
    },
}
