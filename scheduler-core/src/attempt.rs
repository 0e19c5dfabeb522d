//! An attempt to place one pod: what is remembered is asked first, and all nodes where that does not tell.

use std::sync::Arc;

use crate::board::{Ground, Kind, Scan};
use crate::decision::{Binding, Decision};
use crate::filter::is_kept;
use crate::plugin::{Dependence, Plugins, Scores as _};
use crate::pod_table::{Eviction, Place};
use crate::preempt;
use crate::profile::{FilterPlugin, Preemption, Sampling, Ties};
use crate::queue::PluginSet;
use crate::report::{Report, count};
use crate::request::{PodClass, PreemptionPolicy};
use crate::rotation;
use crate::schedule::{Context, Feasibility, Found, Subject};
use crate::scheduler::Scheduler;
use crate::slot::{NodeId, PodSlot};
use crate::verdict::Rejection;

/// So many pods of a class are placed by scanning all nodes before the class gets a board of its own.
const SCANS_MAX: u32 = 8;

impl<P: Plugins> Scheduler<P> {
    /// Tries to place a pod.
    pub(crate) fn attempt(&mut self, pod: PodSlot) -> Decision {
        let class = Arc::clone(self.cluster.class(pod));
        if let Some((node, score)) = self.ask_board(pod, &class) {
            return self.assume(pod, node, score);
        }
        if let Some(decision) = self.recall(pod, &class) {
            return decision;
        }
        match self.search(pod, &class) {
            Found::Node(node, score) => self.assume(pod, node, score),
            Found::Nowhere(rejected) => self.fail(pod, &class, &rejected),
        }
    }

    /// Looks for a node among all of them, or as many as the profile says.
    pub(crate) fn search(&mut self, pod: PodSlot, class: &PodClass) -> Found {
        let subject = Subject { pod: Some(pod), class, pinned: None };
        let enough = rotation::enough(&self.profile, self.cluster.nodes.len());
        self.rotation.arrange();
        let context = self.context();
        // Room was made on the nominated node: it is taken when it fits, whatever else has become free.
        let nominated = self
            .nominations
            .of(pod)
            .filter(|node| context.check_actual(&mut context.filters(&subject), &subject, *node).is_none());
        let (found, looked_at) = match (nominated, enough) {
            (Some(node), _) => (Feasibility { feasible: vec![node], rejected: Vec::new() }, 0),
            (None, None) => (context.feasibility(&subject), 0),
            (None, Some(enough)) => context.sample(&subject, self.rotation.visits(), enough),
        };
        let Feasibility { feasible, rejected } = found;
        let scores = context.score(&subject, &feasible);
        let selected = context.select(&subject, &feasible, &scores.totals);
        self.rotation.advance(looked_at);
        match selected {
            Some(index) => Found::Node(feasible[index], scores.totals[index]),
            None => Found::Nowhere(rejected),
        }
    }

    /// Whether a part of the nodes is looked at: what is remembered of all of them does not tell then.
    fn samples(&self) -> bool {
        rotation::enough(&self.profile, self.cluster.nodes.len()).is_some()
    }

    /// The node that the class's board tells. Why no node fits is not for a board to say, nor what nominations mean,
    /// and a class that is asked about for the first time may not come again.
    pub(crate) fn ask_board(&mut self, pod: PodSlot, class: &Arc<PodClass>) -> Option<(NodeId, i64)> {
        if self.samples() {
            return None;
        }
        let id = self.cluster.pods.get(pod).class;
        let shape = self.cluster.classes.shape(id);
        let before = self.cluster.classes.attempt(id);
        let alike = if shape == id { before } else { self.cluster.classes.attempt(shape) };
        let plain = self.nominations.is_empty()
            && self.omitted.iter().all(|plugin| !class.asks(*plugin))
            && is_kept(&self.plugins, class)
            && self.plugins.scores().dependence() == Dependence::Node;
        if alike == 0 || !plain {
            return None;
        }
        let ground = Ground { cluster: &self.cluster, scoring: &self.scoring, plugins: &self.plugins };
        if before < SCANS_MAX && self.profile.ties == Ties::LowestIndex {
            let form = Arc::clone(self.cluster.classes.get(shape));
            let board = self.boards.of(&ground, shape, &form, Kind::Shape);
            match board.map(|board| board.scan(&ground, class)) {
                Some(Scan::Best(node, score)) => return Some((node, score)),
                Some(Scan::NothingFits) => return None,
                Some(Scan::Unbounded) | None => {}
            }
        }
        if before == 0 {
            return None;
        }
        let board = self.boards.of(&ground, id, class, Kind::Class)?;
        let best = board.best()?;
        let context = Context {
            cluster: &self.cluster,
            profile: &self.profile,
            scoring: &self.scoring,
            nominations: &self.nominations,
            plugins: &self.plugins,
        };
        let node = context.select_from(&Subject { pod: Some(pod), class, pinned: None }, &best)?;
        Some((node, best.total))
    }

