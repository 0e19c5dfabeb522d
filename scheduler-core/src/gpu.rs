//! How nodes with shared devices are compared.

use std::collections::BTreeMap;

/// How [`ScorePlugin::GpuShare`](crate::ScorePlugin::GpuShare) compares nodes, and which devices of a node it takes:
/// those with the least left that is enough, where nothing else is said.
///
/// A node has as many devices as its allocatable `alibabacloud.com/gpu-count` says, of the model that its label
/// `alibabacloud.com/gpu-card-model` names. A pod's annotations say what it asks for: `alibabacloud.com/gpu-count`
/// devices, or `alibabacloud.com/gpu-milli` thousandths of one, of the models in `alibabacloud.com/gpu-card-model`
/// (`|` between them). `alibabacloud.com/gpu-index` (`-` between them) tells which devices a pod on a node has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GpuStrategy {
    /// The node, and the device, on which the pod adds the least to what the workload could not use. Among equals the
    /// device with the least left takes the pod, then the node with the least left of cores and devices together.
    ///
    /// Source: Beware of Fragmentation, USENIX ATC 2023.
    Fragmentation(GpuWorkload),
    /// The node with the least left of cores and devices together.
    BestFit,
    /// The node whose free cores and devices are least like what the pod asks for: the lowest product of both.
    DotProduct,
    /// Devices that are shared already, then free ones of a node in use, then an idle node.
    Packing,
    /// Nodes whose pods ask for as many devices, then idle nodes.
    Clustering,
    /// Any node, and any device: the seed, the pod's uid and the node decide. All nodes get the same points; draw them
    /// with [`Ties::Seeded`](crate::Ties::Seeded).
    Random(u64),
}

/// What a pod of a workload asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GpuTask {
    /// Cores, in thousandths.
    pub millicores: u32,
    /// Devices; none for a pod that needs cores only.
    pub devices: u16,
    /// Thousandths of each device.
    pub milli: u16,
    /// The models that will do; none is any.
    pub models: Vec<String>,
}

/// Which pods are to be expected, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuWorkload {
    pub(crate) tasks: Vec<(GpuTask, u32)>,
}

/// The percentage of pods that typical tasks are to cover.
const TYPICAL: u64 = 95;

impl GpuWorkload {
    /// The most frequent tasks of a list of pods, as many as make up 95 % of it.
    pub fn typical(pods: impl IntoIterator<Item = GpuTask>) -> Self {
        let mut counts: BTreeMap<GpuTask, u32> = BTreeMap::new();
        for pod in pods {
            *counts.entry(pod).or_default() += 1;
        }
        let all: u64 = counts.values().map(|count| u64::from(*count)).sum();
        let mut tasks: Vec<(GpuTask, u32)> = counts.into_iter().collect();
        tasks.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut covered = 0;
        let frequent = tasks.iter().take_while(|(_, count)| {
            let enough = covered * 100 >= all * TYPICAL;
            covered += u64::from(*count);
            !enough
        });
        let frequent = frequent.count();
        tasks.truncate(frequent);
        Self { tasks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_tasks_are_left_out() {
        let task = |millicores| GpuTask { millicores, devices: 1, milli: 500, models: Vec::new() };
        let pods = (0..100).map(|pod| {
            task(if pod < 60 {
                1
            } else if pod < 95 {
                2
            } else {
                pod
            })
        });
        assert_eq!(GpuWorkload::typical(pods).tasks, [(task(1), 60), (task(2), 35)]);
        assert_eq!(GpuWorkload::typical([]), GpuWorkload::default());
    }
}
