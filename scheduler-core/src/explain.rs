//! Explanations: every node's verdict, the scores, and what would make a node fit.
//!
//! A pass of its own over the same filters and scores; deciding pays nothing for it.

use std::fmt;
use std::sync::Arc;

use crate::cluster::Cluster;
use crate::plugin::Plugins;
use crate::pod_table::PodRef;
use crate::preempt;
use crate::profile::{FilterPlugin, Preemption, ScorePlugin};
use crate::report::{Report, count};
use crate::request::PodClass;
use crate::schedule::{Context, Subject};
use crate::score::Scores;
use crate::slot::NodeId;
use crate::verdict::{Code, Rejection};

/// Where a pod could go and why, as things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// Every node with its verdict.
    pub nodes: Vec<NodeExplanation>,
    /// The names of the nodes that share the highest total score.
    pub best: Vec<Arc<str>>,
    /// The rejections, counted; displays as kube-scheduler's message.
    pub report: Report,
    /// Where no node fits: the equally best evictions that would make one fit.
    pub evictions: Vec<Eviction>,
    /// Where no node fits: the node with the fewest things against it, and those.
    pub nearest: Option<NearestMiss>,
}

/// One node's verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeExplanation {
    /// The node's name.
    pub node: Arc<str>,
    /// Its verdict.
    pub verdict: Verdict,
}

/// Whether a node fits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It does.
    Fits {
        /// The weighted points of each plugin; one without an opinion is absent.
        scores: Vec<(ScorePlugin, i64)>,
        /// Their sum.
        total: i64,
    },
    /// It does not.
    Rejected {
        /// The first plugin that said so.
        plugin: FilterPlugin,
        /// Whether evictions may help.
        code: Code,
        /// In kube-scheduler's words; several where several resources fall short.
        reasons: Vec<String>,
    },
}

/// Pods that would have to go from a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Eviction {
    /// The node's name.
    pub node: Arc<str>,
    /// The pods, the most important first.
    pub victims: Vec<PodRef>,
    /// How many of them a disruption budget protects.
    pub budget_violations: usize,
}

/// The node with the fewest things against it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearestMiss {
    /// The node's name.
    pub node: Arc<str>,
    /// What would have to change, all of it.
    pub remedies: Vec<Remedy>,
}

/// A change that would lift one rejection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// So much more of a resource must be free, or so much less be requested (millicores, bytes, or units).
    FreeResource {
        /// The resource's name.
        resource: Arc<str>,
        /// How much.
        amount: i64,
    },
    /// One more pod must be allowed, or one must go.
    FreePodSlot,
    /// The pod must tolerate the taint, or it must be taken away.
    Tolerate {
        /// The taint's key.
        key: Arc<str>,
        /// The taint's value.
        value: Arc<str>,
    },
    /// What the plugin checks must change.
    Satisfy {
        /// The plugin.
        plugin: FilterPlugin,
        /// Its rejection, in kube-scheduler's words.
        reason: String,
    },
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FreeResource { resource, amount } if &**resource == "cpu" => write!(f, "{amount}m more free cpu"),
            Self::FreeResource { resource, amount } => write!(f, "{amount} more free {resource}"),
            Self::FreePodSlot => f.write_str("room for one more pod"),
            Self::Tolerate { key, value } => write!(f, "a toleration of the taint {{{key}: {value}}}"),
            Self::Satisfy { plugin, reason } => write!(f, "{}: not {reason:?}", plugin.name()),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.nodes {
            match &node.verdict {
                Verdict::Fits { scores, total } => {
                    write!(f, "{}: {total}", node.node)?;
                    for (plugin, points) in scores {
                        write!(f, " {}={points}", plugin.name())?;
                    }
                    writeln!(f)?;
                }
                Verdict::Rejected { plugin, code, reasons } => {
                    writeln!(f, "{}: {} ({}, {})", node.node, reasons.join(", "), plugin.name(), code.name())?;
                }
            }
        }
        if self.best.is_empty() {
            writeln!(f, "{}", self.report)?;
        } else {
            writeln!(f, "best: {}", self.best.join(", "))?;
        }
        for eviction in &self.evictions {
            let victims: Vec<String> = eviction.victims.iter().map(ToString::to_string).collect();
            writeln!(f, "would fit on {} without {}", eviction.node, victims.join(", "))?;
        }
        if let Some(nearest) = &self.nearest {
            let remedies: Vec<String> = nearest.remedies.iter().map(ToString::to_string).collect();
            writeln!(f, "nearest: {} needs {}", nearest.node, remedies.join("; "))?;
        }
        Ok(())
    }
}

