//! Impasses: for a class that fitted nowhere, what each node had against it and who would have to go from there.
//!
//! Where pods that nothing keeps together or apart are to be placed, a node's answer depends on that node alone. It is
//! kept until something changes there, so that the next pod of the class need not ask all nodes again. What is kept
//! says exactly what asking would.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::class::ClassId;
use crate::filter::is_kept;
use crate::plugin::Plugins;
use crate::preempt::{self, Candidate, Helpless, Key, Search};
use crate::queue::PluginSet;
use crate::request::{PodClass, PreemptionPolicy, WhenUnsatisfiable};
use crate::schedule::{Context, Subject};
use crate::shared::Shared;
use crate::slot::NodeId;
use crate::verdict::Rejection;

/// Rows of all impasses together.
const ROWS_MAX: usize = 1 << 20;

/// The impasses that are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Impasses {
    list: BTreeMap<ClassId, Kept>,
    /// Counts the questions.
    clock: u64,
}

#[derive(Clone, Debug)]
struct Kept {
    impasse: Shared<Impasse>,
    last_used: u64,
}

/// One class's impasse.
#[derive(Clone, Debug)]
pub(crate) struct Impasse {
    class: Arc<PodClass>,
    seen: Seen,
    /// By row; `None` where the class fits, and where there is no node.
    answers: Vec<Option<Answer>>,
    fitting: BTreeSet<NodeId>,
    rejections: BTreeMap<Rejection, usize>,
    helpless: BTreeMap<Helpless, usize>,
    candidates: BTreeSet<(Key, NodeId)>,
}

#[derive(Clone, Debug)]
struct Answer {
    rejection: Rejection,
    /// `None` for a class that may not preempt.
    trial: Option<Result<Candidate, Helpless>>,
}

/// Which changes are in the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    placed: u64,
    started: u64,
    nominated: u64,
    epoch: u64,
    budgets: u64,
}

impl Seen {
    fn now<P: Plugins>(context: &Context<'_, P>) -> Self {
        Self {
            placed: context.cluster.log.end(),
            started: context.cluster.started.end(),
            nominated: context.nominations.changes().end(),
            epoch: context.cluster.epoch(),
            budgets: context.cluster.budget_changes(),
        }
    }
}

impl Impasses {
    /// The impasse of a class, up to date; `None` when there is none, or too much has changed since.
    pub(crate) fn of<P: Plugins>(
        &mut self,
        context: &Context<'_, P>,
        id: ClassId,
        subject: &Subject<'_>,
    ) -> Option<&Impasse> {
        self.clock += 1;
        let clock = self.clock;
        let Kept { impasse, .. } = self.list.get_mut(&id)?;
        let same = std::ptr::eq(Arc::as_ptr(&impasse.class), subject.class);
        let usable = same && is_local(context, subject.class);
        // What forks share is copied only where there is something to take in.
        if !usable || (impasse.seen != Seen::now(context) && impasse.refresh(context, subject).is_none()) {
            self.list.remove(&id);
            return None;
        }
        let Kept { impasse, last_used } = self.list.get_mut(&id)?;
        *last_used = clock;
        Some(impasse)
    }

    /// Keeps what was found about a class that fits nowhere, where that can be kept.
    pub(crate) fn keep<P: Plugins>(
        &mut self,
        context: &Context<'_, P>,
        id: ClassId,
        class: &Arc<PodClass>,
        rejected: &[(NodeId, Rejection)],
        search: &Search,
    ) {
        let rows = context.cluster.nodes.rows().max(1);
        if !is_local(context, class) || rows > ROWS_MAX {
            return;
        }
        while (self.list.len() + 1) * rows > ROWS_MAX {
            let oldest = self.list.iter().min_by_key(|(_, kept)| kept.last_used).map(|(id, _)| *id);
            oldest.map(|id| self.list.remove(&id));
        }
        let impasse = Impasse::new(context, class, rejected, search);
        self.list.insert(id, Kept { impasse: Shared::new(impasse), last_used: self.clock });
    }
}

/// Whether a node's answer depends on nothing but what is there and who waits for it.
fn is_local<P: Plugins>(context: &Context<'_, P>, class: &PodClass) -> bool {
    is_kept(context.plugins, class)
        && class.affinity.required.is_empty()
        && class.anti_affinity.required.is_empty()
        && class.spread.iter().all(|constraint| constraint.when != WhenUnsatisfiable::DoNotSchedule)
        && context.cluster.refusing_pods().next().is_none()
}

