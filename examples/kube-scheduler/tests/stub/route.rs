//! From a request to what it asks, and its answer.

use hyper::http::request::Parts;
use serde_json::{Value, json};
use windlass_pod::decode_json;
use windlass_pod::patch::{PatchKind, apply};

use super::objects::{Objects, Selection};

/// A request's path and query.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) verb: &'static str,
    pub(crate) group: String,
    pub(crate) namespace: String,
    pub(crate) plural: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    pub(crate) selection: Selection,
    pub(crate) version: u64,
    limit: usize,
    from: usize,
    path: String,
}

/// A request as tests look at it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) verb: &'static str,
    pub(crate) group: String,
    pub(crate) namespace: String,
    /// Empty for a path that is no object.
    pub(crate) plural: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// Code, reason and message of a failure.
type Failure = (u16, &'static str, String);

impl Route {
    pub(crate) fn of(parts: &Parts) -> Option<Self> {
        let path = parts.uri.path();
        let query = |name: &str| {
            let pairs = parts.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        let number = |name: &str| query(name).and_then(|text| text.parse().ok());
        let pieces: Vec<&str> = path.split('/').skip(1).collect();
        let (group, rest) = match pieces[..] {
            ["version"] => ("", &[][..]),
            ["api", "v1", ..] => ("", &pieces[2..]),
            ["apis", group, "v1", ..] => (group, &pieces[3..]),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let piece = |index: usize| (*rest.get(index).unwrap_or(&"")).to_owned();
        let verb = match parts.method.as_str() {
            "GET" if rest.is_empty() => "get",
            "GET" if rest.len() > 1 => return None,
            "GET" if matches!(query("watch").as_deref(), Some("true" | "1")) => "watch",
            "GET" => "list",
            "POST" => "create",
            "PATCH" => "patch",
            "DELETE" => "delete",
            _ => return None,
        };
        let running = "status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed";
        let selection = match query("fieldSelector").as_deref() {
            None => Selection::All,
            Some(selector) if selector == running => Selection::Running,
            Some(selector) => panic!("this server knows no selector {selector}"),
        };
        Some(Self {
            verb,
            group: group.to_owned(),
            namespace: namespace.to_owned(),
            plural: piece(0),
            name: piece(1),
            subresource: piece(2),
            selection,
            version: number("resourceVersion").unwrap_or(0),
            limit: number("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX),
            from: query("continue").and_then(|text| text.parse().ok()).unwrap_or(0),
            path: path.to_owned(),
        })
    }

    pub(crate) fn asked(&self, body: Value) -> Asked {
        Asked {
            verb: self.verb,
            group: self.group.clone(),
            namespace: self.namespace.clone(),
            plural: self.plural.clone(),
            name: self.name.clone(),
            subresource: self.subresource.clone(),
            path: self.path.clone(),
            body,
        }
    }

    pub(crate) fn carry_out(&self, objects: &mut Objects, body: &Value) -> Result<Value, Failure> {
        let Self { namespace, plural, name, .. } = self;
        match (self.verb, plural.as_str(), self.subresource.as_str()) {
            ("get", "", _) => Ok(version()),
            ("list", ..) => Ok(objects.list(plural, self.selection, self.from, self.limit)),
            ("create", "pods", "binding") => self.bind(objects, body),
            ("patch", "pods", "status") => {
                let patched = Self::patched(self.found(objects)?, body)?;
                objects.put(plural, patched.clone());
                Ok(patched)
            }
            ("delete", "pods", "") => {
                let uid = &self.found(objects)?["metadata"]["uid"];
                if !body["preconditions"]["uid"].is_null() && body["preconditions"]["uid"] != *uid {
                    return Err((409, "Conflict", "another uid".to_owned()));
                }
                Ok(objects.remove(plural, namespace, name).unwrap_or_default())
            }
            ("create" | "patch", "events", "") => {
                let mut event = body.clone();
                event["metadata"]["namespace"] = json!(namespace);
                objects.put(plural, event.clone());
                Ok(event)
            }
            _ => Err((405, "MethodNotAllowed", format!("{} {}", self.verb, self.path))),
        }
    }

    fn found<'a>(&self, objects: &'a Objects) -> Result<&'a Value, Failure> {
        let found = objects.get(&self.plural, &self.namespace, &self.name);
        found.ok_or_else(|| (404, "NotFound", format!("{} \"{}\" not found", self.plural, self.name)))
    }

    fn bind(&self, objects: &mut Objects, binding: &Value) -> Result<Value, Failure> {
        let mut pod = self.found(objects)?.clone();
        if pod["metadata"]["uid"] != binding["metadata"]["uid"] {
            return Err((409, "Conflict", "another uid".to_owned()));
        }
        if pod["spec"]["nodeName"].is_string() {
            return Err((409, "Conflict", "the pod is already assigned to a node".to_owned()));
        }
        pod["spec"]["nodeName"] = binding["target"]["name"].clone();
        objects.put("pods", pod);
        Ok(json!({"apiVersion": "v1", "kind": "Status", "status": "Success", "code": 201}))
    }

    fn patched(pod: &Value, patch: &Value) -> Result<Value, Failure> {
        let uid = &patch["metadata"]["uid"];
        if !uid.is_null() && *uid != pod["metadata"]["uid"] {
            return Err((409, "Conflict", "another uid".to_owned()));
        }
        let invalid = |error: String| (422, "Invalid", error);
        let object = decode_json(pod.to_string().as_bytes()).map_err(|error| invalid(error.to_string()))?;
        let patched = apply(&object, PatchKind::Strategic, patch.to_string().as_bytes());
        let patched = patched.map_err(|error| invalid(error.to_string()))?;
        serde_json::from_str(&patched.encode_json()).map_err(|error| invalid(error.to_string()))
    }
}

fn version() -> Value {
    let names = ["buildDate", "compiler", "gitCommit", "gitTreeState", "goVersion", "platform"];
    let mut version = json!({"major": "1", "minor": "34", "gitVersion": "v1.34.1"});
    for name in names {
        version[name] = json!("");
    }
    version
}
