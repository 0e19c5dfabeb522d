//! Requests and limits as the numbers that cgroups take.

use super::{
    Effective, QosClass, all_containers, container_requests, effective, is_node_critical, is_pod_level, is_sidecar,
    millis, qos_class, units,
};
use crate::kinds::{Container, Pod, PodSpec};

const SHARES_MIN: u64 = 2;
const SHARES_MAX: u64 = 262_144;
const SHARES_PER_CPU: u64 = 1024;
/// The kernel refuses a smaller quota.
const QUOTA_US_MIN: u64 = 1000;
/// The period that the kubelet uses unless told otherwise.
const PERIOD_US: u64 = 100_000;

/// The processor time that may be used in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuQuota {
    /// Microseconds of processor time.
    pub quota_us: u64,
    /// The period, in microseconds.
    pub period_us: u64,
}

/// The numbers for the group of one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerCgroup {
    /// The share of the processor, 1024 for one.
    pub cpu_shares: u64,
    /// `None` for no limit.
    pub cpu_quota: Option<CpuQuota>,
    /// Bytes; `None` for no limit.
    pub memory_limit: Option<u64>,
    /// How readily the kernel kills it when memory runs out, from -1000 to 1000.
    pub oom_score_adj: i32,
}

/// The numbers for the group that holds all containers of a pod; `None` is left as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodCgroup {
    /// The share of the processor, 1024 for one.
    pub cpu_shares: u64,
    /// `None` when a container has no limit.
    pub cpu_quota: Option<CpuQuota>,
    /// Bytes; `None` when a container has no limit.
    pub memory_limit: Option<u64>,
}

fn positive(value: i64) -> Option<u64> {
    u64::try_from(value).ok().filter(|value| *value > 0)
}

/// The shares for thousandths of a processor.
pub fn cpu_shares(millis: i64) -> u64 {
    let Some(millis) = positive(millis) else { return SHARES_MIN };
    (millis.saturating_mul(SHARES_PER_CPU) / 1000).clamp(SHARES_MIN, SHARES_MAX)
}

/// The weight in cgroup version 2 for shares in version 1.
pub fn cpu_weight(shares: u64) -> u64 {
    1 + (shares.clamp(SHARES_MIN, SHARES_MAX) - SHARES_MIN) * 9999 / (SHARES_MAX - SHARES_MIN)
}

/// The quota for thousandths of a processor in periods of this length; `None` for no limit.
pub fn cpu_quota(millis: i64, period_us: u64) -> Option<CpuQuota> {
    let quota_us = (positive(millis)?.saturating_mul(period_us) / 1000).max(QUOTA_US_MIN);
    Some(CpuQuota { quota_us, period_us })
}

/// The container's own limit, or the pod's.
fn limit<T>(spec: &PodSpec, container: &Container, name: &str, of: impl Fn(&super::ResourceList, &str) -> T) -> T {
    let own = &container.resources.limits;
    match &spec.resources {
        Some(pod) if own.get(name).is_none_or(crate::Quantity::is_zero) => of(&pod.limits, name),
        _ => of(own, name),
    }
}

/// The numbers for one container of a pod on a node with this much memory, in bytes.
pub fn container_cgroup(pod: &Pod, container: &Container, node_memory: u64) -> ContainerCgroup {
    let cpu_limit = limit(&pod.spec, container, "cpu", millis);
    let requests = &container.resources.requests;
    let cpu_request = if requests.contains_key("cpu") { millis(requests, "cpu") } else { cpu_limit };
    ContainerCgroup {
        cpu_shares: cpu_shares(cpu_request),
        cpu_quota: cpu_quota(cpu_limit, PERIOD_US),
        memory_limit: positive(limit(&pod.spec, container, "memory", units)),
        oom_score_adj: oom_score_adj(&pod.spec, container, node_memory),
    }
}

fn oom_score_adj(spec: &PodSpec, container: &Container, node_memory: u64) -> i32 {
    const GUARANTEED: i32 = -997;
    const BEST_EFFORT: i32 = 1000;
    if is_node_critical(spec) {
        return GUARANTEED;
    }
    match qos_class(spec) {
        QosClass::Guaranteed => return GUARANTEED,
        QosClass::BestEffort => return BEST_EFFORT,
        QosClass::Burstable => {}
    }
    let shared = shared_memory_request(spec);
    let score = |request: i64| {
        let part = i128::from(request + shared) * 1000 / i128::from(node_memory.max(1));
        i32::try_from((1000 - part).clamp(-1000, 1000)).unwrap_or(1000)
    };
    let request = |container: &Container| units(&container.resources.requests, "memory");
    let mut own = score(request(container));
    let is_init_sidecar =
        is_sidecar(container) && spec.init_containers.iter().any(|other| other.name == container.name);
    if is_init_sidecar && let Some(least) = spec.containers.iter().map(request).min() {
        // A sidecar goes no sooner than the containers it serves.
        own = own.min(score(least));
    }
    own.clamp(1000 + GUARANTEED, BEST_EFFORT - 1)
}

/// What the pod asks for beyond its containers, divided among them.
fn shared_memory_request(spec: &PodSpec) -> i64 {
    let Some(own) = spec.resources.as_deref() else { return 0 };
    if !own.requests.keys().any(|name| is_pod_level(name)) || units(&own.requests, "memory") == 0 {
        return 0;
    }
    let containers = container_requests(spec);
    let count = i64::try_from(all_containers(spec).count()).unwrap_or(i64::MAX).max(1);
    (units(&own.requests, "memory") - units(&containers, "memory")) / count
}

/// Every container has a limit, or the pod has. The sidecars before an init container lend it theirs.
fn all_limited(spec: &PodSpec, name: &str) -> bool {
    let limited = |list: &super::ResourceList| list.get(name).is_some_and(|amount| !amount.is_zero());
    if spec.resources.as_ref().is_some_and(|own| limited(&own.limits)) {
        return true;
    }
    let mut sidecars_limited = false;
    for container in &spec.init_containers {
        let own = limited(&container.resources.limits);
        if !own && !sidecars_limited {
            return false;
        }
        sidecars_limited |= own && is_sidecar(container);
    }
    spec.containers.iter().all(|container| limited(&container.resources.limits))
}

/// The numbers for the group that holds all containers of a pod.
pub fn pod_cgroup(pod: &Pod) -> PodCgroup {
    let spec = &pod.spec;
    let Effective { requests, limits } = effective(pod);
    let cpu_shares = cpu_shares(millis(&requests, "cpu"));
    match qos_class(spec) {
        QosClass::BestEffort => PodCgroup { cpu_shares: SHARES_MIN, cpu_quota: None, memory_limit: None },
        class => {
            let applies = |name: &str| class == QosClass::Guaranteed || all_limited(spec, name);
            PodCgroup {
                cpu_shares,
                cpu_quota: if applies("cpu") { cpu_quota(millis(&limits, "cpu"), PERIOD_US) } else { None },
                memory_limit: if applies("memory") { positive(units(&limits, "memory")) } else { None },
            }
        }
    }
}
