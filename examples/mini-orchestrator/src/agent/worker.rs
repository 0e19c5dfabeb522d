//! One pod on this node, from its binding to its removal.
//!
//! The worker is the shell around the pod's machine: it tells the machine what happens, carries out what it answers
//! (`carry`), and writes back how the pod is. What blocks for a moment runs in place while other workers go on
//! elsewhere; what may take long (a probe, a hook, a program that is told to end) is waited for beside (`beside`).

mod beside;
mod carry;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use windlass_namespaces::Signal;
use windlass_pod::Time;
use windlass_pod::kinds::{ConfigMap, HostIP, Pod, PodStatus};
use windlass_pod::lifecycle::{self, Event, Hook, PodMachine};
use windlass_pod::probe::{Outcome, ProbeKind};

use super::container::Run;
use super::error::{Error, Result};
use super::group::{PodGroup, Usage};
use super::node::Settings;
use super::place::Place;
use super::sandbox::Sandbox;
use super::support;
use super::volume::Volumes;
use crate::registry::{self, Key, Registry, Scope};

/// What a worker is told.
#[derive(Debug)]
pub(super) enum Message {
    /// The pod is like this now.
    Pod(Arc<Pod>),
    /// The pod's object is gone, or the node stops: all ends at once.
    Abandon,
    /// A ConfigMap of the pod's namespace has changed.
    ConfigMaps,
    /// The first process of a container has ended.
    Ended { container: String, attempt: u32 },
    /// A probe has been answered; the number is the question's.
    Probed { container: String, kind: ProbeKind, question: u64, outcome: Outcome },
    /// A hook has been performed.
    Hooked { container: String, hook: Hook, failure: Option<String> },
    /// Somebody wants a signal sent.
    Signal { container: String, signal: Signal, reply: oneshot::Sender<Result<()>> },
    /// Somebody wants a program run.
    Exec { container: String, line: Vec<String>, timeout: Duration, reply: oneshot::Sender<Result<Option<i32>>> },
    /// Somebody wants to know what was used.
    Usage { reply: oneshot::Sender<Result<Option<Usage>>> },
}

/// One pod on this node.
#[derive(Debug)]
pub(super) struct Worker {
    registry: Registry,
    place: Arc<Place>,
    key: Key,
    pod: Arc<Pod>,
    machine: PodMachine,
    /// What the machine's time is at `start`: the time since 1970 then, from which it goes on evenly.
    epoch: Duration,
    start: Instant,
    messages: mpsc::UnboundedSender<Message>,
    /// The pod's own folder.
    folder: PathBuf,
    /// Memory of the node, by which the kernel's willingness to kill is measured.
    memory: u64,
    group: Option<PodGroup>,
    sandbox: Option<Sandbox>,
    volumes: Option<Volumes>,
    runs: BTreeMap<String, Run>,
    /// The digests of the containers' images, once they were started.
    images: BTreeMap<String, String>,
    /// The question that each probe is waiting for.
    questions: BTreeMap<(String, ProbeKind), u64>,
    asked: u64,
    reported: Option<PodStatus>,
    is_abandoned: bool,
    /// What could not be removed.
    left: Result<()>,
}

impl Worker {
    pub(super) fn new(
        registry: Registry,
        place: Arc<Place>,
        settings: &Settings,
        pod: Arc<Pod>,
        messages: mpsc::UnboundedSender<Message>,
    ) -> Self {
        let machine_settings = lifecycle::Settings {
            backoff_initial: settings.backoff_base,
            backoff_max: settings.backoff_max,
            epoch: Time::from_unix_seconds(0),
        };
        let memory = settings.capacity.get("memory").and_then(windlass_pod::Quantity::value).unwrap_or_default();
        Self {
            key: Key::of(&*pod),
            machine: PodMachine::new((*pod).clone(), machine_settings),
            epoch: registry.now(),
            start: Instant::now(),
            messages,
            folder: place.pods.join(pod.metadata.uid.as_deref().unwrap_or_default()),
            memory: u64::try_from(memory).unwrap_or_default(),
            group: None,
            sandbox: None,
            volumes: None,
            runs: BTreeMap::new(),
            images: BTreeMap::new(),
            questions: BTreeMap::new(),
            asked: 0,
            reported: None,
            is_abandoned: false,
            left: Ok(()),
            registry,
            place,
            pod,
        }
    }

