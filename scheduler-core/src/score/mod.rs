//! Scores: how good a node is for a pod, among those that every filter lets through.

pub(crate) mod gpu;
pub(crate) mod images;
pub(crate) mod interpod;
pub(crate) mod logarithm;
pub(crate) mod node;
pub(crate) mod resources;
pub(crate) mod scoring;
pub(crate) mod spread;

use crate::cluster::Cluster;
use crate::profile::ScorePlugin;
use crate::request::PodClass;
use crate::score::scoring::Scoring;
use crate::slot::NodeId;

/// The weighted points of every feasible node, by plugin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scores {
    /// One column a plugin that had an opinion, in the order of the nodes.
    pub(crate) columns: Vec<(ScorePlugin, Vec<i64>)>,
    pub(crate) totals: Vec<i64>,
}

/// Scores the feasible nodes.
pub(crate) fn score(cluster: &Cluster, scoring: &Scoring, class: &PodClass, nodes: &[NodeId]) -> Scores {
    let mut scores = Scores { columns: Vec::new(), totals: vec![0; nodes.len()] };
    for (plugin, weight) in &scoring.plugins {
        let points = match plugin {
            ScorePlugin::TaintToleration => Some(node::taints(cluster, class, nodes)),
            ScorePlugin::NodeAffinity => node::affinity(cluster, class, nodes),
            ScorePlugin::NodeResourcesFit => Some(resources::fit(cluster, scoring, class, nodes)),
            ScorePlugin::PodTopologySpread => spread::score(cluster, class, nodes),
            ScorePlugin::InterPodAffinity => interpod::score(cluster, scoring, class, nodes),
            ScorePlugin::NodeResourcesBalancedAllocation => resources::balanced(cluster, scoring, class, nodes),
            ScorePlugin::ImageLocality => Some(images::score(cluster, class, nodes)),
            // They are added by whoever knows them.
            ScorePlugin::Own(_) => None,
            ScorePlugin::GpuShare => Some(nodes.iter().map(|node| scoring.gpu.points(cluster, class, *node)).collect()),
        };
        let Some(mut points) = points else { continue };
        for points in &mut points {
            *points *= weight;
        }
        scores.add(*plugin, points);
    }
    scores
}

impl Scores {
    /// Adds a plugin's weighted points.
    pub(crate) fn add(&mut self, plugin: ScorePlugin, points: Vec<i64>) {
        for (total, points) in self.totals.iter_mut().zip(&points) {
            *total += points;
        }
        self.columns.push((plugin, points));
    }
}
