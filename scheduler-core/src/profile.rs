//! The profile: which plugins run, with which weights and settings.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::gpu::GpuStrategy;

/// The filters, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FilterPlugin {
    /// Cordoned nodes take only pods that tolerate the cordon.
    NodeUnschedulable,
    /// A pod that names a node runs there only.
    NodeName,
    /// `NoSchedule` and `NoExecute` taints keep pods away that do not tolerate them.
    TaintToleration,
    /// Node selector and required node affinity.
    NodeAffinity,
    /// Host ports are taken once.
    NodePorts,
    /// Requests fit into what is allocatable.
    NodeResourcesFit,
    /// Volume claims, by what the caller's [`Volumes`](crate::Volumes) answers: the place of kube-scheduler's four plugins
    /// for volumes, whose names its answers bear.
    VolumeBinding,
    /// Spread constraints with `DoNotSchedule`.
    PodTopologySpread,
    /// Required pod affinity and anti-affinity, of the pod and of the pods that are there.
    InterPodAffinity,
    /// Shared devices that annotations ask for, see [`GpuStrategy`]. Not part of the default profile: without it the
    /// annotations mean nothing.
    GpuShare,
    /// A filter of the caller's own, by the name that its [`Refusal`](crate::Refusal) bears. It runs after all others, and
    /// is not part of a [`Profile`].
    Own(&'static str),
}

impl FilterPlugin {
    /// Every filter of this crate, in order.
    pub const ALL: [Self; 10] = [
        Self::NodeUnschedulable,
        Self::NodeName,
        Self::TaintToleration,
        Self::NodeAffinity,
        Self::NodePorts,
        Self::NodeResourcesFit,
        Self::VolumeBinding,
        Self::PodTopologySpread,
        Self::InterPodAffinity,
        Self::GpuShare,
    ];

    /// Those of kube-scheduler, in order: all but the last.
    pub(crate) const OF_KUBERNETES: &'static [Self] = Self::ALL.split_at(Self::ALL.len() - 1).0;

    /// The plugin's name in kube-scheduler.
    pub fn name(self) -> &'static str {
        match self {
            Self::NodeUnschedulable => "NodeUnschedulable",
            Self::NodeName => "NodeName",
            Self::TaintToleration => "TaintToleration",
            Self::NodeAffinity => "NodeAffinity",
            Self::NodePorts => "NodePorts",
            Self::NodeResourcesFit => "NodeResourcesFit",
            Self::VolumeBinding => "VolumeBinding",
            Self::PodTopologySpread => "PodTopologySpread",
            Self::InterPodAffinity => "InterPodAffinity",
            Self::GpuShare => "GpuShare",
            Self::Own(name) => name,
        }
    }
}

/// The scores. Each gives a node 0 to 100 points, times its weight; [`ScorePlugin::GpuShare`] gives ten million times as
/// many, so that the others decide only where it gives equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ScorePlugin {
    /// Fewer `PreferNoSchedule` taints that the pod does not tolerate.
    TaintToleration,
    /// Preferred node affinity.
    NodeAffinity,
    /// Room left on the node, by [`Profile::fit`].
    NodeResourcesFit,
    /// Spread constraints with `ScheduleAnyway`.
    PodTopologySpread,
    /// Preferred pod affinity and anti-affinity.
    InterPodAffinity,
    /// Resources used in equal shares.
    NodeResourcesBalancedAllocation,
    /// Images that the node has already.
    ImageLocality,
    /// What the pod leaves of shared devices, by [`Profile::gpu`]. Not part of the default profile.
    GpuShare,
    /// A score of the caller's own, by its name; not part of a [`Profile`].
    Own(&'static str),
}

impl ScorePlugin {
    /// Every score of this crate, in order.
    pub const ALL: [Self; 8] = [
        Self::TaintToleration,
        Self::NodeAffinity,
        Self::NodeResourcesFit,
        Self::PodTopologySpread,
        Self::InterPodAffinity,
        Self::NodeResourcesBalancedAllocation,
        Self::ImageLocality,
        Self::GpuShare,
    ];

    /// The plugin's name in kube-scheduler.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaintToleration => "TaintToleration",
            Self::NodeAffinity => "NodeAffinity",
            Self::NodeResourcesFit => "NodeResourcesFit",
            Self::PodTopologySpread => "PodTopologySpread",
            Self::InterPodAffinity => "InterPodAffinity",
            Self::NodeResourcesBalancedAllocation => "NodeResourcesBalancedAllocation",
            Self::ImageLocality => "ImageLocality",
            Self::GpuShare => "GpuShare",
            Self::Own(name) => name,
        }
    }

    fn default_weight(self) -> u32 {
        match self {
            Self::GpuShare | Self::Own(_) => 0,
            Self::TaintToleration => 3,
            Self::NodeAffinity | Self::PodTopologySpread | Self::InterPodAffinity => 2,
            Self::NodeResourcesFit | Self::NodeResourcesBalancedAllocation | Self::ImageLocality => 1,
        }
    }
}

/// How [`ScorePlugin::NodeResourcesFit`] values the room on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FitStrategy {
    /// The emptier the better: pods spread out.
    LeastAllocated,
    /// The fuller the better: pods are packed.
    MostAllocated,
    /// A function of the utilization.
    RequestedToCapacityRatio(Shape),
}

/// A piecewise linear function from utilization (0 to 100) to points (0 to 10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape(Vec<(i64, i64)>);