pub(crate) fn explain<P: Plugins>(context: &Context<'_, P>, subject: &Subject<'_>) -> Explanation {
    let cluster = context.cluster;
    let found = context.feasibility(subject);
    let scores = context.score(subject, &found.feasible);
    let most = scores.totals.iter().max();
    let best = found.feasible.iter().zip(&scores.totals).filter(|(_, total)| Some(*total) == most);
    let best = best.map(|(node, _)| Arc::clone(cluster.nodes.name(*node))).collect();
    let fits = found.feasible.iter().enumerate().map(|(index, node)| (*node, fitting(&scores, index)));
    let rejected = found.rejected.iter().map(|(node, rejection)| {
        let reasons = rejection.reasons(cluster, subject.class);
        (*node, Verdict::Rejected { plugin: rejection.plugin(), code: rejection.code(), reasons })
    });
    let mut nodes: Vec<(NodeId, Verdict)> = fits.chain(rejected).collect();
    nodes.sort_by_key(|(node, _)| *node);
    let mut explanation = Explanation {
        nodes: nodes
            .into_iter()
            .map(|(node, verdict)| NodeExplanation { node: Arc::clone(cluster.nodes.name(node)), verdict })
            .collect(),
        best,
        report: Report::new(cluster, subject.class, &count(&found.rejected)),
        evictions: Vec::new(),
        nearest: None,
    };
    if found.feasible.is_empty() {
        explanation.nearest = nearest(context, subject);
        if context.profile.preemption == Preemption::Enabled {
            add_evictions(context, subject, &found.rejected, &mut explanation);
        }
    }
    explanation
}

fn fitting(scores: &Scores, index: usize) -> Verdict {
    let columns = scores.columns.iter().map(|(plugin, points)| (*plugin, points[index]));
    Verdict::Fits { scores: columns.collect(), total: scores.totals[index] }
}

fn add_evictions<P: Plugins>(
    context: &Context<'_, P>,
    subject: &Subject<'_>,
    rejected: &[(NodeId, Rejection)],
    explanation: &mut Explanation,
) {
    let cluster = context.cluster;
    let report = explanation.report.clone();
    if let Err(why) = preempt::eligible(context, subject, rejected) {
        explanation.report = report.ineligible(why);
        return;
    }
    let search = preempt::search(context, subject, rejected);
    if search.candidates.is_empty() {
        explanation.report = report.helpless(cluster, subject.class, &count(&search.helpless));
    }
    let best = preempt::best(&search.candidates).into_iter();
    let evictions = best.map(|candidate| Eviction {
        node: Arc::clone(cluster.nodes.name(candidate.node)),
        victims: candidate.victims.iter().map(|pod| cluster.pods.get(*pod).id.clone()).collect(),
        budget_violations: candidate.key.violations,
    });
    explanation.evictions = evictions.collect();
}

/// The node with the fewest remedies; among those, the one where evictions may help, then the first.
fn nearest<P: Plugins>(context: &Context<'_, P>, subject: &Subject<'_>) -> Option<NearestMiss> {
    let filters = context.filters(subject);
    let nodes = context.cluster.nodes.ids().map(|node| {
        let rejections = filters.check_all(node, &context.cluster.nodes.actual(node));
        let hopeless = rejections.iter().any(|rejection| rejection.code() == Code::UnschedulableAndUnresolvable);
        let remedies: Vec<Remedy> = rejections
            .iter()
            .flat_map(|rejection| remedies(context.cluster, subject.class, node, *rejection))
            .collect();
        (remedies, hopeless, node)
    });
    let (remedies, _, node) = nodes.min_by_key(|(remedies, hopeless, node)| (remedies.len(), *hopeless, *node))?;
    Some(NearestMiss { node: Arc::clone(context.cluster.nodes.name(node)), remedies })
}

fn remedies(cluster: &Cluster, class: &PodClass, node: NodeId, rejection: Rejection) -> Vec<Remedy> {
    match rejection {
        Rejection::Taint { key, value } => vec![Remedy::Tolerate {
            key: Arc::clone(cluster.interner.text(key)),
            value: Arc::clone(cluster.interner.text(value)),
        }],
        Rejection::Resources { short, .. } => {
            let requests = class.requests.iter().enumerate().filter(|(position, _)| short.has_resource(*position));
            let lacking = requests.map(|(_, (resource, amount))| Remedy::FreeResource {
                resource: Arc::clone(cluster.catalog.name(resource)),
                amount: amount - (cluster.nodes.allocatable(node, resource) - cluster.nodes.requested(node, resource)),
            });
            short.has_pods().then_some(Remedy::FreePodSlot).into_iter().chain(lacking).collect()
        }
        other => {
            let reason = other.reasons(cluster, class).remove(0);
            vec![Remedy::Satisfy { plugin: other.plugin(), reason }]
        }
    }
}
