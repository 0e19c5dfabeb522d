//! Controllers and scheduler together, over a store on disk, through random trouble: nodes are never overfilled, the order
//! has no holes, and in the end there is what was asked for.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mini_orchestrator::controllers::{self, Settings};
use mini_orchestrator::registry::{Delta, Error, Grace, Key, Mirror, Registry, Scope};
use mini_orchestrator::scheduler;
use mini_orchestrator::store::{EventKind, Options, Revision, Store};
use tokio::sync::watch;
use windlass_pod::kinds::{EndpointSlice, Node, Pod, PodCondition, PodIP, ReplicationController};
use windlass_scheduler_core::Profile;

const CLUSTER: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.10, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec:
  replicas: 3
  selector: {app: web}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: web, resources: {requests: {cpu: 300m}}}]}
";

/// Pods of 300m that a node of one cpu holds.
const PODS_OF_A_NODE: usize = 3;

/// A sequence that looks random and is the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What the agents of all nodes do: pods run and become ready at once, and those that are to end are gone at once.
async fn agents(registry: Registry) {
    let mut pods: Mirror<Pod> = registry.mirror(Scope::All).await.unwrap();
    let mut addresses = 0_u32;
    loop {
        let (Delta::Added(pod) | Delta::Updated { new: pod, .. }) = pods.changed().await.unwrap() else { continue };
        let key = Key::of(&*pod);
        let result = if pod.metadata.deletion_timestamp.is_some() {
            registry.delete::<Pod>(&key, pod.metadata.uid.as_deref()).await
        } else if pod.spec.node_name.is_some() && pod.status.phase.as_deref() != Some("Running") {
            addresses += 1;
            let ip = std::net::Ipv4Addr::from_bits(0x0a01_0000 + addresses).to_string();
            let run = |found: &mut windlass_pod::kinds::PodStatus| {
                found.phase = Some("Running".to_owned());
                found.pod_ips = vec![PodIP { ip: Some(ip.clone()), ..PodIP::default() }];
                found.conditions.push(PodCondition {
                    type_: Some("Ready".to_owned()),
                    status: Some("True".to_owned()),
                    last_transition_time: pod.metadata.creation_timestamp,
                    ..PodCondition::default()
                });
            };
            registry.update_status::<Pod>(&key, run).await.map(drop)
        } else {
            Ok(())
        };
        match result {
            Ok(()) | Err(Error::NotFound { .. } | Error::Replaced { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn trouble(registry: &Registry, random: &mut Random) {
    let (pods, _) = registry.list::<Pod>(Scope::All).await.unwrap();
    let some = |random: &mut Random| {
        let index = random.below(u64::try_from(pods.len().max(1)).unwrap());
        pods.get(usize::try_from(index).unwrap()).map(Key::of)
    };
    let node = format!("n{}", random.below(3) + 1);
    let result = match random.below(6) {
        0 => match some(random) {
            Some(key) => registry.delete_pod(&key, Grace::Default, None).await.map(drop),
            None => Ok(()),
        },
        1 => match some(random) {
            // The agent of its node has gone, and the pod with it.
            Some(key) => registry.delete::<Pod>(&key, None).await,
            None => Ok(()),
        },
        2 => {
            let replicas = i32::try_from(random.below(8)).unwrap();
            let scale = |found: &mut ReplicationController| found.spec.replicas = Some(replicas);
            registry.update(&Key::new("default", "web"), scale).await.map(drop)
        }
        3 => controllers::cordon(registry, &node).await,
        4 => controllers::uncordon(registry, &node).await,
        _ => match some(random) {
            Some(key) => {
                let relabel =
                    |found: &mut Pod| drop(found.metadata.labels.insert("app".to_owned(), "stray".to_owned()));
                registry.update(&key, relabel).await.map(drop)
            }
            None => Ok(()),
        },
    };
    assert!(matches!(result, Ok(()) | Err(Error::NotFound { .. })), "{result:?}");
    tokio::time::sleep(Duration::from_millis(random.below(8))).await;
}

/// Replays all events: no revision is missing, and no node ever holds more pods than fit.
async fn replay(store: &Store) {
    let mut events = store.watch("/registry/", Revision::ZERO);
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for expected in 1..=store.revision().0 {
        let event = events.next().await.unwrap();
        assert_eq!(event.revision, Revision(expected));
        if !event.key.starts_with("/registry/pods/") {
            continue;
        }
        places.remove(&event.key);
        let pod: Pod = windlass_pod::decode_json_as(&event.value).unwrap();
        if event.kind != EventKind::Deleted
            && let Some(node) = pod.spec.node_name
        {
            places.insert(event.key.clone(), node);
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for node in places.values() {
            *counts.entry(node).or_default() += 1;
        }
        assert!(counts.values().all(|count| *count <= PODS_OF_A_NODE), "at {expected}: {counts:?}");
    }
}

async fn converged(registry: &Registry, replicas: usize) -> bool {
    let (pods, _) = registry.list::<Pod>(Scope::All).await.unwrap();
    let (slices, _) = registry.list::<EndpointSlice>(Scope::All).await.unwrap();
    let (controllers, _) = registry.list::<ReplicationController>(Scope::All).await.unwrap();
    let own: Vec<&Pod> = pods.iter().filter(|pod| pod.metadata.labels["app"] == "web").collect();
    let running: BTreeSet<&str> =
        own.iter().flat_map(|pod| &pod.status.pod_ips).filter_map(|address| address.ip.as_deref()).collect();
    let endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
    let ready = endpoints.filter(|endpoint| endpoint.conditions.ready == Some(true));
    let served: BTreeSet<&str> = ready.map(|endpoint| endpoint.addresses[0].as_str()).collect();
    let told = controllers[0].status.ready_replicas.unwrap_or(0);
    let (nodes, _) = registry.list::<Node>(Scope::All).await.unwrap();
    if nodes.iter().any(|node| !node.spec.taints.is_empty()) {
        return false;
    }
    own.len() == replicas && running.len() == replicas && served == running && usize::try_from(told) == Ok(replicas)
}

async fn run(seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store"), Options::default()).await.unwrap();
    let registry = Registry::new(store.clone());
    let node = |name| {
        format!(
            "---\n{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}, status: {{allocatable: {{cpu: '1', memory: \
             1Gi, pods: '9'}}}}}}\n"
        )
    };
    let nodes = ["n1", "n2", "n3"].map(node).concat();
    for object in windlass_pod::decode_yaml([CLUSTER, &nodes].concat().as_bytes()).unwrap() {
        registry.apply_object(object).await.unwrap();
    }
    let (stop, stopped) = watch::channel(false);
    let settings = Settings { service_range: "10.96.0.0/16".parse().unwrap() };
    let control = tokio::spawn(controllers::run(registry.clone(), settings, stopped.clone()));
    let schedule = tokio::spawn(scheduler::run(registry.clone(), Profile::default(), stopped));
    let agents = tokio::spawn(agents(registry.clone()));

    let mut random = Random(seed);
    for _ in 0..60 {
        trouble(&registry, &mut random).await;
    }
    let (strays, _) = registry.list::<Pod>(Scope::All).await.unwrap();
    for stray in strays.iter().filter(|pod| pod.metadata.labels["app"] == "stray") {
        let gone = registry.delete_pod(&Key::of(stray), Grace::Default, None).await;
        assert!(matches!(gone, Ok(_) | Err(Error::NotFound { .. })), "{gone:?}");
    }
    for node in ["n1", "n2", "n3"] {
        controllers::uncordon(&registry, node).await.unwrap();
    }
    let scale = |found: &mut ReplicationController| found.spec.replicas = Some(5);
    registry.update(&Key::new("default", "web"), scale).await.unwrap();

    let mut changes = store.watch("/registry/", store.revision());
    let wait = async {
        while !converged(&registry, 5).await {
            changes.next().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_mins(2), wait).await;
    let (left, _) = registry.list::<Pod>(Scope::All).await.unwrap();
    assert!(waited.is_ok(), "seed {seed}: {left:#?}");
    replay(&store).await;

    stop.send(true).unwrap();
    control.await.unwrap().unwrap();
    schedule.await.unwrap().unwrap();
    agents.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cluster_comes_to_rest_as_asked_after_any_trouble() {
    for seed in 1..=6 {
        run(seed).await;
    }
}
