//! What is remembered about the nodes agrees with a look at every node, on clusters of some hundred nodes.

use std::time::Duration;

use serde_json::{Value, json};
use windlass_pod::{Node, Pod};
use windlass_scheduler_core::{Decision, Event, Explanation, Profile, Scheduler, Ties, Verdict};

use crate::plain;
use crate::wire::decode;
use crate::world::draw;

const NODES: u64 = 300;
const PODS: usize = 400;

/// A node of the small worlds under another name: there are fifty of each size.
fn node(seed: u64, number: u64) -> Value {
    let mut node = draw::node(seed);
    node["metadata"]["name"] = json!(format!("node-{number}"));
    node["metadata"]["labels"]["kubernetes.io/hostname"] = json!(format!("node-{number}"));
    node["spec"]["unschedulable"] = json!(number.is_multiple_of(29));
    node
}

fn cluster(seed: u64, ties: Ties) -> Scheduler {
    let mut scheduler = Scheduler::new(Profile { ties, ..Profile::default() }).expect("the profile is valid");
    for number in 0..NODES {
        let node: Node = decode(&node(seed * NODES + number, number));
        scheduler.apply(Event::NodeApplied(&node)).expect("nodes apply");
    }
    scheduler
}

fn total(explanation: &Explanation, name: &str) -> Option<i64> {
    let node = explanation.nodes.iter().find(|node| &*node.node == name)?;
    match &node.verdict {
        Verdict::Fits { total, .. } => Some(*total),
        _ => None,
    }
}

/// Four shapes, each with a few classes that come again and with classes that come once; pods leave, are being
/// deleted, and change their labels in between.
fn run(seed: u64, ties: Ties) -> usize {
    let mut scheduler = cluster(seed, ties);
    let mut placed: Vec<Value> = Vec::new();
    let mut bound = 0;
    for number in 0..PODS {
        let mixed =
            seed.wrapping_mul(0x9e37_79b9).wrapping_add(number as u64).wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        let shape = 4 * seed + mixed % 4;
        let amounts = if number % 3 == 0 { mixed & 0xffff } else { mixed % 5 };
        let mut pod = draw::pod(shape << 32 | amounts, number);
        let object: Pod = decode(&pod);
        scheduler.apply(Event::PodApplied(&object)).expect("pods apply");
        let (namespace, name) = (plain::namespace(&pod).to_owned(), plain::name(&pod).to_owned());
        let explanation = scheduler.explain(&namespace, &name).expect("the pod is pending");
        // The time stands still: of the pods that failed before, none is tried again.
        match scheduler.next(Duration::ZERO) {
            Decision::Bind { pod: chosen, node, score, .. } => {
                assert_eq!(chosen.name(), name);
                assert_eq!(total(&explanation, &node), Some(score), "seed {seed}, pod {number} on {node}");
                let first = explanation.best.first().is_some_and(|best| *best == node);
                let among = explanation.best.contains(&node);
                let expected = if ties == Ties::LowestIndex { first } else { among };
                assert!(expected, "seed {seed}, pod {number}: {node} of {:?}", explanation.best);
                scheduler.commit(&chosen).expect("the pod is assumed");
                pod["spec"]["nodeName"] = json!(&*node);
                placed.push(pod);
                bound += 1;
            }
            Decision::Preempt { pod: chosen, node, victims } => {
                assert!(explanation.best.is_empty(), "seed {seed}, pod {number}");
                let eviction = explanation.evictions.first().expect("there is somebody to evict");
                assert_eq!((&eviction.node, &eviction.victims), (&node, &victims), "seed {seed}, pod {number}");
                scheduler.rollback(&chosen).expect("the pod is nominated");
                scheduler.apply(Event::PodRemoved { namespace: &namespace, name: &name }).expect("pods can go");
            }
            _ => {
                assert!(explanation.best.is_empty(), "seed {seed}, pod {number}: {:?}", explanation.best);
                scheduler.apply(Event::PodRemoved { namespace: &namespace, name: &name }).expect("pods can go");
            }
        }
        if placed.len() > 20 && mixed % 5 < 3 {
            disturb(&mut scheduler, &mut placed, mixed);
        }
    }
    bound
}

fn disturb(scheduler: &mut Scheduler, placed: &mut Vec<Value>, mixed: u64) {
    let index = usize::try_from(mixed >> 8).expect("a small number") % placed.len();
    match mixed % 5 {
        0 => {
            let pod = placed.swap_remove(index);
            let (namespace, name) = (plain::namespace(&pod), plain::name(&pod));
            return scheduler.apply(Event::PodRemoved { namespace, name }).expect("pods can go");
        }
        1 => placed[index]["metadata"]["deletionTimestamp"] = json!("2025-01-01T00:00:00Z"),
        _ => placed[index]["metadata"]["labels"] = draw::labels(mixed),
    }
    let pod: Pod = decode(&placed[index]);
    scheduler.apply(Event::PodApplied(&pod)).expect("pods apply");
}

#[test]
fn boards_agree_with_the_loop_over_all_nodes() {
    let bound: usize = (0..12).map(|seed| run(seed, Ties::LowestIndex)).sum();
    assert!(bound > 2000, "only {bound} pods were placed");
}

#[test]
fn boards_agree_when_ties_are_drawn() {
    let bound: usize = (12..18).map(|seed| run(seed, Ties::Seeded(seed))).sum();
    assert!(bound > 1000, "only {bound} pods were placed");
}
