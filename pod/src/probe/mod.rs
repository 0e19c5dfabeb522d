//! Probes: when to ask a container how it is, and what the answers mean.
//!
//! A [`Prober`] is a machine without input and output: it is told what happens to the container and what the probes
//! answered, and tells which probe to perform next. Call [`Prober::handle`] with [`Event::Tick`] when
//! [`Prober::next_timeout`] is reached.
//!
//! ```
//! use std::time::Duration;
//! use windlass_pod::probe::{Action, Container, Event, Outcome, ProbeKind, ProbeResult, Prober};
//! use windlass_pod::kinds::{Probe, TCPSocketAction};
//!
//! let probe = Probe {
//!     tcp_socket: Some(Box::new(TCPSocketAction { port: Some(80.into()), ..Default::default() })),
//!     period_seconds: Some(1),
//!     ..Default::default()
//! };
//! let mut prober = Prober::new(ProbeKind::Readiness, &probe);
//! let now = Duration::from_secs(100);
//! let running = Container::Running { id: "c1".into(), since: now, started: true };
//! let actions = prober.handle(Event::Container(running), now);
//! assert!(matches!(actions[..], [Action::Result(ProbeResult::Failure), Action::Perform(_)]));
//! let actions = prober.handle(Event::Finished(Outcome::Success), now);
//! assert!(matches!(actions[..], [Action::Result(ProbeResult::Success)]));
//! assert_eq!(prober.next_timeout(), Some(Duration::from_secs(101)));
//! ```

mod judge;

use std::time::Duration;

use crate::kinds::Probe;
use crate::wire::scalar::IntOrString;
use crate::wire::text::Text as _;
pub use judge::{Judge, Observation, Step};

/// What a probe decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// Whether the container gets traffic.
    Readiness,
    /// Whether the container is restarted.
    Liveness,
    /// Whether the container has started, so that the other probes begin.
    Startup,
}

/// What stands about a container after the answers so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProbeResult {
    /// No answer counts yet.
    Unknown,
    /// It is well.
    Success,
    /// It is not.
    Failure,
}

/// The answer to one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is well.
    Success,
    /// It is well, though something about the answer was odd; counts as success.
    Warning,
    /// It is not well, or did not answer in time.
    Failure,
    /// The answer could not be told; counts as failure.
    Unknown,
    /// The probe itself could not be performed; counts as nothing.
    Error,
}

/// How to ask a container.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handler {
    /// Run a command in it; the exit code 0 is success.
    Exec {
        /// The command and its arguments.
        command: Vec<String>,
    },
    /// Ask by HTTP; a status from 200 to 399 is success.
    HttpGet {
        /// `HTTP` or `HTTPS`.
        scheme: String,
        /// The host; `None` is the pod's address.
        host: Option<String>,
        /// A number, or the name of one of the container's ports.
        port: IntOrString,
        /// The path.
        path: String,
        /// Names and values of further headers.
        headers: Vec<(String, String)>,
    },
    /// Open a TCP connection.
    TcpSocket {
        /// The host; `None` is the pod's address.
        host: Option<String>,
        /// A number, or the name of one of the container's ports.
        port: IntOrString,
    },
    /// Call the health service of gRPC.
    Grpc {
        /// The port.
        port: i32,
        /// The service to ask about.
        service: String,
    },
}

impl Handler {
    /// How this probe asks; `None` when it names no way.
    pub fn of(probe: &Probe) -> Option<Self> {
        if let Some(exec) = &probe.exec {
            return Some(Self::Exec { command: exec.command.clone() });
        }
        if let Some(get) = &probe.http_get {
            let or = |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
            return Some(Self::HttpGet {
                scheme: or(get.scheme.text(), "HTTP"),
                host: get.host.clone().filter(|host| !host.is_empty()),
                port: get.port.clone().unwrap_or_default(),
                path: or(get.path.text(), "/"),
                headers: get.http_headers.iter().map(|one| (one.name.text().into(), one.value.text().into())).collect(),
            });
        }
        if let Some(tcp) = &probe.tcp_socket {
            let host = tcp.host.clone().filter(|host| !host.is_empty());
            return Some(Self::TcpSocket { host, port: tcp.port.clone().unwrap_or_default() });
        }
        let grpc = probe.grpc.as_ref()?;
        Some(Self::Grpc { port: grpc.port.unwrap_or_default(), service: grpc.service.text().to_owned() })
    }
}

/// One probe to perform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// How to ask.
    pub handler: Handler,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// What is known about the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Container {
    /// There is none yet, or no longer.
    Absent,
    /// It runs.
    Running {
        /// Its identity; another one is another container.
        id: String,
        /// When it was started.
        since: Duration,
        /// Its startup probe has succeeded, or it has none.
        started: bool,
    },
    /// It has ended.
    Stopped {
        /// Its identity.
        id: String,
        /// Another one will take its place.
        restarts: bool,
    },
}

