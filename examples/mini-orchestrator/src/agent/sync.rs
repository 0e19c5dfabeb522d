//! A worker for each pod that is bound to the node.

use std::sync::{Arc, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use windlass_pod::kinds::{ConfigMap, Pod};

use super::Workers;
use super::error::Result;
use super::node::{self, Settings};
use super::place::Place;
use super::worker::{Message, Worker};
use crate::registry::{Delta, Key, Mirror, Registry, Scope};

/// Follows the registry until told to stop, then ends what runs.
pub(super) async fn run(
    registry: Registry,
    place: Arc<Place>,
    settings: Settings,
    workers: Workers,
    mut stopped: watch::Receiver<bool>,
) -> Result<()> {
    let mut pods: Mirror<Pod> = registry.mirror(Scope::All).await?;
    let mut config_maps: Mirror<ConfigMap> = registry.mirror(Scope::All).await?;
    let mut heartbeat = tokio::time::interval(node::HEARTBEAT);
    let mut tasks: JoinSet<(Key, Result<()>)> = JoinSet::new();
    let (mut result, mut left) = (Ok(()), Ok(()));
    loop {
        tokio::select! {
            delta = pods.changed() => match delta {
                Ok(delta) => {
                    let context = Context { registry: &registry, place: &place, settings: &settings, workers: &workers };
                    context.take(&delta, &mut tasks);
                }
                Err(error) => result = Err(error.into()),
            },
            delta = config_maps.changed() => match delta {
                Ok(delta) => tell_all(&workers, delta.object().metadata.namespace.as_deref().unwrap_or_default()),
                Err(error) => result = Err(error.into()),
            },
            _ = heartbeat.tick() => result = node::beat(&registry, &place).await,
            // What one pod left behind is told when the agent stops; the others go on.
            Some(ended) = tasks.join_next() => left = left.and(finished(&workers, ended)),
            () = until(&mut stopped) => break,
        }
        if result.is_err() {
            break;
        }
    }
    for worker in workers.lock().unwrap_or_else(PoisonError::into_inner).values() {
        // A worker that has ended needs no telling.
        let _ = worker.send(Message::Abandon);
    }
    while let Some(ended) = tasks.join_next().await {
        left = left.and(finished(&workers, ended));
    }
    result.and(left)
}

/// Waits until told to stop; an agent whose handle is gone stops as well.
async fn until(stopped: &mut watch::Receiver<bool>) {
    // Either way there is nothing to wait for any more.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[derive(Debug, Clone, Copy)]
struct Context<'a> {
    registry: &'a Registry,
    place: &'a Arc<Place>,
    settings: &'a Settings,
    workers: &'a Workers,
}

impl Context<'_> {
    fn take(self, delta: &Delta<Pod>, tasks: &mut JoinSet<(Key, Result<()>)>) {
        let pod = delta.object();
        if pod.spec.node_name.as_deref() != Some(&self.place.node) {
            return;
        }
        let key = Key::of(&**pod);
        let message = match delta {
            Delta::Deleted(_) => Message::Abandon,
            Delta::Added(pod) | Delta::Updated { new: pod, .. } => Message::Pod(Arc::clone(pod)),
        };
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if workers.get(&key).is_some_and(|worker| worker.send(message).is_ok()) {
            return;
        }
        // One that has ended before it was ever run here is nobody's business any more.
        let has_ended = matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed"));
        if matches!(delta, Delta::Deleted(_)) || has_ended {
            return;
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        let worker =
            Worker::new(self.registry.clone(), Arc::clone(self.place), self.settings, Arc::clone(pod), sender.clone());
        workers.insert(key.clone(), sender);
        tasks.spawn(async move { (key, Box::pin(worker.run(receiver)).await) });
    }
}

/// Forgets a worker that has ended, unless another pod of the same name has one by now.
fn finished(workers: &Workers, ended: std::result::Result<(Key, Result<()>), tokio::task::JoinError>) -> Result<()> {
    let (key, result) = ended.map_err(|source| super::Error::Task { source })?;
    let mut workers = workers.lock().unwrap_or_else(PoisonError::into_inner);
    if workers.get(&key).is_some_and(mpsc::UnboundedSender::is_closed) {
        workers.remove(&key);
    }
    result
}

fn tell_all(workers: &Workers, namespace: &str) {
    for (key, worker) in workers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if key.namespace == namespace {
            // A worker that has ended has no volumes.
            let _ = worker.send(Message::ConfigMaps);
        }
    }
}
