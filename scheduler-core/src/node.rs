//! The node table: one column per property, one row per node.

use std::collections::HashMap;
use std::sync::Arc;

use crate::bounds::Bounds;
use crate::device::{Installed, Rack, Racks};
use crate::intern::Symbol;
use crate::labels::Labels;
use crate::request::{HostPort, PodClass};
use crate::resources::{AMOUNT_MAX, CPU, MEMORY, ResourceId};
use crate::shared::{Atlas, Pages, Shared};
use crate::slot::{NodeId, PodSlot};
use crate::taint::Taint;
use crate::topology::{Topologies, TopologyId};

/// A node as compiled from the wire form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CompiledNode {
    pub(crate) name: Arc<str>,
    pub(crate) name_symbol: Symbol,
    pub(crate) labels: Labels,
    pub(crate) taints: Box<[Taint]>,
    pub(crate) unschedulable: bool,
    pub(crate) allocatable: Box<[(ResourceId, i64)]>,
    pub(crate) pods_max: i64,
    /// Image names with their sizes in bytes.
    pub(crate) images: Box<[(Symbol, i64)]>,
    pub(crate) devices: Option<Installed>,
}

/// The table.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeTable {
    index: Atlas<Arc<str>, NodeId>,
    free: Vec<NodeId>,
    /// What was last applied; `None` in a free row.
    specs: Pages<Option<CompiledNode>>,
    /// One column a resource.
    allocatable: Vec<Pages<i64>>,
    requested: Vec<Pages<i64>>,
    /// cpu and memory as the scores count them.
    scored: [Pages<i64>; 2],
    ports: Pages<Vec<HostPort>>,
    pods: Pages<Vec<PodSlot>>,
    topologies: Shared<Topologies>,
    images: Shared<HashMap<Symbol, Image>>,
    /// Grows with every node that is applied or removed.
    epoch: u64,
    bounds: Bounds,
    racks: Racks,
}

/// An image that some node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// As the first node that had it told.
    pub(crate) bytes: i64,
    pub(crate) nodes: i64,
}

/// The use of a node's resources, as it is or as it would be.
pub(crate) trait Usage {
    fn requested(&self, resource: ResourceId) -> i64;
    fn pod_count(&self) -> i64;
    fn port_taken(&self, port: &HostPort) -> bool;
    /// The node's shared devices.
    fn rack(&self) -> Option<&Rack>;
    /// What is supposed of the node; `None` for it as it is.
    fn supposed(&self) -> Option<&Supposed>;
}

/// A node's use as it is, read from the columns.
#[derive(Debug)]
pub(crate) struct Actual<'a> {
    table: &'a NodeTable,
    row: usize,
}

/// A node's use as it would be with pods added or taken away.
#[derive(Clone, Debug)]
pub(crate) struct Supposed {
    requested: Vec<i64>,
    pod_count: i64,
    ports: Vec<HostPort>,
    rack: Option<Rack>,
    /// Pods that are not there in truth, and pods that are.
    come: Vec<PodSlot>,
    gone: Vec<PodSlot>,
}

impl NodeTable {
    pub(crate) fn find(&self, name: &str) -> Option<NodeId> {
        self.index.get(name).copied()
    }

    /// The rows in use, lowest first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        let count = u32::try_from(self.specs.len()).expect("rows are counted in 32 bits");
        (0..count).map(NodeId).filter(|id| self.specs[id.row()].is_some())
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Notes a row's use approximately.
    fn approximate(&mut self, id: NodeId) {
        let requested = [CPU, MEMORY].map(|resource| self.requested(id, resource));
        let scored = [self.scored(id, 0), self.scored(id, 1)];
        self.bounds.set(id.row(), requested, scored, self.bounded(id));
    }

