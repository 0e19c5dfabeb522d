//! The state machine: events go in, decisions come out.

use std::sync::Arc;
use std::time::Duration;

use crate::assume::Nominations;
use crate::board::{Boards, Kind, Scan};
use crate::cluster::Cluster;
use crate::decision::Decision;
use crate::error::{Error, Result};
use crate::explain::{Explanation, explain};
use crate::intern::Symbol;
use crate::pod_table::{Eviction, Place, PodRef};
use crate::preempt;
use crate::profile::{FilterPlugin, Preemption, Profile, Ties};
use crate::queue::{PluginSet, Queue, Waits};
use crate::report::Report;
use crate::request::PodClass;
use crate::schedule::{Context, Subject};
use crate::score::scoring::Scoring;
use crate::slot::{NodeId, PodSlot};
use crate::verdict::Rejection;
use crate::wake::{Change, helps};

/// A kube-scheduler without a cluster: [`apply`](Scheduler::apply) what happens, ask for the [`next`](Scheduler::next)
/// decision, and say whether it was carried out.
///
/// The same events, calls and times give the same decisions, byte for byte. A clone is a fork: what it decides leaves
/// the original as it is.
#[derive(Clone, Debug)]
pub struct Scheduler {
    pub(crate) cluster: Cluster,
    pub(crate) profile: Profile,
    scoring: Scoring,
    boards: Boards,
    pub(crate) queue: Queue,
    pub(crate) nominations: Nominations,
    /// The latest time that a caller told.
    pub(crate) now: Duration,
}

