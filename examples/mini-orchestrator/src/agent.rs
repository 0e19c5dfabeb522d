//! What runs pods on one node: it follows the registry, and makes what is there like what is wanted.
//!
//! `sync` gives every pod of its node a worker; `worker` drives the pod's machine (which decides) and carries out what
//! it answers, with `sandbox`, `container`, `volume`, `probe` and `group`; `report` writes back how the pod is. Pods,
//! and nothing else, are known to a worker, and no two workers share anything but the node.

mod container;
mod environment;
mod error;
mod expand;
mod group;
mod limits;
mod node;
mod place;
mod probe;
mod program;
mod root;
mod sandbox;
mod start;
mod support;
mod sync;
mod volume;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use windlass_namespaces::Signal;

pub use self::error::{Error, Result};
pub use self::group::{Counted, Usage};
pub use self::node::Settings;
pub use self::place::Place;
use self::worker::Message;
use crate::registry::{Key, Registry};

/// The pods that have a worker, and the way to it.
type Workers = Arc<Mutex<BTreeMap<Key, mpsc::UnboundedSender<Message>>>>;

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    workers: Workers,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<()>>,
}

impl Agent {
    /// Registers the node and begins to run the pods that are bound to it.
    pub async fn start(registry: Registry, place: Place, settings: Settings) -> Result<Self> {
        node::register(&registry, &place, &settings).await?;
        let workers = Workers::default();
        let (stop, stopped) = watch::channel(false);
        let task = sync::run(registry, Arc::new(place), settings, Arc::clone(&workers), stopped);
        Ok(Self { workers, stop, task: tokio::spawn(task) })
    }

    /// Sends a signal to the first process of a container.
    pub async fn signal(&self, pod: &Key, container: &str, signal: Signal) -> Result<()> {
        self.ask(pod, |reply| Message::Signal { container: container.to_owned(), signal, reply }).await?
    }

    /// Runs a program in a container and waits for its exit code; `None` when it did not end in time and was killed.
    pub async fn exec(&self, pod: &Key, container: &str, line: Vec<String>, timeout: Duration) -> Result<Option<i32>> {
        self.ask(pod, |reply| Message::Exec { container: container.to_owned(), line, timeout, reply }).await?
    }

    /// What a pod has used; `None` where nothing is counted.
    pub async fn usage(&self, pod: &Key) -> Result<Option<Usage>> {
        self.ask(pod, |reply| Message::Usage { reply }).await?
    }

    /// Ends every pod at once, without the time that their specs give them, and removes what was theirs.
    pub async fn stop(self) -> Result<()> {
        self.stop.send_replace(true);
        self.task.await.map_err(|source| Error::Task { source })?
    }

    async fn ask<T>(&self, pod: &Key, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T> {
        let not_here = || Error::NotHere { pod: pod.to_string() };
        let worker = self.workers.lock().unwrap_or_else(PoisonError::into_inner).get(pod).cloned();
        let (reply, answer) = oneshot::channel();
        worker.ok_or_else(not_here)?.send(message(reply)).map_err(|_| not_here())?;
        answer.await.map_err(|_| not_here())
    }
}
