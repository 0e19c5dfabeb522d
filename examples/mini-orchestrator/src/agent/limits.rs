//! What a pod and its containers may use, in the words of control groups.

use std::time::Duration;

use windlass_cgroups::{
    Bytes, Cpu, CpuMax, CpuProportion, CpuShares, DeviceNumber, Io, IoMax, Limit, Memory, Pids, Resources,
};
use windlass_pod::kinds::{Container, Pod};
use windlass_pod::resources::{CpuQuota, container_cgroup, pod_cgroup};

use super::error::{Error, Result};

/// Processes and threads of one pod: a node's custom, which no pod can lift.
const PIDS_MAX: u64 = 512;
/// A rate beyond any disk's: a rule that names the disk and holds nobody back.
const BEYOND_ANY_DISK: Bytes = Bytes::gib(1024);

/// For the group that holds all of a pod's containers. Where cgroup v1 counts the use of a disk only once a rule names
/// it, `disk` is the one to count.
pub(super) fn of_pod(pod: &Pod, disk: Option<DeviceNumber>) -> Result<Resources> {
    let numbers = pod_cgroup(pod);
    let rule = |device| IoMax {
        read_bytes: Some(Limit::At(BEYOND_ANY_DISK)),
        write_bytes: Some(Limit::At(BEYOND_ANY_DISK)),
        ..IoMax::new(device)
    };
    Ok(Resources {
        cpu: cpu(numbers.cpu_shares, numbers.cpu_quota)?,
        memory: memory(numbers.memory_limit),
        pids: Pids { max: Some(Limit::At(PIDS_MAX)) },
        io: Io { max: disk.map(rule).into_iter().collect(), ..Io::default() },
        ..Resources::default()
    })
}

/// For the group of one container, on a node with this much memory; and how willingly the kernel kills it.
pub(super) fn of_container(pod: &Pod, container: &Container, node_memory: u64) -> Result<(Resources, i32)> {
    let numbers = container_cgroup(pod, container, node_memory);
    let limits = Resources {
        cpu: cpu(numbers.cpu_shares, numbers.cpu_quota)?,
        memory: memory(numbers.memory_limit),
        ..Resources::default()
    };
    Ok((limits, numbers.oom_score_adj))
}

fn cpu(shares: u64, quota: Option<CpuQuota>) -> Result<Cpu> {
    let refused = |value: String| Error::Limit { setting: value };
    let shares = u32::try_from(shares).ok().and_then(|shares| CpuShares::new(shares).ok());
    let shares = shares.ok_or_else(|| refused("the pod's share of the processor".to_owned()))?;
    let max = quota.map(|quota| {
        let (quota, period) = (Duration::from_micros(quota.quota_us), Duration::from_micros(quota.period_us));
        CpuMax::new(Limit::At(quota), period).map_err(|error| refused(error.to_string()))
    });
    Ok(Cpu { weight: Some(CpuProportion::Shares(shares)), max: max.transpose()?, ..Cpu::default() })
}

/// A container that reaches its limit ends; it is not slowed down by swapping.
fn memory(limit: Option<u64>) -> Memory {
    let max = limit.map(|bytes| Limit::At(Bytes::new(bytes)));
    Memory { max, swap: max.map(|_| Limit::At(Bytes::new(0))), ..Memory::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(resources: &str) -> Pod {
        let text = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: x}}, spec: {{containers: [{{name: c, resources: {resources}}}]}}}}"
        );
        match windlass_pod::decode_yaml(text.as_bytes()).unwrap().remove(0) {
            windlass_pod::Object::Pod(pod) => *pod,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn limits_become_settings() {
        let pod = pod("{limits: {cpu: 500m, memory: 48Mi}, requests: {cpu: 100m, memory: 32Mi}}");
        let (limits, _) = of_container(&pod, &pod.spec.containers[0], 1 << 30).unwrap();
        assert_eq!(limits.memory.max, Some(Limit::At(Bytes::mib(48))));
        assert_eq!(limits.memory.swap, Some(Limit::At(Bytes::new(0))));
        assert_eq!(limits.cpu.max, Some(CpuMax::millicores(500)));
        let disk = DeviceNumber { major: 254, minor: 0 };
        let parent = of_pod(&pod, Some(disk)).unwrap();
        assert_eq!(parent.memory.max, Some(Limit::At(Bytes::mib(48))));
        assert_eq!(parent.io.max.len(), 1);
    }

    #[test]
    fn what_is_not_limited_is_left_alone() {
        let pod = pod("{}");
        let (limits, _) = of_container(&pod, &pod.spec.containers[0], 1 << 30).unwrap();
        assert_eq!((limits.memory.max, limits.memory.swap, limits.cpu.max), (None, None, None));
        assert!(of_pod(&pod, None).unwrap().io.max.is_empty());
    }
}
