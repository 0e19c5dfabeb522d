//! Scheduling decisions on clusters whose nodes run pods already, every node filtered and scored.

use std::fmt::Write as _;
use std::time::Duration;

use windlass_pod::{Node, Pod, PriorityClass, decode_yaml_as};
use windlass_scheduler_core::{Decision, Event, Profile, Scheduler};

use crate::measure::{Baseline, Contest, Skipped};

/// CPU time of kube-scheduler on a machine of this kind, by workload, nodes and share of nodes scored.
const KUBE_SCHEDULER: &str = include_str!("../../data/kube-scheduler-1.34.1.csv");
/// The nodes of the workloads that kube-scheduler was measured with.
const NODES: usize = 5000;
const CALLS: u32 = 50;
const ROUNDS: usize = 9;
const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";

/// What the pods to place have in common, and what tells them apart.
struct Workload {
    /// kube-scheduler's name for it.
    name: &'static str,
    nodes: usize,
    /// Labels, request of millicores and of MiB of the pod of a number.
    pod: fn(u64) -> (String, u64, u64),
    /// More of the pod's spec.
    spec: String,
}

/// Identical pods in a row.
pub(super) fn identical() -> Result<Contest, Skipped> {
    contest(&Workload { name: "basic", nodes: NODES, pod: same, spec: String::new() })
}

/// Eight classes of pods that take turns.
pub(super) fn classes() -> Result<Contest, Skipped> {
    let pod = |number: u64| (format!("app: web-{}", number % 8), 100 + number % 8 * 50, 128);
    contest(&Workload { name: "basic", nodes: NODES, pod, spec: String::new() })
}

/// Pods no two of which request the same.
pub(super) fn distinct() -> Result<Contest, Skipped> {
    contest(&Workload { name: "basic", nodes: NODES, pod: other, spec: String::new() })
}

/// The same on twenty times the nodes; kube-scheduler was not measured beyond 10,000.
pub(super) fn distinct_of_many() -> Result<Contest, Skipped> {
    contest(&Workload { name: "basic", nodes: 100_000, pod: other, spec: String::new() })
}

/// A spread over zones that must hold.
pub(super) fn hard_spread() -> Result<Contest, Skipped> {
    contest(&Workload { name: "spread", nodes: NODES, pod: same, spec: spread("DoNotSchedule") })
}

/// A spread over zones that should hold.
pub(super) fn soft_spread() -> Result<Contest, Skipped> {
    contest(&Workload { name: "prefspread", nodes: NODES, pod: same, spec: spread("ScheduleAnyway") })
}

/// No two of the pods on one node.
pub(super) fn anti_affinity() -> Result<Contest, Skipped> {
    let spec = format!(
        "affinity: {{podAntiAffinity: {{{}: [{}]}}}}",
        "requiredDuringSchedulingIgnoredDuringExecution",
        term(HOSTNAME)
    );
    contest(&Workload { name: "antiaff", nodes: NODES, pod: same, spec })
}

/// All of the pods in one zone.
pub(super) fn pod_affinity() -> Result<Contest, Skipped> {
    let spec = format!(
        "affinity: {{podAffinity: {{{}: [{}]}}}}",
        "requiredDuringSchedulingIgnoredDuringExecution",
        term(ZONE)
    );
    contest(&Workload { name: "podaff", nodes: NODES, pod: same, spec })
}

/// Few of the pods on one node.
pub(super) fn preferred_anti_affinity() -> Result<Contest, Skipped> {
    let spec = format!(
        "affinity: {{podAntiAffinity: {{preferredDuringSchedulingIgnoredDuringExecution: [{{weight: 1, podAffinityTerm: {}}}]}}}}",
        term(HOSTNAME)
    );
    contest(&Workload { name: "prefanti", nodes: NODES, pod: same, spec })
}

/// Pods for which others have to go; each is rolled back, so that the cluster stays as it is.
pub(super) fn preemption() -> Result<Contest, Skipped> {
    let pod = |_| ("app: web".to_owned(), 20_000, 128);
    contest(&Workload { name: "preempt", nodes: NODES, pod, spec: "priorityClassName: high".to_owned() })
}

fn same(_: u64) -> (String, u64, u64) {
    ("app: web".to_owned(), 100, 128)
}

fn other(number: u64) -> (String, u64, u64) {
    let mixed = mix(number);
    ("app: web".to_owned(), 50 + mixed % 900, 64 + mixed / 1024 % 512)
}

