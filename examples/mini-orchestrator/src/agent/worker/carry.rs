//! What the machine asks for, done.

use std::fs;
use std::time::Duration;

use tokio::sync::oneshot;
use windlass_namespaces::Signal;
use windlass_pod::kinds::{Container, Service};
use windlass_pod::lifecycle::{Action, Event, Exit};

use super::{Message, Worker, beside};
use crate::agent::container::{Request, Run};
use crate::agent::environment::Facts;
use crate::agent::error::{Error, Result};
use crate::agent::group::PodGroup;
use crate::agent::limits;
use crate::agent::sandbox::Sandbox;
use crate::agent::volume::Volumes;
use crate::registry::Scope;

impl Worker {
    /// Carries out an action; the event is what the machine must be told about it at once.
    pub(super) async fn carry_out(&mut self, action: Action) -> Result<Option<Event>> {
        Ok(match action {
            Action::CreateSandbox => Some(match self.create_sandbox().await? {
                Ok(ip) => Event::SandboxReady { ips: vec![ip] },
                Err(error) => Event::SandboxFailed { message: describe(&error) },
            }),
            Action::RemoveSandbox => {
                tokio::task::block_in_place(|| self.remove_sandbox());
                Some(Event::SandboxRemoved)
            }
            Action::Start { container, attempt } => Some(match self.start_container(&container, attempt).await? {
                Ok(id) => Event::Started { container, id },
                Err(error) => {
                    let (reason, message) = (reason(&error).to_owned(), describe(&error));
                    Event::StartFailed { container, reason, message }
                }
            }),
            Action::Run { container, hook, handler } => {
                self.run_hook(container, hook, handler);
                None
            }
            Action::Terminate { container, .. } => {
                self.end(&container, None);
                None
            }
            Action::Kill { container, .. } => {
                self.end(&container, Some(Signal::KILL));
                None
            }
            Action::Probe { container, kind, request } => {
                self.probe(container, kind, &request);
                None
            }
            Action::CancelProbe { container, kind } => {
                self.questions.remove(&(container, kind));
                None
            }
            Action::Note { reason, message } => {
                self.note(reason, &message).await?;
                None
            }
        })
    }

    /// Makes what the pod's containers share; returns the pod's address.
    async fn create_sandbox(&mut self) -> Result<Result<String>> {
        let config_maps = self.config_maps().await?;
        Ok(tokio::task::block_in_place(|| {
            fs::create_dir_all(&self.folder).map_err(Error::io("create", &self.folder))?;
            let mut volumes = Volumes::new(self.folder.join("volumes"), &self.pod.spec.volumes)?;
            volumes.make(&config_maps)?;
            self.volumes = Some(volumes);
            if let (None, Some(node)) = (&self.group, &self.place.group) {
                let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
                let limits = limits::of_pod(&self.pod, self.place.disk)?;
                self.group = Some(PodGroup::create(node, uid, &limits)?);
            }
            let sandbox = Sandbox::create(&self.place, &self.pod, &self.folder, self.group.as_ref())?;
            let address = sandbox.network().address().to_string();
            self.sandbox = Some(sandbox);
            Ok(address)
        }))
    }

