//! The state of a container, as hooks and `state` see it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is being made.
    Creating,
    /// It is made; its program has not begun.
    Created,
    /// Its program runs.
    Running,
    /// Its process has ended.
    Stopped,
}

/// The state of a container.
///
/// Source: runtime-spec, `runtime.md`, "State".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The version of the specification that this keeps to.
    pub oci_version: String,
    /// The container's name, unique on this host.
    pub id: String,
    /// Where it is in its life.
    pub status: Status,
    /// Its process; not once it has stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The absolute path of its bundle.
    pub bundle: PathBuf,
    /// What its configuration annotates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl State {
    /// As JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and maps of strings are JSON")
    }

    /// As JSON, in two parts between which the number of the process belongs.
    pub(super) fn around_pid(&self) -> (String, String) {
        // No string in JSON holds a bare quotation mark, so that the key is found nowhere else.
        let text = Self { pid: Some(0), ..self.clone() }.to_json();
        let (before, after) = text.split_once(r#""pid":0,"#).expect("the number was given");
        (format!(r#"{before}"pid":"#), format!(",{after}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            oci_version: "1.3.0".into(),
            id: r#"a","pid":0,""#.into(),
            status: Status::Creating,
            pid: None,
            bundle: "/b".into(),
            annotations: BTreeMap::from([("k".into(), r#""pid":0"#.into())]),
        }
    }

    #[test]
    fn it_is_written_as_the_specification_shows_it() {
        let state = State { id: "box".into(), pid: Some(7), ..state() };
        let json = r#"{"ociVersion":"1.3.0","id":"box","status":"creating","pid":7,"bundle":"/b","annotations":{"k":"\"pid\":0"}}"#;
        assert_eq!(state.to_json(), json);
        assert_eq!(serde_json::from_str::<State>(json).unwrap(), state);
        let stopped = State { status: Status::Stopped, pid: None, annotations: BTreeMap::new(), ..state };
        assert_eq!(stopped.to_json(), r#"{"ociVersion":"1.3.0","id":"box","status":"stopped","bundle":"/b"}"#);
    }

    #[test]
    fn the_number_finds_its_place_between_hostile_names() {
        let (before, after) = state().around_pid();
        let read: State = serde_json::from_str(&format!("{before}42{after}")).unwrap();
        assert_eq!(read, State { pid: Some(42), ..state() });
    }
}
