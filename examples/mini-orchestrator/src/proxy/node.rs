//! The task of one node.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use windlass_pod::kinds::{EndpointSlice, Service};

use super::rules::{self, Notice, Table};
use super::userspace::{self, Served};
use super::{Error, nftables};
use crate::registry::{Mirror, Registry, Revision, Scope};

/// The name of the node's table in nftables.
const TABLE: &str = "windlass";

/// The name of the table that a probe makes and removes.
const PROBE: &str = "windlass-probe";

/// How long a table that the kernel refused waits for its next try, unless services change before.
const RETRY: Duration = Duration::from_secs(1);

/// What serves the services' addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// The kernel translates addresses.
    Nftables,
    /// A proxy in this process passes bytes on.
    Userspace {
        /// Why the kernel does not do it.
        missing: String,
    },
}

/// What a proxy serves at the moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InForce {
    /// Everything up to this commit has been taken into account.
    pub revision: Revision,
    /// The services' ports.
    pub table: Table,
    /// What services ask for and do not get.
    pub notices: Vec<Notice>,
    /// Why the newest table is not the one that is served.
    pub failure: Option<String>,
}

/// The proxy of one node.
#[derive(Debug)]
pub struct Proxy {
    registry: Registry,
    node: String,
    netns: Arc<OwnedFd>,
    mode: Mode,
    in_force: watch::Sender<InForce>,
}

impl Proxy {
    /// The proxy of a node whose network namespace this is; a probe decides how it serves.
    ///
    /// # Errors
    /// [`Error::Namespaces`] when the namespace cannot be reached.
    pub async fn open(registry: Registry, node: String, netns: OwnedFd) -> Result<Self, Error> {
        let netns = Arc::new(netns);
        let there = Arc::clone(&netns);
        let mode = blocking(move || match nftables::apply(there.as_fd(), &nftables::probe(PROBE)) {
            Ok(()) => Ok(Mode::Nftables),
            Err(error) => missing(error),
        });
        let mode = mode.await?;
        Ok(Self::in_mode(registry, node, netns, mode))
    }

    /// The proxy of a node that serves without asking the kernel what it can do.
    pub fn open_userspace(registry: Registry, node: String, netns: OwnedFd, missing: String) -> Self {
        Self::in_mode(registry, node, Arc::new(netns), Mode::Userspace { missing })
    }

    fn in_mode(registry: Registry, node: String, netns: Arc<OwnedFd>, mode: Mode) -> Self {
        Self { registry, node, netns, mode, in_force: watch::Sender::default() }
    }

    /// How it serves.
    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// What it serves, told at every change.
    pub fn in_force(&self) -> watch::Receiver<InForce> {
        self.in_force.subscribe()
    }

    /// Follows the registry until `stop` becomes true or its sender is gone; then nothing of it is in force any more.
    ///
    /// # Errors
    /// [`Error::Registry`] when services or slices cannot be read; [`Error::Namespaces`] when the node's network
    /// namespace cannot be reached. A table that the kernel refuses is tried again, and told as
    /// [`InForce::failure`].
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let mut services = self.registry.mirror::<Service>(Scope::All).await?;
        let mut slices = self.registry.mirror::<EndpointSlice>(Scope::All).await?;
        let server = Server::start(&self.mode, &self.netns);
        let mut served: Option<Table> = None;
        let result = loop {
            if let Err(error) = self.refresh(&mut services, &mut slices, &server, &mut served).await {
                break Err(error);
            }
            let is_behind = self.in_force.borrow().failure.is_some();
            let changed = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break Ok(()),
                delta = services.changed() => delta.map(drop),
                delta = slices.changed() => delta.map(drop),
                () = tokio::time::sleep(RETRY), if is_behind => Ok(()),
            };
            if let Err(error) = changed {
                break Err(error.into());
            }
        };
        // A proxy in this process that has failed says why when it is stopped.
        server.stop(&self.netns).await.and(result)
    }

    async fn refresh(
        &self,
        services: &mut Mirror<Service>,
        slices: &mut Mirror<EndpointSlice>,
        server: &Server,
        served: &mut Option<Table>,
    ) -> Result<(), Error> {
        services.catch_up().await?;
        slices.catch_up().await?;
        let all: (Vec<_>, Vec<_>) = (services.iter().cloned().collect(), slices.iter().cloned().collect());
        let (table, mut notices) = rules::build(&all.0, &all.1, &self.node);
        let revision = services.revision().max(slices.revision());
        let mut failure = None;
        if served.as_ref() != Some(&table) {
            match server.serve(&self.netns, &table).await {
                Ok(()) => *served = Some(table),
                Err(error @ (Error::Refused { .. } | Error::Buffer { .. })) => failure = Some(told(&error)),
                Err(error) => return Err(error),
            }
        }
        notices.extend(server.notices());
        let table = served.clone().unwrap_or_default();
        self.in_force.send_replace(InForce { revision, table, notices, failure });
        Ok(())
    }
}

