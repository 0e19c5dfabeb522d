//! The state machine: events go in, decisions come out.

use std::sync::Arc;
use std::time::Duration;

use crate::assume::Nominations;
use crate::board::Boards;
use crate::cluster::Cluster;
use crate::decision::Decision;
use crate::error::{Error, Result};
use crate::explain::{Explanation, explain};
use crate::gang::{GangAttempt, Gangs};
use crate::impasse::Impasses;
use crate::intern::Symbol;
use crate::plugin::{Plugins, Volumes};
use crate::pod_table::{Eviction, Place, PodRef};
use crate::profile::{FilterPlugin, Profile, Sampling, ScorePlugin};
use crate::queue::{Queue, Waits};
use crate::request::PodClass;
use crate::rotation::Rotation;
use crate::schedule::{Context, Subject};
use crate::score::scoring::Scoring;
use crate::slot::{NodeId, PodSlot};
use crate::wake::{Change, helps};

/// A kube-scheduler without a cluster: [`apply`](Scheduler::apply) what happens, ask for the [`next`](Scheduler::next)
/// decision, and say whether it was carried out.
///
/// The same events, calls and times give the same decisions, byte for byte. A clone is a [`fork`](Scheduler::fork).
///
/// `P` are the caller's own plugins, see [`Plugins`]; there are none unless [`Scheduler::with_plugins`] says so.
#[derive(Clone, Debug)]
pub struct Scheduler<P = ()> {
    pub(crate) cluster: Cluster,
    pub(crate) profile: Profile,
    /// Kubernetes' filters that the profile leaves out.
    pub(crate) omitted: Box<[FilterPlugin]>,
    pub(crate) scoring: Scoring,
    pub(crate) boards: Boards,
    pub(crate) impasses: Impasses,
    pub(crate) queue: Queue,
    pub(crate) nominations: Nominations,
    pub(crate) gangs: Gangs,
    /// Kept for a profile that samples nodes only.
    pub(crate) rotation: Rotation,
    pub(crate) plugins: P,
    /// The latest time that a caller told.
    pub(crate) now: Duration,
}

/// How many pods stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Nodes.
    pub nodes: usize,
    /// Pods, wherever they stand.
    pub pods: usize,
    /// Pods that are tried at the next call.
    pub active: usize,
    /// Pods that failed and wait for a time.
    pub backoff: usize,
    /// Pods that failed and wait for an event.
    pub unschedulable: usize,
    /// Pods that their scheduling gates hold back.
    pub gated: usize,
}

impl Scheduler {
    /// A scheduler of an empty cluster.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] when the profile names more resources than can be told apart, [`Error::Invalid`] when
    /// it samples a percentage of nodes that is not 1 to 100, or names a plugin of the caller's own, which would not be
    /// there to run.
    pub fn new(profile: Profile) -> Result<Self> {
        Self::with_plugins(profile, ())
    }
}

impl<P: Plugins> Scheduler<P> {
    /// A scheduler of an empty cluster, with plugins of the caller's own beside those of the profile.
    ///
    /// # Errors
    /// As [`Scheduler::new`]: plugins of the caller's own run because they are given, the profile does not name them.
    pub fn with_plugins(profile: Profile, plugins: P) -> Result<Self> {
        let filters = profile.filters.iter().filter(|plugin| matches!(plugin, FilterPlugin::Own(_)));
        let scores = profile.scores.keys().filter(|plugin| matches!(plugin, ScorePlugin::Own(_)));
        if let Some(name) = filters.map(|plugin| plugin.name()).chain(scores.map(|plugin| plugin.name())).next() {
            return Err(Error::invalid("profile", name, "plugins of the caller's own are given beside the profile"));
        }
        if let Sampling::Percentage(percentage @ (0 | 101..)) = profile.sampling {
            return Err(Error::invalid("sampling", percentage.to_string(), "a percentage is 1 to 100"));
        }
        let mut cluster = Cluster::default();
        cluster.takes_claims = <P::Volumes as Volumes>::TAKES_CLAIMS;
        cluster.shares_devices = profile.filters.contains(&FilterPlugin::GpuShare);
        let scoring = Scoring::new(&profile, &mut cluster.catalog, &mut cluster.interner)?;
        let queue = Queue::new(Waits::new(&profile));
        let omitted = FilterPlugin::OF_KUBERNETES.iter().copied().filter(|plugin| !profile.filters.contains(plugin));
        Ok(Self {
            cluster,
            omitted: omitted.collect(),
            profile,
            scoring,
            boards: Boards::default(),
            impasses: Impasses::default(),
            queue,
            nominations: Nominations::default(),
            gangs: Gangs::default(),
            rotation: Rotation::default(),
            plugins,
            now: Duration::ZERO,
        })
    }

