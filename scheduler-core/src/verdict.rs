//! Why a node was rejected, in kube-scheduler's words.

use crate::cluster::Cluster;
use crate::intern::Symbol;
use crate::profile::FilterPlugin;
use crate::request::PodClass;

/// Whether removing other pods from the node could help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// Evicting pods may make the node fit.
    Unschedulable,
    /// Nothing that the scheduler can do makes the node fit.
    UnschedulableAndUnresolvable,
}

impl Code {
    /// The code's name, as kube-scheduler writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unschedulable => "Unschedulable",
            Self::UnschedulableAndUnresolvable => "UnschedulableAndUnresolvable",
        }
    }
}

/// A node's rejection by one plugin, small enough to be made for every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rejection {
    NodeUnschedulable,
    NodeName,
    Taint { key: Symbol, value: Symbol },
    NodeAffinity,
    Ports,
    Resources { short: Shortage, code: Code },
    SpreadLabelMissing,
    Spread,
    PodAffinity,
    PodAntiAffinity,
    ExistingPodAntiAffinity,
    Devices(Code),
}

/// Which resources fall short: pods, cpu, memory, ephemeral storage, then the class's scalars in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Shortage(u64);

impl Shortage {
    /// Scalar resources that one pod may name: what the bits leave room for.
    pub(crate) const SCALARS_MAX: usize = 60;

    pub(crate) fn pods(&mut self) {
        self.0 |= 1;
    }

    /// `position` counts a class's requests, cpu first.
    pub(crate) fn resource(&mut self, position: usize) {
        self.0 |= 2 << position;
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn has_pods(self) -> bool {
        self.0 & 1 != 0
    }

    pub(crate) fn has_resource(self, position: usize) -> bool {
        self.0 & (2 << position) != 0
    }
}

impl Rejection {
    pub(crate) fn plugin(self) -> FilterPlugin {
        match self {
            Self::NodeUnschedulable => FilterPlugin::NodeUnschedulable,
            Self::NodeName => FilterPlugin::NodeName,
            Self::Taint { .. } => FilterPlugin::TaintToleration,
            Self::NodeAffinity => FilterPlugin::NodeAffinity,
            Self::Ports => FilterPlugin::NodePorts,
            Self::Resources { .. } => FilterPlugin::NodeResourcesFit,
            Self::SpreadLabelMissing | Self::Spread => FilterPlugin::PodTopologySpread,
            Self::PodAffinity | Self::PodAntiAffinity | Self::ExistingPodAntiAffinity => FilterPlugin::InterPodAffinity,
            Self::Devices(_) => FilterPlugin::GpuShare,
        }
    }

    pub(crate) fn code(self) -> Code {
        match self {
            Self::Ports | Self::Spread | Self::PodAntiAffinity | Self::ExistingPodAntiAffinity => Code::Unschedulable,
            Self::Resources { code, .. } | Self::Devices(code) => code,
            Self::NodeUnschedulable
            | Self::NodeName
            | Self::Taint { .. }
            | Self::NodeAffinity
            | Self::SpreadLabelMissing
            | Self::PodAffinity => Code::UnschedulableAndUnresolvable,
        }
    }

    /// The reasons, one for each resource that falls short and a single one otherwise.
    pub(crate) fn reasons(self, cluster: &Cluster, class: &PodClass) -> Vec<String> {
        let text = match self {
            Self::NodeUnschedulable => "node(s) were unschedulable",
            Self::NodeName => "node(s) didn't match the requested node name",
            Self::NodeAffinity => "node(s) didn't match Pod's node affinity/selector",
            Self::Ports => "node(s) didn't have free ports for the requested pod ports",
            Self::SpreadLabelMissing => "node(s) didn't match pod topology spread constraints (missing required label)",
            Self::Spread => "node(s) didn't match pod topology spread constraints",
            Self::PodAffinity => "node(s) didn't match pod affinity rules",
            Self::PodAntiAffinity => "node(s) didn't match pod anti-affinity rules",
            Self::ExistingPodAntiAffinity => "node(s) didn't satisfy existing pods anti-affinity rules",
            Self::Devices(Code::Unschedulable) => "node(s) didn't have enough left of their devices",
            Self::Devices(_) => "node(s) didn't have the devices that the pod asks for",
            Self::Taint { key, value } => {
                let (key, value) = (cluster.interner.text(key), cluster.interner.text(value));
                return vec![format!("node(s) had untolerated taint {{{key}: {value}}}")];
            }
            Self::Resources { short, .. } => return shortage_reasons(short, cluster, class),
        };
        vec![text.to_owned()]
    }
}

fn shortage_reasons(short: Shortage, cluster: &Cluster, class: &PodClass) -> Vec<String> {
    let mut reasons = Vec::new();
    if short.has_pods() {
        reasons.push("Too many pods".to_owned());
    }
    for (position, (resource, _)) in class.requests.iter().enumerate() {
        if short.has_resource(position) {
            reasons.push(format!("Insufficient {}", cluster.catalog.name(resource)));
        }
    }
    reasons
}
