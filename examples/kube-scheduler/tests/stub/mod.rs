//! An API server on loopback: what this scheduler asks of one, with the faults of a real one on demand.

mod objects;
mod route;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) use objects::{Objects, Selection};
pub(crate) use route::{Asked, Route};

/// How long something may take that happens at once on an idle machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The server; it ends with its runtime.
#[derive(Clone, Debug)]
pub(crate) struct Stub {
    shared: Arc<Shared>,
    url: String,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Goes up with every change of the state.
    changed: watch::Sender<u64>,
}

/// How the server says that a watch cannot go on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Expiry {
    /// By the answer's code.
    #[default]
    Code,
    /// By an event of the watch, as kube-apiserver does.
    Event,
}

/// What the server holds.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) objects: Objects,
    /// Everything that was asked, in order.
    pub(crate) asked: Vec<Asked>,
    /// Requests for these are answered once with these codes.
    refusals: Vec<(&'static str, u16)>,
    /// Watches of an earlier age end.
    age: u64,
    expiry: Expiry,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl Stub {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("a listener has an address"));
        let shared = Arc::new(Shared { state: Mutex::default(), changed: watch::channel(0).0 });
        let stub = Self { shared: Arc::clone(&shared), url };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        stub
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn put(&self, plural: &str, object: Value) {
        self.change(|state| state.objects.put(plural, object));
    }

    pub(crate) fn remove(&self, plural: &str, namespace: &str, name: &str) {
        self.change(|state| drop(state.objects.remove(plural, namespace, name)));
    }

    /// The next request for this subresource, or kind, is answered with this code.
    pub(crate) fn refuse(&self, resource: &'static str, code: u16) {
        self.change(|state| state.refusals.push((resource, code)));
    }

    /// Ends every watch, and forgets what they could have gone on from.
    pub(crate) fn forget(&self, expiry: Expiry) {
        self.change(|state| {
            state.age += 1;
            state.expiry = expiry;
            state.objects.forget();
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.shared.change(change);
    }

    /// Waits until the state is as wanted.
    pub(crate) async fn until(&self, wanted: &str, is_so: impl Fn(&State) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let wait = async {
            while !is_so(&self.shared.state()) {
                changed.changed().await.expect("the sender lives as long as the stub");
            }
        };
        let is_so = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        assert!(is_so, "after {PATIENCE:?} still not: {wanted}; asked: {:#?}", self.shared.state().asked);
    }

    /// Looks at the state.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.shared.state())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the state")
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.send_modify(|count| *count += 1);
        result
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let Some(route) = Route::of(&parts) else {
        return Ok(failure(404, "NotFound", parts.uri.path()));
    };
    let body: Value =
        if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("bodies are JSON") };
    let asked = route.asked(body.clone());
    let refusal = shared.change(|state| {
        state.asked.push(asked);
        let meant = |(resource, _): &(&str, u16)| *resource == route.subresource || *resource == route.plural;
        let index = state.refusals.iter().position(meant)?;
        Some(state.refusals.remove(index).1)
    });
    if let Some(code) = refusal {
        return Ok(failure(code, "Refused", "asked for by the test"));
    }
    if route.verb == "watch" {
        return Ok(watch_from(&shared, &route));
    }
    Ok(match shared.change(|state| route.carry_out(&mut state.objects, &body)) {
        Ok(value) => json_response(200, &value),
        Err((code, reason, message)) => failure(code, reason, &message),
    })
}

/// Where a watch stands.
struct Position {
    shared: Arc<Shared>,
    changed: watch::Receiver<u64>,
    plural: String,
    selection: Selection,
    version: u64,
    age: u64,
}

fn watch_from(shared: &Arc<Shared>, route: &Route) -> Response<Body> {
    let (age, is_forgotten, expiry) = {
        let state = shared.state();
        (state.age, state.objects.is_forgotten(route.version), state.expiry)
    };
    if is_forgotten {
        let status = status(410, "Expired", "too old resource version");
        return match expiry {
            Expiry::Code => json_response(410, &status),
            Expiry::Event => json_response(200, &json!({"type": "ERROR", "object": status})),
        };
    }
    let position = Position {
        changed: shared.changed.subscribe(),
        shared: Arc::clone(shared),
        plural: route.plural.clone(),
        selection: route.selection,
        version: route.version,
        age,
    };
    let lines = stream::unfold(position, |mut at| async move {
        loop {
            let (lines, age) = {
                let state = at.shared.state();
                at.changed.mark_unchanged();
                (state.objects.since(&at.plural, at.selection, &mut at.version), state.age)
            };
            if age != at.age {
                return None;
            }
            if !lines.is_empty() {
                let frame = Frame::data(Bytes::from(lines));
                return Some((Ok::<_, Infallible>(frame), at));
            }
            at.changed.changed().await.ok()?;
        }
    });
    response(200, StreamBody::new(lines).boxed_unsync())
}

fn response(code: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).expect("tests name real codes");
    response.headers_mut().insert("content-type", "application/json".parse().expect("a header's value"));
    response
}

fn json_response(code: u16, value: &Value) -> Response<Body> {
    response(code, Full::from(value.to_string()).boxed_unsync())
}

fn failure(code: u16, reason: &str, message: &str) -> Response<Body> {
    json_response(code, &status(code, reason, message))
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message,
    })
}
