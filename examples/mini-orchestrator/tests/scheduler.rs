//! The scheduler's task over a store on disk: pods get nodes, or hear why not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::time::Duration;

use mini_orchestrator::registry::{Grace, Key, Mirror, Registry, Scope};
use mini_orchestrator::scheduler;
use mini_orchestrator::store::{Options, Store};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use windlass_pod::Object;
use windlass_pod::kinds::{Event, Node, Pod};
use windlass_scheduler_core::Profile;

struct Cluster {
    registry: Registry,
    pods: Mirror<Pod>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), scheduler::Error>>,
    _folder: TempDir,
}

impl Cluster {
    async fn new(before: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), Options::default()).await.unwrap();
        let registry = Registry::new(store);
        for object in windlass_pod::decode_yaml(before.as_bytes()).unwrap() {
            registry.apply_object(object).await.unwrap();
        }
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(scheduler::run(registry.clone(), Profile::default(), stopped));
        let pods = registry.mirror(Scope::All).await.unwrap();
        Self { registry, pods, stop, task, _folder: folder }
    }

    async fn apply(&self, text: &str) {
        for object in windlass_pod::decode_yaml(text.as_bytes()).unwrap() {
            self.registry.apply_object(object).await.unwrap();
        }
    }

    /// Waits until the pods are as wanted.
    async fn until(&mut self, is_there: impl Fn(&[&Pod]) -> bool) {
        let wait = async {
            loop {
                let pods: Vec<&Pod> = self.pods.iter().map(|pod| &**pod).collect();
                if is_there(&pods) {
                    return;
                }
                self.pods.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(Duration::from_mins(2), wait).await;
        assert!(waited.is_ok(), "{:#?}", self.pods.objects());
    }

    async fn end(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

fn node(name: &str, cpu: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}, status: {{allocatable: {{cpu: '{cpu}', memory: \
         4Gi, pods: '20'}}}}}}\n"
    )
}

fn pod(name: &str, cpu: &str, more: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{{more}containers: [{{name: main, image: \
         main, resources: {{requests: {{cpu: '{cpu}'}}}}}}]}}}}\n"
    )
}