/// So many pods of a class are placed by scanning all nodes before the class gets a board of its own.
const SCANS_MAX: u32 = 8;

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
    /// [`Error::LimitExceeded`] when the profile names more resources than can be told apart.
    pub fn new(profile: Profile) -> Result<Self> {
        let mut cluster = Cluster::default();
        let scoring = Scoring::new(&profile, &mut cluster.catalog)?;
        let queue = Queue::new(Waits::new(&profile));
        let boards = Boards::default();
        Ok(Self { cluster, profile, scoring, boards, queue, nominations: Nominations::default(), now: Duration::ZERO })
    }

    /// Decides about one pod.
    ///
    /// `now` is the time on a clock of the caller's choice, which does not go back: an earlier time than before counts
    /// as the time before.
    pub fn next(&mut self, now: Duration) -> Decision {
        self.now = self.now.max(now);
        self.queue.advance(self.now);
        match self.queue.pop() {
            Some(pod) => self.attempt(pod),
            None => Decision::Idle { until: self.queue.next_deadline() },
        }
    }

    /// Says that the cluster took the binding of a [`Decision::Bind`].
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

    /// Takes a [`Decision::Bind`] or [`Decision::Preempt`] back that could not be carried out. The pod is tried again
    /// after its backoff.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the pod is gone, [`Error::WrongState`] when it is bound, or pending without a
    /// nomination.
    pub fn rollback(&mut self, pod: &PodRef) -> Result<()> {
        let slot = self.resolve(pod)?;
        match self.cluster.pods.get(slot).place.clone() {
            Place::Assumed(_) => {
                self.cluster.detach(slot);
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

    fn context(&self) -> Context<'_> {
        Context {
            cluster: &self.cluster,
            profile: &self.profile,
            scoring: &self.scoring,
            nominations: &self.nominations,
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
    fn spare(&mut self, node: NodeId) {
        for pod in self.cluster.nodes.pods(node).to_vec() {
            self.cluster.pods.get_mut(pod).eviction = Eviction::No;
        }
    }

    fn attempt(&mut self, pod: PodSlot) -> Decision {
        let class = Arc::clone(self.cluster.class(pod));
        let subject = Subject { pod: Some(pod), class: &class, pinned: None };
        if let Some((node, score)) = self.ask_board(pod, &class) {
            return self.assume(pod, node, score);
        }
        let context = self.context();
        // Room was made on the nominated node: it is taken when it fits, whatever else has become free.
        let nominated = self
            .nominations
            .of(pod)
            .filter(|node| context.check_actual(&mut context.filters(&subject), &subject, *node).is_none());
        let (feasible, rejected) = if let Some(node) = nominated {
            (vec![node], Vec::new())
        } else {
            let found = context.feasibility(&subject);
            (found.feasible, found.rejected)
        };
        let scores = context.score(&class, &feasible);
        match context.select(&subject, &feasible, &scores.totals) {
            Some(index) => {
                let (node, score) = (feasible[index], scores.totals[index]);
                self.assume(pod, node, score)
            }
            None => self.fail(pod, &class, &rejected),
        }
    }

    /// The node that the class's board tells. Why no node fits is not for a board to say, nor what nominations mean,
    /// and a class that is asked about for the first time may not come again.
    fn ask_board(&mut self, pod: PodSlot, class: &Arc<PodClass>) -> Option<(NodeId, i64)> {
        let id = self.cluster.pods.get(pod).class;
        let shape = self.cluster.classes.shape(id);
        let before = self.cluster.classes.attempt(id);
        let alike = if shape == id { before } else { self.cluster.classes.attempt(shape) };
        let plain = self.nominations.is_empty() && self.profile.filters.len() == FilterPlugin::ALL.len();
        if alike == 0 || !plain {
            return None;
        }
        if before < SCANS_MAX && self.profile.ties == Ties::LowestIndex {
            let form = Arc::clone(self.cluster.classes.get(shape));
            let board = self.boards.of(&self.cluster, &self.scoring, shape, &form, Kind::Shape);
            match board.map(|board| board.scan(&self.cluster, &self.scoring, class)) {
                Some(Scan::Best(node, score)) => return Some((node, score)),
                Some(Scan::NothingFits) => return None,
                Some(Scan::Unbounded) | None => {}
            }
        }
        if before == 0 {
            return None;
        }
        let board = self.boards.of(&self.cluster, &self.scoring, id, class, Kind::Class)?;
        let best = board.best()?;
        let context = Context {
            cluster: &self.cluster,
            profile: &self.profile,
            scoring: &self.scoring,
            nominations: &self.nominations,
        };
        let node = context.select_from(&Subject { pod: Some(pod), class, pinned: None }, &best)?;
        Some((node, best.total))
    }

    fn assume(&mut self, pod: PodSlot, node: NodeId, score: i64) -> Decision {
        self.nominations.clear(pod);
        self.cluster.attach(pod, Place::Assumed(node));
        let node = Arc::clone(self.cluster.nodes.name(node));
        Decision::Bind { pod: self.cluster.pods.get(pod).id.clone(), node, score }
    }

    fn fail(&mut self, pod: PodSlot, class: &PodClass, rejected: &[(NodeId, Rejection)]) -> Decision {
        let mut plugins = PluginSet::default();
        for (_, rejection) in rejected {
            plugins.insert(rejection.plugin());
        }
        self.queue.fail(pod, plugins, self.now);
        let id = self.cluster.pods.get(pod).id.clone();
        let report = Report::new(&self.cluster, class, rejected);
        if self.profile.preemption == Preemption::Disabled || rejected.is_empty() {
            return Decision::Unschedulable { pod: id, report };
        }
        let subject = Subject { pod: Some(pod), class, pinned: None };
        if let Err(why) = preempt::eligible(&self.context(), &subject, rejected) {
            return Decision::Unschedulable { pod: id, report: report.ineligible(why) };
        }
        let search = preempt::search(&self.context(), &subject, rejected);
        let best = preempt::best(&self.cluster, &search.candidates);
        let Some(best) = best.first().copied().cloned() else {
            let report = report.helpless(&self.cluster, class, &search.helpless);
            if let Some(node) = self.nominations.clear(pod) {
                self.spare(node);
            }
            return Decision::Unschedulable { pod: id, report };
        };
        self.preempt(pod, id, &best)
    }

    fn preempt(&mut self, pod: PodSlot, id: PodRef, best: &preempt::Candidate) -> Decision {
        // Less important pods that wait for the same node will not find the room that they wait for.
        for other in self.nominations.behind(&self.cluster, self.cluster.priority(pod), best.node) {
            self.nominations.clear(other);
            self.queue.wake(other, self.now);
        }
        self.nominations.nominate(pod, best.node);
        for victim in &best.victims {
            self.cluster.pods.get_mut(*victim).eviction = Eviction::Asked;
        }
        let victims = best.victims.iter().map(|victim| self.cluster.pods.get(*victim).id.clone());
        let node = Arc::clone(self.cluster.nodes.name(best.node));
        Decision::Preempt { pod: id, node, victims: victims.collect() }
    }
}