    /// Removes all that is left of the pod on this node; what cannot be removed is told at the end.
    pub(super) fn remove_sandbox(&mut self) {
        if let Some(sandbox) = self.sandbox.take() {
            let removed = sandbox.remove(&self.place);
            self.leave(removed);
        }
        if let Some(group) = self.group.take() {
            let removed = group.remove();
            self.leave(removed);
        }
        self.volumes = None;
        let removed = match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(Error::io("remove", &self.folder)),
        };
        self.leave(removed);
    }

    /// Ends everything without asking.
    pub(super) fn abandon(&mut self) {
        for run in self.runs.values() {
            // One that has ended already is what is wanted.
            let _ = run.child.kill(Signal::KILL);
        }
        for (_, run) in std::mem::take(&mut self.runs) {
            let finished = run.finish().map(drop);
            self.leave(finished);
        }
        self.remove_sandbox();
    }

    /// Starts a container; returns its identity.
    async fn start_container(&mut self, name: &str, attempt: u32) -> Result<Result<String>> {
        let config_maps = self.config_maps().await?;
        let (services, _) = self.registry.list::<Service>(Scope::Namespace(&self.key.namespace)).await?;
        let started = tokio::task::block_in_place(|| {
            let (Some(sandbox), Some(volumes)) = (&self.sandbox, &self.volumes) else {
                return Err(Error::NotHere { pod: self.key.to_string() });
            };
            let container = self.container(name)?;
            let (limits, oom_score_adj) = limits::of_container(&self.pod, container, self.memory)?;
            let (address, host) = (sandbox.network().address().to_string(), self.place.network.address().to_string());
            let facts = Facts {
                pod: &self.pod,
                address: &address,
                host: &host,
                config_maps: &config_maps,
                services: &services,
            };
            Run::start(&Request {
                place: &self.place,
                pod: &self.pod,
                container,
                attempt,
                sandbox,
                group: self.group.as_ref(),
                limits,
                oom_score_adj,
                volumes,
                facts,
                folder: &self.folder,
            })
        });
        let run = match started {
            Ok(run) => run,
            Err(error) => return Ok(Err(error)),
        };
        beside::watch_end(&run, name, self.messages.clone())?;
        self.images.insert(name.to_owned(), run.image.clone());
        self.runs.insert(name.to_owned(), run);
        Ok(Ok(self.identity(name, attempt)))
    }

    /// Takes the exit status of a container and removes what was its own.
    pub(super) fn ended(&mut self, name: &str, attempt: u32) -> Option<Event> {
        self.runs.get(name).filter(|run| run.attempt == attempt)?;
        let run = self.runs.remove(name)?;
        let ended = tokio::task::block_in_place(|| run.finish());
        let exit = match ended {
            Ok(ended) => {
                Exit { code: ended.code, signal: ended.signal, oom_killed: ended.out_of_memory, message: String::new() }
            }
            Err(error) => {
                // How it ended is not known; that something of it may be left is told at the end.
                let message = describe(&error);
                self.leave(Err(error));
                Exit { code: 255, message, ..Exit::default() }
            }
        };
        Some(Event::Exited { container: name.to_owned(), id: self.identity(name, attempt), exit })
    }

    /// Tells a container's first process to end: by its own stop signal, or by `signal`.
    fn end(&self, name: &str, signal: Option<Signal>) {
        let Some(run) = self.runs.get(name) else { return };
        // One that has just ended needs no signal; its end is on the way.
        let _ = run.child.kill(signal.unwrap_or(run.stop_signal));
    }

    pub(super) fn signal(&self, name: &str, signal: Signal) -> Result<()> {
        let run = self.runs.get(name).ok_or_else(|| self.not_here(name))?;
        run.child.kill(signal).map_err(Error::process("signal", name))
    }

    pub(super) fn exec(
        &self,
        name: &str,
        line: &[String],
        timeout: Duration,
        reply: oneshot::Sender<Result<Option<i32>>>,
    ) {
        let command = match (self.runs.get(name), &self.sandbox) {
            (Some(run), Some(sandbox)) => run.inside(line, sandbox),
            _ => Err(self.not_here(name)),
        };
        match command {
            Ok(command) => beside::exec(command, name.to_owned(), timeout, reply),
            // Whoever asked may have gone.
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    /// The specification of one of the pod's containers.
    pub(super) fn container(&self, name: &str) -> Result<&Container> {
        let spec = &self.pod.spec;
        let mut all = spec.containers.iter().chain(&spec.init_containers);
        all.find(|container| container.name.as_deref() == Some(name)).ok_or_else(|| self.not_here(name))
    }

    fn not_here(&self, container: &str) -> Error {
        Error::NotHere { pod: format!("container {container} of {}", self.key) }
    }

    fn identity(&self, name: &str, attempt: u32) -> String {
        format!("windlass://{}-{name}-{attempt}", self.pod.metadata.uid.as_deref().unwrap_or_default())
    }

    pub(super) fn send(&self) -> tokio::sync::mpsc::UnboundedSender<Message> {
        self.messages.clone()
    }
}

/// The word by which Kubernetes' own agent calls such a failure.
fn reason(error: &Error) -> &'static str {
    match error {
        Error::ConfigMap { .. } | Error::Unsupported { .. } | Error::Root { .. } | Error::NoVolume { .. } => {
            "CreateContainerConfigError"
        }
        Error::Image { .. } => "ErrImageNeverPull",
        Error::Process { .. } => "RunContainerError",
        _ => "CreateContainerError",
    }
}

/// An error with its causes, for the pod's status.
fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