    fn assume(&mut self, pod: PodSlot, node: NodeId, score: i64) -> Decision {
        self.nominations.clear(pod);
        self.put(pod, node);
        let Binding { pod, node, score, devices } = self.binding(pod, node, score);
        Decision::Bind { pod, node, score, devices }
    }

    /// Counts a pod on a node, with the devices that it takes there.
    pub(crate) fn put(&mut self, pod: PodSlot, node: NodeId) {
        let class = Arc::clone(self.cluster.class(pod));
        if class.devices.is_some() {
            let subject = Subject { pod: Some(pod), class: &class, pinned: None };
            let devices = self.context().choose_devices(&subject, node);
            self.cluster.give_devices(pod, Some(devices.into()));
        }
        self.cluster.attach(pod, Place::Assumed(node));
    }

    /// Takes a pod off the node that it was put on.
    pub(crate) fn take_off(&mut self, pod: PodSlot) {
        self.cluster.detach(pod);
        self.cluster.give_devices(pod, None);
    }

    /// What is said of a pod that was put on a node.
    pub(crate) fn binding(&self, pod: PodSlot, node: NodeId, score: i64) -> Binding {
        let devices = self.cluster.devices_of(pod).into();
        let node = Arc::clone(self.cluster.nodes.name(node));
        Binding { pod: self.cluster.pods.get(pod).id.clone(), node, score, devices }
    }

    /// What is remembered about a class that fitted nowhere: a decision, unless other plugins are to be asked.
    fn recall(&mut self, pod: PodSlot, class: &Arc<PodClass>) -> Option<Decision> {
        if self.samples() || self.nominations.of(pod).is_some() {
            return None;
        }
        let id = self.cluster.pods.get(pod).class;
        let subject = Subject { pod: Some(pod), class, pinned: None };
        let context = Context {
            cluster: &self.cluster,
            profile: &self.profile,
            scoring: &self.scoring,
            nominations: &self.nominations,
            plugins: &self.plugins,
        };
        let impasse = self.impasses.of(&context, id, &subject)?;
        if !impasse.fitting().is_empty() {
            let feasible: Vec<NodeId> = impasse.fitting().iter().copied().collect();
            let scores = context.score(&subject, &feasible);
            let index = context.select(&subject, &feasible, &scores.totals)?;
            let (node, score) = (feasible[index], scores.totals[index]);
            return Some(self.assume(pod, node, score));
        }
        self.queue.fail(pod, impasse.plugins(), self.now);
        if self.profile.preemption == Preemption::Enabled
            && let Some(best) = impasse.best().cloned()
        {
            return Some(self.preempt(pod, &best));
        }
        let report = Report::new(&self.cluster, class, impasse.rejections());
        let report = match (self.profile.preemption, class.preemption) {
            _ if impasse.rejections().is_empty() => report,
            (Preemption::Disabled, _) => report,
            (Preemption::Enabled, PreemptionPolicy::Never) => report.ineligible(preempt::Ineligible::PolicyNever),
            (Preemption::Enabled, PreemptionPolicy::LowerPriority) => {
                report.helpless(&self.cluster, class, impasse.helpless())
            }
        };
        Some(Decision::Unschedulable { pod: self.cluster.pods.get(pod).id.clone(), report })
    }

    fn fail(&mut self, pod: PodSlot, class: &Arc<PodClass>, rejected: &[(NodeId, Rejection)]) -> Decision {
        let plugins: Vec<FilterPlugin> = rejected.iter().map(|(_, rejection)| rejection.plugin()).collect();
        self.queue.fail(pod, PluginSet::of(&plugins), self.now);
        let id = self.cluster.pods.get(pod).id.clone();
        let report = Report::new(&self.cluster, class, &count(rejected));
        if self.profile.preemption == Preemption::Disabled || rejected.is_empty() {
            return Decision::Unschedulable { pod: id, report };
        }
        let subject = Subject { pod: Some(pod), class, pinned: None };
        if let Err(why) = preempt::eligible(&self.context(), &subject, rejected) {
            return Decision::Unschedulable { pod: id, report: report.ineligible(why) };
        }
        let search = preempt::search(&self.context(), &subject, rejected);
        // What is kept is asked for by those only who look at all nodes.
        if self.nominations.of(pod).is_none() && self.profile.sampling == Sampling::Exhaustive {
            let context = Context {
                cluster: &self.cluster,
                profile: &self.profile,
                scoring: &self.scoring,
                nominations: &self.nominations,
                plugins: &self.plugins,
            };
            self.impasses.keep(&context, self.cluster.pods.get(pod).class, class, rejected, &search);
        }
        if let Some(best) = preempt::best(&search.candidates).first() {
            return self.preempt(pod, best);
        }
        let report = report.helpless(&self.cluster, class, &count(&search.helpless));
        if let Some(node) = self.nominations.clear(pod) {
            self.spare(node);
        }
        Decision::Unschedulable { pod: id, report }
    }

    fn preempt(&mut self, pod: PodSlot, best: &preempt::Candidate) -> Decision {
        let id = self.cluster.pods.get(pod).id.clone();
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
