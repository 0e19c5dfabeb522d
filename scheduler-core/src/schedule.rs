//! One scheduling attempt: which nodes fit, how good they are, which one is taken.

use crate::assume::Nominations;
use crate::board::Best;
use crate::cluster::Cluster;
use crate::filter::{Asked, Filters};
use crate::intern::Symbol;
use crate::node::{Supposed, Usage};
use crate::plugin::{Plugins, Scores as _};
use crate::profile::{Profile, ScorePlugin, Ties};
use crate::request::PodClass;
use crate::score::scoring::Scoring;
use crate::score::{Scores, score};
use crate::slot::{NodeId, PodSlot};
use crate::verdict::Rejection;
use crate::view::{NodeView, PodView};

/// What an attempt reads.
pub(crate) struct Context<'a, P> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) profile: &'a Profile,
    pub(crate) scoring: &'a Scoring,
    pub(crate) nominations: &'a Nominations,
    pub(crate) plugins: &'a P,
}

/// The pod of an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) pod: Option<PodSlot>,
    pub(crate) class: &'a PodClass,
    /// The node that the pod itself asks for.
    pub(crate) pinned: Option<Symbol>,
}

/// The nodes, divided by the filters.
#[derive(Debug, Default)]
pub(crate) struct Feasibility {
    pub(crate) feasible: Vec<NodeId>,
    pub(crate) rejected: Vec<(NodeId, Rejection)>,
}

/// Where a pod could go.
#[derive(Debug)]
pub(crate) enum Found {
    /// To this node, with this score.
    Node(NodeId, i64),
    /// Nowhere: what stands against it on each node.
    Nowhere(Vec<(NodeId, Rejection)>),
}

impl<P> Clone for Context<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Context<'_, P> {}

impl<'a, P: Plugins> Context<'a, P> {
    pub(crate) fn filters(&self, subject: &Subject<'a>) -> Filters<'a, P> {
        let Subject { pod, class, pinned } = *subject;
        Filters::new(self.cluster, &self.profile.filters, self.plugins, Asked { pod, class, pinned })
    }

    /// Filters every node.
    pub(crate) fn feasibility(&self, subject: &Subject<'a>) -> Feasibility {
        let mut filters = self.filters(subject);
        let mut result = Feasibility::default();
        for node in self.cluster.nodes.ids() {
            match self.check_actual(&mut filters, subject, node) {
                None => result.feasible.push(node),
                Some(rejection) => result.rejected.push((node, rejection)),
            }
        }
        result
    }

    /// Filters nodes in their order until so many fit, and tells how many were looked at.
    pub(crate) fn sample(
        &self,
        subject: &Subject<'a>,
        visits: impl Iterator<Item = NodeId>,
        enough: usize,
    ) -> (Feasibility, usize) {
        let mut filters = self.filters(subject);
        let mut result = Feasibility::default();
        for node in visits {
            match self.check_actual(&mut filters, subject, node) {
                None => result.feasible.push(node),
                Some(rejection) => result.rejected.push((node, rejection)),
            }
            if result.feasible.len() >= enough {
                break;
            }
        }
        let looked_at = result.feasible.len() + result.rejected.len();
        result.feasible.sort_unstable();
        result.rejected.sort_unstable_by_key(|(node, _)| *node);
        (result, looked_at)
    }

    pub(crate) fn check_actual(
        &self,
        filters: &mut Filters<'a, P>,
        subject: &Subject<'a>,
        node: NodeId,
    ) -> Option<Rejection> {
        let actual = self.cluster.nodes.actual(node);
        self.check(filters, subject, node, &actual, || self.cluster.nodes.supposed(node))
    }

    /// Checks a node with the pods that wait for it and are as important counted in, and then without them: they may
    /// not come, and a pod that gathers with them must fit all the same.
    pub(crate) fn check(
        &self,
        filters: &mut Filters<'a, P>,
        subject: &Subject<'a>,
        node: NodeId,
        usage: &impl Usage,
        suppose: impl FnOnce() -> Supposed,
    ) -> Option<Rejection> {
        let ahead = self.nominations.ahead(self.cluster, subject.pod, subject.class.priority, node);
        if !ahead.is_empty() {
            let mut supposed = suppose();
            for pod in &ahead {
                supposed.add(*pod, self.cluster.class(*pod), &[]);
                filters.add(*pod, node);
            }
            let rejection = filters.check(node, &supposed);
            for pod in &ahead {
                filters.remove(*pod, node);
            }
            if rejection.is_some() {
                return rejection;
            }
        }
        filters.check(node, usage)
    }

    /// Scores the feasible nodes.
    pub(crate) fn score(&self, subject: &Subject<'_>, nodes: &[NodeId]) -> Scores {
        let cluster = self.cluster;
        let mut scores = score(cluster, self.scoring, subject.class, nodes);
        let pod = PodView { cluster, class: subject.class, pod: subject.pod };
        let views = nodes.iter().map(|node| NodeView { cluster, node: *node, supposed: None });
        self.plugins.scores().columns(&pod, views, |name, points| scores.add(ScorePlugin::Own(name), points));
        scores
    }

    /// The index of the node to take among the best.
    pub(crate) fn select(&self, subject: &Subject<'a>, nodes: &[NodeId], totals: &[i64]) -> Option<usize> {
        let best = *totals.iter().max()?;
        let mut tied = (0..nodes.len()).filter(|index| totals[*index] == best);
        match self.profile.ties {
            Ties::LowestIndex => tied.next(),
            Ties::Seeded(seed) => {
                let draw = self.draw(subject, seed);
                tied.max_by_key(|index| draw(nodes[*index]))
            }
        }
    }

    /// The node to take among those that a board calls the best.
    pub(crate) fn select_from(&self, subject: &Subject<'a>, best: &Best<'_>) -> Option<NodeId> {
        match self.profile.ties {
            Ties::LowestIndex => best.first(),
            Ties::Seeded(seed) => best.all().max_by_key(|node| self.draw(subject, seed)(*node)),
        }
    }

    /// The devices of a node that a pod takes.
    pub(crate) fn choose_devices(&self, subject: &Subject<'a>, node: NodeId) -> Vec<u16> {
        let lot = |seed: u64| self.draw(subject, seed.wrapping_add(1))(node).0;
        self.scoring.gpu.choose(self.cluster, subject.class, node, lot)
    }

    /// The lot that each node draws for a pod.
    fn draw(&self, subject: &Subject<'a>, seed: u64) -> impl Fn(NodeId) -> (u64, NodeId) + 'a {
        let cluster = self.cluster;
        let uid = subject.pod.map_or("", |pod| cluster.pods.get(pod).id.uid());
        let start = hash(seed, uid);
        move |node| (hash(start, cluster.nodes.name(node)), node)
    }
}

/// FNV-1a with a final mix: a hash that is the same in every build.
fn hash(seed: u64, text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed;
    let folded = text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (folded ^ (folded >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}
