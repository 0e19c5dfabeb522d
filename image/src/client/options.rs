//! What a client is told once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::credentials::Credentials;
use crate::limits::Limits;
use crate::registry::{Mirrors, Pieces, RetryPolicy};

pub use rustls::crypto::CryptoProvider;

/// Which certificates are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roots {
    /// Those of the first file of this machine that is found among the places of Linux distributions, or
    /// `SSL_CERT_FILE`.
    #[default]
    System,
    /// Those of a PEM file.
    File(PathBuf),
    /// Those in this PEM text.
    Pem(Vec<u8>),
}

/// Through whom connections go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proxy {
    /// Nobody.
    #[default]
    None,
    /// Whom `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name.
    Environment,
    /// This `http://HOST:PORT`.
    Url(String),
}

/// With what a client proves itself to one host by TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The host, with its port if it is not 443.
    pub host: String,
    /// The chain, as PEM.
    pub chain: Vec<u8>,
    /// The key, as PEM.
    pub key: Key,
}

/// A private key as PEM, which is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// How a [`Client`](super::Client) talks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Cryptography for TLS; without it only hosts in `plain_hosts` can be reached.
    pub provider: Option<Arc<CryptoProvider>>,
    /// Which certificates are believed.
    pub roots: Roots,
    /// With what to prove oneself by TLS.
    pub certificates: Vec<ClientCertificate>,
    /// Through whom connections go.
    pub proxy: Proxy,
    /// Hosts, with their ports, that are talked to in the clear; nobody else ever is.
    pub plain_hosts: Vec<String>,
    /// Token services on other hosts that may see a registry's credential, as (registry, host of the service).
    pub trusted_realms: Vec<(String, String)>,
    /// Where credentials are; none by default.
    pub credentials: Credentials,
    /// Where else images are.
    pub mirrors: Mirrors,
    /// Whether layers that their registry lacks are fetched from the `urls` of their descriptors; off by default.
    pub foreign_layers: bool,
    /// When requests are repeated.
    pub retry: RetryPolicy,
    /// A connection that moves nothing for so long is given up; 30 s by default.
    pub stall: Duration,
    /// For making a connection; 15 s by default.
    pub connect: Duration,
    /// Blobs at once; 8 by default.
    pub streams: usize,
    /// How blobs are sent.
    pub pieces: Pieces,
    /// Bounds on documents.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            provider: None,
            roots: Roots::System,
            certificates: Vec::new(),
            proxy: Proxy::None,
            plain_hosts: Vec::new(),
            trusted_realms: Vec::new(),
            credentials: Credentials::default(),
            mirrors: Mirrors::default(),
            foreign_layers: false,
            retry: RetryPolicy::DEFAULT,
            stall: Duration::from_secs(30),
            connect: Duration::from_secs(15),
            streams: 8,
            pieces: Pieces::Whole,
            limits: Limits::DEFAULT,
        }
    }
}
