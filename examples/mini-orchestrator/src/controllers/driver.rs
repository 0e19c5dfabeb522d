//! The loop that calls the controllers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use windlass_pod::Object;
use windlass_pod::kinds::{EndpointSlice, Node, Pod, ReplicationController, Service};

use super::action::{Action, Outcome};
use super::perform::perform;
use super::view::View;
use super::work::{self, Work};
use super::{COMPONENT, Settings, address, endpoints, garbage, replication, taints};
use crate::registry::{Error, Mirror, Registry, Result, Scope, joined};

/// How long a part of the cluster rests after its first failure; twice as long after each further one.
const REST: Duration = Duration::from_millis(50);

/// How long it rests at most.
const REST_MAX: Duration = Duration::from_secs(10);

/// Keeps the cluster on its way until `stop` becomes true or its sender is gone.
///
/// A failure about one object is tried again later; one that concerns all ends the loop.
///
/// # Errors
/// [`Error::Store`], [`Error::Undecodable`].
pub async fn run(registry: Registry, settings: Settings, mut stop: watch::Receiver<bool>) -> Result<()> {
    let mut cluster = Cluster::open(&registry).await?;
    let mut agenda = Agenda::default();
    loop {
        cluster.catch_up(&mut agenda.now).await?;
        agenda.wake(Instant::now());
        let Some(part) = agenda.now.pop_first() else {
            let due = agenda.next();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                changed = cluster.changed(&mut agenda.now) => changed?,
                () = until(due) => {}
            }
            continue;
        };
        let outcome = reconcile(&part, cluster.view(), registry.now(), settings, agenda.failure(&part));
        match perform_all(&registry, outcome.stages).await {
            Ok(()) => agenda.done(part, outcome.again),
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                if let Some(object) = object(&part, cluster.view()) {
                    registry.warn(&object, COMPONENT, "FailedReconcile", &error.to_string()).await?;
                }
                agenda.failed(part, &error);
            }
        }
        if *stop.borrow() {
            return Ok(());
        }
    }
}

fn reconcile(part: &Work, view: View<'_>, now: Duration, settings: Settings, failed: Option<&str>) -> Outcome {
    match part {
        Work::Address(key) => address::reconcile(key, view, settings.service_range),
        Work::Taints(key) => taints::reconcile(key, view),
        Work::Garbage(key) => garbage::reconcile(key, view, now),
        Work::Lost(key) => garbage::reconcile_lost(key, view),
        Work::Replication(key) => replication::reconcile(key, view, now, failed),
        Work::Endpoints(key) => endpoints::reconcile(key, view),
    }
}

/// The object that a part of the cluster is named after.
fn object(part: &Work, view: View<'_>) -> Option<Object> {
    match part {
        Work::Address(key) | Work::Endpoints(key) => view.services.get(key).map(|found| found.as_ref().clone().into()),
        Work::Taints(key) => view.nodes.get(key).map(|found| found.as_ref().clone().into()),
        Work::Garbage(key) | Work::Lost(key) => view.pods.get(key).map(|found| found.as_ref().clone().into()),
        Work::Replication(key) => view.controllers.get(key).map(|found| found.as_ref().clone().into()),
    }
}

/// Does a stage at once, so that its writes share their flush, and the next one if all went well; gives the first
/// failure after all of its stage have been tried.
async fn perform_all(registry: &Registry, stages: Vec<Vec<Action>>) -> Result<()> {
    for actions in stages {
        let mut tasks = JoinSet::new();
        for action in actions {
            let registry = registry.clone();
            tasks.spawn(async move { perform(&registry, action).await });
        }
        let mut first = Ok(());
        while let Some(done) = tasks.join_next().await {
            first = first.and(joined(done));
        }
        first?;
    }
    Ok(())
}

/// What there is to look at, now and later.
#[derive(Debug, Default)]
struct Agenda {
    now: BTreeSet<Work>,
    later: BTreeMap<Work, Instant>,
    /// How often in a row a part could not be brought on its way, and why the last time.
    failures: BTreeMap<Work, (u32, String)>,
}

impl Agenda {
    /// Moves what is due to now.
    fn wake(&mut self, now: Instant) {
        let due: Vec<Work> = self.later.iter().filter(|(_, at)| **at <= now).map(|(part, _)| part.clone()).collect();
        for part in due {
            self.later.remove(&part);
            self.now.insert(part);
        }
    }

