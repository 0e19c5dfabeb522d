//! What plugins of the caller's own see: a pod and a node, as filters and scores read them.

use crate::cluster::Cluster;
use crate::labels::Labels;
use crate::node::Supposed;
use crate::pod_table::PodRef;
use crate::request::PodClass;
use crate::slot::{NodeId, PodSlot};

/// A pod: to be placed, or on a node.
#[derive(Clone, Copy, Debug)]
pub struct PodView<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) class: &'a PodClass,
    pub(crate) pod: Option<PodSlot>,
}

/// A node with what runs on it, or would run on it while evictions are tried.
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) node: NodeId,
    pub(crate) supposed: Option<&'a Supposed>,
}

/// A volume claim that a pod uses, in the pod's namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ClaimView<'a> {
    /// The claim's name; that of an ephemeral volume is made from the pod's and the volume's, as Kubernetes does.
    pub name: &'a str,
    /// Whether the pod only reads.
    pub read_only: bool,
}

impl<'a> PodView<'a> {
    /// Which pod it is.
    ///
    /// `None` for one that does not exist ([`Scheduler::what_if`](crate::Scheduler::what_if)), and for the pod to place
    /// where a plugin says that it depends on the node only: its answer counts for all pods that are alike.
    pub fn identity(&self) -> Option<&'a PodRef> {
        self.pod.map(|pod| &self.cluster.pods.get(pod).id)
    }

    /// The namespace.
    pub fn namespace(&self) -> &'a str {
        self.cluster.interner.text(self.class.namespace)
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&'a str> {
        label(self.cluster, &self.class.labels, key)
    }

    /// The labels; in no particular order, which is the same in every run.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        labels(self.cluster, &self.class.labels)
    }

    /// The priority.
    pub fn priority(&self) -> i32 {
        self.class.priority
    }

    /// How much the pod requests of a resource, all containers together.
    ///
    /// Units: millicores of `cpu`, bytes of memory and storage, whole units of everything else.
    pub fn requests(&self, resource: &str) -> i64 {
        self.cluster.catalog.get(resource).map_or(0, |resource| self.class.requests.amount(resource))
    }

    /// The claims of its volumes. They are read where [`Volumes::TAKES_CLAIMS`](crate::Volumes::TAKES_CLAIMS) says so.
    pub fn claims(&self) -> impl Iterator<Item = ClaimView<'a>> + use<'a> {
        let cluster = self.cluster;
        let claims = self.class.claims.iter();
        claims.map(|claim| ClaimView { name: cluster.interner.text(claim.name), read_only: claim.read_only })
    }

    /// The pod as one of those that are alike.
    pub(crate) fn anonymous(self) -> Self {
        Self { pod: None, ..self }
    }
}

impl<'a> NodeView<'a> {
    /// The name.
    pub fn name(&self) -> &'a str {
        self.cluster.nodes.name(self.node)
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&'a str> {
        label(self.cluster, &self.cluster.nodes.spec(self.node).labels, key)
    }

    /// The labels; in no particular order, which is the same in every run.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        labels(self.cluster, &self.cluster.nodes.spec(self.node).labels)
    }

    /// Whether the node is cordoned.
    pub fn is_unschedulable(&self) -> bool {
        self.cluster.nodes.spec(self.node).unschedulable
    }

    /// How much of a resource the node has for pods.
    ///
    /// Units: as [`PodView::requests`].
    pub fn allocatable(&self, resource: &str) -> i64 {
        self.cluster.catalog.get(resource).map_or(0, |resource| self.cluster.nodes.allocatable(self.node, resource))
    }

    /// How much of a resource the pods on it request.
    ///
    /// Units: as [`PodView::requests`].
    pub fn requested(&self, resource: &str) -> i64 {
        let Some(resource) = self.cluster.catalog.get(resource) else { return 0 };
        match self.supposed {
            Some(supposed) => crate::node::Usage::requested(supposed, resource),
            None => self.cluster.nodes.requested(self.node, resource),
        }
    }

    /// The pods on it: those that decisions assume there count, those that an eviction is tried for do not.
    pub fn pods(&self) -> impl Iterator<Item = PodView<'a>> + use<'a> {
        let cluster = self.cluster;
        let actual = cluster.nodes.pods(self.node);
        let supposed = self.supposed.into_iter().flat_map(|supposed| supposed.pods(actual));
        let actual = if self.supposed.is_none() { actual } else { &[] };
        let pods = actual.iter().copied().chain(supposed);
        pods.map(|pod| PodView { cluster, class: cluster.class(pod), pod: Some(pod) })
    }
}

fn label<'a>(cluster: &'a Cluster, labels: &'a Labels, key: &str) -> Option<&'a str> {
    let value = labels.get(cluster.interner.get(key)?)?;
    Some(cluster.interner.text(value))
}

fn labels<'a>(cluster: &'a Cluster, labels: &'a Labels) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    let text = |symbol| &**cluster.interner.text(symbol);
    labels.iter().map(move |(key, value)| (text(key), text(value)))
}
