//! Pod groups: as many pods as a group needs, or none.
#![expect(clippy::unwrap_used, reason = "the objects are written here")]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use windlass_pod::{Node, Pod, decode_yaml_as};
use windlass_scheduler_core::{Decision, Error, Event, PodGroup, PodRef, Profile, Sampling, Scheduler};

const SECOND: Duration = Duration::from_secs(1);

fn scheduler() -> Scheduler {
    Scheduler::new(Profile::default()).unwrap()
}

fn node(scheduler: &mut Scheduler, name: &str, cpu: u32) {
    let text = format!(
        "{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}, status: {{allocatable: {{cpu: '{cpu}', pods: '100'}}}}}}"
    );
    scheduler.apply(Event::NodeApplied(&decode_yaml_as::<Node>(text.as_bytes()).unwrap())).unwrap();
}

/// A pod of a group, or of none, with more of a spec.
fn pod(scheduler: &mut Scheduler, name: &str, group: &str, cpu: u32, spec: &str) {
    let text = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, uid: u-{name}, \
         labels: {{scheduling.x-k8s.io/pod-group: '{group}'}}}}, spec: {{containers: [{{name: c, image: i, \
         resources: {{requests: {{cpu: '{cpu}'}}}}}}], {spec}}}}}"
    );
    scheduler.apply(Event::PodApplied(&decode_yaml_as::<Pod>(text.as_bytes()).unwrap())).unwrap();
}

fn group(scheduler: &mut Scheduler, name: &str, min_count: usize) {
    scheduler.apply(Event::PodGroupApplied(PodGroup { namespace: "default", name, min_count })).unwrap();
}

fn remove(scheduler: &mut Scheduler, name: &str) {
    scheduler.apply(Event::PodRemoved { namespace: "default", name }).unwrap();
}

/// What a decision says, in a word.
fn told(decision: &Decision) -> String {
    let names = |pods: &mut dyn Iterator<Item = &PodRef>| pods.map(PodRef::name).collect::<Vec<_>>().join(" ");
    match decision {
        Decision::Bind { pod, node, .. } => format!("{} on {node}", pod.name()),
        Decision::BindGroup { group, bindings } => {
            let bindings: Vec<String> =
                bindings.iter().map(|binding| format!("{} on {}", binding.pod.name(), binding.node)).collect();
            format!("{group}: {}", bindings.join(", "))
        }
        Decision::GroupUnschedulable { group, pods, report } => {
            format!("{group}: {} wait: {report}", names(&mut pods.iter()))
        }
        Decision::Unschedulable { pod, report } => format!("{} waits: {report}", pod.name()),
        Decision::Idle { .. } => "idle".to_owned(),
        other => format!("{other:?}"),
    }
}

fn next(scheduler: &mut Scheduler, now: Duration) -> String {
    told(&scheduler.next(now))
}

#[test]
fn a_group_waits_for_its_pods_and_is_placed_at_once() {
    let mut scheduler = scheduler();
    node(&mut scheduler, "n1", 2);
    node(&mut scheduler, "n2", 2);
    group(&mut scheduler, "train", 3);
    pod(&mut scheduler, "a", "train", 1, "");
    pod(&mut scheduler, "b", "train", 1, "");
    assert_eq!((next(&mut scheduler, SECOND), scheduler.counts().gated), ("idle".to_owned(), 2));
    // A gate of its own keeps a pod from being counted.
    pod(&mut scheduler, "c", "train", 1, "schedulingGates: [{name: g}]");
    assert_eq!(next(&mut scheduler, SECOND), "idle");
    pod(&mut scheduler, "c", "train", 1, "");
    assert_eq!(next(&mut scheduler, SECOND), "default/train: a on n1, b on n2, c on n1");
    // The group has what it needs: what comes later is placed by itself.
    pod(&mut scheduler, "d", "train", 1, "");
    assert_eq!(next(&mut scheduler, SECOND), "d on n2");
    assert_eq!(next(&mut scheduler, SECOND), "idle");
}

