//! Sampling as kube-scheduler does it: which nodes an attempt looks at, told by where pods go.
#![expect(clippy::unwrap_used, reason = "the objects are written here")]

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use windlass_pod::{Node, Pod, decode_yaml_as};
use windlass_scheduler_core::{Decision, Error, Event, Profile, Sampling, Scheduler};

/// Nodes in so many zones, one after another; every `full`th has no room.
fn cluster(sampling: Sampling, nodes: usize, zones: usize, full: usize) -> Scheduler {
    let mut scheduler = Scheduler::new(Profile { sampling, ..Profile::default() }).unwrap();
    for index in 0..nodes {
        let cpu = if (index + 1).is_multiple_of(full) { 0 } else { 8 };
        let zone = index * zones / nodes;
        let node: Node = decode_yaml_as(
            format!(
                "{{apiVersion: v1, kind: Node, metadata: {{name: n{index}, labels: {{topology.kubernetes.io/zone: \
                 z{zone}}}}}, status: {{allocatable: {{cpu: '{cpu}', memory: 64Gi, pods: '100'}}}}}}"
            )
            .as_bytes(),
        )
        .unwrap();
        scheduler.apply(Event::NodeApplied(&node)).unwrap();
    }
    scheduler
}

fn place(scheduler: &mut Scheduler, name: usize, cpu: u32) -> Decision {
    let pod: Pod = decode_yaml_as(
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p{name}, uid: u{name}}}, spec: {{containers: [{{name: c, \
             image: i, resources: {{requests: {{cpu: '{cpu}'}}}}}}]}}}}"
        )
        .as_bytes(),
    )
    .unwrap();
    scheduler.apply(Event::PodApplied(&pod)).unwrap();
    scheduler.next(Duration::ZERO)
}

/// The visits of an attempt, worked out from the zones alone.
fn visits(nodes: usize, zones: usize) -> Vec<usize> {
    let of_zone = |zone: usize| (0..nodes).filter(move |index| index * zones / nodes == zone);
    let turns = 0..nodes;
    turns.flat_map(|turn| (0..zones).filter_map(move |zone| of_zone(zone).nth(turn))).collect()
}

#[test]
fn an_attempt_goes_on_where_the_last_one_stopped() {
    // 144 of 300 nodes are enough: all are alike, so the first pod goes to node 0 and the second to node 144.
    let mut scheduler = cluster(Sampling::Adaptive, 300, 1, usize::MAX);
    let nodes: Vec<String> = (0..4)
        .map(|name| match place(&mut scheduler, name, 1) {
            Decision::Bind { node, .. } => node.to_string(),
            other => panic!("the pod fits: {other:?}"),
        })
        .collect();
    // The third visits 288 to 299 and 0 to 131: the lowest that is still empty is node 1. The fourth visits 132 to 275.
    assert_eq!(nodes, ["n0", "n144", "n1", "n132"]);
}

#[test]
fn a_pod_that_fits_nowhere_is_told_about_all_nodes() {
    let mut scheduler = cluster(Sampling::Adaptive, 300, 3, 2);
    let Decision::Unschedulable { report, .. } = place(&mut scheduler, 0, 9) else { panic!("no node has nine cores") };
    assert!(report.to_string().starts_with("0/300 nodes are available: 300 Insufficient cpu."), "{report}");
}

#[test]
fn a_percentage_is_one_to_a_hundred() {
    for percentage in [0, 101, 255] {
        let result = Scheduler::new(Profile { sampling: Sampling::Percentage(percentage), ..Profile::default() });
        assert!(matches!(result, Err(Error::Invalid { .. })), "{percentage}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Each pod goes to the emptiest node among the first feasible ones from where the attempt before stopped.
    #[test]
    fn pods_go_where_a_plain_walk_over_the_zones_finds_room(
        nodes in 100_usize..260,
        zones in 1_usize..5,
        full in 2_usize..9,
        percentage in 1_u8..=100,
        pods in 1_usize..40,
    ) {
        let mut scheduler = cluster(Sampling::Percentage(percentage), nodes, zones, full);
        let order = visits(nodes, zones);
        let (mut start, mut used) = (0, vec![0; nodes]);
        for name in 0..pods {
            let enough = (nodes * usize::from(percentage) / 100).max(100);
            let (mut found, mut looked_at) = (BTreeSet::new(), 0);
            while looked_at < nodes && found.len() < enough {
                let node = order[(start + looked_at) % nodes];
                if !(node + 1).is_multiple_of(full) && used[node] < 8 {
                    found.insert(node);
                }
                looked_at += 1;
            }
            start = (start + looked_at) % nodes;
            let expected = *found.iter().min_by_key(|node| (used[**node], **node)).unwrap();
            used[expected] += 1;
            match place(&mut scheduler, name, 1) {
                Decision::Bind { node, .. } => prop_assert_eq!(&*node, format!("n{expected}")),
                other => prop_assert!(false, "the pod fits: {:?}", other),
            }
        }
    }
}
