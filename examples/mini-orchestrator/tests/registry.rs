//! Typed objects over a store on disk: what creating, changing and removing them does, and mirrors of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use mini_orchestrator::registry::journal::Journal;
use mini_orchestrator::registry::{Delta, Error, Grace, Key, Registry, Removal, Revision, Scope};
use mini_orchestrator::store::{Expect, Options, Store};
use tempfile::TempDir;
use windlass_pod::Object;
use windlass_pod::kinds::{ConfigMap, Node, Pod, ReplicationController};

const NOW: Duration = Duration::from_secs(1_800_000_123);

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 7
  containers: [{name: main, image: web, imagine: kept}]
";

async fn registry() -> (TempDir, Store, Registry) {
    registry_with(Options::default()).await
}

async fn registry_with(options: Options) -> (TempDir, Store, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store"), options).await.unwrap();
    let registry = Registry::with_clock(store.clone(), || NOW);
    (folder, store, registry)
}

fn object<K: TryFrom<Object>>(text: &str) -> K {
    let object = windlass_pod::decode_yaml(text.as_bytes()).unwrap().remove(0);
    object.try_into().unwrap_or_else(|_| panic!("another kind: {text}"))
}

fn config(name: &str, greeting: &str) -> ConfigMap {
    object(&format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}, data: {{greeting: {greeting}}}}}"))
}

#[tokio::test]
async fn a_created_object_has_what_only_the_cluster_gives() {
    let (_folder, store, registry) = registry().await;
    let created: Pod = registry.create(object(POD)).await.unwrap();
    let metadata = &created.metadata;
    assert_eq!(metadata.namespace.as_deref(), Some("default"));
    assert_eq!(metadata.creation_timestamp.unwrap().to_string(), "2027-01-15T08:02:03Z");
    assert_eq!(metadata.resource_version.as_deref(), Some("1"));
    assert_eq!(metadata.generation, Some(1));
    assert_eq!(metadata.uid.as_ref().unwrap().len(), 36);
    let key = Key::of(&created);
    assert_eq!(registry.get::<Pod>(&key).await.unwrap(), Some(created));
    let stored = store.get("/registry/pods/default/web").await.unwrap().unwrap();
    let text = String::from_utf8(stored.value.to_vec()).unwrap();
    assert!(text.contains("\"imagine\":\"kept\"") && !text.contains("resourceVersion"), "{text}");

    let again = registry.create::<Pod>(object(POD)).await.unwrap_err();
    assert_eq!(again.to_string(), "Pod default/web: already exists");
}

#[tokio::test]
async fn a_generated_name_is_new_each_time() {
    let (_folder, _store, registry) = registry().await;
    let text = POD.replace("name: web,", "generateName: web-,");
    let (first, second): (Pod, Pod) =
        (registry.create(object(&text)).await.unwrap(), registry.create(object(&text)).await.unwrap());
    let names = [first.metadata.name.unwrap(), second.metadata.name.unwrap()];
    for name in &names {
        let suffix = name.strip_prefix("web-").unwrap();
        assert!(suffix.len() == 5 && suffix.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)), "{name}");
    }
    assert_ne!(names[0], names[1]);
}

#[tokio::test]
async fn what_cannot_be_held_is_refused() {
    let (_folder, _store, registry) = registry().await;
    let with_finalizer = POD.replace("name: web,", "name: web, finalizers: [example.com/wait],");
    let error = registry.create::<Pod>(object(&with_finalizer)).await.unwrap_err();
    assert_eq!(error.to_string(), "Pod default/web: metadata.finalizers is not supported");
    let job = "{apiVersion: batch/v1, kind: Job, metadata: {name: once}}";
    let error = registry.apply_object(windlass_pod::decode_yaml(job.as_bytes()).unwrap().remove(0)).await.unwrap_err();
    assert_eq!(error.to_string(), "Job once: kind is not supported");
    let error = registry.update(&Key::new("default", "none"), |_: &mut Pod| ()).await.unwrap_err();
    assert_eq!(error.to_string(), "Pod default/none: not found");
}

