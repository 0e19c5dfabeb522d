//! What every step of the demo has in hand: the cluster, the parts, the screen, and patience.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use windlass_namespaces::{Namespace, enter};
use windlass_pod::kinds::{EndpointSlice, Pod};

use super::cluster::{Cluster, Node};
use super::error::{Error, Result};
use super::interrupt::Interrupt;
use super::ledger::Ledger;
use super::manifest::Cast;
use super::output::Reporter;
use super::task::blocking;
use super::{request, view};
use crate::caller;
use crate::http::Response;
use crate::proxy::Mode;
use crate::registry::{Registry, Scope};

/// How often a state is looked at while it is awaited.
const LOOK: Duration = Duration::from_millis(15);

/// What the steps share.
#[derive(Debug)]
pub(super) struct Show {
    pub(super) reporter: Reporter,
    pub(super) interrupt: Interrupt,
    pub(super) cast: Cast,
    pub(super) cluster: Cluster,
    /// The folder that the pods' hostPath volumes show.
    pub(super) data: PathBuf,
    /// The answers that the demo itself got.
    pub(super) ledger: Ledger,
    /// What this run cannot show, each with its reason.
    pub(super) missing: Missing,
}

/// Why parts of the demo are skipped.
#[derive(Debug, Clone, Default)]
pub(super) struct Missing {
    /// Nothing limits memory.
    pub(super) memory: Option<String>,
    /// Nothing counts.
    pub(super) accounting: Option<String>,
}

/// What a look has found.
#[derive(Debug)]
pub(super) enum Look<T> {
    Found(T),
    NotYet(String),
}

