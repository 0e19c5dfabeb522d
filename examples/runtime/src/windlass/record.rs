//! What is written down of a container: what was asked for, and what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::clock::Time;
use super::identity::Identity;
use super::mounts::Mounted;
use super::port::Port;
use super::restart_policy::RestartPolicy;

/// What was asked for; it changes by `rename` and `update` alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that somebody typed")]
pub(super) struct Config {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created: Time,
    /// The image's name as it was given, and the digest of its manifest.
    pub(super) image: String,
    pub(super) image_digest: String,
    /// Program and arguments.
    pub(super) command: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// `USER[:GROUP]`, by name or number, as the root file system knows them.
    pub(super) user: Option<String>,
    pub(super) working_dir: Option<PathBuf>,
    pub(super) hostname: String,
    pub(super) terminal: bool,
    pub(super) stdin: bool,
    pub(super) mounts: Vec<Mounted>,
    pub(super) read_only: bool,
    pub(super) network: NetworkMode,
    pub(super) ports: Vec<Port>,
    pub(super) limits: Limits,
    pub(super) devices: Vec<DeviceNode>,
    pub(super) security: Security,
    pub(super) ulimits: Vec<Ulimit>,
    pub(super) init: bool,
    pub(super) restart: RestartPolicy,
    pub(super) stop_signal: String,
    pub(super) stop_timeout_seconds: u64,
    pub(super) labels: BTreeMap<String, String>,
    /// The container goes when it ends.
    pub(super) remove: bool,
    pub(super) log: LogLimits,
    /// What the writable layer held before the container's own programs wrote: mount points.
    pub(super) baseline: Vec<String>,
}

/// Where a container's network is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NetworkMode {
    None,
    Host,
    Bridge,
    /// That of another container, by its id.
    Container(String),
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Host => f.write_str("host"),
            Self::Bridge => f.write_str("bridge"),
            Self::Container(id) => write!(f, "container:{id}"),
        }
    }
}

/// Limits as they were typed; `None` is no limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) millicores: Option<u32>,
    pub(super) cpu_shares: Option<u32>,
    pub(super) cpuset_cpus: Option<String>,
    pub(super) memory: Option<u64>,
    pub(super) memory_reservation: Option<u64>,
    /// Memory and swap together; -1 is no limit.
    pub(super) memory_swap: Option<i64>,
    pub(super) pids: Option<i64>,
    pub(super) device_read_bps: Vec<(PathBuf, u64)>,
    pub(super) device_write_bps: Vec<(PathBuf, u64)>,
}

/// A device of the host that a container may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeviceNode {
    pub(super) host: PathBuf,
    pub(super) container: PathBuf,
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) mknod: bool,
}

/// What confines a container's programs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Security {
    pub(super) privileged: bool,
    /// Names of capabilities, or `ALL`.
    pub(super) cap_add: Vec<String>,
    pub(super) cap_drop: Vec<String>,
    pub(super) no_new_privileges: bool,
    pub(super) seccomp_unconfined: bool,
    /// The policy of system calls, as its file had it; `None` is the usual one.
    pub(super) seccomp: Option<serde_json::Value>,
    /// Rules of Landlock, in their text form.
    pub(super) landlock: Option<String>,
}

/// A limit of one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ulimit {
    pub(super) name: String,
    /// `None` is no limit.
    pub(super) soft: Option<u64>,
    pub(super) hard: Option<u64>,
}

/// When the log begins a new file, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LogLimits {
    pub(super) bytes_max: u64,
    pub(super) files_max: u32,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { bytes_max: 16 << 20, files_max: 3 }
    }
}

/// What its monitor, or who removed its remains, wrote last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    Created,
    Running,
    /// It ended and is to be started again.
    Restarting,
    Exited,
}

/// What became of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub(super) phase: Phase,
    /// The container's first process.
    pub(super) process: Option<Identity>,
    pub(super) monitor: Option<Identity>,
    pub(super) started: Option<Time>,
    pub(super) finished: Option<Time>,
    /// `None` while it runs, and when nobody was left to see the end.
    pub(super) exit_code: Option<i32>,
    pub(super) oom_killed: bool,
    pub(super) error: Option<String>,
    pub(super) restarts: u32,
    /// Its address on the bridge.
    pub(super) address: Option<Ipv4Addr>,
    /// Published ports with the numbers that the kernel chose.
    pub(super) ports: Vec<Port>,
    /// The path of its control group.
    pub(super) group: Option<String>,
}

impl State {
    pub(super) fn created() -> Self {
        Self {
            phase: Phase::Created,
            process: None,
            monitor: None,
            started: None,
            finished: None,
            exit_code: None,
            oom_killed: false,
            error: None,
            restarts: 0,
            address: None,
            ports: Vec::new(),
            group: None,
        }
    }
}
