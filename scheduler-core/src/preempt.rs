//! Preemption: which pods must go from which node so that a more important one fits.

use std::cmp::Reverse;

use crate::cluster::Cluster;
use crate::filter::Filters;
use crate::node::Supposed;
use crate::plugin::Plugins;
use crate::pod_table::Eviction;
use crate::request::{Deletion, PreemptionPolicy};
use crate::schedule::{Context, Subject};
use crate::slot::{NodeId, PodSlot};
use crate::verdict::{Code, Rejection};

/// A node that would fit, and the pods that would have to go, the most important first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) node: NodeId,
    pub(crate) victims: Vec<PodSlot>,
    /// The candidate with the lowest is the best.
    pub(crate) key: Key,
}

/// What candidates are compared by, in kube-scheduler's order of criteria.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Victims whose disruption budget is used up.
    pub(crate) violations: usize,
    highest: i64,
    sum: i64,
    count: usize,
    earliest: Reverse<Option<i64>>,
}

impl Key {
    /// The key of the pods to go, the most important first.
    fn new(cluster: &Cluster, victims: &[PodSlot], violations: usize) -> Self {
        let priority = |pod: &PodSlot| i64::from(cluster.priority(*pod));
        let highest = victims.first().map_or(i64::MIN, priority);
        // Priorities are made positive, so that fewer victims weigh less even when priorities are negative.
        let sum = victims.iter().map(|pod| priority(pod) + (1 << 31)).sum();
        let top = victims.iter().filter(|pod| priority(pod) == highest);
        let earliest = Reverse(top.map(|pod| started(cluster, *pod)).min());
        Self { violations, highest, sum, count: victims.len(), earliest }
    }
}

/// Why evicting from a node does not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Helpless {
    /// The rejection has nothing to do with the pods there.
    NotHelpful,
    /// No less important pod is there.
    NoVictims,
    /// Even without the less important pods, this stands against it.
    Rejected(Rejection),
}

/// Why a pod may not preempt now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ineligible {
    PolicyNever,
    /// Pods that it made go are still going.
    VictimsTerminating,
}

impl Ineligible {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::PolicyNever => "not eligible due to preemptionPolicy=Never.",
            Self::VictimsTerminating => "not eligible due to a terminating pod on the nominated node.",
        }
    }
}

/// Every node on which eviction was tried.
#[derive(Debug, Default)]
pub(crate) struct Search {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) helpless: Vec<(NodeId, Helpless)>,
}

/// Whether the pod may preempt at all.
pub(crate) fn eligible<P: Plugins>(
    context: &Context<'_, P>,
    subject: &Subject<'_>,
    rejected: &[(NodeId, Rejection)],
) -> Result<(), Ineligible> {
    if subject.class.preemption == PreemptionPolicy::Never {
        return Err(Ineligible::PolicyNever);
    }
    let Some(node) = subject.pod.and_then(|pod| context.nominations.of(pod)) else { return Ok(()) };
    let hopeless = rejected
        .iter()
        .any(|(rejected, rejection)| *rejected == node && rejection.code() == Code::UnschedulableAndUnresolvable);
    let going = |pod: &PodSlot| {
        let record = context.cluster.pods.get(*pod);
        context.cluster.priority(*pod) < subject.class.priority
            && (record.deletion == Deletion::Started || record.eviction == Eviction::Asked)
    };
    if !hopeless && context.cluster.nodes.pods(node).iter().any(going) {
        return Err(Ineligible::VictimsTerminating);
    }
    Ok(())
}

/// Tries evictions on every node that was rejected for what is on it.
pub(crate) fn search<'a, P: Plugins>(
    context: &Context<'a, P>,
    subject: &Subject<'a>,
    rejected: &[(NodeId, Rejection)],
) -> Search {
    let mut filters = context.filters(subject);
    let mut search = Search::default();
    for (node, rejection) in rejected {
        match try_node(context, subject, &mut filters, *node, *rejection) {
            Ok(candidate) => search.candidates.push(candidate),
            Err(helpless) => search.helpless.push((*node, helpless)),
        }
    }
    search
}

/// Tries evictions on a node that was rejected.
pub(crate) fn try_node<'a, P: Plugins>(
    context: &Context<'a, P>,
    subject: &Subject<'a>,
    filters: &mut Filters<'a, P>,
    node: NodeId,
    rejection: Rejection,
) -> Result<Candidate, Helpless> {
    if rejection.code() == Code::UnschedulableAndUnresolvable {
        return Err(Helpless::NotHelpful);
    }
    // What evictions may lift, no plugin before these has said.
    filters.ask_about_pods();
    let result = Trial::new(context, subject, filters, node).run();
    filters.ask_about_all();
    result
}

