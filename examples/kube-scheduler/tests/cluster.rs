//! The scheduler against an API server on loopback.

mod stub;

use std::future::Future;
use std::process::Stdio;

use kube::{Client, Config};
use kube_scheduler::schedule::{Settings, run};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use windlass_pod::rbac::{Action, Authorizer, Policy, Request};
use windlass_pod::{Object, decode_yaml, defaults, validate};
use windlass_scheduler_core::Profile;

use stub::{Expiry, State, Stub};

const NAME: &str = "windlass-scheduler";

fn node(name: &str, cpu: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": format!("uid-{name}")},
        "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}},
    })
}

fn pod(name: &str, cpu: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}")},
        "spec": {
            "schedulerName": NAME,
            "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}],
        },
        "status": {"phase": "Pending"},
    })
}

fn with(mut object: Value, path: &str, value: Value) -> Value {
    let (parent, field) = path.rsplit_once('/').expect("a path has a parent");
    object.pointer_mut(parent).expect("the parent is there")[field] = value;
    object
}

fn node_of<'a>(state: &'a State, pod: &str) -> Option<&'a str> {
    state.objects.get("pods", "default", pod)?["spec"]["nodeName"].as_str()
}

/// The pod's condition `PodScheduled`, when it says no.
fn denial<'a>(state: &'a State, pod: &str) -> Option<&'a Value> {
    let conditions = state.objects.get("pods", "default", pod)?["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == "PodScheduled" && condition["status"] == "False")
}

fn events<'a>(state: &'a State, reason: &'a str) -> Vec<&'a str> {
    let events = state.objects.all("events").filter(|event| event["reason"] == *reason);
    events.filter_map(|event| event["regarding"]["name"].as_str()).collect()
}

/// Runs the scheduler beside `test`, and checks that it asked for nothing that `deploy.yaml` does not grant.
async fn scheduled<F: Future<Output = ()>>(stub: &Stub, dry_run: bool, test: F) {
    let mut profile = Profile::default();
    NAME.clone_into(&mut profile.scheduler_name);
    let client = Client::try_from(Config::new(stub.url().parse().expect("a URL"))).expect("a client");
    let (stop, stopped) = oneshot::channel::<()>();
    let settings = Settings { profile, dry_run, json: true };
    let run = tokio::spawn(run(client, settings, async { drop(stopped.await) }));
    test.await;
    drop(stop);
    run.await.expect("the scheduler does not panic").expect("the scheduler ends well");
    only_what_is_granted(stub);
}

fn manifest() -> Vec<Object> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy.yaml");
    decode_yaml(&std::fs::read(path).expect("the manifest is there")).expect("the manifest is YAML")
}

fn only_what_is_granted(stub: &Stub) {
    let mut policy = Policy::default();
    for object in manifest() {
        match object {
            Object::ClusterRole(role) => policy.cluster_roles.push(*role),
            Object::ClusterRoleBinding(binding) => policy.cluster_role_bindings.push(*binding),
            _ => {}
        }
    }
    let authorizer = Authorizer::new(&policy);
    let user = "system:serviceaccount:kube-system:windlass-scheduler";
    for asked in stub.look(|state| state.asked.clone()) {
        let action = if asked.plural.is_empty() {
            Action::Path(&asked.path)
        } else {
            Action::Resource {
                namespace: &asked.namespace,
                api_group: &asked.group,
                resource: &asked.plural,
                subresource: &asked.subresource,
                name: &asked.name,
            }
        };
        let answer = authorizer.decide(&Request { user, groups: &[], verb: asked.verb, action });
        assert!(answer.is_allowed(), "deploy.yaml grants no {} {}", asked.verb, asked.path);
    }
}

#[tokio::test]
async fn pods_are_bound_where_the_library_says() {
    let stub = Stub::start().await;
    for name in ["n1", "n2", "n3"] {
        stub.put("nodes", node(name, "4"));
    }
    for index in 0..6 {
        stub.put("pods", pod(&format!("p{index}"), "1"));
    }
    stub.put("pods", with(pod("foreign", "1"), "/spec/schedulerName", json!("default-scheduler")));
    stub.put("pods", with(pod("gated", "1"), "/spec/schedulingGates", json!([{"name": "later"}])));
    scheduled(&stub, false, async {
        let all = |state: &State| (0..6).all(|index| node_of(state, &format!("p{index}")).is_some());
        stub.until("all pods have nodes", all).await;
        for name in ["n1", "n2", "n3"] {
            let on = stub.look(|state| state.objects.all("pods").filter(|pod| pod["spec"]["nodeName"] == name).count());
            assert_eq!(on, 2, "{name}");
        }
        stub.until("each has an event", |state| events(state, "Scheduled").len() == 6).await;
        // The gate falls.
        stub.put("pods", pod("gated", "1"));
        stub.until("the gated pod has a node", |state| node_of(state, "gated").is_some()).await;
    })
    .await;
    assert_eq!(stub.look(|state| node_of(state, "foreign").map(str::to_owned)), None);
    let binding = stub.look(|state| state.asked.iter().find(|asked| asked.subresource == "binding").cloned());
    let binding = binding.expect("there are bindings").body;
    assert_eq!(binding["metadata"]["uid"], format!("uid-{}", binding["metadata"]["name"].as_str().expect("a name")));
}