fn spread(when: &str) -> String {
    format!(
        "topologySpreadConstraints: [{{maxSkew: 5, topologyKey: {ZONE}, whenUnsatisfiable: {when}, \
         labelSelector: {{matchLabels: {{app: web}}}}}}]"
    )
}

fn term(topology: &str) -> String {
    format!("{{labelSelector: {{matchLabels: {{app: web}}}}, topologyKey: {topology}}}")
}

/// A number that looks drawn, the same in every run.
fn mix(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_add(1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)) >> 8
}

/// The pods are pending before the clock starts, as they are in kube-scheduler's queue: a call is one decision, from the
/// queue to the assumed pod.
fn contest(workload: &Workload) -> Result<Contest, Skipped> {
    let mut scheduler = cluster(workload.nodes)?;
    let pods = u64::from(CALLS) * (ROUNDS as u64 + 1);
    for number in 0..pods {
        let (labels, cpu, memory) = (workload.pod)(number);
        apply_pod(&mut scheduler, &format!("pod-{number}"), &labels, [cpu, memory], &workload.spec)?;
    }
    Ok(Contest {
        calls: CALLS,
        rounds: ROUNDS,
        subject: Box::new(move || match scheduler.next(Duration::ZERO) {
            Decision::Bind { pod, .. } => scheduler.commit(&pod).map_err(Skipped::because("commit")),
            Decision::Preempt { pod, .. } => scheduler.rollback(&pod).map_err(Skipped::because("roll back")),
            other => Err(Skipped(format!("no node was found: {other:?}"))),
        }),
        baseline: Baseline::Figure(figure(workload.name)?),
    })
}

/// Nodes of 32 cores in three zones, each with up to eight pods of low priority, half full on average.
fn cluster(nodes: usize) -> Result<Scheduler, Skipped> {
    let mut scheduler = Scheduler::new(Profile::default()).map_err(Skipped::because("a scheduler"))?;
    for (name, value) in [("low", 1), ("high", 1000)] {
        let class: PriorityClass = decode(&format!(
            "{{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {{name: {name}}}, value: {value}}}"
        ))?;
        scheduler.apply(Event::PriorityClassApplied(&class)).map_err(Skipped::because("apply a priority class"))?;
    }
    for number in 0..nodes {
        let zone = number % 3;
        let node: Node = decode(&format!(
            "{{apiVersion: v1, kind: Node,
               metadata: {{name: node-{number}, labels: {{{ZONE}: zone-{zone}, {HOSTNAME}: node-{number}}}}},
               status: {{allocatable: {{cpu: '32', memory: 64Gi, pods: '110'}}}}}}"
        ))?;
        scheduler.apply(Event::NodeApplied(&node)).map_err(Skipped::because("apply a node"))?;
        let mut used = 0;
        for pod in 0..8 {
            let mixed = mix(u64::try_from(number * 8 + pod).map_err(Skipped::because("a seed"))?);
            let cpu = 1000 + mixed % 2500;
            used += cpu;
            let spec = format!("nodeName: node-{number}, priorityClassName: low");
            let amounts = [cpu, 512 + mixed / 4096 % 6000];
            apply_pod(&mut scheduler, &format!("warm-{number}-{pod}"), "app: warm", amounts, &spec)?;
            // At least half is taken, so that a pod that wants more than half must push others off.
            if used > 16_000 {
                break;
            }
        }
    }
    Ok(scheduler)
}

fn apply_pod(
    scheduler: &mut Scheduler,
    name: &str,
    labels: &str,
    [cpu, memory]: [u64; 2],
    spec: &str,
) -> Result<(), Skipped> {
    let mut yaml =
        format!("{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, uid: {name}, labels: {{{labels}}}}}, spec: {{");
    if !spec.is_empty() {
        write!(yaml, "{spec}, ").map_err(Skipped::because("write a pod"))?;
    }
    write!(
        yaml,
        "containers: [{{name: main, image: main, resources: {{requests: {{cpu: {cpu}m, memory: {memory}Mi}}}}}}]}}}}"
    )
    .map_err(Skipped::because("write a pod"))?;
    let pod: Pod = decode(&yaml)?;
    scheduler.apply(Event::PodApplied(&pod)).map_err(Skipped::because("apply a pod"))
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
