//! Why a node could not do for a pod what it asks.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

/// The result of a part of the agent.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a node could not do for a pod what it asks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file, folder or socket was refused.
    #[error("cannot {op} {}", object.display())]
    Io {
        /// What was tried.
        op: &'static str,
        /// On what.
        object: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The pod sets fields that this agent does not carry out.
    #[error("not carried out by this node: {}", fields.join(", "))]
    Unsupported {
        /// Their paths.
        fields: Vec<String>,
    },
    /// A container mounts a volume that the pod does not have.
    #[error("the pod has no volume {name}")]
    NoVolume {
        /// What it calls it.
        name: String,
    },
    /// A ConfigMap, or a key of one, is missing.
    #[error("{}", missing_config(name, key.as_deref()))]
    ConfigMap {
        /// The ConfigMap.
        name: String,
        /// The key, when only that is missing.
        key: Option<String>,
    },
    /// What a hostPath volume asks for is something else.
    #[error("{} is a {found:?}, not a {expected:?}", path.display())]
    HostPath {
        /// The path on the node.
        path: PathBuf,
        /// What the volume asks for.
        expected: FileType,
        /// What is there.
        found: FileType,
    },
    /// The node has given out all its addresses.
    #[error("the node has no address left for the pod")]
    NoAddress,
    /// A container that must not run as root would.
    #[error("container {container} would run as root, and runAsNonRoot forbids that")]
    Root {
        /// The container.
        container: String,
    },
    /// The image has no entry point and the container no command.
    #[error("container {container}: neither it nor its image says what to run")]
    NoCommand {
        /// The container.
        container: String,
    },
    /// The image cannot be used.
    #[error("cannot use the image {reference}")]
    Image {
        /// What the container calls it.
        reference: String,
        /// Why.
        source: crate::images::Error,
    },
    /// The pod's network could not be made.
    #[error("cannot connect the pod")]
    Network(#[source] crate::net::Error),
    /// A control group refused something.
    #[error("cannot {op} the control group of {object}")]
    Cgroup {
        /// What was tried.
        op: &'static str,
        /// Whose group.
        object: String,
        /// Why not.
        source: windlass_cgroups::Error,
    },
    /// A limit that the pod asks for cannot be kept.
    #[error("a limit cannot be kept: {setting}")]
    Limit {
        /// Which, and why.
        setting: String,
    },
    /// A file system of a container could not be made or removed.
    #[error("cannot {op} the file system of {object}")]
    Overlay {
        /// What was tried.
        op: &'static str,
        /// Whose.
        object: String,
        /// Why not.
        source: windlass_overlay::Error,
    },
    /// A process could not be started, entered or waited for.
    #[error("cannot {op} {object}")]
    Process {
        /// What was tried.
        op: &'static str,
        /// Which process.
        object: String,
        /// Why not.
        source: windlass_namespaces::Error,
    },
    /// The pod, or the container asked for, does not run on this node.
    #[error("{pod} does not run here")]
    NotHere {
        /// The pod, or the container in it.
        pod: String,
    },
    /// A task of the agent ended before its work.
    #[error("a part of the agent ended too early")]
    Task {
        /// How.
        source: tokio::task::JoinError,
    },
    /// The registry refused.
    #[error("the registry refused")]
    Registry(#[from] crate::registry::Error),
}

impl Error {
    /// Wraps what the kernel answered to `op` on `object`.
    pub(super) fn io(op: &'static str, object: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { op, object: object.to_owned(), source }
    }

    /// Wraps what the library of groups answered.
    pub(super) fn cgroup(op: &'static str, object: &str) -> impl FnOnce(windlass_cgroups::Error) -> Self {
        move |source| Self::Cgroup { op, object: object.to_owned(), source }
    }

    /// Wraps what the library of layers answered.
    pub(super) fn overlay(op: &'static str, object: &str) -> impl FnOnce(windlass_overlay::Error) -> Self {
        move |source| Self::Overlay { op, object: object.to_owned(), source }
    }

    /// Wraps what the library of processes answered.
    pub(super) fn process(op: &'static str, object: &str) -> impl FnOnce(windlass_namespaces::Error) -> Self {
        move |source| Self::Process { op, object: object.to_owned(), source }
    }
}

fn missing_config(name: &str, key: Option<&str>) -> String {
    key.map_or_else(
        || format!("there is no ConfigMap {name}"),
        |key| format!("there is no key {key} in the ConfigMap {name}"),
    )
}
