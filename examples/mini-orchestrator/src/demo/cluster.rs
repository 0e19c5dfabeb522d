//! The control plane and the nodes, put together: the one place that sees all of their tasks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use windlass_cgroups::{Controller, DeviceNumber, Group, GroupPath, Hierarchies};
use windlass_pod::Quantity;
use windlass_pod::kinds::Taint;
use windlass_scheduler_core::Profile;

use super::error::{Error, Result};
use super::interrupt::Interrupt;
use super::output::Reporter;
use super::task::blocking;
use crate::agent::{Agent, Place, Settings};
use crate::images::Images;
use crate::net::{Fabric, NodeNetwork};
use crate::proxy::{Mode, Proxy};
use crate::registry::Registry;
use crate::store::{self, Store};
use crate::{controllers, scheduler};

/// How many nodes there are.
pub(super) const NODES: u8 = 3;
/// The node that takes no pods but those that tolerate it.
const TAINTED: u8 = 3;
const ROLE: &str = "windlass.example/role";
const CLIENT: &str = "client";
/// After its first failure a container starts again at once; then after this long, twice this long, and so on.
pub(super) const BACKOFF_BASE: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_mins(5);
/// How long the groups' processes may take to end once they are killed.
const KILL: Duration = Duration::from_secs(10);
/// The controllers that pods are limited and counted by.
const CONTROLLERS: [Controller; 4] = [Controller::Cpu, Controller::Memory, Controller::Io, Controller::Pids];

/// All that runs.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) registry: Registry,
    pub(super) nodes: Vec<Node>,
    store: Store,
    stop: watch::Sender<bool>,
    tasks: Vec<(&'static str, JoinHandle<std::result::Result<(), String>>)>,
    _fabric: Fabric,
}

/// A virtual node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) network: Arc<NodeNetwork>,
    pub(super) agent: Agent,
    /// How services are served there.
    pub(super) mode: Mode,
}

/// What the cluster is made from.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) folder: &'a Path,
    pub(super) images: Arc<Images>,
    pub(super) pause_image: String,
    pub(super) groups: Option<Group>,
    pub(super) disk: Option<DeviceNumber>,
}

impl Cluster {
    /// Starts the store, the control plane and the nodes.
    pub(super) async fn start(parts: &Parts<'_>, reporter: &Reporter, interrupt: &Interrupt) -> Result<Self> {
        let store = Store::open(&parts.folder.join("store"), store::Options::default()).await?;
        let registry = Registry::new(store.clone());
        let (fabric, networks) = blocking(|| Fabric::create(NODES)).await??;
        let (stop, stopped) = watch::channel(false);
        let mut cluster = Self { registry, nodes: Vec::new(), store, stop, tasks: Vec::new(), _fabric: fabric };
        match cluster.start_tasks(networks, parts, stopped, reporter, interrupt).await {
            Ok(()) => Ok(cluster),
            Err(error) => {
                // What kept it from starting is told; a second failure on the way back would hide it.
                let _ = cluster.stop().await;
                Err(error)
            }
        }
    }

    async fn start_tasks(
        &mut self,
        networks: Vec<NodeNetwork>,
        parts: &Parts<'_>,
        stopped: watch::Receiver<bool>,
        reporter: &Reporter,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let registry = self.registry.clone();
        let (services, prefix) = crate::net::plan::SERVICES;
        let service_range = format!("{services}/{prefix}").parse().expect("the plan's network is one");
        let run = controllers::run(registry.clone(), controllers::Settings { service_range }, stopped.clone());
        self.task("controllers", reporter, interrupt, run);
        let run = scheduler::run(registry.clone(), Profile::default(), stopped.clone());
        self.task("scheduler", reporter, interrupt, run);
        for (number, network) in (1..=NODES).zip(networks) {
            let name = format!("node-{number}");
            let network = Arc::new(network);
            let netns = network.namespace().try_clone_to_owned().map_err(Error::io("open", Path::new(&name)))?;
            let proxy = Proxy::open(registry.clone(), name.clone(), netns).await;
            let proxy = proxy.map_err(|source| Error::Proxy { node: name.clone(), source: Box::new(source) })?;
            let mode = proxy.mode().clone();
            self.task("proxy", reporter, interrupt, proxy.run(stopped.clone()));
            let place = Place {
                node: name.clone(),
                network: Arc::clone(&network),
                images: Arc::clone(&parts.images),
                pause_image: parts.pause_image.clone(),
                pods: parts.folder.join("pods").join(&name),
                host: parts.folder.join("host"),
                group: parts.groups.as_ref().map(|groups| groups.child(&name)).transpose()?,
                disk: parts.disk,
            };
            let agent = Agent::start(registry.clone(), place, settings(number)).await;
            let agent = agent.map_err(|source| Error::agent(&name)(source))?;
            self.nodes.push(Node { name, network, agent, mode });
        }
        Ok(())
    }

