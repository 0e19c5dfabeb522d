//! What can stop a demo.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The result of a part of the demo.
pub(super) type Result<T> = std::result::Result<T, Error>;

/// Why a demo did not reach its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Error {
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
    /// Neither `--state-dir` nor the environment says where files may go.
    #[error("there is no place for the run's files: HOME and XDG_DATA_HOME are unset; name one with --state-dir")]
    NoStateDir,
    /// The caller is not root, and cannot become the root of a user namespace.
    #[error("not root, and no user namespace of its own is to be had")]
    NoUserNamespace {
        /// Why not.
        source: windlass_namespaces::Error,
    },
    /// A manifest cannot be applied.
    #[error("{origin} cannot be applied: {}", reasons.join("; "))]
    Manifest {
        /// The file.
        origin: String,
        /// What is wrong, each with the path of its field.
        reasons: Vec<String>,
    },
    /// The port for `--keep` cannot be had.
    #[error("cannot listen on {address} for --keep")]
    Port {
        /// The address.
        address: SocketAddr,
        /// What the kernel answered.
        source: io::Error,
    },
    /// What was awaited did not come.
    #[error("waited {} s for {what}; last seen: {seen}", limit.as_secs())]
    TimedOut {
        /// What was awaited.
        what: String,
        /// How long.
        limit: Duration,
        /// The state at the end.
        seen: String,
    },
    /// A pod did not take a request.
    #[error("cannot ask {pod} for {path}")]
    Ask {
        /// The pod.
        pod: String,
        /// The path that was asked for.
        path: &'static str,
        /// Why not.
        source: super::request::RequestError,
    },
    /// A thread or task of the demo ended before its work.
    #[error("a part of the demo ended too early")]
    Task {
        /// How.
        source: tokio::task::JoinError,
    },
    /// The image could not be made or read.
    #[error("the image")]
    Image(#[from] windlass_image::Error),
    /// The image could not be stacked.
    #[error("the image's layers")]
    Images(#[from] crate::images::Error),
    /// The file system of layers is not to be had.
    #[error("overlay")]
    Overlay(#[from] windlass_overlay::Error),
    /// The network could not be made.
    #[error("the network of the nodes")]
    Network(#[from] crate::net::Error),
    /// There are no control groups to limit pods with.
    #[error("no control groups are to be had: {reason}")]
    NoGroups {
        /// Why not.
        reason: String,
    },
    /// Control groups refused.
    #[error("control groups")]
    Cgroups(#[from] windlass_cgroups::Error),
    /// A process or namespace could not be had.
    #[error("namespaces")]
    Namespaces(#[from] windlass_namespaces::Error),
    /// The store could not be opened or closed.
    #[error("the store")]
    Store(#[from] crate::store::StoreError),
    /// The registry refused.
    #[error("the registry")]
    Registry(#[from] crate::registry::Error),
    /// A node's proxy could not start.
    #[error("the proxy of {node}")]
    Proxy {
        /// The node.
        node: String,
        /// Why not.
        source: Box<crate::proxy::Error>,
    },
    /// A node could not be drained.
    #[error("draining")]
    Drain(#[from] crate::controllers::DrainError),
    /// A node could not do its work.
    #[error("node {node}")]
    Agent {
        /// The node.
        node: String,
        /// Why not.
        source: Box<crate::agent::Error>,
    },
    /// A person or another process asked the demo to stop.
    #[error("interrupted")]
    Interrupted,
    /// Something that the demo shows came out differently.
    #[error("{what}: expected {expected}, found {found}")]
    Unexpected {
        /// What was looked at.
        what: &'static str,
        /// What should have been there.
        expected: String,
        /// What was.
        found: String,
    },
}

impl Error {
    /// Wraps what the agent of `node` answered.
    pub(super) fn agent(node: &str) -> impl FnOnce(crate::agent::Error) -> Self {
        move |source| Self::Agent { node: node.to_owned(), source: Box::new(source) }
    }

    /// Wraps what the kernel answered to `op` on `object`.
    pub(super) fn io(op: &'static str, object: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { op, object: object.to_owned(), source }
    }
}