#[tokio::test]
async fn a_pod_that_fits_nowhere_is_told_why_and_goes_where_room_appears() {
    let stub = Stub::start().await;
    stub.put("nodes", node("small", "1"));
    stub.put("pods", pod("big", "2"));
    scheduled(&stub, false, async {
        stub.until("the pod says why", |state| denial(state, "big").is_some()).await;
        let denial = stub.look(|state| denial(state, "big").cloned()).expect("it was there");
        assert_eq!(denial["reason"], "Unschedulable");
        let message = denial["message"].as_str().expect("a message");
        assert!(message.starts_with("0/1 nodes are available: 1 Insufficient cpu."), "{message}");
        assert!(denial["lastTransitionTime"].is_string(), "{denial}");
        stub.until("and an event says so", |state| events(state, "FailedScheduling") == ["big"]).await;
        stub.put("nodes", node("large", "4"));
        stub.until("it has the new node", |state| node_of(state, "big") == Some("large")).await;
    })
    .await;
    // What it says of itself is no reason to try again.
    let patches = stub.look(|state| state.asked.iter().filter(|asked| asked.subresource == "status").count());
    assert_eq!(patches, 1);
}

#[tokio::test]
async fn the_important_take_the_place_of_others() {
    let stub = Stub::start().await;
    stub.put("nodes", node("only", "2"));
    let running = with(pod("victim", "2"), "/spec/nodeName", json!("only"));
    stub.put("pods", with(running, "/spec/priority", json!(1)));
    stub.put("pods", with(pod("urgent", "2"), "/spec/priority", json!(100)));
    scheduled(&stub, false, async {
        stub.until("the urgent pod has the node", |state| node_of(state, "urgent") == Some("only")).await;
    })
    .await;
    stub.look(|state| {
        assert!(state.objects.get("pods", "default", "victim").is_none());
        let on = |name: &str| state.asked.iter().find(|asked| asked.name == name && asked.verb != "list").cloned();
        let target = &on("victim").expect("it was told").body["status"]["conditions"][0];
        assert_eq!((&target["type"], &target["reason"]), (&json!("DisruptionTarget"), &json!("PreemptionByScheduler")));
        let deletion = state.asked.iter().find(|asked| asked.verb == "delete").expect("it was deleted");
        assert_eq!(deletion.body["preconditions"]["uid"], "uid-victim");
        assert_eq!(on("urgent").expect("it was nominated").body["status"]["nominatedNodeName"], "only");
        assert_eq!(events(state, "Preempted"), ["victim"]);
    });
}

#[tokio::test]
async fn what_the_server_refuses_is_tried_again() {
    let stub = Stub::start().await;
    stub.put("nodes", node("only", "2"));
    for code in [500, 409, 429] {
        stub.refuse("binding", code);
    }
    stub.refuse("nodes", 503);
    stub.put("pods", pod("late", "1"));
    scheduled(&stub, false, async {
        stub.until("it is bound at last", |state| node_of(state, "late").is_some()).await;
    })
    .await;
}

