//! What is told change by change is what a look at everything says.
#![expect(clippy::unwrap_used, reason = "a test's shared code may fail where it stands")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use windlass_pod::endpoints::{self, Change, Options, SliceId};
use windlass_pod::kinds::{EndpointSlice, Node, Pod, Service};
use windlass_pod::replication::{self, Decision, Wanted};
use windlass_pod::{Selector, Time, decode_yaml_as};

/// What may be told about a pod; few values, so that pods are often alike.
#[derive(Debug, Clone)]
struct Traits {
    node: usize,
    phase: &'static str,
    ready: Option<i64>,
    created: Option<i64>,
    cost: i32,
    restarts: i32,
    deleted: bool,
    labeled: bool,
    address: u8,
    port: u16,
}

prop_compose! {
    fn traits()(
        node in 0..4usize,
        phase in prop_oneof![1 => Just("Pending"), 6 => Just("Running"), 1 => Just("Unknown"), 1 => Just("Failed")],
        ready in prop_oneof![1 => Just(None), 3 => (0..6i64).prop_map(|step| Some(step * 37))],
        created in prop_oneof![1 => Just(None), 3 => (0..4i64).prop_map(|step| Some(step * 29))],
        cost in 0..2i32,
        restarts in 0..2i32,
        deleted in prop::bool::weighted(0.1),
        labeled in prop::bool::weighted(0.8),
        address in 0..3u8,
        port in 8000..8002u16,
    ) -> Traits {
        Traits { node, phase, ready, created, cost, restarts, deleted, labeled, address, port }
    }
}

/// Twelve pods whose identities are not in the order of their names.
fn pod(index: usize, traits: &Traits) -> Pod {
    let time = |seconds: i64| Time::from_unix_seconds(seconds).to_string();
    let node = if traits.node == 0 { String::new() } else { format!("nodeName: n{}, ", traits.node) };
    let created = traits.created.map(|created| format!("creationTimestamp: '{}', ", time(created))).unwrap_or_default();
    let deleted = if traits.deleted { format!("deletionTimestamp: '{}', ", time(1)) } else { String::new() };
    let ready =
        traits.ready.map(|since| format!("{{type: Ready, status: 'True', lastTransitionTime: '{}'}}", time(since)));
    let addresses = match traits.address {
        0 => String::new(),
        1 => format!("podIP: 10.0.0.{index}, podIPs: [{{ip: 10.0.0.{index}}}], "),
        _ => format!("podIP: 10.0.0.{index}, podIPs: [{{ip: 10.0.0.{index}}}, {{ip: 'fd00::{index}'}}], "),
    };
    let text = format!(
        "{{metadata: {{name: p{index}, namespace: a, uid: u{}, {created}{deleted}labels: {{app: {}}}, annotations: \
         {{controller.kubernetes.io/pod-deletion-cost: '{}'}}}}, spec: {{{node}containers: [{{name: c, ports: [{{name: http, \
         containerPort: {}, protocol: TCP}}]}}]}}, status: {{{addresses}phase: {}, conditions: [{}], containerStatuses: \
         [{{name: c, restartCount: {}}}]}}}}",
        (index * 7) % 12,
        if traits.labeled { "web" } else { "other" },
        traits.cost,
        traits.port,
        traits.phase,
        ready.unwrap_or_default(),
        traits.restarts,
    );
    decode_yaml_as(text.as_bytes()).unwrap()
}

/// A pod is told anew or is gone; time goes on, or for once back.
fn steps() -> impl Strategy<Value = Vec<(usize, Option<Traits>, i64)>> {
    let forward = prop_oneof![8 => 0..60i64, 1 => -50..0i64];
    prop::collection::vec((0..12usize, prop::option::weighted(0.85, traits()), forward), 1..60)
}

