//! The controllers' loop over a store on disk, with a stand-in for the nodes' agents.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::time::Duration;

use mini_orchestrator::controllers::{self, DrainError, Settings, Unmanaged};
use mini_orchestrator::registry::{Error, Grace, Key, Mirror, Registry, Resource, Scope};
use mini_orchestrator::store::{Options, Store};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use windlass_pod::kinds::{
    EndpointSlice, Event, Node, NodeCondition, Pod, PodCondition, PodIP, ReplicationController, Service,
};

const WEB: &str = "
apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec:
  replicas: 3
  selector: {app: web}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: web, ports: [{name: http, containerPort: 8080}]}]}
";

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.10, selector: {app: web}, ports: [{name: http, port: 80, protocol: TCP, targetPort: 8080}]}
";

fn node(name: &str) -> String {
    format!("---\n{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}}}\n")
}

struct Cluster {
    registry: Registry,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), Error>>,
    _folder: TempDir,
}

impl Cluster {
    async fn new() -> Self {
        Self::with_range("10.96.0.0/16").await
    }

    async fn with_range(range: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), Options::default()).await.unwrap();
        let registry = Registry::new(store);
        let (stop, stopped) = watch::channel(false);
        let settings = Settings { service_range: range.parse().unwrap() };
        let task = tokio::spawn(controllers::run(registry.clone(), settings, stopped));
        Self { registry, stop, task, _folder: folder }
    }

    async fn apply(&self, text: &str) {
        for object in windlass_pod::decode_yaml(text.as_bytes()).unwrap() {
            self.registry.apply_object(object).await.unwrap();
        }
    }

    /// Waits until the objects of a kind are as wanted, and gives them.
    async fn until<R: Resource>(&self, is_there: impl Fn(&[R]) -> bool) -> Vec<R> {
        let mut mirror: Mirror<R> = self.registry.mirror(Scope::All).await.unwrap();
        mirror.catch_up().await.unwrap();
        let wait = async {
            loop {
                let objects: Vec<R> = mirror.iter().map(|object| R::clone(object)).collect();
                if is_there(&objects) {
                    return objects;
                }
                mirror.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(Duration::from_mins(2), wait).await;
        waited.unwrap_or_else(|late| panic!("{late}: {:#?}", mirror.objects()))
    }

    /// What a scheduler and an agent do: the pod is on a node, has an address, and is ready or not.
    async fn run(&self, pod: &Pod, node: &str, ip: &str, ready: &str) {
        let change = |found: &mut Pod| {
            found.spec.node_name = Some(node.to_owned());
            found.status.phase = Some("Running".to_owned());
            found.status.pod_ip = Some(ip.to_owned());
            found.status.pod_ips = vec![PodIP { ip: Some(ip.to_owned()), ..PodIP::default() }];
            let condition = PodCondition {
                type_: Some("Ready".to_owned()),
                status: Some(ready.to_owned()),
                last_transition_time: found.metadata.creation_timestamp,
                ..PodCondition::default()
            };
            found.status.conditions = vec![condition];
        };
        self.registry.update(&Key::of(pod), change).await.unwrap();
    }

    /// What agents do with pods that are to end.
    fn end_pods(&self) -> JoinHandle<()> {
        let registry = self.registry.clone();
        tokio::spawn(async move {
            let mut pods: Mirror<Pod> = registry.mirror(Scope::All).await.unwrap();
            loop {
                let pod = pods.changed().await.unwrap().object().clone();
                if pod.metadata.deletion_timestamp.is_some() {
                    match registry.delete::<Pod>(&Key::of(&*pod), pod.metadata.uid.as_deref()).await {
                        Ok(()) | Err(Error::NotFound { .. } | Error::Replaced { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        })
    }

    async fn end(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

fn names<R: Resource>(objects: &[R]) -> BTreeSet<String> {
    objects.iter().map(|object| object.name().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_as_many_pods_as_wanted_through_scaling_and_deletion() {
    let cluster = Cluster::new().await;
    cluster.apply(WEB).await;
    let pods: Vec<Pod> = cluster.until(|pods: &[Pod]| pods.len() == 3).await;
    let controllers = cluster.until(|all: &[ReplicationController]| all[0].status.replicas == Some(3)).await;
    for pod in &pods {
        assert!(pod.metadata.name.as_ref().unwrap().starts_with("web-"));
        assert_eq!(pod.metadata.labels["app"], "web");
        let [owner] = &pod.metadata.owner_references[..] else { panic!("{pod:?}") };
        assert_eq!((&owner.uid, owner.controller), (&controllers[0].metadata.uid, Some(true)));
    }
    let key = Key::new("default", "web");
    for replicas in [5, 1, 0, 3] {
        let scale = |found: &mut ReplicationController| found.spec.replicas = Some(replicas);
        cluster.registry.update(&key, scale).await.unwrap();
        cluster.until(|pods: &[Pod]| i32::try_from(pods.len()) == Ok(replicas)).await;
        cluster.until(|all: &[ReplicationController]| all[0].status.replicas == Some(replicas)).await;
    }
    let pods: Vec<Pod> = cluster.until(|pods: &[Pod]| pods.len() == 3).await;
    let before = names(&pods);
    cluster.registry.delete_pod(&Key::of(&pods[0]), Grace::Default, None).await.unwrap();
    let after = cluster.until(|pods: &[Pod]| pods.len() == 3 && names(pods) != before).await;
    assert_eq!(names(&after).intersection(&before).count(), 2, "the others stay");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_ends_is_replaced_at_once_and_one_that_is_ready_is_kept() {
    let cluster = Cluster::new().await;
    cluster.apply(&[node("n1"), WEB.replacen('\n', "---\n", 1)].concat()).await;
    let pods: Vec<Pod> = cluster.until(|pods: &[Pod]| pods.len() == 3).await;
    cluster.run(&pods[0], "n1", "10.1.1.2", "True").await;
    cluster.run(&pods[1], "n1", "10.1.1.3", "True").await;
    let ready = |all: &[ReplicationController]| all[0].status.ready_replicas == Some(2);
    cluster.until(ready).await;
    cluster.registry.delete_pod(&Key::of(&pods[0]), Grace::Default, None).await.unwrap();
    let all: Vec<Pod> = cluster.until(|pods: &[Pod]| pods.len() == 4).await;
    assert_eq!(all.iter().filter(|pod| pod.metadata.deletion_timestamp.is_some()).count(), 1);

    let scale = |found: &mut ReplicationController| found.spec.replicas = Some(1);
    cluster.registry.update(&Key::new("default", "web"), scale).await.unwrap();
    let left: Vec<Pod> = cluster.until(|pods: &[Pod]| pods.len() == 2).await;
    assert_eq!(names(&left), names(&pods[..2]), "the one that ends and the one that is ready");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_adopted_and_let_go_by_their_labels() {
    let cluster = Cluster::new().await;
    let stray = "{apiVersion: v1, kind: Pod, metadata: {name: stray, labels: {app: web}}, spec: {containers: [{name: \
                 main, image: web}]}}";
    cluster.apply(stray).await;
    cluster.apply(WEB).await;
    let pods: Vec<Pod> = cluster.until(|pods: &[Pod]| pods.len() == 3).await;
    assert!(names(&pods).contains("stray"));
    let owned = |pods: &[Pod]| pods.iter().filter(|pod| !pod.metadata.owner_references.is_empty()).count();
    cluster.until(|pods: &[Pod]| pods.len() == 3 && owned(pods) == 3).await;

    let relabel = |pod: &mut Pod| drop(pod.metadata.labels.insert("app".to_owned(), "debug".to_owned()));
    cluster.registry.update(&Key::new("default", "stray"), relabel).await.unwrap();
    let pods: Vec<Pod> = cluster.until(|pods: &[Pod]| pods.len() == 4 && owned(pods) == 3).await;
    let stray = pods.iter().find(|pod| pod.metadata.name.as_deref() == Some("stray")).unwrap();
    assert_eq!(stray.metadata.owner_references, []);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_that_cannot_be_created_is_told_and_tried_again_when_it_is_better() {
    let cluster = Cluster::new().await;
    cluster.apply(&WEB.replace("metadata: {labels", "metadata: {finalizers: [example.com/wait], labels")).await;
    let failed = |all: &[ReplicationController]| !all[0].status.conditions.is_empty();
    let all = cluster.until(failed).await;
    let condition = &all[0].status.conditions[0];
    assert_eq!(
        (condition.type_.as_deref(), condition.reason.as_deref()),
        (Some("ReplicaFailure"), Some("FailedCreate"))
    );
    assert!(condition.message.as_ref().unwrap().contains("metadata.finalizers is not supported"), "{condition:?}");
    let events = cluster.until(|events: &[Event]| !events.is_empty()).await;
    assert_eq!(events[0].involved_object.name.as_deref(), Some("web"));
    cluster.apply(WEB).await;
    cluster.until(|pods: &[Pod]| pods.len() == 3).await;
    cluster.until(|all: &[ReplicationController]| all[0].status.conditions.is_empty()).await;
    cluster.end().await;
}

/// Address, ready, terminating of every endpoint.
fn endpoints(slices: &[EndpointSlice]) -> Vec<(String, bool, bool)> {
    let all = slices.iter().flat_map(|slice| &slice.endpoints);
    let mut told: Vec<_> = all
        .map(|endpoint| {
            let conditions = &endpoint.conditions;
            (endpoint.addresses[0].clone(), conditions.ready == Some(true), conditions.terminating == Some(true))
        })
        .collect();
    told.sort();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_follow_the_pods_of_a_service_and_go_with_it() {
    let cluster = Cluster::new().await;
    cluster
        .apply(&[node("n1"), node("n2"), WEB.replacen('\n', "---\n", 1), SERVICE.replacen('\n', "---\n", 1)].concat())
        .await;
    let pods: Vec<Pod> = cluster.until(|pods: &[Pod]| pods.len() == 3).await;
    let slices = cluster.until(|slices: &[EndpointSlice]| slices.len() == 1).await;
    assert_eq!((endpoints(&slices), slices[0].metadata.labels["kubernetes.io/service-name"].as_str()), (vec![], "web"));
    cluster.run(&pods[0], "n1", "10.1.1.2", "True").await;
    cluster.run(&pods[1], "n2", "10.1.2.2", "False").await;
    let told = |address: &str, ready, terminating| (address.to_owned(), ready, terminating);
    let expected = [told("10.1.1.2", true, false), told("10.1.2.2", false, false)];
    let slices = cluster.until(|slices: &[EndpointSlice]| endpoints(slices) == expected).await;
    assert_eq!(
        (slices.len(), slices[0].ports[0].port, slices[0].ports[0].name.as_deref()),
        (1, Some(8080), Some("http"))
    );

    cluster.run(&pods[1], "n2", "10.1.2.2", "True").await;
    cluster.registry.delete_pod(&Key::of(&pods[0]), Grace::Default, None).await.unwrap();
    let expected = [told("10.1.1.2", false, true), told("10.1.2.2", true, false)];
    cluster.until(|slices: &[EndpointSlice]| endpoints(slices) == expected).await;
    cluster.registry.delete::<Pod>(&Key::of(&pods[0]), None).await.unwrap();
    let after = cluster.until(|slices: &[EndpointSlice]| endpoints(slices) == expected[1..]).await;
    assert_eq!(names(&after), names(&slices), "a slice changes, it is not replaced");

    cluster.registry.delete::<Service>(&Key::new("default", "web"), None).await.unwrap();
    cluster.until(|slices: &[EndpointSlice]| slices.is_empty()).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_get_addresses_that_nobody_has_while_there_are_some() {
    let cluster = Cluster::with_range("192.0.2.0/30").await;
    let service = |name: &str, more: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{{more}ports: [{{port: 80}}]}}}}\n"
        )
    };
    let fixed = service("fixed", "clusterIP: 192.0.2.1, ");
    let others =
        [service("headless", "clusterIP: None, "), service("named", "type: ExternalName, externalName: a.b, ")];
    cluster.apply(&[fixed, others.concat(), service("a", "")].concat()).await;
    let address = |services: &[Service], name: &str| {
        let found = services.iter().find(|service| service.metadata.name.as_deref() == Some(name));
        found.and_then(|service| service.spec.cluster_ip.clone()).unwrap_or_default()
    };
    let services = cluster.until(|all: &[Service]| address(all, "a") == "192.0.2.2").await;
    assert_eq!((address(&services, "headless"), address(&services, "named")), ("None".to_owned(), String::new()));
    cluster.apply(&service("b", "")).await;
    let events = cluster.until(|events: &[Event]| !events.is_empty()).await;
    assert_eq!(events[0].message.as_deref(), Some("no address of 192.0.2.0/30 is free"));
    cluster.registry.delete::<Service>(&Key::new("default", "fixed"), None).await.unwrap();
    cluster.until(|all: &[Service]| address(all, "b") == "192.0.2.1").await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taints_follow_what_keeps_pods_off_a_node_and_leave_others_alone() {
    let cluster = Cluster::new().await;
    let own = "{apiVersion: v1, kind: Node, metadata: {name: n1}, spec: {taints: [{key: mine, effect: NoExecute}]}}";
    cluster.apply(own).await;
    let taints = |nodes: &[Node]| -> Vec<String> {
        let taint = |taint: &windlass_pod::kinds::Taint| {
            format!("{}:{}", taint.key.as_deref().unwrap(), taint.effect.as_deref().unwrap())
        };
        nodes[0].spec.taints.iter().map(taint).collect()
    };
    let (mine, cordoned) = ("mine:NoExecute", "node.kubernetes.io/unschedulable:NoSchedule");
    let not_ready = "node.kubernetes.io/not-ready:NoSchedule";
    controllers::cordon(&cluster.registry, "n1").await.unwrap();
    cluster.until(|nodes: &[Node]| taints(nodes) == [mine, cordoned]).await;
    let ready = |status: &'static str| {
        move |found: &mut windlass_pod::kinds::NodeStatus| {
            let condition = NodeCondition {
                type_: Some("Ready".to_owned()),
                status: Some(status.to_owned()),
                ..NodeCondition::default()
            };
            found.conditions = vec![condition];
        }
    };
    let key = Key::cluster("n1");
    cluster.registry.update_status::<Node>(&key, ready("False")).await.unwrap();
    cluster.until(|nodes: &[Node]| taints(nodes) == [mine, cordoned, not_ready]).await;
    controllers::uncordon(&cluster.registry, "n1").await.unwrap();
    cluster.until(|nodes: &[Node]| taints(nodes) == [mine, not_ready]).await;
    cluster.registry.update_status::<Node>(&key, ready("True")).await.unwrap();
    cluster.until(|nodes: &[Node]| taints(nodes) == [mine]).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_moves_what_has_a_controller_and_asks_about_the_rest() {
    let cluster = Cluster::new().await;
    let single = "---\n{apiVersion: v1, kind: Pod, metadata: {name: single}, spec: {nodeName: n1, containers: [{name: \
                  main, image: web}]}}\n";
    cluster.apply(&[&node("n1"), single, &WEB.replacen('\n', "---\n", 1)].concat()).await;
    let pods: Vec<Pod> = cluster.until(|pods: &[Pod]| pods.len() == 4).await;
    for (number, pod) in pods.iter().filter(|pod| pod.metadata.name.as_deref() != Some("single")).enumerate() {
        cluster.run(pod, if number < 2 { "n1" } else { "n2" }, &format!("10.1.1.{number}"), "True").await;
    }
    cluster.apply(&node("n2")).await;
    let drain = |unmanaged, millis| {
        let registry = cluster.registry.clone();
        async move { controllers::drain(&registry, "n1", unmanaged, Duration::from_millis(millis)).await }
    };
    let refused = drain(Unmanaged::Refuse, 10_000).await.unwrap_err();
    assert_eq!(refused.to_string(), "node n1: pods without a controller: default/single");
    let late = drain(Unmanaged::Leave, 50).await.unwrap_err();
    assert!(matches!(&late, DrainError::Timeout { pods, .. } if pods.len() == 2), "{late}");

    let agents = cluster.end_pods();
    let gone = drain(Unmanaged::Leave, 10_000).await.unwrap();
    assert_eq!(gone.len(), 2);
    let here = |pods: &[Pod]| pods.iter().filter(|pod| pod.spec.node_name.as_deref() == Some("n1")).count();
    let after: Vec<Pod> = cluster.until(|pods: &[Pod]| pods.len() == 4).await;
    assert_eq!((here(&after), names(&after).contains("single")), (1, true));
    assert_eq!(drain(Unmanaged::Evict, 10_000).await.unwrap(), [Key::new("default", "single")]);
    let nodes = cluster.until(|nodes: &[Node]| nodes.len() == 2).await;
    assert_eq!(nodes[0].spec.unschedulable, Some(true));
    agents.abort();
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_without_owner_or_node_go() {
    let cluster = Cluster::new().await;
    cluster.apply(&[node("n1"), node("n2"), WEB.replacen('\n', "---\n", 1)].concat()).await;
    let pods: Vec<Pod> = cluster.until(|pods: &[Pod]| pods.len() == 3).await;
    for pod in &pods {
        cluster.run(pod, "n1", "10.1.1.2", "True").await;
    }
    cluster.registry.delete::<Node>(&Key::cluster("n1"), None).await.unwrap();
    let before = names(&pods);
    let after = cluster.until(|pods: &[Pod]| pods.len() == 3 && names(pods).is_disjoint(&before)).await;
    cluster.run(&after[0], "n2", "10.1.2.2", "True").await;
    cluster.registry.delete::<ReplicationController>(&Key::new("default", "web"), None).await.unwrap();
    let left = cluster.until(|pods: &[Pod]| pods.len() == 1).await;
    assert_eq!(names(&left), names(&after[..1]), "the one on a node gets its time");
    cluster.until(|pods: &[Pod]| pods[0].metadata.deletion_timestamp.is_some()).await;
    cluster.end().await;
}
