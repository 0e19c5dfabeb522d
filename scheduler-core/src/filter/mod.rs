//! Filters: may a pod run on a node, and if not, which plugin says so and in which words.

pub(crate) mod devices;
pub(crate) mod interpod;
pub(crate) mod node;
pub(crate) mod ports;
pub(crate) mod resources;
pub(crate) mod spread;

use std::collections::BTreeSet;

use crate::cluster::Cluster;
use crate::intern::Symbol;
use crate::node::Usage;
use crate::profile::FilterPlugin;
use crate::request::PodClass;
use crate::slot::{NodeId, PodSlot};
use crate::verdict::{Code, Rejection, Shortage};

/// The filters of one pod: what the plugins worked out about it before looking at single nodes.
#[derive(Debug)]
pub(crate) struct Filters<'a> {
    cluster: &'a Cluster,
    enabled: &'a BTreeSet<FilterPlugin>,
    class: &'a PodClass,
    /// The node that the pod itself asks for.
    pinned: Option<Symbol>,
    /// Plugins before this one are not asked.
    first: FilterPlugin,
    spread: spread::State,
    interpod: interpod::State,
}

impl<'a> Filters<'a> {
    pub(crate) fn new(
        cluster: &'a Cluster,
        enabled: &'a BTreeSet<FilterPlugin>,
        class: &'a PodClass,
        pinned: Option<Symbol>,
    ) -> Self {
        let mut spread = spread::State::default();
        if enabled.contains(&FilterPlugin::PodTopologySpread) {
            spread = spread::State::new(cluster, class);
        }
        let mut interpod = interpod::State::default();
        if enabled.contains(&FilterPlugin::InterPodAffinity) {
            interpod = interpod::State::new(cluster, class);
        }
        let first = FilterPlugin::NodeUnschedulable;
        Self { cluster, enabled, class, pinned, first, spread, interpod }
    }

    /// Asks the filters alone that look at the pods on nodes, for nodes that the others let through.
    pub(crate) fn ask_about_pods(&mut self) {
        self.first = FilterPlugin::NodePorts;
    }

    pub(crate) fn ask_about_all(&mut self) {
        self.first = FilterPlugin::NodeUnschedulable;
    }

    /// The first plugin that rejects the node, in the default profile's order.
    pub(crate) fn check(&self, node: NodeId, usage: &impl Usage) -> Option<Rejection> {
        let rejection = self.enabled.range(self.first..).find_map(|plugin| self.ask(*plugin, node, usage));
        rejection.or_else(|| self.beyond_count(node))
    }

    /// Without the fit filter a node takes more than it has, but not more than can be counted.
    fn beyond_count(&self, node: NodeId) -> Option<Rejection> {
        let unlimited = !self.enabled.contains(&FilterPlugin::NodeResourcesFit);
        (unlimited && !self.cluster.nodes.can_count(node, self.class)).then(|| {
            let mut short = Shortage::default();
            for (position, _) in self.class.requests.iter().enumerate().filter(|(_, (_, amount))| *amount > 0) {
                short.resource(position);
            }
            Rejection::Resources { short, code: Code::Unschedulable }
        })
    }

    /// The rejections of all plugins.
    pub(crate) fn check_all(&self, node: NodeId, usage: &impl Usage) -> Vec<Rejection> {
        self.enabled.iter().filter_map(|plugin| self.ask(*plugin, node, usage)).collect()
    }

    fn ask(&self, plugin: FilterPlugin, node: NodeId, usage: &impl Usage) -> Option<Rejection> {
        let (cluster, class) = (self.cluster, self.class);
        match plugin {
            FilterPlugin::NodeUnschedulable => node::unschedulable(cluster, class, node),
            FilterPlugin::NodeName => node::name(cluster, self.pinned, node),
            FilterPlugin::TaintToleration => node::taints(cluster, class, node),
            FilterPlugin::NodeAffinity => node::affinity(cluster, class, node),
            FilterPlugin::NodePorts => ports::check(class, usage),
            FilterPlugin::NodeResourcesFit => resources::check(cluster, class, node, usage),
            FilterPlugin::PodTopologySpread => self.spread.check(cluster, node),
            FilterPlugin::InterPodAffinity => self.interpod.check(cluster, node),
            FilterPlugin::GpuShare => devices::check(class, usage),
        }
    }

    /// Supposes one more pod on a node.
    pub(crate) fn add(&mut self, pod: PodSlot, node: NodeId) {
        self.change(pod, node, 1);
    }

    /// Supposes a pod away from a node.
    pub(crate) fn remove(&mut self, pod: PodSlot, node: NodeId) {
        self.change(pod, node, -1);
    }

    fn change(&mut self, pod: PodSlot, node: NodeId, change: i64) {
        self.spread.update(self.cluster, self.class, pod, node, change);
        self.interpod.update(self.cluster, self.class, pod, node, change);
    }
}