/// What happens to a [`Prober`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The container is this now.
    Container(Container),
    /// The pod is being deleted: liveness and startup no longer count.
    Deleting,
    /// The probe asked for last has been answered.
    Finished(Outcome),
    /// Time has passed.
    Tick,
}

/// What a [`Prober`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Perform this probe and report [`Event::Finished`].
    Perform(Request),
    /// Give the probe up that is being performed: it took too long, or its container is gone.
    Cancel,
    /// This stands about the container from now on.
    Result(ProbeResult),
}

/// One probe of one container.
#[derive(Debug, Clone)]
pub struct Prober {
    judge: Judge,
    request: Option<Request>,
    period: Duration,
    container: Container,
    deleting: bool,
    /// When the next probe is due.
    next: Option<Duration>,
    /// Until when the probe that is being performed may take.
    deadline: Option<Duration>,
    announced: Option<ProbeResult>,
}

fn seconds(value: Option<i32>, default: u32) -> Duration {
    let value = value.and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0);
    Duration::from_secs(value.unwrap_or(default).into())
}

impl Prober {
    /// A prober for a container that does not run yet; unset fields have the defaults of Kubernetes.
    pub fn new(kind: ProbeKind, probe: &Probe) -> Self {
        let timeout = seconds(probe.timeout_seconds, 1);
        Self {
            judge: Judge::new(kind, probe),
            request: Handler::of(probe).map(|handler| Request { handler, timeout }),
            period: seconds(probe.period_seconds, 10),
            container: Container::Absent,
            deleting: false,
            next: None,
            deadline: None,
            announced: None,
        }
    }

    /// What the probe decides.
    pub fn kind(&self) -> ProbeKind {
        self.judge.kind()
    }

    /// What stands about the container.
    pub fn result(&self) -> ProbeResult {
        self.judge.result()
    }

    /// When to call [`Prober::handle`] with [`Event::Tick`]; `None` until something else happens.
    pub fn next_timeout(&self) -> Option<Duration> {
        match (self.deadline, self.next) {
            (Some(deadline), _) => Some(deadline),
            (None, next) => next,
        }
    }

    /// Takes an event and returns what to do, in this order.
    pub fn handle(&mut self, event: Event, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Container(container) => self.observe(container, now, &mut actions),
            Event::Deleting => self.deleting = true,
            Event::Finished(outcome) => {
                // An answer that comes after its deadline has been counted as a failure.
                if self.deadline.take().is_some() {
                    self.judge.record(outcome);
                }
            }
            Event::Tick => {
                if self.deadline.is_some_and(|deadline| now >= deadline) {
                    self.deadline = None;
                    actions.push(Action::Cancel);
                    self.judge.record(Outcome::Failure);
                }
            }
        }
        self.announce(&mut actions);
        if self.deadline.is_none() && self.next.is_some_and(|next| now >= next) {
            self.step(now, &mut actions);
        }
        actions
    }

    fn observe(&mut self, container: Container, now: Duration, actions: &mut Vec<Action>) {
        if container == self.container {
            return;
        }
        let id = |container: &Container| match container {
            Container::Absent => None,
            Container::Running { id, .. } | Container::Stopped { id, .. } => Some(id.clone()),
        };
        let runs = matches!(container, Container::Running { .. });
        if (!runs || id(&container) != id(&self.container)) && self.deadline.take().is_some() {
            actions.push(Action::Cancel);
        }
        self.container = container;
        // What has changed counts at once: a container that has just started is asked without waiting for a period.
        self.next = (self.container != Container::Absent).then_some(now);
    }

    fn step(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let observation = observation(&self.container, self.deleting, now);
        let step = self.judge.step(&observation);
        self.announce(actions);
        self.next = match step {
            Step::Stop => None,
            Step::Wait | Step::Probe => Some(self.next_due(now)),
        };
        if step == Step::Probe
            && let Some(request) = &self.request
        {
            self.deadline = Some(now + request.timeout);
            actions.push(Action::Perform(request.clone()));
        }
    }

    /// The next multiple of the period, or the end of the initial delay if that comes first.
    fn next_due(&self, now: Duration) -> Duration {
        let due = now + self.period;
        match &self.container {
            Container::Running { since, .. } => {
                let delay_ends = *since + self.judge.initial_delay();
                if now < delay_ends { due.min(delay_ends) } else { due }
            }
            _ => due,
        }
    }

    fn announce(&mut self, actions: &mut Vec<Action>) {
        let result = self.judge.result();
        if self.judge.has_container() && self.announced != Some(result) {
            self.announced = Some(result);
            actions.push(Action::Result(result));
        }
    }
}

fn observation(container: &Container, deleting: bool, now: Duration) -> Observation<'_> {
    let absent = Observation { deleting, ..Observation::default() };
    match container {
        Container::Absent => absent,
        Container::Running { id, since, started } => {
            Observation { id, running_for: Some(now.saturating_sub(*since)), started: *started, ..absent }
        }
        Container::Stopped { id, restarts } => Observation { id, restarts: *restarts, ..absent },
    }
}