    /// What a row has of the resources that bounds are about.
    fn bounded(&self, id: NodeId) -> [i64; 2] {
        [CPU, MEMORY].map(|resource| self.allocatable(id, resource))
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many rows there are, those of removed nodes included.
    pub(crate) fn rows(&self) -> usize {
        self.specs.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn spec(&self, id: NodeId) -> &CompiledNode {
        self.specs[id.row()].as_ref().expect("ids are handed out for rows in use and dropped with them")
    }

    pub(crate) fn name(&self, id: NodeId) -> &Arc<str> {
        &self.spec(id).name
    }

    pub(crate) fn pods(&self, id: NodeId) -> &[PodSlot] {
        &self.pods[id.row()]
    }

    pub(crate) fn topologies(&self) -> &Topologies {
        &self.topologies
    }

    pub(crate) fn domain(&self, topology: TopologyId, id: NodeId) -> Option<usize> {
        self.topologies.domain(topology, id.row())
    }

    pub(crate) fn register_topology(&mut self, key: Symbol) -> Option<TopologyId> {
        if let Some(known) = self.topologies.find(key) {
            return Some(known);
        }
        let empty = Labels::default();
        let rows = self.specs.iter().map(|spec| spec.as_ref().map_or(&empty, |spec| &spec.labels));
        self.topologies.register(key, rows)
    }

    pub(crate) fn image(&self, name: Symbol) -> Option<Image> {
        self.images.get(&name).copied()
    }

    pub(crate) fn has_image(&self, id: NodeId, name: Symbol) -> bool {
        self.spec(id).images.iter().any(|image| image.0 == name)
    }

    pub(crate) fn allocatable(&self, id: NodeId, resource: ResourceId) -> i64 {
        self.allocatable.get(resource.column()).map_or(0, |column| column[id.row()])
    }

    pub(crate) fn requested(&self, id: NodeId, resource: ResourceId) -> i64 {
        self.requested.get(resource.column()).map_or(0, |column| column[id.row()])
    }

    /// Requested cpu (0) or memory (1) as the scores count them.
    pub(crate) fn scored(&self, id: NodeId, which: usize) -> i64 {
        self.scored[which][id.row()]
    }

    pub(crate) fn actual(&self, id: NodeId) -> Actual<'_> {
        Actual { table: self, row: id.row() }
    }

    pub(crate) fn supposed(&self, id: NodeId) -> Supposed {
        let row = id.row();
        Supposed {
            requested: self.requested.iter().map(|column| column[row]).collect(),
            pod_count: pod_count(&self.pods[row]),
            ports: self.ports[row].clone(),
            rack: self.racks.of(row).cloned(),
            come: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// Adds a node, or replaces what is known of one; its pods stay.
    pub(crate) fn apply(&mut self, spec: CompiledNode) -> NodeId {
        self.epoch += 1;
        let id = match self.find(&spec.name) {
            Some(id) => {
                self.forget_images(id);
                id
            }
            None => self.new_row(&spec.name),
        };
        let row = id.row();
        for column in &mut self.allocatable {
            column[row] = 0;
        }
        for (resource, amount) in &spec.allocatable {
            self.grow_columns(resource.column() + 1);
            self.allocatable[resource.column()][row] = *amount;
        }
        for (name, bytes) in &spec.images {
            let image = self.images.entry(*name).or_insert(Image { bytes: *bytes, nodes: 0 });
            image.nodes += 1;
        }
        self.topologies.place(row, &spec.labels);
        self.racks.install(row, spec.devices);
        self.specs[row] = Some(spec);
        if !self.bounds.allocate(row, self.bounded(id)) {
            for row in 0..self.specs.len() {
                let kept = self.bounds.allocate(row, self.bounded(NodeId::at(row)));
                debug_assert!(kept, "the unit is that of the smallest row");
            }
        }
        self.approximate(id);
        id
    }

    /// Removes a node without pods: the caller detaches them first.
    pub(crate) fn remove(&mut self, id: NodeId) -> CompiledNode {
        debug_assert!(self.pods[id.row()].is_empty(), "pods are detached before their node goes");
        self.epoch += 1;
        self.forget_images(id);
        self.topologies.place(id.row(), &Labels::default());
        self.racks.install(id.row(), None);
        let spec = self.specs[id.row()].take().expect("ids name rows in use");
        self.index.remove(&spec.name);
        self.free.push(id);
        spec
    }

    /// Whether a pod's requests can be added to a row without leaving the range of amounts.
    pub(crate) fn can_count(&self, id: NodeId, class: &PodClass) -> bool {
        let row = id.row();
        let scored = (0..2).all(|which| self.scored[which][row] + class.requests.scored[which] < AMOUNT_MAX * 32);
        scored && class.requests.iter().all(|(id_, amount)| self.requested(id, id_) + amount < AMOUNT_MAX * 32)
    }

    /// Counts a pod on a node, with the devices that it takes there.
    pub(crate) fn attach(&mut self, id: NodeId, pod: PodSlot, class: &PodClass, devices: &[u16]) {
        let row = id.row();
        if let Some(ask) = &class.devices {
            self.racks.open(row).take(ask, devices);
        }
        for (resource, amount) in class.requests.iter() {
            self.grow_columns(resource.column() + 1);
            self.requested[resource.column()][row] += amount;
        }
        for which in 0..2 {
            self.scored[which][row] += class.requests.scored[which];
        }
        self.ports[row].extend_from_slice(&class.ports);
        self.pods[row].push(pod);
        self.approximate(id);
    }

    /// Takes a pod off a node; `class` is what it was counted with.
    pub(crate) fn detach(&mut self, id: NodeId, pod: PodSlot, class: &PodClass, devices: &[u16]) {
        let row = id.row();
        if let Some(ask) = &class.devices {
            self.racks.open(row).give_back(ask, devices);
        }
        for (resource, amount) in class.requests.iter() {
            self.requested[resource.column()][row] -= amount;
        }
        for which in 0..2 {
            self.scored[which][row] -= class.requests.scored[which];
        }
        for port in &class.ports {
            let ports = &mut self.ports[row];
            let index = ports.iter().position(|taken| taken == port).expect("attaching recorded the port");
            ports.swap_remove(index);
        }
        let index = self.pods[row].iter().position(|slot| *slot == pod).expect("attaching recorded the pod");
        self.pods[row].swap_remove(index);
        self.approximate(id);
    }

    fn new_row(&mut self, name: &Arc<str>) -> NodeId {
        let id = self.free.pop().unwrap_or_else(|| {
            let row = u32::try_from(self.specs.len()).expect("fewer than 2^32 nodes fit in memory");
            self.specs.push(None);
            for column in self.allocatable.iter_mut().chain(&mut self.requested).chain(&mut self.scored) {
                column.push(0);
            }
            self.bounds.push();
            self.ports.push(Vec::new());
            self.pods.push(Vec::new());
            NodeId(row)
        });
        self.index.insert(Arc::clone(name), id);
        id
    }

    fn grow_columns(&mut self, count: usize) {
        let rows = self.specs.len();
        while self.allocatable.len() < count {
            self.allocatable.push(Pages::of(rows));
            self.requested.push(Pages::of(rows));
        }
    }

    fn forget_images(&mut self, id: NodeId) {
        let Some(spec) = &self.specs[id.row()] else { return };
        for (name, _) in &spec.images {
            let image = self.images.get_mut(name).expect("applying recorded the image");
            image.nodes -= 1;
            if image.nodes == 0 {
                self.images.remove(name);
            }
        }
    }
}

impl Usage for Actual<'_> {
    fn requested(&self, resource: ResourceId) -> i64 {
        self.table.requested.get(resource.column()).map_or(0, |column| column[self.row])
    }

    fn pod_count(&self) -> i64 {
        pod_count(&self.table.pods[self.row])
    }

    fn port_taken(&self, port: &HostPort) -> bool {
        self.table.ports[self.row].iter().any(|taken| taken.conflicts(port))
    }

    fn rack(&self) -> Option<&Rack> {
        self.table.racks.of(self.row)
    }

    fn supposed(&self) -> Option<&Supposed> {
        None
    }
}

impl Usage for Supposed {
    fn requested(&self, resource: ResourceId) -> i64 {
        self.requested.get(resource.column()).copied().unwrap_or(0)
    }

    fn pod_count(&self) -> i64 {
        self.pod_count
    }

    fn port_taken(&self, port: &HostPort) -> bool {
        self.ports.iter().any(|taken| taken.conflicts(port))
    }

    fn rack(&self) -> Option<&Rack> {
        self.rack.as_ref()
    }

    fn supposed(&self) -> Option<&Supposed> {
        Some(self)
    }
}

impl Supposed {
    /// Adds a pod, with the devices that it takes; those that fit best where it has none yet.
    pub(crate) fn add(&mut self, pod: PodSlot, class: &PodClass, devices: &[u16]) {
        exchange(pod, &mut self.gone, &mut self.come);
        if let (Some(ask), Some(rack)) = (&class.devices, &mut self.rack) {
            let chosen = if devices.is_empty() { rack.choose(ask) } else { devices.to_vec() };
            rack.take(ask, &chosen);
        }
        for (resource, amount) in class.requests.iter() {
            if self.requested.len() <= resource.column() {
                self.requested.resize(resource.column() + 1, 0);
            }
            self.requested[resource.column()] += amount;
        }
        self.pod_count += 1;
        self.ports.extend_from_slice(&class.ports);
    }

    /// Takes a pod away. kube-scheduler keeps the ports of a node as a set: a port that two pods have taken is free
    /// for it once one of them is supposed away, and the choice of victims depends on that.
    pub(crate) fn remove(&mut self, pod: PodSlot, class: &PodClass, devices: &[u16]) {
        exchange(pod, &mut self.come, &mut self.gone);
        if let (Some(ask), Some(rack)) = (&class.devices, &mut self.rack) {
            rack.give_back(ask, devices);
        }
        for (resource, amount) in class.requests.iter() {
            if let Some(requested) = self.requested.get_mut(resource.column()) {
                *requested -= amount;
            }
        }
        self.pod_count -= 1;
        self.ports.retain(|taken| !class.ports.contains(taken));
    }

    /// The pods that are there then, given those that are there in truth.
    pub(crate) fn pods<'a>(&'a self, pods: &'a [PodSlot]) -> impl Iterator<Item = PodSlot> + 'a {
        pods.iter().filter(|pod| !self.gone.contains(pod)).chain(&self.come).copied()
    }
}

/// Takes a pod off one list, or else puts it on the other.
fn exchange(pod: PodSlot, from: &mut Vec<PodSlot>, to: &mut Vec<PodSlot>) {
    match from.iter().position(|other| *other == pod) {
        Some(index) => {
            from.swap_remove(index);
        }
        None => to.push(pod),
    }
}

fn pod_count(pods: &[PodSlot]) -> i64 {
    i64::try_from(pods.len()).expect("a node's pods fit in memory")
}