    /// When the first part is due.
    fn next(&self) -> Option<Instant> {
        self.later.values().min().copied()
    }

    fn done(&mut self, part: Work, again: Option<Duration>) {
        self.failures.remove(&part);
        match again {
            Some(delay) => self.later.insert(part, Instant::now() + delay),
            None => self.later.remove(&part),
        };
    }

    fn failed(&mut self, part: Work, error: &Error) {
        let (count, words) = self.failures.entry(part.clone()).or_default();
        *words = error.to_string();
        self.later.insert(part, Instant::now() + rest(*count));
        *count = count.saturating_add(1);
    }

    /// Why a part could not be brought on its way the last time.
    fn failure(&self, part: &Work) -> Option<&str> {
        self.failures.get(part).map(|(_, words)| words.as_str())
    }
}

/// How long a part rests that has failed this often before.
fn rest(failures: u32) -> Duration {
    REST.saturating_mul(1 << failures.min(16)).min(REST_MAX)
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The objects that controllers look at.
#[derive(Debug)]
struct Cluster {
    pods: Mirror<Pod>,
    controllers: Mirror<ReplicationController>,
    services: Mirror<Service>,
    slices: Mirror<EndpointSlice>,
    nodes: Mirror<Node>,
}

impl Cluster {
    async fn open(registry: &Registry) -> Result<Self> {
        Ok(Self {
            pods: registry.mirror(Scope::All).await?,
            controllers: registry.mirror(Scope::All).await?,
            services: registry.mirror(Scope::All).await?,
            slices: registry.mirror(Scope::All).await?,
            nodes: registry.mirror(Scope::All).await?,
        })
    }

    fn view(&self) -> View<'_> {
        View {
            pods: self.pods.objects(),
            controllers: self.controllers.objects(),
            services: self.services.objects(),
            slices: self.slices.objects(),
            nodes: self.nodes.objects(),
        }
    }

    /// Takes in every commit up to now.
    async fn catch_up(&mut self, work: &mut BTreeSet<Work>) -> Result<()> {
        let pods = self.pods.catch_up().await?;
        let controllers = self.controllers.catch_up().await?;
        let services = self.services.catch_up().await?;
        let slices = self.slices.catch_up().await?;
        let nodes = self.nodes.catch_up().await?;
        let view = self.view();
        for delta in &pods {
            work::of_pod(delta, view, work);
        }
        for delta in &controllers {
            work::of_controller(delta, view, work);
        }
        for delta in &services {
            work::of_service(delta, view, work);
        }
        for delta in &slices {
            work::of_slice(delta, work);
        }
        for delta in &nodes {
            work::of_node(delta, view, work);
        }
        Ok(())
    }

    /// Waits for a commit and takes it in.
    async fn changed(&mut self, work: &mut BTreeSet<Work>) -> Result<()> {
        tokio::select! {
            delta = self.pods.changed() => work::of_pod(&delta?, self.view(), work),
            delta = self.controllers.changed() => work::of_controller(&delta?, self.view(), work),
            delta = self.services.changed() => work::of_service(&delta?, self.view(), work),
            delta = self.slices.changed() => work::of_slice(&delta?, work),
            delta = self.nodes.changed() => work::of_node(&delta?, self.view(), work),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Key;

    #[test]
    fn each_failure_makes_the_rest_longer_up_to_a_limit() {
        let rests = [0, 1, 2, 7, 8, 30, u32::MAX].map(|failures| rest(failures).as_millis());
        assert_eq!(rests, [50, 100, 200, 6400, 10_000, 10_000, 10_000]);
    }

    #[test]
    fn a_part_that_failed_waits_and_is_forgotten_when_it_is_done() {
        let part = || Work::Address(Key::new("default", "web"));
        let mut agenda = Agenda::default();
        agenda.failed(part(), &Error::Ended);
        assert_eq!(agenda.failure(&part()), Some("the program ends"));
        let due = agenda.next().unwrap();
        agenda.wake(due - Duration::from_millis(1));
        assert!(agenda.now.is_empty(), "not yet");
        agenda.wake(due);
        assert_eq!((agenda.now.len(), agenda.next()), (1, None));
        agenda.done(part(), None);
        assert_eq!(agenda.failure(&part()), None);
        agenda.done(part(), Some(Duration::from_mins(1)));
        assert!(agenda.next().is_some(), "asked to be called again");
    }
}