#[test]
fn a_group_that_does_not_fit_takes_no_room() {
    let mut scheduler = scheduler();
    node(&mut scheduler, "n1", 2);
    group(&mut scheduler, "train", 3);
    for name in ["a", "b", "c"] {
        pod(&mut scheduler, name, "train", 1, "");
    }
    let report = "2 of 3 pods that the group needs fit; the next: 0/1 nodes are available: 1 Insufficient cpu.";
    assert_eq!(next(&mut scheduler, SECOND), format!("default/train: a b c wait: {report}"));
    // All of the node is there for another.
    pod(&mut scheduler, "other", "", 2, "");
    assert_eq!(next(&mut scheduler, SECOND), "other on n1");
    assert_eq!(next(&mut scheduler, SECOND), "idle");
    // Room for all of them, once the backoff is over.
    node(&mut scheduler, "n2", 3);
    assert_eq!(next(&mut scheduler, SECOND), "idle");
    assert_eq!(next(&mut scheduler, SECOND * 2), "default/train: a on n2, b on n2, c on n2");
}

#[test]
fn two_groups_never_hold_half_each() {
    let mut scheduler = scheduler();
    node(&mut scheduler, "n1", 4);
    for name in ["one", "two"] {
        group(&mut scheduler, name, 3);
    }
    for index in 0..3 {
        for name in ["one", "two"] {
            pod(&mut scheduler, &format!("{name}-{index}"), name, 1, "");
        }
    }
    assert_eq!(next(&mut scheduler, SECOND), "default/one: one-0 on n1, one-1 on n1, one-2 on n1");
    let second = next(&mut scheduler, SECOND);
    assert!(second.starts_with("default/two: two-0 two-1 two-2 wait: 1 of 3 pods"), "{second}");
    for index in 0..3 {
        remove(&mut scheduler, &format!("one-{index}"));
    }
    assert_eq!(next(&mut scheduler, SECOND * 2), "default/two: two-0 on n1, two-1 on n1, two-2 on n1");
}

#[test]
fn more_pods_than_needed_are_placed_as_far_as_they_fit() {
    let mut scheduler = scheduler();
    node(&mut scheduler, "n1", 3);
    group(&mut scheduler, "train", 2);
    pod(&mut scheduler, "big", "train", 9, "");
    for name in ["a", "b"] {
        pod(&mut scheduler, name, "train", 1, "");
    }
    assert_eq!(next(&mut scheduler, SECOND), "default/train: a on n1, b on n1");
    let big = next(&mut scheduler, SECOND);
    assert!(big.starts_with("big waits: 0/1 nodes are available: 1 Insufficient cpu."), "{big}");
}

#[test]
fn a_binding_that_is_rolled_back_is_tried_again_alone() {
    let mut scheduler = scheduler();
    node(&mut scheduler, "n1", 2);
    group(&mut scheduler, "train", 2);
    for name in ["a", "b"] {
        pod(&mut scheduler, name, "train", 1, "");
    }
    let Decision::BindGroup { bindings, .. } = scheduler.next(SECOND) else { panic!("the group fits") };
    scheduler.commit(&bindings[0].pod).unwrap();
    scheduler.rollback(&bindings[1].pod).unwrap();
    assert_eq!(next(&mut scheduler, SECOND), "idle");
    assert_eq!(next(&mut scheduler, SECOND * 2), "default/train: b on n1");
}

#[test]
fn a_group_that_shrinks_waits_and_one_that_goes_lets_its_pods_go() {
    let mut scheduler = scheduler();
    node(&mut scheduler, "n1", 9);
    group(&mut scheduler, "train", 2);
    for name in ["a", "b"] {
        pod(&mut scheduler, name, "train", 1, "");
    }
    remove(&mut scheduler, "b");
    assert_eq!((next(&mut scheduler, SECOND), scheduler.counts().gated), ("idle".to_owned(), 1));
    let mut fork = scheduler.clone();
    group(&mut fork, "train", 1);
    assert_eq!(next(&mut fork, SECOND), "default/train: a on n1");
    scheduler.apply(Event::PodGroupRemoved { namespace: "default", name: "train" }).unwrap();
    assert_eq!(next(&mut scheduler, SECOND), "a on n1");
}