#[tokio::test]
async fn what_went_while_nobody_watched_is_noticed() {
    for expiry in [Expiry::Code, Expiry::Event] {
        let stub = Stub::start().await;
        stub.put("nodes", node("a", "2"));
        stub.put("pods", with(pod("tenant", "2"), "/spec/nodeName", json!("a")));
        scheduled(&stub, false, async {
            stub.put("pods", pod("next", "2"));
            stub.until("there is no room", |state| denial(state, "next").is_some()).await;
            stub.remove("pods", "default", "tenant");
            stub.forget(expiry);
            stub.until("the room was found", |state| node_of(state, "next") == Some("a")).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_pod_before_its_node_and_objects_that_cannot_be_taken_harm_nothing() {
    let stub = Stub::start().await;
    stub.put("pods", with(pod("early", "2"), "/spec/nodeName", json!("later")));
    let odd = with(pod("odd", "1"), "/spec/containers/0/resources", json!({"requests": {"cpu": "-1"}}));
    stub.put("pods", odd);
    stub.put("nodes", with(node("broken", "1"), "/status/allocatable", json!({"cpu": "many"})));
    scheduled(&stub, false, async {
        stub.until("the odd pod is told", |state| denial(state, "odd").is_some()).await;
        assert_eq!(stub.look(|state| denial(state, "odd").cloned()).expect("it was there")["reason"], "SchedulerError");
        stub.until("the odd node too", |state| events(state, "SchedulerError").contains(&"broken")).await;
        stub.put("nodes", node("later", "3"));
        // The early pod's two processors count.
        stub.put("pods", pod("two", "2"));
        stub.put("pods", pod("one", "1"));
        stub.until("one has a node", |state| node_of(state, "one") == Some("later")).await;
        stub.until("two has none", |state| denial(state, "two").is_some()).await;
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let stub = Stub::start().await;
    stub.put("nodes", node("only", "1"));
    stub.put("pods", pod("fits", "1"));
    stub.put("pods", pod("waits", "1"));
    let listed = |state: &State| state.asked.iter().filter(|asked| asked.verb == "watch").count() >= 5;
    scheduled(&stub, true, stub.until("everything is watched", listed)).await;
    let reads = ["list", "watch", "get"];
    assert!(stub.look(|state| state.asked.iter().all(|asked| reads.contains(&asked.verb))));
}

#[tokio::test]
async fn more_pods_than_a_page_are_all_seen() {
    let stub = Stub::start().await;
    stub.put("nodes", node("wide", "1000"));
    for index in 0..700 {
        let there = with(pod(&format!("p{index}"), "1"), "/spec/nodeName", json!("wide"));
        stub.put("pods", with(there, "/status/phase", json!("Running")));
    }
    stub.put("pods", pod("fits", "300"));
    stub.put("pods", pod("not", "301"));
    scheduled(&stub, false, async {
        let both = |state: &State| node_of(state, "fits").is_some() || denial(state, "fits").is_some();
        stub.until("the one that fits is decided", both).await;
        stub.until("the other one too", |state| denial(state, "not").is_some()).await;
    })
    .await;
}

/// A kubeconfig for the stub.
fn kubeconfig(stub: &Stub) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "stub",
        "clusters": [{"name": "stub", "cluster": {"server": stub.url()}}],
        "users": [{"name": "stub", "user": {}}],
        "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub"}}],
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_says_what_it_decides_and_ends_when_told_to() {
    let stub = Stub::start().await;
    stub.put("nodes", node("only", "1"));
    stub.put("pods", pod("first", "1"));
    let path = std::env::temp_dir().join(format!("kube-scheduler-{}.json", std::process::id()));
    std::fs::write(&path, kubeconfig(&stub)).expect("a file can be written");
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_kube-scheduler"));
    command.arg("--kubeconfig").arg(&path).arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.kill_on_drop(true).spawn().expect("the program starts");
    stub.until("the pod has an event", |state| events(state, "Scheduled") == ["first"]).await;
    let pid = child.id().expect("it runs").to_string();
    let killed = tokio::process::Command::new("kill").arg("-TERM").arg(pid).status().await;
    assert!(killed.expect("kill is a program").success());
    let output = child.wait_with_output().await.expect("it ends");
    std::fs::remove_file(&path).expect("the file is there");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && err.is_empty(), "{:?} {err}", output.status);
    let line: Value = serde_json::from_str(out.trim_end()).expect("one decision, one line");
    assert_eq!(
        (&line["decision"], &line["pod"], &line["node"]),
        (&json!("bind"), &json!("default/first"), &json!("only"))
    );
    only_what_is_granted(&stub);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let path = std::env::temp_dir().join(format!("kube-scheduler-{}-none.json", std::process::id()));
    let stub = Stub::start().await;
    // Port 1 of loopback has no listener on a machine that runs tests.
    std::fs::write(&path, kubeconfig(&stub).replace(stub.url(), "http://127.0.0.1:1")).expect("a file can be written");
    for (arguments, words) in [
        (vec!["--kubeconfig", path.to_str().expect("UTF-8")], "127.0.0.1:1"),
        (vec!["--kubeconfig", "/nonexistent/config"], "/nonexistent/config"),
    ] {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_kube-scheduler")).args(arguments).output().await;
        let output = output.expect("the program starts");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && err.contains(words), "{:?} {err}", output.status);
    }
    std::fs::remove_file(&path).expect("the file is there");
}

#[test]
fn the_manifest_is_valid() {
    for mut object in manifest() {
        defaults::apply(&mut object);
        let violations: Vec<String> = validate(&object).iter().map(ToString::to_string).collect();
        assert!(violations.is_empty(), "{}: {violations:?}", object.kind());
    }
}