/// The candidates that are equally best.
pub(crate) fn best(candidates: &[Candidate]) -> Vec<&Candidate> {
    let least = candidates.iter().map(|candidate| candidate.key).min();
    candidates.iter().filter(|candidate| Some(candidate.key) == least).collect()
}

/// When a pod started; one that has not counts as the latest.
fn started(cluster: &Cluster, pod: PodSlot) -> i64 {
    cluster.pods.get(pod).start.unwrap_or(i64::MAX)
}

/// One node, with pods supposed away and back.
struct Trial<'t, 'a, P> {
    context: &'t Context<'a, P>,
    subject: &'t Subject<'a>,
    filters: &'t mut Filters<'a, P>,
    node: NodeId,
    usage: Supposed,
    /// Pods that are supposed away at the moment.
    away: Vec<PodSlot>,
}

impl<'t, 'a, P: Plugins> Trial<'t, 'a, P> {
    fn new(
        context: &'t Context<'a, P>,
        subject: &'t Subject<'a>,
        filters: &'t mut Filters<'a, P>,
        node: NodeId,
    ) -> Self {
        Self { context, subject, filters, node, usage: context.cluster.nodes.supposed(node), away: Vec::new() }
    }

    /// Finds the victims, leaving the filters as they were.
    fn run(mut self) -> Result<Candidate, Helpless> {
        let result = self.victims();
        for pod in self.away {
            self.filters.add(pod, self.node);
        }
        result
    }

    fn victims(&mut self) -> Result<Candidate, Helpless> {
        let cluster = self.context.cluster;
        let weaker = |pod: &PodSlot| cluster.priority(*pod) < self.subject.class.priority;
        let mut potential: Vec<PodSlot> = cluster.nodes.pods(self.node).iter().copied().filter(weaker).collect();
        if potential.is_empty() {
            return Err(Helpless::NoVictims);
        }
        self.away.reserve(potential.len());
        for pod in &potential {
            self.remove(*pod);
        }
        if let Some(rejection) = self.check() {
            return Err(Helpless::Rejected(rejection));
        }
        potential.sort_by_key(|pod| importance(cluster, *pod));
        let (violating, others) = by_budget(cluster, &potential);
        let mut victims = Vec::new();
        for pod in &violating {
            self.reprieve(*pod, &mut victims);
        }
        let violations = victims.len();
        for pod in &others {
            self.reprieve(*pod, &mut victims);
        }
        victims.sort_by_key(|pod| importance(cluster, *pod));
        if victims.is_empty() {
            // The pod fits beside everyone: what rejected it counts differently when pods return.
            return Err(Helpless::NoVictims);
        }
        Ok(Candidate { node: self.node, key: Key::new(cluster, &victims, violations), victims })
    }

    fn check(&mut self) -> Option<Rejection> {
        let usage = &self.usage;
        self.context.check(self.filters, self.subject, self.node, usage, || usage.clone())
    }

    fn remove(&mut self, pod: PodSlot) {
        self.usage.remove(pod, self.context.cluster.class(pod), self.context.cluster.devices_of(pod));
        self.filters.remove(pod, self.node);
        self.away.push(pod);
    }

    /// Lets a pod stay if the node still fits with it.
    fn reprieve(&mut self, pod: PodSlot, victims: &mut Vec<PodSlot>) {
        self.usage.add(pod, self.context.cluster.class(pod), self.context.cluster.devices_of(pod));
        self.filters.add(pod, self.node);
        if let Some(index) = self.away.iter().position(|other| *other == pod) {
            self.away.swap_remove(index);
        }
        if self.check().is_some() {
            self.remove(pod);
            victims.push(pod);
        }
    }
}

/// The more important pod sorts first: higher priority, then started earlier.
fn importance(cluster: &Cluster, pod: PodSlot) -> (Reverse<i32>, i64) {
    (Reverse(cluster.priority(pod)), started(cluster, pod))
}

/// Divides pods into those whose eviction would break a disruption budget, and the others.
fn by_budget(cluster: &Cluster, pods: &[PodSlot]) -> (Vec<PodSlot>, Vec<PodSlot>) {
    let mut budgets: Vec<_> = cluster.budgets().map(|budget| (budget, budget.allowed)).collect();
    pods.iter().copied().partition(|pod| {
        let class = cluster.class(*pod);
        let record = cluster.pods.get(*pod);
        let mut breaks = false;
        for (budget, left) in &mut budgets {
            let covers = !class.labels.is_empty()
                && budget.namespace == class.namespace
                && !budget.selector.is_empty()
                && budget.selector.matches(&class.labels)
                && !budget.disrupted.iter().any(|name| **name == *record.id.name());
            if covers {
                *left -= 1;
                breaks |= *left < 0;
            }
        }
        breaks
    })
}
