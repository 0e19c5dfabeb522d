//! What a pod demands of a node: the compiled form that filters and scores read. Equal demands share one class.

use std::sync::Arc;

use crate::device::DeviceAsk;
use crate::intern::Symbol;
use crate::labels::{Labels, NodeTerm, Selector};
use crate::profile::FilterPlugin;

use crate::resources::Requests;
use crate::taint::Toleration;
use crate::topology::TopologyId;

/// Everything of a pod that decides where it may and should go, its name aside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PodClass {
    pub(crate) namespace: Symbol,
    pub(crate) labels: Labels,
    pub(crate) priority: i32,
    pub(crate) preemption: PreemptionPolicy,
    pub(crate) requests: Requests,
    pub(crate) tolerations: Box<[Toleration]>,
    pub(crate) node_selector: Box<[(Symbol, Symbol)]>,
    /// Required node affinity: any of the terms.
    pub(crate) node_required: Option<Box<[NodeTerm]>>,
    pub(crate) node_preferred: Box<[(i64, NodeTerm)]>,
    pub(crate) ports: Box<[HostPort]>,
    pub(crate) affinity: PodAffinity,
    pub(crate) anti_affinity: PodAffinity,
    pub(crate) spread: Box<[SpreadConstraint]>,
    /// The normalized image of every container and init container.
    pub(crate) images: Box<[Symbol]>,
    /// The claims of its volumes, where something answers for them.
    pub(crate) claims: Box<[VolumeClaim]>,
    /// What it asks for of shared devices.
    pub(crate) devices: Option<DeviceAsk>,
}

impl PodClass {
    /// The class without what only concerns a node's own resources, or the order of pods; `None` when it is that.
    pub(crate) fn shape(&self) -> Option<Self> {
        let shape = Self {
            requests: Requests::default(),
            ports: Box::default(),
            priority: 0,
            preemption: PreemptionPolicy::LowerPriority,
            ..self.clone()
        };
        (shape != *self).then_some(shape)
    }

    /// Whether a filter may have anything against the class; answered for what the class alone tells.
    pub(crate) fn asks(&self, plugin: FilterPlugin) -> bool {
        plugin != FilterPlugin::VolumeBinding || !self.claims.is_empty()
    }
}

/// A claim in the pod's namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct VolumeClaim {
    pub(crate) name: Symbol,
    pub(crate) read_only: bool,
}

/// Whether a pod may push others off a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PreemptionPolicy {
    LowerPriority,
    Never,
}

/// A port taken on the host; address `None` is every address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostPort {
    pub(crate) address: Option<Symbol>,
    pub(crate) protocol: Symbol,
    pub(crate) port: u16,
}

impl HostPort {
    pub(crate) fn conflicts(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.address.is_none() || other.address.is_none() || self.address == other.address)
    }
}

/// The required and preferred terms of pod affinity, or of pod anti-affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct PodAffinity {
    pub(crate) required: Box<[AffinityTerm]>,
    pub(crate) preferred: Box<[(i64, AffinityTerm)]>,
}

impl PodAffinity {
    pub(crate) fn is_empty(&self) -> bool {
        self.required.is_empty() && self.preferred.is_empty()
    }
}

/// A set of pods, and the domain in which being together with them counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AffinityTerm {
    pub(crate) namespaces: Box<[Symbol]>,
    pub(crate) namespace_selector: Selector,
    pub(crate) selector: Selector,
    pub(crate) topology: TopologyId,
}

impl AffinityTerm {
    /// Whether the term selects a pod; `namespace_labels` are those of the pod's namespace.
    pub(crate) fn matches(&self, namespace: Symbol, labels: &Labels, namespace_labels: &Labels) -> bool {
        (self.namespaces.contains(&namespace) || self.namespace_selector.matches(namespace_labels))
            && self.selector.matches(labels)
    }
}

/// What happens where a spread constraint does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WhenUnsatisfiable {
    DoNotSchedule,
    ScheduleAnyway,
}

/// Whether nodes that the pod could not use count as domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum InclusionPolicy {
    Honor,
    Ignore,
}

/// A topology spread constraint, its `matchLabelKeys` merged into the selector.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SpreadConstraint {
    pub(crate) max_skew: i64,
    pub(crate) min_domains: i64,
    pub(crate) topology: TopologyId,
    pub(crate) when: WhenUnsatisfiable,
    pub(crate) selector: Selector,
    pub(crate) node_affinity: InclusionPolicy,
    pub(crate) node_taints: InclusionPolicy,
}

/// A pod as the cluster keeps it, compiled from the wire form.
#[derive(Clone, Debug)]
pub(crate) struct CompiledPod {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) uid: Arc<str>,
    pub(crate) class: PodClass,
    /// The node that the pod is bound to.
    pub(crate) node: Option<Arc<str>>,
    /// Start time, in seconds since the Unix epoch.
    pub(crate) start: Option<i64>,
    pub(crate) deletion: Deletion,
    pub(crate) gates: Box<[Arc<str>]>,
    pub(crate) nominated: Option<Arc<str>>,
    /// The devices that it has on its node, where something tells.
    pub(crate) devices: Option<Box<[u16]>>,
    pub(crate) ownership: Ownership,
    /// Namespace and name of the pod group that it names.
    pub(crate) group: Option<(Symbol, Symbol)>,
}

/// Whether a pod is being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    No,
    Started,
}

/// Who places a pod that has no node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    Ours,
    OtherScheduler,
}

#[cfg(test)]
impl PodClass {
    /// A class that demands nothing, for tests of what only needs some class.
    pub(crate) fn empty() -> Self {
        let mut interner = crate::intern::Interner::default();
        Self {
            namespace: interner.intern("default"),
            labels: Labels::default(),
            priority: 0,
            preemption: PreemptionPolicy::LowerPriority,
            requests: Requests::default(),
            tolerations: Box::default(),
            node_selector: Box::default(),
            node_required: None,
            node_preferred: Box::default(),
            ports: Box::default(),
            affinity: PodAffinity::default(),
            anti_affinity: PodAffinity::default(),
            spread: Box::default(),
            images: Box::default(),
            claims: Box::default(),
            devices: None,
        }
    }
}
