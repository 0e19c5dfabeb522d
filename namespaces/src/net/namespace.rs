//! Network namespaces without a process.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::link::Links;
use crate::enter;
use crate::error::{Error, Result};
use crate::sys;

const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace; it lives as long as a descriptor, a process or a bind mount holds it.
#[derive(Debug)]
pub struct NetNamespace(OwnedFd);

impl NetNamespace {
    /// A fresh one with its loopback device up, held by nothing but this descriptor.
    ///
    /// # Kernel
    /// Needs `CAP_SYS_ADMIN`.
    pub fn create() -> Result<Self> {
        let namespace = enter::on_thread(|| {
            sys::new_net_namespace().map_err(|source| Error::sys("unshare", "net namespace", source))?;
            Self::current()
        })?;
        let mut links = Links::open_in(namespace.as_fd())?;
        let loopback = links.list()?.into_iter().find(|link| link.is_loopback);
        let loopback = loopback.ok_or(Error::Malformed { reason: "a new network namespace without loopback" })?;
        links.set_up(loopback.index)?;
        Ok(namespace)
    }

    /// The one that the calling thread is in.
    pub fn current() -> Result<Self> {
        let file = File::open(OWN).map_err(|source| Error::sys("open", OWN, source))?;
        Ok(Self(file.into()))
    }

    /// Another descriptor of the same namespace.
    pub fn try_clone(&self) -> Result<Self> {
        self.0.try_clone().map(Self).map_err(|source| Error::sys("dup", "net namespace", source))
    }
}

impl AsFd for NetNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<NetNamespace> for OwnedFd {
    fn from(namespace: NetNamespace) -> Self {
        namespace.0
    }
}

impl From<OwnedFd> for NetNamespace {
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}
