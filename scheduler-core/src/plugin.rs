//! Plugins of the caller's own: filters, scores, and the answer to where a pod's volume claims let it go.
//!
//! They are types, not objects: a scheduler is compiled with its plugins in it, and one without them has none of their cost.

use crate::scale::{POINTS_MAX, fewer_is_better, more_is_better};
use crate::verdict::Refusal;
use crate::view::{NodeView, PodView};

/// What normalized points are cut at, so that a hundred times as many can be counted.
const RAW_MAX: i64 = 1 << 55;

/// What a plugin's answer depends on: how long it may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dependence {
    /// On what the pod shares with all pods of the same labels, requests and other demands, on the node, and on the pods
    /// there. The answer is kept until something changes on the node.
    Node,
    /// On anything: which pod it is, other nodes, time. Nothing is kept, and every decision looks at every node.
    Everything,
}

/// A filter of the caller's own: may a pod run on a node?
///
/// It is asked about nodes that all filters of the [`Profile`](crate::Profile) let through, and must give the same answer
/// to the same question.
///
/// ```
/// use windlass_scheduler_core::{Code, Dependence, Filter, NodeView, PodView, Refusal};
///
/// /// At most as many licensed pods on a node as its label says.
/// #[derive(Clone, Debug)]
/// struct Licensed;
///
/// impl Filter for Licensed {
///     fn dependence(&self) -> Dependence {
///         Dependence::Node
///     }
///
///     fn check(&self, pod: &PodView<'_>, node: &NodeView<'_>) -> Result<(), &'static Refusal> {
///         const NONE_LEFT: Refusal =
///             Refusal { plugin: "Licensed", code: Code::Unschedulable, reason: "node(s) had no licence left" };
///         let licences = node.label("licences").and_then(|count| count.parse().ok()).unwrap_or(0);
///         let used = node.pods().filter(|pod| pod.label("licensed").is_some()).count();
///         if pod.label("licensed").is_none() || used < licences { Ok(()) } else { Err(&NONE_LEFT) }
///     }
/// }
/// ```
pub trait Filter {
    /// What the answer depends on.
    fn dependence(&self) -> Dependence {
        Dependence::Everything
    }

    /// Whether the pod may run on the node, with what runs there.
    ///
    /// # Errors
    /// What stands against it.
    fn check(&self, pod: &PodView<'_>, node: &NodeView<'_>) -> Result<(), &'static Refusal>;
}

/// How the points of a score become 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scale {
    /// They are that.
    Given,
    /// The most that a node has become 100, and the others their share of it.
    MostIsBest,
    /// The most that a node has become 0, and none of them 100.
    FewestIsBest,
}

/// A score of the caller's own: how good is a node for a pod?
pub trait Score {
    /// The plugin's name.
    fn name(&self) -> &'static str;

    /// What its points are multiplied by.
    fn weight(&self) -> u32 {
        1
    }

    /// How its points become 0 to 100. Other points than [`Scale::Given`] depend on all nodes.
    fn scale(&self) -> Scale {
        Scale::Given
    }

    /// What the points depend on, before they are scaled.
    fn dependence(&self) -> Dependence {
        Dependence::Everything
    }

    /// A node's points. What is beyond the scale counts as its end: 0 at least, and 100 at most where they are given.
    fn points(&self, pod: &PodView<'_>, node: &NodeView<'_>) -> i64;
}

/// Where a pod's volume claims let it go. The caller knows the claims, volumes and storage classes, this crate does not.
///
/// It is asked about pods with claims only, in the place of kube-scheduler's plugins for volumes, whose words are among the
/// constants of [`Refusal`]. Binding the claims is the caller's, after the decision and before the pod's own binding.
///
/// With `()` a pending pod that has a claim is refused by [`Scheduler::apply`](crate::Scheduler::apply).
pub trait Volumes {
    /// Whether pods with claims are placed.
    const TAKES_CLAIMS: bool = true;

    /// What the answer depends on.
    fn dependence(&self) -> Dependence {
        Dependence::Everything
    }

    /// Whether the pod may have its claims on the node.
    ///
    /// # Errors
    /// What stands against it.
    fn check(&self, pod: &PodView<'_>, node: &NodeView<'_>) -> Result<(), &'static Refusal>;
}

/// Filters that are asked one after the other: a tuple of up to eight.
pub trait Filters {
    /// What any of the answers depends on.
    fn dependence(&self) -> Dependence;

    /// Asks each, until one refuses.
    ///
    /// # Errors
    /// What stands against it.
    fn check(&self, pod: &PodView<'_>, node: &NodeView<'_>) -> Result<(), &'static Refusal>;
}

/// Scores that are added: a tuple of up to eight.
pub trait Scores {
    /// What any of them depends on, scaled.
    fn dependence(&self) -> Dependence;

    /// The most that a node can have.
    fn most(&self) -> i64;

    /// A node's weighted points, all scores added, where none is scaled.
    fn points(&self, pod: &PodView<'_>, node: &NodeView<'_>) -> i64;

    /// The weighted points of all nodes, score by score: gives each score's name with them.
    fn columns<'a>(
        &self,
        pod: &PodView<'_>,
        nodes: impl Iterator<Item = NodeView<'a>> + Clone,
        give: impl FnMut(&'static str, Vec<i64>),
    );
}

/// What a scheduler has of its caller's own: `()` for nothing, or [`Own`].
pub trait Plugins {
    /// The filters.
    type Filters: Filters;
    /// The scores.
    type Scores: Scores;
    /// Who answers for volume claims.
    type Volumes: Volumes;