    /// Decides about one pod.
    ///
    /// `now` is the time on a clock of the caller's choice, which does not go back: an earlier time than before counts
    /// as the time before.
    pub fn next(&mut self, now: Duration) -> Decision {
        self.now = self.now.max(now);
        self.queue.advance(self.now);
        while let Some(pod) = self.queue.pop() {
            let Some(group) = self.gangs.of(pod) else { return self.attempt(pod) };
            match self.attempt_gang(pod, group) {
                GangAttempt::Alone => return self.attempt(pod),
                GangAttempt::Decided(decision) => return decision,
                GangAttempt::Incomplete => {}
            }
        }
        Decision::Idle { until: self.queue.next_deadline() }
    }

    /// Says that the cluster took the binding of a [`Decision::Bind`] or [`Decision::BindGroup`].
    ///
    /// An event that shows the pod on its node says the same; then this call changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the pod is gone, [`Error::WrongState`] when it is not on a node.
    pub fn commit(&mut self, pod: &PodRef) -> Result<()> {
        let slot = self.resolve(pod)?;
        match self.cluster.pods.get(slot).place.clone() {
            Place::Assumed(node) => self.bound(slot, node),
            Place::Bound(_) => {}
            Place::Orphan(_) => self.queue.remove(slot),
            Place::Pending => return Err(Error::WrongState { pod: pod.to_string(), expected: "assumed" }),
        }
        Ok(())
    }

    /// Takes a binding or a [`Decision::Preempt`] back that could not be carried out. The pod is tried again
    /// after its backoff.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the pod is gone, [`Error::WrongState`] when it is bound, or pending without a
    /// nomination.
    pub fn rollback(&mut self, pod: &PodRef) -> Result<()> {
        let slot = self.resolve(pod)?;
        match self.cluster.pods.get(slot).place.clone() {
            Place::Assumed(_) => {
                self.take_off(slot);
                self.queue.retry(slot, self.now);
                self.wake(&Change::PodLeft(&Arc::clone(self.cluster.class(slot))));
                Ok(())
            }
            Place::Orphan(_) if self.queue.contains(slot) => {
                self.cluster.adopt(slot, Place::Pending);
                self.queue.retry(slot, self.now);
                Ok(())
            }
            Place::Pending => match self.nominations.clear(slot) {
                Some(node) => {
                    self.spare(node);
                    self.queue.retry(slot, self.now);
                    Ok(())
                }
                None => Err(Error::WrongState { pod: pod.to_string(), expected: "assumed or nominated" }),
            },
            Place::Bound(_) | Place::Orphan(_) => {
                Err(Error::WrongState { pod: pod.to_string(), expected: "assumed or nominated" })
            }
        }
    }

    /// Explains where a pending pod could go, as things stand.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such pod, [`Error::WrongState`] when it is on a node already.
    pub fn explain(&self, namespace: &str, name: &str) -> Result<Explanation> {
        let full = || format!("{namespace}/{name}");
        let slot = self.cluster.pods.find(namespace, name);
        let slot = slot.ok_or_else(|| Error::NotFound { kind: "pod", name: full() })?;
        if self.cluster.pods.get(slot).place != Place::Pending {
            return Err(Error::WrongState { pod: full(), expected: "pending" });
        }
        Ok(self.explain_class(Some(slot), self.cluster.class(slot), None))
    }

    pub(crate) fn explain_class(&self, pod: Option<PodSlot>, class: &PodClass, pinned: Option<Symbol>) -> Explanation {
        explain(&self.context(), &Subject { pod, class, pinned })
    }

