//! Devices that pods share: which node and which devices a pod gets.
#![expect(clippy::unwrap_used, reason = "the objects are written here")]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use windlass_pod::{Node, Pod, decode_yaml_as};
use windlass_scheduler_core::{Decision, Error, Event, GpuStrategy, GpuTask, GpuWorkload, Profile, Scheduler};

fn scheduler(strategy: GpuStrategy) -> Scheduler {
    Scheduler::new(Profile::gpu_sharing(strategy)).unwrap()
}

fn node(scheduler: &mut Scheduler, name: &str, cpu: u32, count: u16, model: &str) {
    let text = format!(
        "{{apiVersion: v1, kind: Node, metadata: {{name: '{name}', labels: {{alibabacloud.com/gpu-card-model: '{model}'}}}}, \
         status: {{allocatable: {{cpu: '{cpu}', pods: '200', alibabacloud.com/gpu-count: '{count}'}}}}}}"
    );
    scheduler.apply(Event::NodeApplied(&decode_yaml_as::<Node>(text.as_bytes()).unwrap())).unwrap();
}

fn described(name: &str, annotations: &str, spec: &str) -> Pod {
    let text = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: '{name}', uid: u-{name}, annotations: {{{annotations}}}}}, \
         spec: {{containers: [{{name: c, image: i, resources: {{requests: {{cpu: '1'}}}}}}], {spec}}}}}"
    );
    decode_yaml_as(text.as_bytes()).unwrap()
}

fn asking(count: u16, milli: u16) -> String {
    format!("alibabacloud.com/gpu-count: '{count}', alibabacloud.com/gpu-milli: '{milli}'")
}

fn pod(scheduler: &mut Scheduler, name: &str, count: u16, milli: u16) {
    scheduler.apply(Event::PodApplied(&described(name, &asking(count, milli), ""))).unwrap();
}

fn next(scheduler: &mut Scheduler) -> (String, Vec<u16>) {
    match scheduler.next(Duration::ZERO) {
        Decision::Bind { node, devices, .. } => (node.to_string(), devices.into()),
        Decision::Unschedulable { report, .. } => (report.to_string(), Vec::new()),
        other => (format!("{other:?}"), Vec::new()),
    }
}

fn at(node: &str, devices: &[u16]) -> (String, Vec<u16>) {
    (node.to_owned(), devices.to_vec())
}

#[test]
fn a_device_is_shared_until_it_is_full() {
    let mut scheduler = scheduler(GpuStrategy::BestFit);
    node(&mut scheduler, "n", 64, 2, "T4");
    for (name, milli, device) in [("a", 600, 0), ("b", 600, 1), ("c", 400, 0), ("d", 300, 1)] {
        pod(&mut scheduler, name, 1, milli);
        assert_eq!(next(&mut scheduler), at("n", &[device]), "{name}");
    }
    pod(&mut scheduler, "e", 1, 200);
    let (report, _) = next(&mut scheduler);
    assert!(
        report.starts_with("0/1 nodes are available: 1 node(s) didn't have enough left of their devices."),
        "{report}"
    );
    // The room that a pod leaves wakes who waits for it.
    scheduler.apply(Event::PodRemoved { namespace: "default", name: "c" }).unwrap();
    let Decision::Bind { devices, .. } = scheduler.next(Duration::from_secs(1)) else { panic!("there is room") };
    assert_eq!(*devices, [0]);
}

#[test]
fn whole_devices_are_of_one_node_and_of_a_model_that_will_do() {
    let mut scheduler = scheduler(GpuStrategy::BestFit);
    node(&mut scheduler, "few", 64, 2, "T4");
    node(&mut scheduler, "many", 64, 4, "V100");
    pod(&mut scheduler, "four", 4, 1000);
    assert_eq!(next(&mut scheduler), at("many", &[0, 1, 2, 3]));
    let named = |models: &str| format!("{}, alibabacloud.com/gpu-card-model: '{models}'", asking(1, 1000));
    scheduler.apply(Event::PodApplied(&described("either", &named("V100|T4"), ""))).unwrap();
    assert_eq!(next(&mut scheduler), at("few", &[0]));
    scheduler.apply(Event::PodApplied(&described("other", &named("A100"), ""))).unwrap();
    let (report, _) = next(&mut scheduler);
    assert!(report.contains("2 node(s) didn't have the devices that the pod asks for"), "{report}");
}

#[test]
fn what_pods_have_already_is_told_by_their_annotation() {
    let mut scheduler = scheduler(GpuStrategy::BestFit);
    node(&mut scheduler, "n", 64, 2, "T4");
    let there = described("there", &format!("{}, alibabacloud.com/gpu-index: '1'", asking(1, 500)), "nodeName: 'n'");
    scheduler.apply(Event::PodApplied(&there)).unwrap();
    pod(&mut scheduler, "whole", 1, 1000);
    assert_eq!(next(&mut scheduler), at("n", &[0]));
    pod(&mut scheduler, "half", 1, 500);
    assert_eq!(next(&mut scheduler), at("n", &[1]));
}

#[test]
fn a_binding_that_is_rolled_back_gives_its_devices_back() {
    let mut scheduler = scheduler(GpuStrategy::Packing);
    node(&mut scheduler, "n", 64, 1, "T4");
    pod(&mut scheduler, "a", 1, 800);
    let Decision::Bind { pod: first, .. } = scheduler.next(Duration::ZERO) else { panic!("it fits") };
    scheduler.rollback(&first).unwrap();
    pod(&mut scheduler, "b", 1, 800);
    assert_eq!(next(&mut scheduler), at("n", &[0]));
}