impl Show {
    /// Looks until the state is there; a step that waits for nothing more than this shows what it saw last.
    pub(super) async fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl AsyncFnMut() -> Result<Look<T>>,
    ) -> Result<T> {
        let start = Instant::now();
        loop {
            if self.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            let seen = match look().await? {
                Look::Found(found) => return Ok(found),
                Look::NotYet(seen) => seen,
            };
            if start.elapsed() >= limit {
                return Err(Error::TimedOut { what: what.to_owned(), limit, seen });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.cluster.registry
    }

    /// By what the nodes serve services; where the kernel does not, the reason is said.
    pub(super) fn proxies(&self) -> &'static str {
        let missing = self.cluster.nodes.iter().find_map(|node| match &node.mode {
            Mode::Nftables => None,
            Mode::Userspace { missing } => Some((&node.name, missing)),
        });
        let Some((node, missing)) = missing else { return "nftables" };
        self.reporter.notice(&format!("{node}: services are served by a proxy in this process: {missing}"));
        "userspace"
    }

    /// All pods.
    pub(super) async fn pods(&self) -> Result<Vec<Pod>> {
        Ok(self.registry().list::<Pod>(Scope::All).await?.0)
    }

    /// The pods that the controller keeps, those that are ending included.
    pub(super) async fn replicas(&self) -> Result<Vec<Pod>> {
        let labels = &self.cast.labels;
        let mut pods = self.pods().await?;
        pods.retain(|pod| labels.iter().all(|(key, value)| pod.metadata.labels.get(key) == Some(value)));
        Ok(pods)
    }

    /// The pod that is this one and no successor.
    pub(super) async fn pod(&self, of: &Pod) -> Result<Option<Pod>> {
        let found = self.registry().get::<Pod>(&view::key(of)).await?;
        Ok(found.filter(|pod| view::uid(pod) == view::uid(of)))
    }

    /// The addresses behind the service.
    pub(super) async fn endpoints(&self) -> Result<Vec<String>> {
        let (slices, _) = self.registry().list::<EndpointSlice>(Scope::Namespace(&self.cast.service.namespace)).await?;
        Ok(view::endpoints(&slices, &self.cast.service))
    }

    /// Waits until exactly `count` replicas exist, all are ready, and the service knows exactly them.
    pub(super) async fn settled(&self, count: usize, limit: Duration) -> Result<Vec<Pod>> {
        self.settled_if(count, limit, |_| true).await
    }

    /// The same, with every replica as `fits` wants it.
    pub(super) async fn settled_if(
        &self,
        count: usize,
        limit: Duration,
        fits: impl Fn(&Pod) -> bool,
    ) -> Result<Vec<Pod>> {
        self.until(&format!("{count} ready replicas behind the service"), limit, async || {
            let replicas = self.replicas().await?;
            let ready = replicas.iter().filter(|pod| view::is_ready(pod) && fits(pod)).count();
            let mut addresses: Vec<&str> = replicas.iter().filter_map(view::address).collect();
            addresses.sort_unstable();
            let endpoints = self.endpoints().await?;
            if replicas.len() == count && ready == count && endpoints == addresses {
                return Ok(Look::Found(replicas));
            }
            let rows = replicas.iter().map(|pod| format!("{} ({})", view::key(pod).name, view::trouble(pod)));
            let rows: Vec<String> = rows.collect();
            Ok(Look::NotYet(format!("{}; endpoints {}", rows.join(", "), endpoints.join(" "))))
        })
        .await
    }

    /// The node of this name.
    pub(super) fn node(&self, name: &str) -> Result<&Node> {
        self.cluster.nodes.iter().find(|node| node.name == name).ok_or_else(|| Error::Unexpected {
            what: "the node of a pod",
            expected: "one of the demo's".to_owned(),
            found: name.to_owned(),
        })
    }

    /// Sends one request to a pod, over the network of its node.
    pub(super) async fn ask(&self, pod: &Pod, method: &'static str, path: &'static str) -> Result<Response> {
        let address = view::address(pod).unwrap_or_default();
        let address: SocketAddr = format!("{address}:{}", self.cast.port).parse().map_err(|_| Error::Unexpected {
            what: "a pod's address",
            expected: "an IPv4 address".to_owned(),
            found: address.to_owned(),
        })?;
        let network = self.node(view::node(pod))?.network.clone();
        let exchange = move || request::send(network.namespace(), address, method, path);
        blocking(exchange).await?.map_err(|source| Error::Ask { pod: view::key(pod).to_string(), path, source })
    }

    /// Calls the service from a node until `pods` different pods have answered.
    pub(super) async fn call_from_node(&mut self, name: &str, pods: usize, limit: Duration) -> Result<usize> {
        let (network, service) = (self.node(name)?.network.clone(), self.cast.address);
        let prefix = format!("{name}-{}", self.reporter.elapsed().as_micros());
        let calls = move || {
            let work = move || call_until(service, &prefix, pods, Instant::now() + limit);
            enter::within(&[(Namespace::Net, network.namespace().as_fd())], work)
        };
        let answered = blocking(calls).await?.map_err(Error::Namespaces)?;
        let mut seen: Vec<&str> = answered.iter().map(|answered| answered.answer.pod.as_str()).collect();
        seen.sort_unstable();
        seen.dedup();
        let (distinct, count) = (seen.len(), answered.len());
        for answered in answered {
            self.ledger.answer(answered.id);
        }
        if distinct < pods {
            let what = format!("answers from {pods} pods at {name}");
            return Err(Error::TimedOut { what, limit, seen: format!("{distinct} pods in {count} answers") });
        }
        Ok(count)
    }
}

fn call_until(service: SocketAddr, prefix: &str, pods: usize, deadline: Instant) -> Vec<caller::Answered> {
    let never = AtomicBool::new(false);
    let mut answered: Vec<caller::Answered> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < pods {
        let id = format!("{prefix}-{}", answered.len());
        let Some(one) = caller::call(service, id, Some(deadline), &never) else { break };
        seen.insert(one.answer.pod.clone());
        answered.push(one);
        if Instant::now() >= deadline {
            break;
        }
    }
    answered
}