    /// The filters.
    fn filters(&self) -> &Self::Filters;
    /// The scores.
    fn scores(&self) -> &Self::Scores;
    /// Who answers for volume claims.
    fn volumes(&self) -> &Self::Volumes;
}

/// Filters and scores of the caller's own as tuples, and who answers for volume claims; `()` for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own<F = (), S = (), V = ()> {
    /// The filters, in the order in which they are asked.
    pub filters: F,
    /// The scores.
    pub scores: S,
    /// Who answers for volume claims.
    pub volumes: V,
}

impl<F: Filters, S: Scores, V: Volumes> Plugins for Own<F, S, V> {
    type Filters = F;
    type Scores = S;
    type Volumes = V;

    fn filters(&self) -> &F {
        &self.filters
    }

    fn scores(&self) -> &S {
        &self.scores
    }

    fn volumes(&self) -> &V {
        &self.volumes
    }
}

impl Plugins for () {
    type Filters = ();
    type Scores = ();
    type Volumes = ();

    fn filters(&self) -> &() {
        self
    }

    fn scores(&self) -> &() {
        self
    }

    fn volumes(&self) -> &() {
        self
    }
}

impl Volumes for () {
    const TAKES_CLAIMS: bool = false;

    fn dependence(&self) -> Dependence {
        Dependence::Node
    }

    fn check(&self, _: &PodView<'_>, _: &NodeView<'_>) -> Result<(), &'static Refusal> {
        Ok(())
    }
}

impl Filters for () {
    fn dependence(&self) -> Dependence {
        Dependence::Node
    }

    fn check(&self, _: &PodView<'_>, _: &NodeView<'_>) -> Result<(), &'static Refusal> {
        Ok(())
    }
}

impl Scores for () {
    fn dependence(&self) -> Dependence {
        Dependence::Node
    }

    fn most(&self) -> i64 {
        0
    }

    fn points(&self, _: &PodView<'_>, _: &NodeView<'_>) -> i64 {
        0
    }

    fn columns<'a>(
        &self,
        _: &PodView<'_>,
        _: impl Iterator<Item = NodeView<'a>> + Clone,
        _: impl FnMut(&'static str, Vec<i64>),
    ) {
    }
}

/// The pod as a plugin sees it that depends on so much.
pub(crate) fn seen<'a>(pod: &PodView<'a>, dependence: Dependence) -> PodView<'a> {
    match dependence {
        Dependence::Node => pod.anonymous(),
        Dependence::Everything => *pod,
    }
}

fn depends<S: Score>(score: &S) -> Dependence {
    match score.scale() {
        Scale::Given => score.dependence(),
        Scale::MostIsBest | Scale::FewestIsBest => Dependence::Everything,
    }
}

fn weighted<S: Score>(score: &S, pod: &PodView<'_>, node: &NodeView<'_>) -> i64 {
    let points = score.points(&seen(pod, score.dependence()), node);
    i64::from(score.weight()) * points.clamp(0, POINTS_MAX)
}

fn column<'a, S: Score>(score: &S, pod: &PodView<'_>, nodes: impl Iterator<Item = NodeView<'a>>) -> Vec<i64> {
    let pod = seen(pod, score.dependence());
    let raw = nodes.map(|node| score.points(&pod, &node).clamp(0, RAW_MAX));
    let mut points = match score.scale() {
        Scale::Given => raw.map(|points| points.min(POINTS_MAX)).collect(),
        Scale::MostIsBest => more_is_better(raw.collect()),
        Scale::FewestIsBest => fewer_is_better(raw.collect()),
    };
    for points in &mut points {
        *points *= i64::from(score.weight());
    }
    points
}

macro_rules! tuples {
    ($($plugin:ident)*) => {
        impl<$($plugin: Filter),*> Filters for ($($plugin,)*) {
            fn dependence(&self) -> Dependence {
                #[expect(non_snake_case, reason = "a plugin has the name of its type")]
                let ($($plugin,)*) = self;
                Dependence::Node$(.max($plugin.dependence()))*
            }

            fn check(&self, pod: &PodView<'_>, node: &NodeView<'_>) -> Result<(), &'static Refusal> {
                #[expect(non_snake_case, reason = "a plugin has the name of its type")]
                let ($($plugin,)*) = self;
                $($plugin.check(&seen(pod, $plugin.dependence()), node)?;)*
                Ok(())
            }
        }

        impl<$($plugin: Score),*> Scores for ($($plugin,)*) {
            fn dependence(&self) -> Dependence {
                #[expect(non_snake_case, reason = "a plugin has the name of its type")]
                let ($($plugin,)*) = self;
                Dependence::Node$(.max(depends($plugin)))*
            }

            fn most(&self) -> i64 {
                #[expect(non_snake_case, reason = "a plugin has the name of its type")]
                let ($($plugin,)*) = self;
                POINTS_MAX * (0$(+ i64::from($plugin.weight()))*)
            }

            fn points(&self, pod: &PodView<'_>, node: &NodeView<'_>) -> i64 {
                #[expect(non_snake_case, reason = "a plugin has the name of its type")]
                let ($($plugin,)*) = self;
                0$(+ weighted($plugin, pod, node))*
            }

            fn columns<'a>(
                &self,
                pod: &PodView<'_>,
                nodes: impl Iterator<Item = NodeView<'a>> + Clone,
                mut give: impl FnMut(&'static str, Vec<i64>),
            ) {
                #[expect(non_snake_case, reason = "a plugin has the name of its type")]
                let ($($plugin,)*) = self;
                $(give($plugin.name(), column($plugin, pod, nodes.clone()));)*
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
