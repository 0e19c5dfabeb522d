//! Why a pod fits nowhere, counted over the nodes.

use std::collections::BTreeMap;
use std::fmt;

use crate::cluster::Cluster;
use crate::preempt::{Helpless, Ineligible};
use crate::profile::FilterPlugin;
use crate::request::PodClass;
use crate::slot::NodeId;
use crate::verdict::Rejection;

/// Why a pod fits nowhere. Displays as kube-scheduler's message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many nodes there are.
    pub nodes: usize,
    /// The reasons, the most frequent first.
    pub reasons: Vec<Reason>,
    /// Why preemption does not help, where it was considered.
    pub preemption: Option<PreemptionReport>,
    /// What it is about when the pod is of a group that does not fit.
    pub group: Option<GroupReport>,
}

/// How far a pod group is from fitting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupReport {
    /// How many of its pods that have no node would fit at the same time.
    pub fitting: usize,
    /// How many are needed.
    pub missing: usize,
}

/// One reason. A node that lacks several resources counts for each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reason {
    /// The plugin that rejected the nodes.
    pub plugin: FilterPlugin,
    /// In kube-scheduler's words.
    pub text: String,
    /// How many nodes.
    pub nodes: usize,
}

/// Why preemption does not help.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PreemptionReport {
    /// The pod may not preempt, for this reason.
    Ineligible(String),
    /// No node would fit: the reasons with the number of nodes.
    NoCandidate(Vec<(String, usize)>),
}

impl Report {
    pub(crate) fn new(cluster: &Cluster, class: &PodClass, rejections: &BTreeMap<Rejection, usize>) -> Self {
        let mut by_text: BTreeMap<(FilterPlugin, String), usize> = BTreeMap::new();
        for (rejection, nodes) in rejections {
            for text in rejection.reasons(cluster, class) {
                *by_text.entry((rejection.plugin(), text)).or_default() += nodes;
            }
        }
        let reasons = by_text.into_iter().map(|((plugin, text), nodes)| Reason { plugin, text, nodes });
        let mut reasons: Vec<Reason> = reasons.collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.nodes));
        Self { nodes: cluster.nodes.len(), reasons, preemption: None, group: None }
    }

    pub(crate) fn of_group(mut self, group: GroupReport) -> Self {
        self.group = Some(group);
        self
    }

    pub(crate) fn ineligible(mut self, why: Ineligible) -> Self {
        self.preemption = Some(PreemptionReport::Ineligible(why.reason().to_owned()));
        self
    }

    pub(crate) fn helpless(
        mut self,
        cluster: &Cluster,
        class: &PodClass,
        helpless: &BTreeMap<Helpless, usize>,
    ) -> Self {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        // kube-scheduler says one thing for all nodes when there is none on which an eviction could be tried.
        let tried = helpless.keys().any(|helpless| *helpless != Helpless::NotHelpful);
        for (helpless, nodes) in helpless {
            let texts = match helpless {
                Helpless::Rejected(rejection) => rejection.reasons(cluster, class),
                Helpless::NoVictims if tried => vec!["No preemption victims found for incoming pod".to_owned()],
                _ => vec!["Preemption is not helpful for scheduling".to_owned()],
            };
            for text in texts {
                *counts.entry(text).or_default() += nodes;
            }
        }
        self.preemption = Some(PreemptionReport::NoCandidate(counts.into_iter().collect()));
        self
    }
}

/// How many nodes have each reason.
pub(crate) fn count<T: Ord + Copy>(of_nodes: &[(NodeId, T)]) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for (_, reason) in of_nodes {
        *counts.entry(*reason).or_default() += 1;
    }
    counts
}

/// `0/5 nodes are available: 2 Insufficient cpu, 3 ...`, sorted as text.
fn unavailable(f: &mut fmt::Formatter<'_>, nodes: usize, mut counts: Vec<String>) -> fmt::Result {
    write!(f, "0/{nodes} nodes are available:")?;
    counts.sort_unstable();
    if counts.is_empty() { Ok(()) } else { write!(f, " {}.", counts.join(", ")) }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(GroupReport { fitting, missing }) = self.group {
            write!(f, "{fitting} of {missing} pods that the group needs fit; the next: ")?;
        }
        if self.nodes == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        let counts = self.reasons.iter().map(|reason| format!("{} {}", reason.nodes, reason.text));
        unavailable(f, self.nodes, counts.collect())?;
        match &self.preemption {
            None => Ok(()),
            Some(PreemptionReport::Ineligible(why)) => write!(f, " preemption: {why}"),
            Some(PreemptionReport::NoCandidate(counts)) => {
                f.write_str(" preemption: ")?;
                unavailable(f, self.nodes, counts.iter().map(|(text, nodes)| format!("{nodes} {text}")).collect())
            }
        }
    }
}
