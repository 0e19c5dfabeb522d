//! Queueing hints: could this change of the cluster make that pod fit?

use crate::cluster::Cluster;
use crate::filter::node::{required_matches, unschedulable, untolerated};
use crate::node::CompiledNode;
use crate::profile::FilterPlugin;
use crate::queue::PluginSet;
use crate::request::{PodClass, WhenUnsatisfiable};
use crate::slot::NodeId;
use crate::taint::{Taint, TaintEffect};

/// A change of the cluster, as pods that wait see it.
#[derive(Clone, Debug)]
pub(crate) enum Change<'a> {
    NodeAdded(NodeId),
    /// The node as it was.
    NodeChanged(NodeId, &'a CompiledNode),
    NodeRemoved,
    /// A pod came to a node, or its labels changed there.
    PodPlaced(&'a PodClass),
    /// A pod left a node.
    PodLeft(&'a PodClass),
    /// Labels of a namespace changed, or it came or went.
    Namespace,
    /// The caller's own plugins may answer differently.
    Plugins,
}

/// All of the caller's own filters, and what answers for volumes. What they look at is not known here: every change may
/// help a pod that one of them refused, as upstream has it of plugins without hints.
const OWN: FilterPlugin = FilterPlugin::Own("");

impl Change<'_> {
    /// The plugins whose verdict the change may lift.
    pub(crate) fn concerns(&self) -> PluginSet {
        let mut plugins = self.concerns_of_kubernetes();
        plugins.insert(OWN);
        plugins
    }

    fn concerns_of_kubernetes(&self) -> PluginSet {
        match self {
            Self::NodeAdded(_) | Self::NodeChanged(..) => PluginSet::of(&FilterPlugin::ALL),
            Self::NodeRemoved => PluginSet::of(&[FilterPlugin::PodTopologySpread]),
            Self::PodPlaced(_) => PluginSet::of(&[FilterPlugin::PodTopologySpread, FilterPlugin::InterPodAffinity]),
            Self::PodLeft(_) => PluginSet::of(&[
                FilterPlugin::NodeResourcesFit,
                FilterPlugin::NodePorts,
                FilterPlugin::PodTopologySpread,
                FilterPlugin::InterPodAffinity,
                FilterPlugin::GpuShare,
            ]),
            Self::Namespace => PluginSet::of(&[FilterPlugin::InterPodAffinity]),
            Self::Plugins => PluginSet::default(),
        }
    }
}

/// Whether a pod that `rejected_by` stood against should be tried again after a change.
pub(crate) fn helps(cluster: &Cluster, class: &PodClass, rejected_by: PluginSet, change: &Change<'_>) -> bool {
    rejected_by.is_empty()
        || rejected_by.contains(OWN)
        || FilterPlugin::ALL.into_iter().filter(|plugin| rejected_by.contains(*plugin)).any(|plugin| match change {
            Change::NodeAdded(node) => node_helps(cluster, class, plugin, *node, None),
            Change::NodeChanged(node, before) => node_helps(cluster, class, plugin, *node, Some(before)),
            // A domain that is gone may raise the least occupied one.
            Change::NodeRemoved => plugin == FilterPlugin::PodTopologySpread,
            Change::PodPlaced(other) => placed_helps(cluster, class, plugin, other),
            Change::PodLeft(other) => left_helps(cluster, class, plugin, other),
            Change::Namespace => plugin == FilterPlugin::InterPodAffinity,
            Change::Plugins => false,
        })
}

fn node_helps(
    cluster: &Cluster,
    class: &PodClass,
    plugin: FilterPlugin,
    node: NodeId,
    before: Option<&CompiledNode>,
) -> bool {
    let now = cluster.nodes.spec(node);
    match plugin {
        FilterPlugin::NodeUnschedulable => {
            before.is_none_or(|before| before.unschedulable) && unschedulable(cluster, class, node).is_none()
        }
        FilterPlugin::TaintToleration => {
            before.is_none_or(|before| hard_taints(before) != hard_taints(now))
                && untolerated(cluster, class, node).is_none()
        }
        FilterPlugin::NodeAffinity => {
            before.is_none_or(|before| before.labels != now.labels) && required_matches(cluster, class, node)
        }
        FilterPlugin::NodeResourcesFit => {
            before.is_none_or(|before| before.allocatable != now.allocatable || before.pods_max < now.pods_max)
                && class.requests.iter().all(|(id, amount)| amount <= cluster.nodes.allocatable(node, id))
        }
        FilterPlugin::NodeName | FilterPlugin::NodePorts => before.is_none(),
        FilterPlugin::PodTopologySpread => {
            // With a policy of honouring taints, a taint decides which domains count.
            before.is_none_or(|before| before.labels != now.labels || before.taints != now.taints)
        }
        FilterPlugin::InterPodAffinity => before.is_none_or(|before| before.labels != now.labels),
        // It answers with refusals of the caller's own.
        FilterPlugin::VolumeBinding | FilterPlugin::Own(_) => false,
        FilterPlugin::GpuShare => before.is_none_or(|before| before.devices != now.devices),
    }
}

fn hard_taints(node: &CompiledNode) -> Vec<&Taint> {
    node.taints.iter().filter(|taint| taint.effect != TaintEffect::PreferNoSchedule).collect()
}

fn placed_helps(cluster: &Cluster, class: &PodClass, plugin: FilterPlugin, other: &PodClass) -> bool {
    match plugin {
        FilterPlugin::PodTopologySpread => is_spread_with(class, other),
        FilterPlugin::InterPodAffinity => {
            let labels = cluster.namespace_labels(other.namespace);
            class.affinity.required.iter().any(|term| term.matches(other.namespace, &other.labels, labels))
        }
        _ => false,
    }
}

fn left_helps(cluster: &Cluster, class: &PodClass, plugin: FilterPlugin, other: &PodClass) -> bool {
    match plugin {
        FilterPlugin::NodeResourcesFit => true,
        FilterPlugin::GpuShare => other.devices.is_some(),
        FilterPlugin::NodePorts => class.ports.iter().any(|port| other.ports.iter().any(|left| left.conflicts(port))),
        FilterPlugin::PodTopologySpread => is_spread_with(class, other),
        FilterPlugin::InterPodAffinity => {
            let refuses = |one: &PodClass, two: &PodClass| {
                let labels = cluster.namespace_labels(two.namespace);
                one.anti_affinity.required.iter().any(|term| term.matches(two.namespace, &two.labels, labels))
            };
            // The last pod of a group that a pod waits to join may also have left: then it may start the group anew.
            refuses(class, other) || refuses(other, class) || placed_helps(cluster, class, plugin, other)
        }
        _ => false,
    }
}

fn is_spread_with(class: &PodClass, other: &PodClass) -> bool {
    let hard = class.spread.iter().filter(|constraint| constraint.when == WhenUnsatisfiable::DoNotSchedule);
    class.namespace == other.namespace && hard.into_iter().any(|constraint| constraint.selector.matches(&other.labels))
}
