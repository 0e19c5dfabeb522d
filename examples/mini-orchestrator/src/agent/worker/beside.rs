//! What may take long, waited for beside the worker: the answers come back as messages.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};
use windlass_namespaces::Command;
use windlass_pod::kinds::{LifecycleHandler, Probe};
use windlass_pod::lifecycle::Hook;
use windlass_pod::probe::{Handler, Outcome, ProbeKind, Request};

use super::{Message, Worker};
use crate::agent::container::Run;
use crate::agent::error::{Error, Result};
use crate::agent::place::Place;
use crate::agent::probe::{Question, ask_network, question};
use crate::agent::start::exec as run_to_end;

/// How long a hook may take at most; the machine gives up on it earlier when the pod has less time.
const HOOK: Duration = Duration::from_mins(10);

/// A question with all that it needs to be asked from another thread.
#[derive(Debug)]
enum Asking {
    Network(Question, Arc<Place>),
    Inside(Box<Command>),
    Impossible(String),
}

/// Sends a message when the first process of a run has ended.
pub(super) fn watch_end(run: &Run, name: &str, worker: mpsc::UnboundedSender<Message>) -> Result<()> {
    let failed = |source| Error::io("watch", Path::new("a container's process"))(source);
    let pidfd = run.child.as_fd().try_clone_to_owned().map_err(failed)?;
    #[expect(deprecated, reason = "what replaces it is unsafe; nobody but this value closes the descriptor")]
    let pidfd = AsyncFd::new(pidfd).map_err(failed)?;
    let (container, attempt) = (name.to_owned(), run.attempt);
    tokio::spawn(async move {
        // Readable once the process has ended; an error means the event loop's own end.
        let _ = pidfd.readable().await;
        // A worker that is gone has taken the status itself.
        let _ = worker.send(Message::Ended { container, attempt });
    });
    Ok(())
}

/// Runs a command to its end and tells whoever asked.
pub(super) fn exec(command: Command, name: String, timeout: Duration, reply: oneshot::Sender<Result<Option<i32>>>) {
    tokio::task::spawn_blocking(move || {
        // Whoever asked may have gone.
        let _ = reply.send(run_to_end(command, &name, timeout));
    });
}

impl Worker {
    /// Asks a container how it is.
    pub(super) fn probe(&mut self, container: String, kind: ProbeKind, request: &Request) {
        self.asked += 1;
        let number = self.asked;
        let asking = self.prepare(&container, &request.handler);
        self.questions.insert((container.clone(), kind), number);
        let (timeout, worker) = (request.timeout, self.send());
        tokio::task::spawn_blocking(move || {
            let outcome = match ask(asking, timeout) {
                Ok(()) => Outcome::Success,
                Err(Failure::Unwell(_)) => Outcome::Failure,
                Err(Failure::NotAsked(_)) => Outcome::Error,
            };
            // A worker that has ended has no use for the answer.
            let _ = worker.send(Message::Probed { container, kind, question: number, outcome });
        });
    }

    /// Performs a hook.
    pub(super) fn run_hook(&self, container: String, hook: Hook, handler: LifecycleHandler) {
        let worker = self.send();
        let sleep = handler.sleep.as_ref().map(|sleep| sleep.seconds.unwrap_or_default());
        // The same ways as a probe's, and the same words.
        let as_probe = Probe {
            exec: handler.exec,
            http_get: handler.http_get,
            tcp_socket: handler.tcp_socket,
            ..Probe::default()
        };
        let asking = match Handler::of(&as_probe) {
            Some(way) => self.prepare(&container, &way),
            None => Asking::Impossible("the hook names no way".to_owned()),
        };
        let finished = move |failure| {
            // As above.
            let _ = worker.send(Message::Hooked { container, hook, failure });
        };
        match sleep {
            Some(seconds) => drop(tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(u64::try_from(seconds).unwrap_or_default())).await;
                finished(None);
            })),
            None => drop(tokio::task::spawn_blocking(move || {
                finished(ask(asking, HOOK).err().map(Failure::into_message));
            })),
        }
    }

    fn prepare(&self, container: &str, way: &Handler) -> Asking {
        let Some(sandbox) = &self.sandbox else { return Asking::Impossible("the pod has no network".to_owned()) };
        let spec = match self.container(container) {
            Ok(spec) => spec,
            Err(error) => return Asking::Impossible(error.to_string()),
        };
        match (question(way, spec, sandbox.network().address()), self.runs.get(container)) {
            (Ok(Question::Exec(line)), Some(run)) => match run.inside(&line, sandbox) {
                Ok(command) => Asking::Inside(Box::new(command)),
                Err(error) => Asking::Impossible(error.to_string()),
            },
            (Ok(Question::Exec(_)), None) => Asking::Impossible("the container does not run".to_owned()),
            (Ok(question), _) => Asking::Network(question, Arc::clone(&self.place)),
            (Err(reason), _) => Asking::Impossible(reason),
        }
    }
}

/// Asks, and waits for the answer.
fn ask(asking: Asking, timeout: Duration) -> std::result::Result<(), Failure> {
    match asking {
        Asking::Network(question, place) => {
            ask_network(&question, place.network.namespace(), timeout).map_err(Failure::Unwell)
        }
        Asking::Inside(command) => match run_to_end(*command, "a probe or hook", timeout) {
            Ok(Some(0)) => Ok(()),
            Ok(Some(code)) => Err(Failure::Unwell(format!("it ended with exit code {code}"))),
            Ok(None) => Err(Failure::Unwell(format!("it did not end within {} s", timeout.as_secs()))),
            Err(error) => Err(Failure::NotAsked(error.to_string())),
        },
        Asking::Impossible(reason) => Err(Failure::NotAsked(reason)),
    }
}

/// Why there is no good answer.
#[derive(Debug)]
enum Failure {
    /// The container's answer was a bad one, or none.
    Unwell(String),
    /// The question could not be put.
    NotAsked(String),
}

impl Failure {
    fn into_message(self) -> String {
        match self {
            Self::Unwell(message) | Self::NotAsked(message) => message,
        }
    }
}