    /// Runs the pod until nothing of it is left on the node.
    pub(super) async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Message>) -> Result<()> {
        let unsupported = support::unsupported(&self.pod);
        if !unsupported.is_empty() {
            return self.refuse(unsupported).await;
        }
        self.follow_deletion(None).await?;
        while !self.machine.is_gone() && !self.is_abandoned {
            let due = self.machine.next_timeout().map(|due| due.saturating_sub(self.now()));
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => self.take(message).await?,
                    None => self.is_abandoned = true,
                },
                () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => self.step(Event::Tick).await?,
            }
        }
        if self.is_abandoned {
            tokio::task::block_in_place(|| self.abandon());
        } else if self.pod.metadata.deletion_timestamp.is_some() {
            match self.registry.delete::<Pod>(&self.key, self.pod.metadata.uid.as_deref()).await {
                Ok(()) | Err(registry::Error::NotFound { .. } | registry::Error::Replaced { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.left
    }

    /// A pod that asks for what this node cannot do fails at once, and says why.
    async fn refuse(self, fields: Vec<String>) -> Result<()> {
        let message = Error::Unsupported { fields }.to_string();
        let change = |status: &mut PodStatus| {
            status.phase = Some("Failed".to_owned());
            status.reason = Some("Unsupported".to_owned());
            status.message = Some(message.clone());
        };
        match self.registry.update_status::<Pod>(&self.key, change).await {
            Ok(_) | Err(registry::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn take(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Pod(pod) => {
                let before = std::mem::replace(&mut self.pod, pod);
                self.follow_deletion(Some(&before)).await
            }
            Message::Abandon => {
                self.is_abandoned = true;
                Ok(())
            }
            Message::ConfigMaps => self.follow_config_maps().await,
            Message::Ended { container, attempt } => match self.ended(&container, attempt) {
                Some(event) => self.step(event).await,
                None => Ok(()),
            },
            Message::Probed { container, kind, question, outcome } => {
                let asked = (container, kind);
                if self.questions.get(&asked) != Some(&question) {
                    return Ok(());
                }
                self.questions.remove(&asked);
                self.step(Event::ProbeFinished { container: asked.0, kind, outcome }).await
            }
            Message::Hooked { container, hook, failure } => {
                self.step(Event::HookFinished { container, hook, failure }).await
            }
            Message::Signal { container, signal, reply } => {
                // Whoever asked may have gone.
                let _ = reply.send(self.signal(&container, signal));
                Ok(())
            }
            Message::Exec { container, line, timeout, reply } => {
                self.exec(&container, &line, timeout, reply);
                Ok(())
            }
            Message::Usage { reply } => {
                let usage = self.group.as_ref().map(PodGroup::usage).transpose();
                // As above.
                let _ = reply.send(usage);
                Ok(())
            }
        }
    }

    /// Tells the machine what the pod's object says of its end; the first time it also begins the pod's life.
    async fn follow_deletion(&mut self, before: Option<&Pod>) -> Result<()> {
        let metadata = &self.pod.metadata;
        let mark = |pod: &Pod| (pod.metadata.deletion_timestamp, pod.metadata.deletion_grace_period_seconds);
        if metadata.deletion_timestamp.is_some() && before.map(mark) != Some(mark(&self.pod)) {
            let grace = metadata.deletion_grace_period_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            return self.step(Event::Delete { grace: grace.map(Duration::from_secs) }).await;
        }
        if before.is_none() { self.step(Event::Tick).await } else { Ok(()) }
    }

    /// Writes changed `ConfigMap`s into the volumes; programs that watch their files see all of a change or nothing.
    async fn follow_config_maps(&mut self) -> Result<()> {
        let Some(mut volumes) = self.volumes.take() else { return Ok(()) };
        let followed = if volumes.config_maps().is_empty() {
            Ok(())
        } else {
            let config_maps = self.config_maps().await?;
            tokio::task::block_in_place(|| volumes.follow(&config_maps))
        };
        self.volumes = Some(volumes);
        match followed {
            Ok(()) => Ok(()),
            // Running containers keep the files that they have.
            Err(error) => self.note("FailedMount", &error.to_string()).await,
        }
    }

    /// Lets the machine take an event, carries out what it wants, and so on until nothing more follows at once.
    async fn step(&mut self, event: Event) -> Result<()> {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.machine.handle(event, self.now()) {
                events.extend(self.carry_out(action).await?);
            }
        }
        self.report().await
    }

    /// Writes the pod's status if it has changed.
    async fn report(&mut self) -> Result<()> {
        let mut status = self.machine.status().clone();
        let host = self.place.network.address().to_string();
        status.host_ip = Some(host.clone());
        status.host_ips = vec![HostIP { ip: Some(host), ..HostIP::default() }];
        for container in &mut status.container_statuses {
            let name = container.name.as_deref().unwrap_or_default();
            container.image_id = self.images.get(name).cloned();
        }
        if self.reported.as_ref() == Some(&status) {
            return Ok(());
        }
        match self.registry.update_status::<Pod>(&self.key, |current| current.clone_from(&status)).await {
            Ok(_) => self.reported = Some(status),
            // Its object is gone: what is left of it ends.
            Err(registry::Error::NotFound { .. }) => self.is_abandoned = true,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Records something that people should know.
    async fn note(&self, reason: &str, message: &str) -> Result<()> {
        let about = (*self.pod).clone().into();
        Ok(self.registry.warn(&about, &format!("agent, {}", self.place.node), reason, message).await?)
    }

    async fn config_maps(&self) -> Result<BTreeMap<String, ConfigMap>> {
        let (maps, _) = self.registry.list::<ConfigMap>(Scope::Namespace(&self.key.namespace)).await?;
        Ok(maps.into_iter().map(|map| (map.metadata.name.clone().unwrap_or_default(), map)).collect())
    }

    /// Adds a failure to remove something to those before: the first one is told at the end.
    fn leave(&mut self, removed: Result<()>) {
        if self.left.is_ok() {
            self.left = removed;
        }
    }

    fn now(&self) -> Duration {
        self.epoch + self.start.elapsed()
    }
}
