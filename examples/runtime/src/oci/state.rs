//! What is kept of a container between one call of this runtime and the next.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::identity::Identity;

/// The file of a container's state directory that says all the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    /// The version of the specification that the configuration says.
    pub(super) oci_version: String,
    pub(super) id: String,
    pub(super) bundle: PathBuf,
    pub(super) rootfs: PathBuf,
    /// RFC 3339.
    pub(super) created: String,
    /// The user who made it.
    pub(super) owner: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
    /// Its first process; none while it is being created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) init: Option<Identity>,
    /// Its control group, once there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<GroupState>,
    /// Its class of service, once there may be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) class: Option<ClassState>,
    /// The hooks that are run after its creation, as in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hooks: Option<LateHooks>,
}

/// Where a container's control group is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupState {
    /// Below the mounted root of each hierarchy.
    pub(super) path: String,
    /// The file that says whether its processes are stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) freezer: Option<PathBuf>,
    /// The scope that it is of systemd's, as `slice:prefix:name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scope: Option<String>,
}

/// Where a container's class of service is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClassState {
    pub(super) directory: PathBuf,
    /// Whether it goes with the container.
    pub(super) own: bool,
    /// Where the container's use is counted by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) monitor: Option<PathBuf>,
}

/// Hooks that are run after the creation, in the words of the configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LateHooks {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) poststart: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) poststop: Option<Box<RawValue>>,
}

/// What a container is doing.
///
/// Source: runtime-spec, `runtime.md`, section "State"; `paused` is runc's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// What `state` and `list` print.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report<'a> {
    oci_version: &'a str,
    pub(super) id: &'a str,
    /// 0 when there is no process.
    pub(super) pid: u32,
    pub(super) status: Status,
    pub(super) bundle: &'a PathBuf,
    rootfs: &'a PathBuf,
    pub(super) created: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    pub(super) owner: String,
}

impl State {
    /// What is told of the container.
    pub(super) fn report(&self, status: Status, owner: String) -> Report<'_> {
        let pid = match status {
            Status::Stopped => 0,
            _ => self.init.map_or(0, |init| init.pid),
        };
        Report {
            oci_version: &self.oci_version,
            id: &self.id,
            pid,
            status,
            bundle: &self.bundle,
            rootfs: &self.rootfs,
            created: &self.created,
            annotations: &self.annotations,
            owner,
        }
    }
}
