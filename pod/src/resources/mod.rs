//! What a pod asks for as a whole, and the cgroup numbers that follow from it.
//!
//! Source: `k8s.io/component-helpers/resource`, `pkg/kubelet/cm`, `pkg/kubelet/qos`.

mod cgroup;

use std::collections::BTreeMap;

use crate::kinds::{Container, Pod, PodSpec, ResourceRequirements};
use crate::quantity::Quantity;
use crate::status::is_sidecar;
use crate::wire::text::Text as _;
pub use cgroup::{
    ContainerCgroup, CpuQuota, PodCgroup, container_cgroup, cpu_quota, cpu_shares, cpu_weight, pod_cgroup,
};

/// Amounts by the name of the resource.
pub type ResourceList = BTreeMap<String, Quantity>;

/// Which parts of a pod count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything: containers, the pod's own resources, and the overhead.
    Whole,
    /// Everything but the overhead.
    WithoutOverhead,
    /// Everything but the pod's own resources.
    WithoutPodLevel,
}

/// What a pod asks for and may use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effective {
    /// What is set aside for it on a node.
    pub requests: ResourceList,
    /// What it may use at the most.
    pub limits: ResourceList,
}

/// What a pod needs over its life: the sum of its containers, or its greediest moment while it initializes.
pub fn effective(pod: &Pod) -> Effective {
    Effective { requests: requests(&pod.spec, Scope::Whole), limits: limits(&pod.spec, Scope::Whole) }
}

fn add(total: &mut ResourceList, more: &ResourceList) {
    for (name, amount) in more {
        match total.get_mut(name) {
            Some(sum) => *sum = sum.plus(amount),
            None => {
                total.insert(name.clone(), amount.clone());
            }
        }
    }
}

fn raise(total: &mut ResourceList, other: &ResourceList) {
    for (name, amount) in other {
        if total.get(name).is_none_or(|current| amount > current) {
            total.insert(name.clone(), amount.clone());
        }
    }
}

/// The sum of the regular containers and sidecars, or more while an init container runs beside the sidecars before it.
fn aggregate(spec: &PodSpec, of: impl Fn(&ResourceRequirements) -> &ResourceList) -> ResourceList {
    let mut total = ResourceList::new();
    for container in &spec.containers {
        add(&mut total, of(&container.resources));
    }
    let mut sidecars = ResourceList::new();
    let mut peak = ResourceList::new();
    for container in &spec.init_containers {
        let own = of(&container.resources);
        if is_sidecar(container) {
            add(&mut total, own);
            add(&mut sidecars, own);
            raise(&mut peak, &sidecars);
        } else {
            let mut together = own.clone();
            add(&mut together, &sidecars);
            raise(&mut peak, &together);
        }
    }
    raise(&mut total, &peak);
    total
}

/// What the containers ask for.
pub(crate) fn container_requests(spec: &PodSpec) -> ResourceList {
    aggregate(spec, |resources| &resources.requests)
}

/// What the containers may use at the most.
pub(crate) fn container_limits(spec: &PodSpec) -> ResourceList {
    aggregate(spec, |resources| &resources.limits)
}

/// A resource that a pod may set for all of its containers together.
pub(crate) fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

fn override_with(total: &mut ResourceList, own: &ResourceList) {
    for (name, amount) in own.iter().filter(|(name, _)| is_pod_level(name)) {
        total.insert(name.clone(), amount.clone());
    }
}

/// What is set aside for a pod on a node.
pub fn requests(spec: &PodSpec, scope: Scope) -> ResourceList {
    let mut total = aggregate(spec, |resources| &resources.requests);
    if let Some(own) = spec.resources.as_ref().filter(|_| scope != Scope::WithoutPodLevel) {
        override_with(&mut total, &own.requests);
    }
    if scope != Scope::WithoutOverhead {
        add(&mut total, &spec.overhead);
    }
    total
}

/// What a pod may use at the most; the overhead counts where there is a limit.
pub fn limits(spec: &PodSpec, scope: Scope) -> ResourceList {
    let mut total = aggregate(spec, |resources| &resources.limits);
    if let Some(own) = spec.resources.as_ref().filter(|_| scope != Scope::WithoutPodLevel) {
        override_with(&mut total, &own.limits);
    }
    if scope != Scope::WithoutOverhead {
        for (name, amount) in &spec.overhead {
            if let Some(limit) = total.get_mut(name).filter(|limit| !limit.is_zero()) {
                *limit = limit.plus(amount);
            }
        }
    }
    total
}

/// How well a pod is served when a node runs short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QosClass {
    /// It asks for nothing.
    BestEffort,
    /// It asks for something.
    Burstable,
    /// All its requests equal its limits.
    Guaranteed,
}

impl QosClass {
    /// The word in `status.qosClass`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BestEffort => "BestEffort",
            Self::Burstable => "Burstable",
            Self::Guaranteed => "Guaranteed",
        }
    }
}

/// The processor and memory among these that are above zero.
fn add_compute(total: &mut ResourceList, own: &ResourceList) -> usize {
    let compute = own.iter().filter(|(name, amount)| matches!(name.as_str(), "cpu" | "memory") && amount.signum() > 0);
    let compute: ResourceList = compute.map(|(name, amount)| (name.clone(), amount.clone())).collect();
    add(total, &compute);
    compute.len()
}

/// The class of a pod.
pub fn qos_class(spec: &PodSpec) -> QosClass {
    let (mut requests, mut limits) = (ResourceList::new(), ResourceList::new());
    let mut limited = true;
    match spec.resources.as_deref() {
        Some(own) => {
            add_compute(&mut requests, &own.requests);
            let found = add_compute(&mut limits, &own.limits);
            limited = own.limits.is_empty() || found == 2;
        }
        None => {
            for container in spec.containers.iter().chain(&spec.init_containers) {
                add_compute(&mut requests, &container.resources.requests);
                limited &= add_compute(&mut limits, &container.resources.limits) == 2;
            }
        }
    }
    if requests.is_empty() && limits.is_empty() {
        return QosClass::BestEffort;
    }
    if limited && requests == limits { QosClass::Guaranteed } else { QosClass::Burstable }
}

/// The pod must run, or the node does not work.
fn is_node_critical(spec: &PodSpec) -> bool {
    const SYSTEM_CRITICAL: i32 = 2_000_000_000;
    spec.priority.is_some_and(|priority| priority >= SYSTEM_CRITICAL)
        && spec.priority_class_name.text() == "system-node-critical"
}

fn units(list: &ResourceList, name: &str) -> i64 {
    list.get(name).and_then(Quantity::value).unwrap_or(0)
}

fn millis(list: &ResourceList, name: &str) -> i64 {
    list.get(name).and_then(Quantity::milli_value).unwrap_or(0)
}

/// The containers that a pod starts, init containers first.
fn all_containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().chain(&spec.containers)
}