    /// A scheduler that is as this one is, to be played forward: what it is told and decides leaves this one as it is.
    ///
    /// It costs little however large the cluster is: the two share their state, and each copies what it changes by pages
    /// of some hundred rows. So does the original while a fork is there; a fork that is dropped leaves no trace.
    ///
    /// ```
    /// use std::time::Duration;
    /// use windlass_scheduler_core::windlass_pod::{Node, Pod, decode_yaml_as};
    /// use windlass_scheduler_core::{Decision, Event, Profile, Scheduler};
    ///
    /// # let node: Node = decode_yaml_as(b"{apiVersion: v1, kind: Node, metadata: {name: n1},
    /// #     status: {allocatable: {cpu: '2', memory: 4Gi, pods: '10'}}}")?;
    /// # let mut scheduler = Scheduler::new(Profile::default())?;
    /// # scheduler.apply(Event::NodeApplied(&node))?;
    /// // How many more of these pods would fit?
    /// let mut fork = scheduler.fork();
    /// let mut placed = 0;
    /// loop {
    ///     let pod: Pod = decode_yaml_as(format!("{{apiVersion: v1, kind: Pod, metadata: {{name: p{placed}}}, spec:
    ///         {{containers: [{{name: c, image: i, resources: {{requests: {{cpu: 600m}}}}}}]}}}}").as_bytes())?;
    ///     fork.apply(Event::PodApplied(&pod))?;
    ///     match fork.next(Duration::ZERO) {
    ///         Decision::Bind { pod, .. } => fork.commit(&pod)?,
    ///         _ => break,
    ///     }
    ///     placed += 1;
    /// }
    /// assert_eq!((placed, scheduler.counts().pods), (3, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn fork(&self) -> Self
    where
        P: Clone,
    {
        self.clone()
    }

    /// The caller's own plugins.
    pub fn plugins(&self) -> &P {
        &self.plugins
    }

    /// The caller's own plugins, to be changed: what is kept of their answers is forgotten, and the pods that they refused
    /// are tried again.
    pub fn plugins_mut(&mut self) -> &mut P {
        self.cluster.plugins_changed();
        self.wake(&Change::Plugins);
        &mut self.plugins
    }

    /// How many pods stand where.
    pub fn counts(&self) -> Counts {
        let [active, backoff, unschedulable, gated] = self.queue.counts();
        let (nodes, pods) = (self.cluster.nodes.len(), self.cluster.pods.len());
        Counts { nodes, pods, active, backoff, unschedulable, gated }
    }

    fn resolve(&self, pod: &PodRef) -> Result<PodSlot> {
        let missing = || Error::NotFound { kind: "pod", name: pod.to_string() };
        self.cluster.pods.resolve(pod).ok_or_else(missing)
    }

    pub(crate) fn context(&self) -> Context<'_, P> {
        Context {
            cluster: &self.cluster,
            profile: &self.profile,
            scoring: &self.scoring,
            nominations: &self.nominations,
            plugins: &self.plugins,
        }
    }

    /// Wakes the pods that a change may help.
    pub(crate) fn wake(&mut self, change: &Change<'_>) {
        for (pod, rejected_by) in self.queue.waiting(change.concerns()) {
            if helps(&self.cluster, self.cluster.class(pod), rejected_by, change) {
                self.queue.wake(pod, self.now);
            }
        }
    }

    /// The cluster says that a pod is on the node that counts it.
    pub(crate) fn bound(&mut self, pod: PodSlot, node: NodeId) {
        self.queue.remove(pod);
        self.nominations.clear(pod);
        self.cluster.pods.get_mut(pod).place = Place::Bound(node);
        self.wake(&Change::PodPlaced(&Arc::clone(self.cluster.class(pod))));
    }

    /// Forgets that pods on a node were to be evicted.
    pub(crate) fn spare(&mut self, node: NodeId) {
        for pod in self.cluster.nodes.pods(node).to_vec() {
            self.cluster.pods.get_mut(pod).eviction = Eviction::No;
        }
    }
}
