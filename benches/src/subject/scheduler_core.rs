//! Scheduling decisions.

use std::time::Duration;

use windlass_pod::{Node, Pod, decode_yaml_as};
use windlass_scheduler_core::{Decision, Event, Profile, Scheduler};

use crate::measure::{Baseline, Contest, Skipped};

const NODES: usize = 5000;
/// CPU time of kube-scheduler on a machine of this kind, by workload, nodes and share of nodes scored.
const KUBE_SCHEDULER: &str = include_str!("../../data/kube-scheduler-1.34.1.csv");

/// One decision over 5,000 nodes, every node filtered and scored, against kube-scheduler doing the same.
pub(super) fn basic() -> Result<Contest, Skipped> {
    let mut scheduler = Scheduler::new(Profile::default()).map_err(Skipped::because("a scheduler"))?;
    for number in 0..NODES {
        let node: Node = decode(&format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: node-{number}}},
               status: {{allocatable: {{cpu: '32', memory: 64Gi, pods: '110'}}}}}}"
        ))?;
        scheduler.apply(Event::NodeApplied(&node)).map_err(Skipped::because("apply a node"))?;
    }
    let mut pod: Pod = decode(
        "{apiVersion: v1, kind: Pod, metadata: {name: pod, uid: u},
          spec: {containers: [{name: main, image: main, resources: {requests: {cpu: 100m, memory: 128Mi}}}]}}",
    )?;
    let mut number = 0_u64;
    Ok(Contest {
        calls: 50,
        rounds: 15,
        subject: Box::new(move || {
            number += 1;
            pod.metadata.name = Some(format!("pod-{number}"));
            pod.metadata.uid = Some(format!("uid-{number}"));
            scheduler.apply(Event::PodApplied(&pod)).map_err(Skipped::because("apply a pod"))?;
            match scheduler.next(Duration::from_micros(number)) {
                Decision::Bind { pod, .. } => scheduler.commit(&pod).map_err(Skipped::because("commit")),
                other => Err(Skipped(format!("no node was found: {other:?}"))),
            }
        }),
        baseline: Baseline::Figure(figure("basic")?),
    })
}

fn decode<K: windlass_pod::Kind>(yaml: &str) -> Result<K, Skipped> {
    decode_yaml_as(yaml.as_bytes()).map_err(Skipped::because("decode the sample"))
}

/// The figure of a workload on 5,000 nodes with every node scored.
fn figure(workload: &str) -> Result<f64, Skipped> {
    let row =
        KUBE_SCHEDULER.lines().map(|line| line.split(',').collect::<Vec<_>>()).find_map(|columns| match columns[..] {
            [_, name, "5000", "100", figure, ..] if name == workload => Some(figure.to_owned()),
            _ => None,
        });
    let row = row.ok_or_else(|| Skipped(format!("no figure for {workload}")))?;
    row.parse().map_err(Skipped::because("the figure"))
}