    /// Runs a task beside the demo; its failure is said and ends the demo.
    fn task<E: std::error::Error + Send>(
        &mut self,
        name: &'static str,
        reporter: &Reporter,
        interrupt: &Interrupt,
        run: impl Future<Output = std::result::Result<(), E>> + Send + 'static,
    ) {
        let (reporter, interrupt) = (reporter.clone(), interrupt.clone());
        let task = tokio::spawn(async move {
            let failed = run.await.map_err(|error| super::chain(&error));
            if let Err(error) = &failed {
                reporter.notice(&format!("{name} failed: {error}"));
                interrupt.raise();
            }
            failed
        });
        self.tasks.push((name, task));
    }

    /// Stops everything: the control plane first, so that nobody starts again what the nodes end.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.stop.send_replace(true);
        let mut first = Ok(());
        for (_, task) in self.tasks.drain(..) {
            // What a task failed with was said when it happened.
            let ended = task.await.map(drop).map_err(|source| Error::Task { source });
            first = first.and(ended);
        }
        for node in self.nodes.drain(..) {
            let stopped = node.agent.stop().await.map_err(|source| Error::agent(&node.name)(source));
            first = first.and(stopped);
        }
        first.and(self.store.close().await.map_err(Error::from))
    }
}

/// The group of a run with what its processes are limited by; `Err` says what is missing and why.
pub(super) fn make_groups(hierarchies: &Hierarchies, id: &str) -> Result<(Group, Vec<String>)> {
    let absent = |controller: &&Controller| matches!(hierarchies.home(**controller), windlass_cgroups::Home::Absent(_));
    let missing = CONTROLLERS.iter().filter(absent).map(ToString::to_string).collect();
    let there: Vec<Controller> = CONTROLLERS.iter().filter(|controller| !absent(controller)).copied().collect();
    Ok((hierarchies.create(&group_path(id)?, &there)?, missing))
}

/// Removes a run's groups, with all that is in them: at its own end, or when it was found dead.
pub(super) fn remove_groups(hierarchies: &Hierarchies, id: &str) -> Result<()> {
    if let Some(group) = hierarchies.find(&group_path(id)?)? {
        group.kill_and_wait(KILL)?;
        group.remove_tree()?;
    }
    Ok(())
}

fn group_path(id: &str) -> Result<GroupPath> {
    GroupPath::new(&format!("windlass-demo-{id}")).map_err(|source| Error::Cgroups(source.into()))
}

fn settings(number: u8) -> Settings {
    let client = (ROLE.to_owned(), CLIENT.to_owned());
    let taint = Taint {
        key: Some(ROLE.to_owned()),
        value: Some(CLIENT.to_owned()),
        effect: Some("NoSchedule".to_owned()),
        ..Taint::default()
    };
    let is_tainted = number == TAINTED;
    Settings {
        labels: if is_tainted { BTreeMap::from([client]) } else { BTreeMap::new() },
        taints: if is_tainted { vec![taint] } else { Vec::new() },
        // Room for all replicas on one node, so that the other can be drained.
        capacity: BTreeMap::from([
            ("cpu".to_owned(), Quantity::from_millis(2000)),
            ("memory".to_owned(), Quantity::from_units(1 << 30, windlass_pod::quantity::Format::BinarySi)),
            ("pods".to_owned(), Quantity::from_units(32, windlass_pod::quantity::Format::DecimalSi)),
        ]),
        backoff_base: BACKOFF_BASE,
        backoff_max: BACKOFF_MAX,
    }
}
