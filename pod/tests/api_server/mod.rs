//! As much of an API server on a port of 127.0.0.1 as `kubectl` wants to see: everything that it answers is this
//! library's work.

mod http;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use http::{Reply, Request};
use serde_json::{Value, json};
use windlass_pod::managed::{self, By, ManagedError};
use windlass_pod::patch::{self, PatchKind};
use windlass_pod::table::{self, Cell};
use windlass_pod::{Decoder, Object, Strictness, Time, Violation, defaults, strategy, validate};

/// Group and version, plural name, kind, and whether it is in a namespace.
const RESOURCES: [(&str, &str, &str, bool); 11] = [
    ("v1", "configmaps", "ConfigMap", true),
    ("v1", "namespaces", "Namespace", false),
    ("v1", "nodes", "Node", false),
    ("v1", "pods", "Pod", true),
    ("v1", "replicationcontrollers", "ReplicationController", true),
    ("v1", "resourcequotas", "ResourceQuota", true),
    ("v1", "secrets", "Secret", true),
    ("v1", "serviceaccounts", "ServiceAccount", true),
    ("v1", "services", "Service", true),
    ("apps/v1", "deployments", "Deployment", true),
    ("apps/v1", "replicasets", "ReplicaSet", true),
];

/// A server that runs until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    /// By their paths.
    objects: BTreeMap<String, Object>,
    /// Each object as it was sent, and the type of the body it came in.
    created: Vec<(Object, String)>,
    now: Option<Time>,
}

impl Server {
    /// One at which the time stands still.
    pub(crate) fn start(now: Time) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { now: Some(now), ..State::default() }));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (state, stop) = (Arc::clone(&state), Arc::clone(&stop));
            // A thread for each connection: kubectl opens some that it then does not need.
            move || {
                std::thread::scope(|scope| {
                    for stream in listener.incoming() {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let mut stream = stream.unwrap();
                        let state = &state;
                        scope.spawn(move || {
                            if let Some(request) = http::read(&stream) {
                                let reply = state.lock().unwrap().answer(&request);
                                http::write(&mut stream, &reply);
                            }
                        });
                    }
                });
            }
        });
        Self { address, state, stop, thread: Some(thread) }
    }

    /// Puts an object where `kubectl` will ask for it.
    pub(crate) fn put(&self, object: Object) {
        self.state.lock().unwrap().objects.insert(path(&object), object);
    }

    /// The object of this kind and name.
    pub(crate) fn object(&self, kind: &str, name: &str) -> Option<Object> {
        let named = |object: &&Object| object.kind() == kind && object.metadata().name.as_deref() == Some(name);
        self.state.lock().unwrap().objects.values().find(named).cloned()
    }

    /// Each object as it was sent to be created, and the type of the body it came in.
    pub(crate) fn created(&self) -> Vec<(Object, String)> {
        self.state.lock().unwrap().created.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes it up; one that has ended by itself needs no waking.
        let _ = TcpStream::connect(self.address);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
    }
}

/// Where objects of a group and version live.
fn root(group_version: &str) -> String {
    if group_version.contains('/') { format!("/apis/{group_version}") } else { format!("/api/{group_version}") }
}

/// Where objects of a kind live.
fn collection(kind: &str, namespace: Option<&str>) -> String {
    let (group_version, plural, _, namespaced) = RESOURCES.iter().find(|resource| resource.2 == kind).unwrap();
    match namespace.filter(|_| *namespaced) {
        Some(namespace) => format!("{}/namespaces/{namespace}/{plural}", root(group_version)),
        None => format!("{}/{plural}", root(group_version)),
    }
}

fn path(object: &Object) -> String {
    let metadata = object.metadata();
    format!("{}/{}", collection(object.kind(), metadata.namespace.as_deref()), metadata.name.as_deref().unwrap())
}

