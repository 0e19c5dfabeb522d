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

/// What a plugin of the caller's own has against a node: one constant for each reason, so that saying it costs nothing.
///
/// ```
/// use windlass_scheduler_core::{Code, Refusal};
///
/// const NO_LICENCE: Refusal =
///     Refusal { plugin: "Licensed", code: Code::Unschedulable, reason: "node(s) had no licence left" };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Refusal {
    /// The plugin's name.
    pub plugin: &'static str,
    /// Whether evictions may help.
    pub code: Code,
    /// In words that follow a number of nodes, as kube-scheduler's do.
    pub reason: &'static str,
}

impl Refusal {
    /// What kube-scheduler says where a claim's volume cannot be reached from the node.
    pub const VOLUME_NODE_AFFINITY: Self = Self::volume("VolumeBinding", "node(s) had volume node affinity conflict");
    /// What it says where no volume is there for a claim that waits for its first pod.
    pub const VOLUME_NOT_FOUND: Self =
        Self::volume("VolumeBinding", "node(s) didn't find available persistent volumes to bind");
    /// What it says where the storage that the node reaches is full.
    pub const VOLUME_NO_SPACE: Self = Self::volume("VolumeBinding", "node(s) did not have enough free storage");
    /// What it says where a claim is not bound, and not to wait for its first pod.
    pub const VOLUME_UNBOUND: Self = Self::volume("VolumeBinding", "pod has unbound immediate PersistentVolumeClaims");
    /// What it says where a claim names a volume that is not there.
    pub const VOLUME_MISSING: Self =
        Self::volume("VolumeBinding", "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)");
    /// What it says where the volume is in another zone.
    pub const VOLUME_ZONE: Self = Self::volume("VolumeZone", "node(s) had no available volume zone");
    /// What it says where as many volumes are attached as the driver can. Evictions may help.
    pub const VOLUME_LIMIT: Self =
        Self { plugin: "NodeVolumeLimits", code: Code::Unschedulable, reason: "node(s) exceed max volume count" };
    /// What it says where a claim that one pod may use at a time is in use. Evictions may help.
    pub const VOLUME_IN_USE: Self = Self {
        plugin: "VolumeRestrictions",
        code: Code::Unschedulable,
        reason: "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",
    };

    const fn volume(plugin: &'static str, reason: &'static str) -> Self {
        Self { plugin, code: Code::UnschedulableAndUnresolvable, reason }
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
    Own(&'static Refusal),
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
            Self::Own(refusal) => FilterPlugin::Own(refusal.plugin),
        }
    }

    pub(crate) fn code(self) -> Code {
        match self {
            Self::Ports | Self::Spread | Self::PodAntiAffinity | Self::ExistingPodAntiAffinity => Code::Unschedulable,
            Self::Resources { code, .. } | Self::Devices(code) => code,
            Self::Own(refusal) => refusal.code,
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
            Self::Own(refusal) => refusal.reason,
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