fn condition(pod: &Pod) -> Option<(&str, &str, &str)> {
    let condition = pod.status.conditions.iter().find(|one| one.type_.as_deref() == Some("PodScheduled"))?;
    let text = |text: &'static str| text;
    Some((
        condition.status.as_deref()?,
        condition.reason.as_deref().unwrap_or_else(|| text("")),
        condition.message.as_deref().unwrap_or_else(|| text("")),
    ))
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.node_name.as_deref()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_pods_fill_the_nodes_and_never_overfill_them() {
    let nodes: String = [node("n1", "2"), node("n2", "2"), node("n3", "1")].concat();
    let mut cluster = Cluster::new(&nodes).await;
    let pods: Vec<String> = (0..30).map(|n| pod(&format!("p{n}"), "250m", "")).collect();
    cluster.apply(&pods.concat()).await;
    // 5 cpus are 20 times 250m.
    let told = |pods: &[&Pod]| pods.iter().filter(|pod| condition(pod).is_some()).count();
    cluster.until(|pods| pods.len() == 30 && told(pods) == 30).await;
    let mut by_node: BTreeMap<String, usize> = BTreeMap::new();
    for pod in cluster.pods.iter() {
        match (node_of(pod), condition(pod).unwrap()) {
            (Some(node), ("True", "", "")) => *by_node.entry(node.to_owned()).or_default() += 1,
            (None, ("False", "Unschedulable", message)) => {
                assert!(message.starts_with("0/3 nodes are available: 3 Insufficient cpu"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
    let counts: Vec<(&str, usize)> = by_node.iter().map(|(node, count)| (node.as_str(), *count)).collect();
    assert_eq!(counts, [("n1", 8), ("n2", 8), ("n3", 4)]);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_waits_gets_the_place_that_becomes_free() {
    let mut cluster = Cluster::new(&node("n1", "1")).await;
    cluster.apply(&pod("first", "800m", "")).await;
    cluster.until(|pods| pods.iter().any(|pod| node_of(pod) == Some("n1"))).await;
    cluster.apply(&pod("second", "800m", "")).await;
    let waits = |pod: &&Pod| condition(pod).is_some_and(|(status, ..)| status == "False");
    cluster.until(|pods| pods.iter().any(waits)).await;
    cluster.registry.delete_pod(&Key::new("default", "first"), Grace::Seconds(0), None).await.unwrap();
    cluster.until(|pods| matches!(pods, [pod] if node_of(pod) == Some("n1"))).await;
    assert_eq!(condition(cluster.pods.iter().next().unwrap()), Some(("True", "", "")));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cordoned_and_tainted_nodes_get_none_but_what_tolerates_them() {
    let mut cluster = Cluster::new(&[node("n1", "4"), node("n2", "4")].concat()).await;
    let taint = |node: &mut Node| {
        let taint = "{apiVersion: v1, kind: Node, spec: {taints: [{key: only, value: db, effect: NoSchedule}]}}";
        let Object::Node(with) = windlass_pod::decode_yaml(taint.as_bytes()).unwrap().remove(0) else {
            panic!("a node")
        };
        node.spec.taints.clone_from(&with.spec.taints);
    };
    cluster.registry.update(&Key::cluster("n1"), taint).await.unwrap();
    let cordon = |node: &mut Node| node.spec.unschedulable = Some(true);
    cluster.registry.update(&Key::cluster("n2"), cordon).await.unwrap();
    let tolerates = "tolerations: [{key: only, operator: Exists}], ";
    cluster.apply(&[pod("any", "100m", ""), pod("db", "100m", tolerates)].concat()).await;
    cluster.until(|pods| pods.len() == 2 && pods.iter().all(|pod| condition(pod).is_some())).await;
    let places: Vec<_> = cluster.pods.iter().map(|pod| node_of(pod)).collect();
    assert_eq!(places, [None, Some("n1")]);
    let any = cluster.pods.get(&Key::new("default", "any")).unwrap();
    let (_, _, message) = condition(any).unwrap();
    let expected = "0/2 nodes are available: 1 node(s) had untolerated taint {only: db}, 1 node(s) were unschedulable";
    assert!(message.starts_with(expected), "{message}");

    let uncordon = |node: &mut Node| node.spec.unschedulable = None;
    cluster.registry.update(&Key::cluster("n2"), uncordon).await.unwrap();
    cluster.until(|pods| pods.iter().all(|pod| node_of(pod).is_some())).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_more_important_pod_takes_the_place_of_another() {
    let mut cluster = Cluster::new(&node("n1", "1")).await;
    cluster.apply(&pod("low", "800m", "priority: 1, terminationGracePeriodSeconds: 5, ")).await;
    cluster.until(|pods| pods.iter().any(|pod| node_of(pod).is_some())).await;
    cluster.apply(&pod("high", "800m", "priority: 1000, ")).await;
    cluster.until(|pods| pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_some())).await;
    let high = cluster.pods.get(&Key::new("default", "high")).unwrap();
    assert_eq!(high.status.nominated_node_name.as_deref(), Some("n1"));
    // What the node's agent does when the pod has ended.
    cluster.registry.delete::<Pod>(&Key::new("default", "low"), None).await.unwrap();
    cluster.until(|pods| matches!(pods, [high] if node_of(high) == Some("n1"))).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_were_placed_before_count_also_when_their_node_comes_later() {
    let placed = pod("placed", "800m", "nodeName: n1, ");
    let mut cluster = Cluster::new(&[placed, pod("new", "800m", "")].concat()).await;
    cluster.until(|pods| pods.iter().any(|pod| condition(pod).is_some())).await;
    cluster.apply(&node("n1", "1")).await;
    cluster.apply(&node("n2", "1")).await;
    cluster.until(|pods| pods.iter().all(|pod| node_of(pod).is_some())).await;
    assert_eq!(node_of(cluster.pods.get(&Key::new("default", "new")).unwrap()), Some("n2"));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_scheduled_by_is_told_at_the_object_and_others_go_on() {
    let mut cluster = Cluster::new(&node("n1", "1")).await;
    cluster.apply(&node("n2", "nonsense").replace("'nonsense'", "'1e30'")).await;
    let claim = "volumes: [{name: data, persistentVolumeClaim: {claimName: data}}], ";
    cluster.apply(&[pod("claims", "100m", claim), pod("plain", "100m", "")].concat()).await;
    cluster.until(|pods| pods.len() == 2 && pods.iter().all(|pod| condition(pod).is_some())).await;
    let claims = cluster.pods.get(&Key::new("default", "claims")).unwrap();
    let (status, reason, message) = condition(claims).unwrap();
    assert_eq!((status, reason), ("False", "SchedulerError"));
    assert!(message.contains("volumes"), "{message}");
    assert_eq!(node_of(cluster.pods.get(&Key::new("default", "plain")).unwrap()), Some("n1"));
    let (events, _) = cluster.registry.list::<Event>(Scope::All).await.unwrap();
    let [event] = &events[..] else { panic!("{events:#?}") };
    assert_eq!(event.involved_object.name.as_deref(), Some("n2"));
    assert_eq!((event.reason.as_deref(), event.type_.as_deref()), (Some("SchedulerError"), Some("Warning")));
    cluster.end().await;
}