fn discovery(path: &str) -> Option<Value> {
    let resource = |(_, plural, kind, namespaced): &(&str, &str, &str, bool)| {
        let verbs = ["create", "delete", "get", "list", "patch", "update"];
        json!({"name": plural, "singularName": "", "kind": kind, "namespaced": namespaced, "verbs": verbs})
    };
    let resources = |group_version: &str| {
        let of_group = RESOURCES.iter().filter(|resource| resource.0 == group_version).map(resource);
        json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": of_group.collect::<Vec<_>>()})
    };
    let version = json!({"groupVersion": "apps/v1", "version": "v1"});
    match path {
        "/version" => Some(json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0"})),
        "/api" => Some(json!({"kind": "APIVersions", "versions": ["v1"]})),
        "/apis" => Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups":
            [{"name": "apps", "versions": [version], "preferredVersion": version}]})),
        "/api/v1" => Some(resources("v1")),
        "/apis/apps/v1" => Some(resources("apps/v1")),
        _ => None,
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Reply {
        if let Some(found) = discovery(&request.path) {
            return Reply::ok(&found);
        }
        match request.method.as_str() {
            "GET" => self.get(request),
            "POST" => self.create(request),
            "PATCH" => self.patch(request),
            "DELETE" => match self.objects.remove(&request.path) {
                Some(_) => Reply::ok(&json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})),
                None => Reply::failure(404, "NotFound", &request.path, &json!({})),
            },
            method => panic!("kubectl sent {method} {}", request.path),
        }
    }

    fn get(&self, request: &Request) -> Reply {
        let within = format!("{}/", request.path);
        let one = self.objects.get(&request.path);
        let listed =
            self.objects.iter().filter(|(path, _)| path.strip_prefix(&within).is_some_and(|name| !name.contains('/')));
        let objects: Vec<&Object> = one.into_iter().chain(listed.map(|(_, object)| object)).collect();
        if objects.is_empty() {
            return Reply::failure(404, "NotFound", &format!("{} not found", request.path), &json!({}));
        }
        if request.accept.contains("as=Table") {
            return Reply::ok(&table_of(&objects, self.now.unwrap()));
        }
        if let Some(object) = one {
            return Reply::text(200, object.encode_json());
        }
        let (kind, version) = (objects[0].kind(), objects[0].api_version());
        let items = objects.iter().map(|object| object.encode_json()).collect::<Vec<_>>().join(",");
        Reply::text(200, format!(r#"{{"kind":"{kind}List","apiVersion":"{version}","items":[{items}]}}"#))
    }

    fn create(&mut self, request: &Request) -> Reply {
        let decoder = Decoder::new(Strictness::Strict);
        let mut object = match request.content_type.as_str() {
            // An older kubectl does not say.
            "application/json" | "" => decoder.json(&request.body).unwrap().object,
            "application/vnd.kubernetes.protobuf" => decoder.protobuf(&request.body).unwrap(),
            other => panic!("kubectl sent a body of type {other}"),
        };
        self.created.push((object.clone(), request.content_type.clone()));
        if let Some(rest) = request.path.split_once("/namespaces/").and_then(|(_, rest)| rest.split_once('/')) {
            object.metadata_mut().namespace = Some(rest.0.to_owned());
        }
        defaults::apply(&mut object);
        strategy::prepare_for_create(&mut object);
        object.metadata_mut().creation_timestamp = self.now;
        let by = By::new(&request.query("fieldManager").unwrap_or_default(), self.now.unwrap());
        let object = managed::update(None, object, &by).unwrap();
        self.store(object, 201)
    }

    fn patch(&mut self, request: &Request) -> Reply {
        let live = self.objects.get(&request.path);
        let mut by = By::new(&request.query("fieldManager").unwrap_or_default(), self.now.unwrap());
        if request.query("force").as_deref() == Some("true") {
            by = by.forced();
        }
        let kind = match request.content_type.as_str() {
            "application/apply-patch+yaml" => {
                return match managed::apply(live, &request.body, &by) {
                    Ok(object) => self.store(object, 200),
                    Err(ManagedError::Conflicts(conflicts)) => {
                        let cause = |one: &managed::Conflict| {
                            json!({"reason": "FieldManagerConflict", "field": one.path,
                                "message": format!("conflict with {}", one.manager)})
                        };
                        let causes: Vec<Value> = conflicts.0.iter().map(cause).collect();
                        Reply::failure(409, "Conflict", &conflicts.to_string(), &json!({"causes": causes}))
                    }
                    Err(other) => panic!("kubectl applied what cannot be applied: {other}"),
                };
            }
            "application/json-patch+json" => PatchKind::Json,
            "application/merge-patch+json" => PatchKind::Merge,
            "application/strategic-merge-patch+json" => PatchKind::Strategic,
            other => panic!("kubectl sent a patch of type {other}"),
        };
        let live = live.unwrap();
        let patched = patch::apply(live, kind, &request.body).unwrap();
        let object = managed::update(Some(live), patched, &by).unwrap();
        self.store(object, 200)
    }

    /// Answers with what is stored, or with everything that is wrong.
    fn store(&mut self, mut object: Object, status: u16) -> Reply {
        defaults::apply(&mut object);
        let violations = validate(&object);
        if !violations.is_empty() {
            let cause =
                |one: &Violation| json!({"reason": one.kind.reason(), "field": one.path, "message": one.body()});
            let causes: Vec<Value> = violations.iter().map(cause).collect();
            let name = object.metadata().name.as_deref().unwrap_or_default();
            let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
            let message = format!("{} {name:?} is invalid: {}", object.kind(), lines.join(", "));
            let details = json!({"name": name, "kind": object.kind(), "causes": causes});
            return Reply::failure(422, "Invalid", &message, &details);
        }
        let reply = Reply::text(status, object.encode_json());
        self.objects.insert(path(&object), object);
        reply
    }
}

fn table_of(objects: &[&Object], now: Time) -> Value {
    let columns = table::columns(objects[0]).iter().map(|column| {
        json!({"name": column.name, "type": column.kind.as_str(), "format": column.format(), "description": "",
            "priority": column.priority})
    });
    let row = |object: &&Object| {
        let cells = table::row(object, now).cells.into_iter().map(|cell| match cell {
            Cell::Text(text) => json!(text),
            Cell::Number(number) => json!(number),
        });
        let metadata = object.metadata();
        json!({"cells": cells.collect::<Vec<_>>(), "object": {"kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1", "metadata": {"name": metadata.name, "namespace": metadata.namespace}}})
    };
    let rows: Vec<Value> = objects.iter().map(row).collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {},
        "columnDefinitions": columns.collect::<Vec<_>>(), "rows": rows})
}