impl Shape {
    /// A function through points of (utilization, score).
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no point, a utilization is above 100, a score above 10, or the utilizations
    /// do not increase strictly.
    pub fn new(points: &[(u8, u8)]) -> Result<Self> {
        let invalid = |reason: &str| Error::invalid("shape", format!("{points:?}"), reason);
        if points.is_empty() {
            return Err(invalid("at least one point is needed"));
        }
        if points.iter().any(|point| point.0 > 100 || point.1 > 10) {
            return Err(invalid("utilization is at most 100 and score at most 10"));
        }
        if points.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(invalid("utilization must increase from point to point"));
        }
        Ok(Self(points.iter().map(|point| (i64::from(point.0), i64::from(point.1) * 10)).collect()))
    }

    /// Points from 0 to 100 for a utilization in percent.
    pub(crate) fn at(&self, utilization: i64) -> i64 {
        let Some(next) = self.0.iter().position(|point| utilization <= point.0) else {
            return self.0.last().map_or(0, |point| point.1);
        };
        let end = self.0[next];
        match next.checked_sub(1).map(|before| self.0[before]) {
            None => end.1,
            Some(start) => start.1 + (end.1 - start.1) * (utilization - start.0) / (end.0 - start.0),
        }
    }
}

/// Which of several equally good nodes is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ties {
    /// The one that was added first (rows of removed nodes are used again).
    LowestIndex,
    /// One drawn by a hash of this seed, the pod's uid and the node's name: the same in every run.
    Seeded(u64),
}

/// How many nodes an attempt looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sampling {
    /// All of them: the answer is exact.
    Exhaustive,
    /// As many as kube-scheduler does by default. An attempt visits the nodes from where the one before it stopped, the
    /// zones in turn, until it has found enough on which the pod fits: 50 % of the nodes less 1 % for every 125 of
    /// them, but at least 5 % and at least 100. Only those are scored. Where a pod fits on none, all have been visited.
    ///
    /// kube-scheduler visits nodes in parallel and may find a few more; here the order alone decides.
    Adaptive,
    /// As [`Sampling::Adaptive`], with kube-scheduler's `percentageOfNodesToScore` instead of a share that depends on
    /// the size of the cluster: 1 to 100.
    Percentage(u8),
}

/// Whether pods of higher priority may push others off a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preemption {
    /// They may, as `DefaultPreemption` decides.
    Enabled,
    /// They wait.
    Disabled,
}

/// What a [`Scheduler`](crate::Scheduler) runs. The default is kube-scheduler's default profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Pods with another `spec.schedulerName` are left alone; one without is meant for everyone.
    pub scheduler_name: String,
    /// The filters that run, always in [`FilterPlugin`]'s order.
    pub filters: BTreeSet<FilterPlugin>,
    /// The scores that run, with their weights.
    pub scores: BTreeMap<ScorePlugin, u32>,
    /// How the fit score values room.
    pub fit: FitStrategy,
    /// The resources that the fit score looks at, with their weights.
    pub fit_resources: Vec<(String, u32)>,
    /// The resources that should be used in equal shares.
    pub balanced_resources: Vec<String>,
    /// Weight of the required affinity terms of pods that are there, in the affinity score.
    pub hard_pod_affinity_weight: u32,
    /// How nodes with shared devices are compared, where [`ScorePlugin::GpuShare`] is among the scores.
    pub gpu: GpuStrategy,
    /// Preemption.
    pub preemption: Preemption,
    /// Ties.
    pub ties: Ties,
    /// How many nodes an attempt looks at.
    pub sampling: Sampling,
    /// Wait after a first failed attempt; it doubles with every further one.
    pub backoff_initial: Duration,
    /// The longest wait after a failed attempt.
    pub backoff_max: Duration,
    /// A pod that no event woke is tried again after this long.
    pub unschedulable_max: Duration,
}

impl Profile {
    /// The default filters, and nodes compared by what pods leave of shared devices alone.
    pub fn gpu_sharing(strategy: GpuStrategy) -> Self {
        let ties = match strategy {
            GpuStrategy::Random(seed) => Ties::Seeded(seed),
            _ => Ties::LowestIndex,
        };
        let (filters, scores) = (FilterPlugin::ALL.into(), [(ScorePlugin::GpuShare, 1)].into());
        Self { filters, scores, gpu: strategy, ties, ..Self::default() }
    }
}

impl Default for Profile {
    fn default() -> Self {
        let scores = ScorePlugin::ALL.into_iter().map(|plugin| (plugin, plugin.default_weight()));
        Self {
            scheduler_name: "default-scheduler".to_owned(),
            filters: FilterPlugin::OF_KUBERNETES.iter().copied().collect(),
            scores: scores.filter(|(_, weight)| *weight > 0).collect(),
            fit: FitStrategy::LeastAllocated,
            fit_resources: vec![("cpu".to_owned(), 1), ("memory".to_owned(), 1)],
            balanced_resources: vec!["cpu".to_owned(), "memory".to_owned()],
            hard_pod_affinity_weight: 1,
            gpu: GpuStrategy::BestFit,
            preemption: Preemption::Enabled,
            ties: Ties::LowestIndex,
            sampling: Sampling::Exhaustive,
            backoff_initial: Duration::from_secs(1),
            backoff_max: Duration::from_secs(10),
            unschedulable_max: Duration::from_mins(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_linear_between_its_points() {
        let shape = Shape::new(&[(0, 0), (50, 10), (100, 5)]).unwrap();
        let table = [(0, 0), (25, 50), (50, 100), (75, 75), (100, 50)];
        assert_eq!(table.map(|(utilization, _)| (utilization, shape.at(utilization))), table);
        for points in [&[][..], &[(101, 1)], &[(1, 11)], &[(2, 1), (2, 2)]] {
            assert!(Shape::new(points).is_err(), "{points:?}");
        }
    }
}