#[tokio::test]
async fn what_its_kind_does_not_allow_is_told_whole_and_not_written() {
    let (_folder, store, registry) = registry().await;
    let mut bad = config("Bad", "x");
    bad.data.insert("no/slash".to_owned(), String::new());
    let refused = registry.create(bad).await.unwrap_err();
    let Error::Invalid { violations, .. } = &refused else { panic!("{refused}") };
    let paths: Vec<&str> = violations.iter().map(|violation| violation.path.as_str()).collect();
    assert_eq!(paths, ["metadata.name", "data[no/slash]"]);
    assert!(refused.to_string().starts_with("ConfigMap default/Bad: metadata.name: Invalid value: "), "{refused}");

    registry.create(config("good", "x")).await.unwrap();
    let spoil = |map: &mut ConfigMap| drop(map.data.insert("no/slash".to_owned(), String::new()));
    let refused = registry.update(&Key::new("default", "good"), spoil).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
    assert_eq!(store.revision(), Revision(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_of_many_writers_is_lost() {
    let (_folder, _store, registry) = registry().await;
    registry.create(config("counter", "'0'")).await.unwrap();
    let key = Key::new("default", "counter");
    let writers: Vec<_> = (0..12)
        .map(|_| {
            let (registry, key) = (registry.clone(), key.clone());
            tokio::spawn(async move {
                let add = |map: &mut ConfigMap| {
                    let count: u32 = map.data["greeting"].parse().unwrap();
                    map.data.insert("greeting".to_owned(), (count + 1).to_string());
                };
                registry.update(&key, add).await.unwrap();
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let map: ConfigMap = registry.get(&key).await.unwrap().unwrap();
    assert_eq!(map.data["greeting"], "12");
    assert_eq!(map.metadata.generation, Some(13));
    assert_eq!(map.metadata.resource_version.as_deref(), Some("13"));
}

#[tokio::test]
async fn a_change_keeps_who_the_object_is_and_no_change_writes_nothing() {
    let (_folder, store, registry) = registry().await;
    let before: Pod = registry.create(object(POD)).await.unwrap();
    let key = Key::of(&before);
    let same = registry.update(&key, |_: &mut Pod| ()).await.unwrap();
    assert_eq!((&same, store.revision()), (&before, Revision(1)));
    let after = registry
        .update(&key, |pod: &mut Pod| {
            pod.metadata.uid = Some("another".to_owned());
            pod.metadata.name = Some("another".to_owned());
            pod.spec.node_name = Some("node-1".to_owned());
        })
        .await
        .unwrap();
    assert_eq!((&after.metadata.uid, &after.metadata.name), (&before.metadata.uid, &before.metadata.name));
    assert_eq!(after.metadata.generation, Some(2));
    let ready = registry.update_status::<Pod>(&key, |status| status.phase = Some("Running".to_owned())).await.unwrap();
    assert_eq!(ready.metadata.generation, Some(2), "the state is not what is wanted");
    assert_eq!(ready.spec.node_name.as_deref(), Some("node-1"));
    assert_eq!(store.revision(), Revision(3));
}

#[tokio::test]
async fn applying_makes_or_changes_and_keeps_what_the_cluster_filled_in() {
    let (_folder, store, registry) = registry().await;
    let service = "
apiVersion: v1
kind: Service
metadata: {name: web, labels: {a: b}}
spec: {selector: {app: web}, ports: [{port: 80}]}
";
    let manifest = || windlass_pod::decode_yaml(service.as_bytes()).unwrap().remove(0);
    let Object::Service(made) = registry.apply_object(manifest()).await.unwrap() else { panic!("another kind") };
    let key = Key::of(&*made);
    registry
        .update(&key, |service: &mut windlass_pod::kinds::Service| {
            service.spec.cluster_ip = Some("10.96.0.10".to_owned());
        })
        .await
        .unwrap();
    registry.apply_object(manifest()).await.unwrap();
    assert_eq!(store.revision(), Revision(2), "the same manifest again changes nothing");
    let changed = service.replace("port: 80", "port: 81").replace("a: b", "a: c");
    let Object::Service(changed) =
        registry.apply_object(windlass_pod::decode_yaml(changed.as_bytes()).unwrap().remove(0)).await.unwrap()
    else {
        panic!("another kind")
    };
    assert_eq!(changed.spec.cluster_ip.as_deref(), Some("10.96.0.10"));
    assert_eq!((changed.spec.ports[0].port, changed.metadata.labels["a"].as_str()), (Some(81), "c"));
    assert_eq!(changed.metadata.uid, made.metadata.uid);
}

#[tokio::test]
async fn a_pod_on_a_node_gets_its_time_and_another_goes_at_once() {
    let (_folder, _store, registry) = registry().await;
    let pod: Pod = registry.create(object(POD)).await.unwrap();
    let key = Key::of(&pod);
    assert_eq!(registry.delete_pod(&key, Grace::Default, None).await.unwrap(), Removal::Removed);
    assert_eq!(registry.get::<Pod>(&key).await.unwrap(), None);

    let bound = POD.replace("spec:\n", "spec:\n  nodeName: node-1\n");
    let pod: Pod = registry.create(object(&bound)).await.unwrap();
    let uid = pod.metadata.uid.as_deref();
    let other = registry.delete_pod(&key, Grace::Default, Some("another")).await.unwrap_err();
    assert!(matches!(other, Error::Replaced { .. }), "{other}");
    let marks = |removal: Removal| match removal {
        Removal::Ending(pod) => {
            let deletion = pod.metadata.deletion_timestamp.unwrap().unix_seconds();
            (deletion - i64::try_from(NOW.as_secs()).unwrap(), pod.metadata.deletion_grace_period_seconds.unwrap())
        }
        Removal::Removed => panic!("it is gone"),
    };
    assert_eq!(marks(registry.delete_pod(&key, Grace::Default, uid).await.unwrap()), (7, 7));
    assert_eq!(marks(registry.delete_pod(&key, Grace::Seconds(2), uid).await.unwrap()), (2, 2));
    assert_eq!(marks(registry.delete_pod(&key, Grace::Seconds(60), uid).await.unwrap()), (2, 2));
    assert_eq!(registry.delete_pod(&key, Grace::Seconds(0), uid).await.unwrap(), Removal::Removed);
    let gone = registry.delete::<Pod>(&key, uid).await.unwrap_err();
    assert_eq!(gone.to_string(), "Pod default/web: not found");

    registry.create::<Pod>(object(&bound)).await.unwrap();
    registry.update_status::<Pod>(&key, |status| status.phase = Some("Failed".to_owned())).await.unwrap();
    assert_eq!(registry.delete_pod(&key, Grace::Default, None).await.unwrap(), Removal::Removed);
}

fn told<R: mini_orchestrator::registry::Resource>(deltas: &[Delta<R>]) -> Vec<String> {
    let word = |delta: &Delta<R>| match delta {
        Delta::Added(_) => "+",
        Delta::Updated { .. } => "~",
        Delta::Deleted(_) => "-",
    };
    deltas.iter().map(|delta| format!("{}{}", word(delta), Key::of(&**delta.object()))).collect()
}

#[tokio::test]
async fn a_mirror_knows_at_once_what_was_written_and_recovers_when_it_is_too_late() {
    let (_folder, _store, registry) = registry_with(Options { events_max: 4, ..Options::default() }).await;
    registry.create(config("a", "x")).await.unwrap();
    registry.create(config("b", "x")).await.unwrap();
    let mut mirror = registry.mirror::<ConfigMap>(Scope::Namespace("default")).await.unwrap();
    assert_eq!(told(&mirror.catch_up().await.unwrap()), ["+default/a", "+default/b"]);
    registry.delete::<ConfigMap>(&Key::new("default", "a"), None).await.unwrap();
    registry.create(config("c", "x")).await.unwrap();
    assert_eq!(told(&mirror.catch_up().await.unwrap()), ["-default/a", "+default/c"]);
    assert_eq!(mirror.get(&Key::new("default", "a")), None);

    for greeting in ["1", "2", "3", "4", "5", "6"] {
        registry
            .update(&Key::new("default", "b"), |map: &mut ConfigMap| {
                map.data.insert("greeting".to_owned(), greeting.to_owned());
            })
            .await
            .unwrap();
    }
    registry.delete::<ConfigMap>(&Key::new("default", "c"), None).await.unwrap();
    let first = tokio::time::timeout(Duration::from_mins(1), mirror.changed()).await.unwrap().unwrap();
    let rest = mirror.catch_up().await.unwrap();
    assert_eq!((told(&[first]), told(&rest)), (vec!["~default/b".to_owned()], vec!["-default/c".to_owned()]));
    let names: Vec<_> = mirror.iter().map(|map| map.metadata.name.clone().unwrap()).collect();
    assert_eq!(names, ["b"]);
}

#[tokio::test]
async fn what_is_no_object_of_its_kind_is_named() {
    let (_folder, store, registry) = registry().await;
    store
        .put("/registry/pods/default/web", b"{\"kind\":\"Node\",\"apiVersion\":\"v1\"}".to_vec(), Expect::Any)
        .await
        .unwrap();
    let error = registry.get::<Pod>(&Key::new("default", "web")).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot decode /registry/pods/default/web");
}

#[tokio::test]
async fn the_journal_tells_what_changed_with_its_revision() {
    let (_folder, _store, registry) = registry().await;
    registry.create::<Node>(object("{apiVersion: v1, kind: Node, metadata: {name: node-1}}")).await.unwrap();
    let mut journal = Journal::open(&registry).await.unwrap();
    let pod: Pod = registry.create(object(POD)).await.unwrap();
    let key = Key::of(&pod);
    registry.update(&key, |pod: &mut Pod| pod.spec.node_name = Some("node-1".to_owned())).await.unwrap();
    let status = "
apiVersion: v1
kind: Pod
status:
  phase: Running
  podIP: 10.1.0.2
  conditions: [{type: Ready, status: 'False', reason: ContainersNotReady}]
  containerStatuses: [{name: main, ready: false, restartCount: 1, state: {running: {}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}}]
";
    let running: Pod = object(status);
    registry.update_status::<Pod>(&key, |status| status.clone_from(&running.status)).await.unwrap();
    registry.update(&Key::cluster("node-1"), |node: &mut Node| node.spec.unschedulable = Some(true)).await.unwrap();
    registry.delete::<Pod>(&key, None).await.unwrap();
    let controller = "{apiVersion: v1, kind: ReplicationController, metadata: {name: web}, spec: {replicas: 3, selector: \
                      {app: web}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: main, image: \
                      web}]}}}}";
    registry.create::<ReplicationController>(object(controller)).await.unwrap();

    let mut lines = Vec::new();
    for _ in 0..6 {
        let transition = tokio::time::timeout(Duration::from_mins(1), journal.next()).await.unwrap().unwrap();
        let changes: Vec<String> = transition.changes.iter().map(ToString::to_string).collect();
        let event = transition.event;
        lines.push(format!("{} {} {} {event:?} {changes:?}", transition.revision, transition.kind, transition.key));
    }
    let expected = [
        "2 Pod default/web Created []",
        "3 Pod default/web Updated [\"spec.nodeName: - -> node-1\"]",
        "4 Pod default/web Updated [\"status.conditions[Ready]: - -> False (ContainersNotReady)\", \
         \"status.containerStatuses[main].lastState: - -> terminated 137 (OOMKilled)\", \
         \"status.containerStatuses[main].ready: - -> false\", \
         \"status.containerStatuses[main].restartCount: - -> 1\", \
         \"status.containerStatuses[main].state: - -> running\", \"status.phase: - -> Running\", \
         \"status.podIP: - -> 10.1.0.2\"]",
        "5 Node node-1 Updated [\"spec.unschedulable: - -> true\"]",
        "6 Pod default/web Deleted []",
        "7 ReplicationController default/web Created [\"spec.replicas: - -> 3\"]",
    ];
    assert_eq!(lines, expected);
}