/// What a refused probe says; other failures are failures.
fn missing(error: Error) -> Result<Mode, Error> {
    // EPROTONOSUPPORT, EAFNOSUPPORT
    const NO_SUCH_FAMILY: [i32; 2] = [93, 97];
    let is_refusal = match &error {
        Error::Refused { .. } => true,
        Error::Namespaces(error) => error.errno().is_some_and(|errno| NO_SUCH_FAMILY.contains(&errno)),
        _ => false,
    };
    if is_refusal { Ok(Mode::Userspace { missing: told(&error) }) } else { Err(error) }
}

/// An error with all of its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    told
}

/// What serves.
#[derive(Debug)]
enum Server {
    Nftables,
    Userspace { tables: watch::Sender<Table>, served: watch::Receiver<Served>, task: JoinHandle<Result<(), Error>> },
}

impl Server {
    fn start(mode: &Mode, netns: &Arc<OwnedFd>) -> Self {
        match mode {
            Mode::Nftables => Self::Nftables,
            Mode::Userspace { .. } => {
                let (tables, followed) = watch::channel(Table::default());
                let (told, served) = watch::channel(Served::default());
                let netns = Arc::clone(netns);
                let task = tokio::task::spawn_blocking(move || userspace::serve(netns.as_fd(), followed, &told));
                Self::Userspace { tables, served, task }
            }
        }
    }

    async fn serve(&self, netns: &Arc<OwnedFd>, table: &Table) -> Result<(), Error> {
        match self {
            Self::Nftables => {
                let (netns, batch) = (Arc::clone(netns), nftables::replace(TABLE, table));
                blocking(move || nftables::apply(netns.as_fd(), &batch)).await
            }
            Self::Userspace { tables, served, .. } => {
                tables.send(table.clone()).map_err(|_| Error::Stopped)?;
                let mut served = served.clone();
                let there = served.wait_for(|served| served.table == *table).await;
                there.map(drop).map_err(|_| Error::Stopped)
            }
        }
    }

    fn notices(&self) -> Vec<Notice> {
        match self {
            Self::Nftables => Vec::new(),
            Self::Userspace { served, .. } => served.borrow().notices.clone(),
        }
    }

    async fn stop(self, netns: &Arc<OwnedFd>) -> Result<(), Error> {
        match self {
            Self::Nftables => {
                let netns = Arc::clone(netns);
                blocking(move || nftables::apply(netns.as_fd(), &nftables::remove(TABLE))).await
            }
            Self::Userspace { tables, task, .. } => {
                drop(tables);
                joined(task.await)
            }
        }
    }
}

/// Runs work that waits for the kernel off the threads that run tasks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    joined(tokio::task::spawn_blocking(work).await)
}

fn joined<T>(result: Result<Result<T, Error>, tokio::task::JoinError>) -> Result<T, Error> {
    match result {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::Stopped),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn only_what_the_kernel_refuses_is_missing() {
        let refused = || io::Error::from_raw_os_error(95);
        let sys = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            Error::Namespaces(windlass_namespaces::Error::Sys { op: "socket", object: "netlink".to_owned(), source })
        };
        let probe =
            Error::Refused { action: "add a rule to chain output".to_owned(), explanation: None, source: refused() };
        let Ok(Mode::Userspace { missing: why }) = missing(probe) else { panic!("it was refused") };
        assert_eq!(why, "nftables: cannot add a rule to chain output: Operation not supported (os error 95)");
        let Ok(Mode::Userspace { missing: why }) = missing(sys(93)) else { panic!("there is no such socket") };
        assert_eq!(why, "socket netlink failed: Protocol not supported (os error 93)");
        assert!(missing(sys(24)).is_err(), "too many open files say nothing of the kernel");
        assert!(missing(Error::Buffer { bytes: 1, source: refused() }).is_err());
    }
}