impl Impasse {
    fn new<P: Plugins>(
        context: &Context<'_, P>,
        class: &Arc<PodClass>,
        rejected: &[(NodeId, Rejection)],
        search: &Search,
    ) -> Self {
        let mut impasse = Self {
            class: Arc::clone(class),
            seen: Seen::now(context),
            answers: vec![None; context.cluster.nodes.rows()],
            fitting: BTreeSet::new(),
            rejections: BTreeMap::new(),
            helpless: BTreeMap::new(),
            candidates: BTreeSet::new(),
        };
        let candidates = search.candidates.iter().map(|candidate| (candidate.node, Ok(candidate.clone())));
        let helpless = search.helpless.iter().map(|(node, helpless)| (*node, Err(*helpless)));
        let mut trials: BTreeMap<NodeId, Result<Candidate, Helpless>> = candidates.chain(helpless).collect();
        for (node, rejection) in rejected {
            let answer = Answer { rejection: *rejection, trial: trials.remove(node) };
            impasse.put(*node, answer);
        }
        impasse
    }

    /// Asks the nodes again on which something changed; `None` when that is not known.
    fn refresh<P: Plugins>(&mut self, context: &Context<'_, P>, subject: &Subject<'_>) -> Option<()> {
        let now = Seen::now(context);
        if (self.seen.epoch, self.seen.budgets) != (now.epoch, now.budgets) {
            return None;
        }
        let placed = context.cluster.log.since(self.seen.placed)?.map(|entry| entry.node);
        let started = context.cluster.started.since(self.seen.started)?.copied();
        let nominated = context.nominations.changes().since(self.seen.nominated)?.copied();
        let mut changed: Vec<NodeId> = placed.chain(started).chain(nominated).collect();
        changed.sort_unstable();
        changed.dedup();
        self.seen = now;
        let mut filters = context.filters(subject);
        for node in changed {
            self.take_out(node);
            let Some(rejection) = context.check_actual(&mut filters, subject, node) else {
                self.fitting.insert(node);
                continue;
            };
            let tried = self.may_preempt().then(|| preempt::try_node(context, subject, &mut filters, node, rejection));
            self.put(node, Answer { rejection, trial: tried });
        }
        Some(())
    }

    fn may_preempt(&self) -> bool {
        self.class.preemption != PreemptionPolicy::Never
    }

    fn put(&mut self, node: NodeId, answer: Answer) {
        *self.rejections.entry(answer.rejection).or_default() += 1;
        match &answer.trial {
            Some(Ok(candidate)) => {
                self.candidates.insert((candidate.key, node));
            }
            Some(Err(helpless)) => *self.helpless.entry(*helpless).or_default() += 1,
            None => {}
        }
        self.answers[node.row()] = Some(answer);
    }

    fn take_out(&mut self, node: NodeId) {
        self.fitting.remove(&node);
        let Some(answer) = self.answers[node.row()].take() else { return };
        one_less(&mut self.rejections, &answer.rejection);
        match answer.trial {
            Some(Ok(candidate)) => {
                self.candidates.remove(&(candidate.key, node));
            }
            Some(Err(helpless)) => one_less(&mut self.helpless, &helpless),
            None => {}
        }
    }

    /// The nodes on which the class fits after all.
    pub(crate) fn fitting(&self) -> &BTreeSet<NodeId> {
        &self.fitting
    }

    /// How many nodes have what against the class.
    pub(crate) fn rejections(&self) -> &BTreeMap<Rejection, usize> {
        &self.rejections
    }

    /// On how many nodes evictions do not help, and why.
    pub(crate) fn helpless(&self) -> &BTreeMap<Helpless, usize> {
        &self.helpless
    }

    /// The plugins that stand against the class.
    pub(crate) fn plugins(&self) -> PluginSet {
        let plugins: Vec<_> = self.rejections.keys().map(|rejection| rejection.plugin()).collect();
        PluginSet::of(&plugins)
    }

    /// The node that is best to make room on.
    pub(crate) fn best(&self) -> Option<&Candidate> {
        let (_, node) = self.candidates.first()?;
        self.answers[node.row()].as_ref()?.trial.as_ref()?.as_ref().ok()
    }
}

fn one_less<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