/// The decision with names for pods.
fn told(decision: &Decision<&Pod>) -> Decision<String> {
    match decision {
        Decision::Keep => Decision::Keep,
        Decision::Create(count) => Decision::Create(*count),
        Decision::Delete(pods) => Decision::Delete(pods.iter().map(|pod| pod.metadata.name.clone().unwrap()).collect()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn replication(steps in steps(), replicas in 0..6usize, min_ready in 0..40u64) {
        let wanted = Wanted {
            replicas,
            selector: Selector::everything(),
            template_labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
            min_ready: Duration::from_secs(min_ready),
        };
        let mut index = replication::Index::new(&wanted.template_labels, wanted.min_ready);
        // In the order in which the index came to know them, the siblings apart.
        let (mut own, mut siblings): (Vec<Pod>, Vec<Pod>) = (Vec::new(), Vec::new());
        let mut now = 100;
        for (which, traits, forward) in steps {
            now += forward;
            let time = Time::from_unix_seconds(now);
            let told_now = traits.map(|traits| pod(which, &traits));
            let uid = format!("u{}", (which * 7) % 12);
            let same = |pod: &Pod| pod.metadata.uid.as_deref() == Some(&*uid);
            siblings.retain(|pod| !same(pod));
            match told_now {
                None => {
                    index.remove(&uid);
                    own.retain(|pod| !same(pod));
                }
                Some(pod) if which >= 9 => {
                    index.set_related(&pod);
                    siblings.push(pod);
                }
                Some(pod) => {
                    index.set(&pod, pod.metadata.name.clone().unwrap());
                    // What is not active was forgotten, and comes as new if it comes again.
                    match own.iter().position(same) {
                        Some(at) if pod.is_active() => own[at] = pod,
                        Some(at) => drop(own.remove(at)),
                        None if pod.is_active() => own.push(pod),
                        None => {}
                    }
                }
            }
            prop_assert_eq!(index.counts(time), replication::count(&wanted, &own, time));
            let plain = replication::decide(replicas, &own, &siblings, time);
            prop_assert_eq!(index.decide(replicas, time), told(&plain), "at {}", now);
        }
    }

    #[test]
    fn endpoint_slices(steps in steps(), per_slice_max in 1..5usize, publish in any::<bool>()) {
        let text = format!(
            "{{metadata: {{name: web, namespace: a}}, spec: {{clusterIP: 10.96.0.9, ipFamilies: [IPv4, IPv6], selector: \
             {{app: web}}, trafficDistribution: PreferClose, publishNotReadyAddresses: {publish}, ports: [{{name: http, \
             port: 80, targetPort: http, protocol: TCP}}]}}}}",
        );
        let service: Service = decode_yaml_as(text.as_bytes()).unwrap();
        let nodes: BTreeMap<String, Node> = (1..3).map(|node| {
            let text = format!("{{metadata: {{labels: {{topology.kubernetes.io/zone: z{node}}}}}}}");
            (format!("n{node}"), decode_yaml_as(text.as_bytes()).unwrap())
        }).collect();
        let mut index = endpoints::Index::new(&service, per_slice_max);
        let mut pods: BTreeMap<usize, Pod> = BTreeMap::new();
        // What somebody has who carries out the changes.
        let mut written: BTreeMap<SliceId, EndpointSlice> = BTreeMap::new();
        for (which, traits, _) in steps {
            match traits.map(|traits| pod(which, &traits)) {
                None => {
                    pods.remove(&which);
                    index.remove(&format!("u{}", (which * 7) % 12));
                }
                Some(pod) => {
                    let node = nodes.get(pod.spec.node_name.as_deref().unwrap_or_default());
                    let skipped = index.set(&pod, node).err();
                    pods.insert(which, pod.clone());
                    let alone = endpoints::slices(&service, [&pod], |_| node, &Options::default());
                    prop_assert_eq!(Vec::from_iter(skipped), alone.skipped);
                }
            }
            for change in index.changes(None) {
                match change {
                    Change::Create(id) => prop_assert!(written.insert(id, index.slice(id).unwrap().clone()).is_none()),
                    Change::Update(id) => {
                        let slice = index.slice(id).unwrap().clone();
                        prop_assert_ne!(written.insert(id, slice.clone()), Some(slice), "an update changes something");
                    }
                    Change::Delete(id) => prop_assert!(written.remove(&id).is_some()),
                }
            }
            let kept: BTreeMap<SliceId, EndpointSlice> = index.slices().map(|(id, slice)| (id, slice.clone())).collect();
            prop_assert_eq!(&written, &kept);
            let options = Options { per_slice_max, changed: None };
            let plain = endpoints::slices(&service, pods.values(), |name| nodes.get(name), &options).slices;
            prop_assert_eq!(spread(kept.values()), spread(plain.iter()));
            prop_assert!(kept.values().all(|slice| slice.endpoints.len() <= per_slice_max));
        }
    }
}

/// Each endpoint with what its slice says of it, whichever slice that is.
fn spread<'a>(slices: impl Iterator<Item = &'a EndpointSlice>) -> BTreeSet<String> {
    let mut spread = BTreeSet::new();
    for slice in slices {
        let bare = EndpointSlice { endpoints: Vec::new(), ..slice.clone() };
        if slice.endpoints.is_empty() {
            spread.insert(format!("{bare:?}"));
        }
        spread.extend(slice.endpoints.iter().map(|endpoint| format!("{bare:?} {endpoint:?}")));
    }
    spread
}