#[test]
fn an_absurd_ask_is_an_error() {
    let mut scheduler = scheduler(GpuStrategy::BestFit);
    node(&mut scheduler, "n", 64, 2, "T4");
    let with = |more: &str| format!("{}, {more}", asking(1, 500));
    for annotations in [
        "alibabacloud.com/gpu-milli: '-1'".to_owned(),
        "alibabacloud.com/gpu-milli: '1001'".to_owned(),
        "alibabacloud.com/gpu-count: many".to_owned(),
        asking(2, 500),
        with("alibabacloud.com/gpu-index: '0-1'"),
        with("alibabacloud.com/gpu-index: x"),
    ] {
        let told = scheduler.apply(Event::PodApplied(&described("p", &annotations, "nodeName: 'n'")));
        assert!(matches!(&told, Err(Error::Invalid { field, .. }) if field.contains("alibabacloud")), "{annotations}");
    }
    assert_eq!(scheduler.counts().pods, 0);
}

#[test]
fn without_the_plugin_annotations_mean_nothing() {
    let mut scheduler = Scheduler::new(Profile::default()).unwrap();
    node(&mut scheduler, "n", 64, 0, "");
    pod(&mut scheduler, "a", 8, 1000);
    assert_eq!(next(&mut scheduler), at("n", &[]));
}

/// Half of the expected pods want a whole device: a pod of a third of one should not open a device that is whole.
#[test]
fn fragmentation_keeps_whole_what_will_be_needed_whole() {
    let task = |milli| GpuTask { millicores: 1000, devices: 1, milli, models: Vec::new() };
    let workload = GpuWorkload::typical([task(1000), task(300)]);
    let mut scheduler = scheduler(GpuStrategy::Fragmentation(workload));
    node(&mut scheduler, "whole", 64, 1, "T4");
    node(&mut scheduler, "used", 64, 1, "T4");
    let there = described("there", &format!("{}, alibabacloud.com/gpu-index: '0'", asking(1, 300)), "nodeName: used");
    scheduler.apply(Event::PodApplied(&there)).unwrap();
    pod(&mut scheduler, "small", 1, 300);
    assert_eq!(next(&mut scheduler), at("used", &[0]));
    pod(&mut scheduler, "large", 1, 1000);
    assert_eq!(next(&mut scheduler), at("whole", &[0]));
}

fn strategies() -> impl Strategy<Value = GpuStrategy> {
    let task = |devices, milli| GpuTask { millicores: 1000, devices, milli, models: Vec::new() };
    let workload = GpuWorkload::typical([task(1, 1000), task(1, 300), task(2, 1000), task(0, 0)]);
    prop_oneof![
        Just(GpuStrategy::Fragmentation(workload)),
        Just(GpuStrategy::BestFit),
        Just(GpuStrategy::DotProduct),
        Just(GpuStrategy::Packing),
        Just(GpuStrategy::Clustering),
        any::<u64>().prop_map(GpuStrategy::Random),
    ]
}

/// Whole devices, or a part of one, and whether some pod is removed before.
fn pods() -> impl Strategy<Value = Vec<(u16, u16, Option<usize>)>> {
    let ask = prop_oneof![3 => (1..9_u16).prop_map(|tenths| (1, tenths * 100)), 1 => (1..4_u16).prop_map(|count| (count, 1000))];
    prop::collection::vec((ask, prop::option::weighted(0.2, any::<usize>())), 1..60)
        .prop_map(|pods| pods.into_iter().map(|((count, milli), removed)| (count, milli, removed)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_device_is_given_twice(strategy in strategies(), nodes in prop::collection::vec(1..5_u16, 1..5), pods in pods()) {
        let mut scheduler = scheduler(strategy);
        let mut free: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for (index, count) in nodes.iter().enumerate() {
            node(&mut scheduler, &format!("n{index}"), 64, *count, "T4");
            free.insert(format!("n{index}"), vec![1000; usize::from(*count)]);
        }
        let mut there: BTreeMap<String, (String, Vec<u16>, u16)> = BTreeMap::new();
        for (index, (count, milli, removed)) in pods.into_iter().enumerate() {
            if let Some(name) = removed.and_then(|which| there.keys().nth(which % there.len().max(1)).cloned()) {
                scheduler.apply(Event::PodRemoved { namespace: "default", name: &name }).unwrap();
                let (node, devices, milli) = there.remove(&name).unwrap();
                for device in devices {
                    free.get_mut(&node).unwrap()[usize::from(device)] += i64::from(milli);
                }
            }
            let name = format!("p{index}");
            pod(&mut scheduler, &name, count, milli);
            let fitting = |free: &Vec<i64>| free.iter().filter(|free| **free >= i64::from(milli)).count() >= usize::from(count);
            let fits = free.values().any(fitting);
            let (node, devices) = next(&mut scheduler);
            prop_assert_eq!(!devices.is_empty(), fits, "{} {} of {:?}: {}", count, milli, &free, node);
            if !fits {
                scheduler.apply(Event::PodRemoved { namespace: "default", name: &name }).unwrap();
                continue;
            }
            prop_assert_eq!(devices.len(), usize::from(count));
            for device in &devices {
                let left = &mut free.get_mut(&node).unwrap()[usize::from(*device)];
                *left -= i64::from(milli);
                prop_assert!(*left >= 0, "{} of {} is given twice", device, node);
            }
            there.insert(name, (node, devices, milli));
        }
    }
}
