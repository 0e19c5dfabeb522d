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
use crate::plugin::{Dependence, Filters as _, Plugins, Volumes, seen};
use crate::profile::FilterPlugin;
use crate::request::PodClass;
use crate::slot::{NodeId, PodSlot};
use crate::verdict::{Code, Rejection, Shortage};
use crate::view::{NodeView, PodView};

/// The filters of one pod: what the plugins worked out about it before looking at single nodes.
pub(crate) struct Filters<'a, P> {
    cluster: &'a Cluster,
    enabled: &'a BTreeSet<FilterPlugin>,
    plugins: &'a P,
    asked: Asked<'a>,
    /// Plugins before this one are not asked.
    first: FilterPlugin,
    spread: spread::State,
    interpod: interpod::State,
}

/// Whether the caller's own filters say the same of a node until something changes there.
pub(crate) fn is_kept(plugins: &impl Plugins, class: &PodClass) -> bool {
    let claims = class.claims.is_empty() || plugins.volumes().dependence() == Dependence::Node;
    claims && plugins.filters().dependence() == Dependence::Node
}

/// The pod that filters are asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) pod: Option<PodSlot>,
    pub(crate) class: &'a PodClass,
    /// The node that the pod itself asks for.
    pub(crate) pinned: Option<Symbol>,
}

impl<'a, P: Plugins> Filters<'a, P> {
    pub(crate) fn new(
        cluster: &'a Cluster,
        enabled: &'a BTreeSet<FilterPlugin>,
        plugins: &'a P,
        asked: Asked<'a>,
    ) -> Self {
        let class = asked.class;
        let mut spread = spread::State::default();
        if enabled.contains(&FilterPlugin::PodTopologySpread) {
            spread = spread::State::new(cluster, class);
        }
        let mut interpod = interpod::State::default();
        if enabled.contains(&FilterPlugin::InterPodAffinity) {
            interpod = interpod::State::new(cluster, class);
        }
        let first = FilterPlugin::NodeUnschedulable;
        Self { cluster, enabled, plugins, asked, first, spread, interpod }
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
        rejection.or_else(|| self.ask_own(node, usage)).or_else(|| self.beyond_count(node))
    }

    /// Without the fit filter a node takes more than it has, but not more than can be counted.
    fn beyond_count(&self, node: NodeId) -> Option<Rejection> {
        let unlimited = !self.enabled.contains(&FilterPlugin::NodeResourcesFit);
        (unlimited && !self.cluster.nodes.can_count(node, self.asked.class)).then(|| {
            let mut short = Shortage::default();
            for (position, _) in self.asked.class.requests.iter().enumerate().filter(|(_, (_, amount))| *amount > 0) {
                short.resource(position);
            }
            Rejection::Resources { short, code: Code::Unschedulable }
        })
    }

    /// The rejections of all plugins.
    pub(crate) fn check_all(&self, node: NodeId, usage: &impl Usage) -> Vec<Rejection> {
        let rejections = self.enabled.iter().filter_map(|plugin| self.ask(*plugin, node, usage));
        rejections.chain(self.ask_own(node, usage)).collect()
    }

    /// The first of the caller's own filters that rejects the node.
    fn ask_own(&self, node: NodeId, usage: &impl Usage) -> Option<Rejection> {
        let (pod, node) = self.views(node, usage);
        self.plugins.filters().check(&pod, &node).err().map(Rejection::Own)
    }

    /// Who answers for volumes is asked about pods that have claims.
    fn volumes(&self, node: NodeId, usage: &impl Usage) -> Option<Rejection> {
        if self.asked.class.claims.is_empty() {
            return None;
        }
        let (pod, node) = self.views(node, usage);
        let volumes = self.plugins.volumes();
        volumes.check(&seen(&pod, volumes.dependence()), &node).err().map(Rejection::Own)
    }

    fn views<'v>(&self, node: NodeId, usage: &'v impl Usage) -> (PodView<'a>, NodeView<'v>)
    where
        'a: 'v,
    {
        let (cluster, Asked { pod, class, .. }) = (self.cluster, self.asked);
        (PodView { cluster, class, pod }, NodeView { cluster, node, supposed: usage.supposed() })
    }

    fn ask(&self, plugin: FilterPlugin, node: NodeId, usage: &impl Usage) -> Option<Rejection> {
        let (cluster, class) = (self.cluster, self.asked.class);
        match plugin {
            FilterPlugin::NodeUnschedulable => node::unschedulable(cluster, class, node),
            FilterPlugin::NodeName => node::name(cluster, self.asked.pinned, node),
            FilterPlugin::TaintToleration => node::taints(cluster, class, node),
            FilterPlugin::NodeAffinity => node::affinity(cluster, class, node),
            FilterPlugin::NodePorts => ports::check(class, usage),
            FilterPlugin::NodeResourcesFit => resources::check(cluster, class, node, usage),
            FilterPlugin::VolumeBinding => self.volumes(node, usage),
            FilterPlugin::PodTopologySpread => self.spread.check(cluster, node),
            FilterPlugin::InterPodAffinity => self.interpod.check(cluster, node),
            FilterPlugin::GpuShare => devices::check(class, usage),
            // They are asked together, after all others.
            FilterPlugin::Own(_) => None,
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
        self.spread.update(self.cluster, self.asked.class, pod, node, change);
        self.interpod.update(self.cluster, self.asked.class, pod, node, change);
    }
}