#[test]
fn a_group_preempts_nobody() {
    let mut scheduler = scheduler();
    node(&mut scheduler, "n1", 2);
    group(&mut scheduler, "train", 2);
    pod(&mut scheduler, "low", "", 2, "nodeName: n1");
    for name in ["a", "b"] {
        pod(&mut scheduler, name, "train", 1, "priority: 100");
    }
    let waits = next(&mut scheduler, SECOND);
    assert!(waits.starts_with("default/train: a b wait: 0 of 2 pods"), "{waits}");
}

#[test]
fn a_group_of_nothing_is_an_error() {
    let group = PodGroup { namespace: "default", name: "train", min_count: 0 };
    assert!(matches!(scheduler().apply(Event::PodGroupApplied(group)), Err(Error::Invalid { .. })));
}

/// One step of a random run.
#[derive(Clone, Copy, Debug)]
enum Step {
    Node(u32),
    Pod(u8, u32),
    RemovePod(usize),
    Group(u8, usize),
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (1..6_u32).prop_map(Step::Node),
        8 => (0..4_u8, 1..4_u32).prop_map(|(group, cpu)| Step::Pod(group, cpu)),
        1 => any::<usize>().prop_map(Step::RemovePod),
        1 => (0..3_u8, 1..5_usize).prop_map(|(group, needed)| Step::Group(group, needed)),
        3 => Just(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

/// Plays a run to its end; `check` sees each group decision with the pods that were on nodes before.
fn play(profile: Profile, steps: &[Step]) -> Vec<String> {
    let mut scheduler = Scheduler::new(profile).unwrap();
    let (mut said, mut now) = (Vec::new(), Duration::ZERO);
    let (mut free, mut needed) = (BTreeMap::new(), BTreeMap::new());
    let mut pods: BTreeMap<String, (u8, u32, Option<String>)> = BTreeMap::new();
    for (index, step) in steps.iter().enumerate() {
        match *step {
            Step::Node(cpu) => {
                node(&mut scheduler, &format!("n{index}"), cpu);
                free.insert(format!("n{index}"), i64::from(cpu));
            }
            Step::Pod(group, cpu) => {
                pod(&mut scheduler, &format!("p{index}"), &format!("g{group}"), cpu, "");
                pods.insert(format!("p{index}"), (group, cpu, None));
            }
            Step::RemovePod(which) => {
                let Some(name) = pods.keys().nth(which % pods.len().max(1)).cloned() else { continue };
                remove(&mut scheduler, &name);
                if let Some((_, cpu, Some(node))) = pods.remove(&name) {
                    *free.get_mut(&node).unwrap() += i64::from(cpu);
                }
            }
            Step::Group(group_, count) => {
                group(&mut scheduler, &format!("g{group_}"), count);
                needed.insert(group_, count);
            }
            Step::Wait => now += SECOND * 4,
        }
        loop {
            let decision = scheduler.next(now);
            said.push(told(&decision));
            let bound: Vec<(PodRef, String)> = match decision {
                Decision::Idle { .. } => break,
                Decision::Bind { pod, node, .. } => vec![(pod, node.to_string())],
                Decision::BindGroup { bindings, .. } => {
                    bindings.into_iter().map(|binding| (binding.pod, binding.node.to_string())).collect()
                }
                _ => continue,
            };
            let group = pods[bound[0].0.name()].0;
            for (pod, node) in bound {
                let (of, cpu, place) = pods.get_mut(pod.name()).unwrap();
                assert_eq!(*of, group, "a decision is about one group");
                assert_eq!(place.replace(node.clone()), None, "{pod} was on a node");
                let left = free.get_mut(&node).unwrap();
                *left -= i64::from(*cpu);
                assert!(*left >= 0, "{node} is overcommitted");
                scheduler.commit(&pod).unwrap();
            }
            let on_nodes = pods.values().filter(|(of, _, place)| *of == group && place.is_some()).count();
            assert!(on_nodes >= needed.get(&group).copied().unwrap_or(0), "group {group} is there in part");
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_decision_leaves_no_group_in_part(steps in steps()) {
        let first = play(Profile::default(), &steps);
        prop_assert_eq!(&first, &play(Profile::default(), &steps));
        // Few nodes are all looked at, however many the profile says.
        prop_assert_eq!(first, play(Profile { sampling: Sampling::Adaptive, ..Profile::default() }, &steps));
    }
}
