//! Why a proxy cannot serve.

use std::io;

use crate::registry;

/// Why a proxy cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a message of a batch, and so the batch.
    #[error("nftables: cannot {action}{}", explanation.as_deref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Refused {
        /// What the message was for.
        action: String,
        /// The kernel's own words, where it has some.
        explanation: Option<String>,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel does not let this user send a batch of this size.
    #[error("nftables: a batch of {bytes} bytes is larger than this user may send (net.core.wmem_max)")]
    Buffer {
        /// The size.
        bytes: usize,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No thread of its own for the proxy in this process.
    #[error("cannot start the proxy in this process")]
    Runtime {
        /// Why.
        source: io::Error,
    },
    /// The program ends, and with it the threads that wait for the kernel.
    #[error("the program ends")]
    Stopped,
    /// The node's network namespace cannot be reached.
    #[error(transparent)]
    Namespaces(#[from] windlass_namespaces::Error),
    /// The services or slices cannot be read.
    #[error(transparent)]
    Registry(#[from] registry::Error),
}
