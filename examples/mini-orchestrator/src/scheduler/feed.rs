//! Changes of the cluster into the scheduler's events.

use std::sync::Arc;

use windlass_pod::kinds::{Namespace, Node, Pod};
use windlass_pod::{Kind as _, Object, Time};
use windlass_scheduler_core::{Error, Event, Scheduler};

use super::{COMPONENT, condition};
use crate::registry::{self, Delta, Key, Mirror, Registry, Result, Scope};

/// What a scheduler needs to know of the cluster.
#[derive(Debug)]
pub(super) struct Feed {
    registry: Registry,
    nodes: Mirror<Node>,
    namespaces: Mirror<Namespace>,
    pods: Mirror<Pod>,
    news: News,
}

/// Changes that have not been told yet.
#[derive(Debug, Default)]
struct News {
    nodes: Vec<Delta<Node>>,
    namespaces: Vec<Delta<Namespace>>,
    pods: Vec<Delta<Pod>>,
}

impl Feed {
    pub(super) async fn open(registry: Registry) -> Result<Self> {
        let (nodes, namespaces) = (registry.mirror(Scope::All).await?, registry.mirror(Scope::All).await?);
        let pods = registry.mirror(Scope::All).await?;
        Ok(Self { registry, nodes, namespaces, pods, news: News::default() })
    }

    /// Waits for a commit, which [`catch_up`](Self::catch_up) tells. Dropping the future before it is ready loses none.
    pub(super) async fn changed(&mut self) -> Result<()> {
        tokio::select! {
            delta = self.nodes.changed() => self.news.nodes.push(delta?),
            delta = self.namespaces.changed() => self.news.namespaces.push(delta?),
            delta = self.pods.changed() => self.news.pods.push(delta?),
        }
        Ok(())
    }

    /// Tells the scheduler of every commit up to now: nodes before the pods on them, and their end after them, so pods
    /// are read first and told last.
    pub(super) async fn catch_up(&mut self, core: &mut Scheduler) -> Result<()> {
        let mut news = std::mem::take(&mut self.news);
        news.pods.extend(self.pods.catch_up().await?);
        news.nodes.extend(self.nodes.catch_up().await?);
        news.namespaces.extend(self.namespaces.catch_up().await?);
        for delta in &news.namespaces {
            let told = match delta {
                Delta::Added(namespace) | Delta::Updated { new: namespace, .. } => {
                    core.apply(Event::NamespaceApplied(namespace))
                }
                Delta::Deleted(namespace) => core.apply(Event::NamespaceRemoved(namespace.name())),
            };
            self.record((**delta.object()).clone(), told).await?;
        }
        for delta in &news.nodes {
            if let Delta::Added(node) | Delta::Updated { new: node, .. } = delta {
                self.node(core, node).await?;
            }
        }
        for delta in &news.pods {
            match delta {
                Delta::Added(pod) | Delta::Updated { new: pod, .. } => self.pod(core, pod).await?,
                Delta::Deleted(pod) => self.gone(core, pod).await?,
            }
        }
        for delta in &news.nodes {
            if let Delta::Deleted(node) = delta
                && self.nodes.get(&Key::of(&**node)).is_none()
            {
                // It may never have been taken.
                drop(core.apply(Event::NodeRemoved(node.name())));
            }
        }
        Ok(())
    }

    async fn node(&self, core: &mut Scheduler, node: &Arc<Node>) -> Result<()> {
        let told = core.apply(Event::NodeApplied(node));
        let is_taken = told.is_ok();
        self.record((**node).clone(), told).await?;
        if is_taken {
            // Pods that were there before their node.
            for pod in self.pods.iter().filter(|pod| pod.spec.node_name == node.metadata.name) {
                self.pod(core, pod).await?;
            }
        }
        Ok(())
    }

    async fn pod(&self, core: &mut Scheduler, pod: &Arc<Pod>) -> Result<()> {
        match core.apply(Event::PodApplied(pod)) {
            // A pod without its node counts when the node is there; until then nobody schedules onto that node either.
            Ok(()) | Err(Error::NotFound { kind: "node", .. }) => Ok(()),
            Err(error) if pod.spec.node_name.is_none() => self.refuse(pod, &error).await,
            Err(error) => self.record((**pod).clone(), Err(error)).await,
        }
    }

    async fn gone(&self, core: &mut Scheduler, pod: &Pod) -> Result<()> {
        let told = core.apply(Event::PodRemoved { namespace: pod.namespace(), name: pod.name() });
        self.record(pod.clone(), told).await
    }

    /// Says at the pod why it will never get a node.
    async fn refuse(&self, pod: &Pod, error: &Error) -> Result<()> {
        let now = Time::since_epoch(self.registry.now());
        let change = |found: &mut Pod| {
            if found.metadata.uid == pod.metadata.uid {
                condition::unscheduled(&mut found.status, now, "SchedulerError", &error.to_string());
            }
        };
        match self.registry.update(&Key::of(pod), change).await {
            Ok(_) | Err(registry::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Records what the scheduler cannot take.
    async fn record(&self, about: impl Into<Object>, told: Result<(), Error>) -> Result<()> {
        match told {
            Ok(()) => Ok(()),
            Err(error) => self.registry.warn(&about.into(), COMPONENT, "SchedulerError", &error.to_string()).await,
        }
    }
}
