//! Applying events: each is checked in full before anything changes.

use std::sync::Arc;

use crate::compile::{self, Applied, Event};
use crate::error::{Error, Result};
use crate::gang::GroupKey;
use crate::node::CompiledNode;
use crate::plugin::Plugins;
use crate::pod_table::{Place, PodName};
use crate::profile::Sampling;
use crate::request::{CompiledPod, Deletion, Ownership};
use crate::scheduler::Scheduler;
use crate::slot::{NodeId, PodSlot};
use crate::wake::Change;

impl<P: Plugins> Scheduler<P> {
    /// Takes note of something that happened in the cluster.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Unsupported`] and [`Error::LimitExceeded`] name the field of an object that cannot
    /// be scheduled by; [`Error::NotFound`] a node or priority class that was never applied; [`Error::DuplicateUid`]
    /// two pods that claim to be one. After an error everything is as it was before.
    pub fn apply(&mut self, event: Event<'_>) -> Result<()> {
        match event {
            Event::NodeApplied(node) => {
                let node = compile::node(&mut self.cluster, node)?;
                self.node_applied(node);
            }
            Event::NodeRemoved(name) => {
                let missing = || Error::NotFound { kind: "node", name: name.to_owned() };
                let node = self.cluster.nodes.find(name).ok_or_else(missing)?;
                self.node_removed(node);
            }
            Event::PodApplied(pod) => match compile::pod(&mut self.cluster, pod, &self.profile.scheduler_name)? {
                Applied::Present(pod) => self.pod_applied(&pod)?,
                Applied::Ended { namespace, name } => self.pod_removed(&namespace, &name),
            },
            Event::PodRemoved { namespace, name } => self.pod_removed(namespace, name),
            Event::NamespaceApplied(namespace) => {
                let (name, labels) = compile::namespace(&mut self.cluster, namespace)?;
                self.cluster.apply_namespace(name, labels);
                self.wake(&Change::Namespace);
            }
            Event::NamespaceRemoved(name) => {
                if let Some(name) = self.cluster.interner.get(name) {
                    self.cluster.remove_namespace(name);
                    self.wake(&Change::Namespace);
                }
            }
            Event::DisruptionBudgetApplied(budget) => {
                let (key, budget) = compile::budget(&mut self.cluster, budget)?;
                self.cluster.set_budget(key, Some(budget));
            }
            Event::DisruptionBudgetRemoved { namespace, name } => {
                self.cluster.set_budget((namespace.into(), name.into()), None);
            }
            Event::PriorityClassApplied(class) => {
                let (name, class) = compile::priority_class(class)?;
                self.cluster.priority_classes.insert(name, class);
            }
            Event::PriorityClassRemoved(name) => {
                self.cluster.priority_classes.remove(name);
            }
            Event::PodGroupApplied(group) => {
                let (group, needed) = compile::pod_group(&mut self.cluster, &group)?;
                self.gangs.set(group, Some(needed));
                self.assemble(group);
            }
            Event::PodGroupRemoved { namespace, name } => {
                let group = compile::group_key(&mut self.cluster, namespace, name);
                self.gangs.set(group, None);
                self.assemble(group);
            }
        }
        Ok(())
    }

    /// Lets the waiting pods of a group be tried when it has as many as it needs, and holds them back when not.
    fn assemble(&mut self, group: GroupKey) {
        let is_complete = self.gangs.is_complete(group);
        let members: Vec<PodSlot> = self.gangs.ready(group).filter(|pod| self.queue.contains(*pod)).collect();
        for pod in members.into_iter().filter(|pod| self.cluster.pods.get(*pod).place == Place::Pending) {
            if is_complete {
                self.queue.release(pod);
            } else {
                self.queue.hold(pod);
            }
        }
    }

    fn node_applied(&mut self, node: CompiledNode) {
        let before = self.cluster.nodes.find(&node.name).map(|id| self.cluster.nodes.spec(id).clone());
        if before.as_ref() == Some(&node) {
            return;
        }
        let name = Arc::clone(&node.name);
        let id = self.cluster.nodes.apply(node);
        if self.profile.sampling != Sampling::Exhaustive {
            let node = self.cluster.nodes.spec(id);
            self.rotation.apply(id, node, before.as_ref(), &self.cluster.interner);
        }
        match before {
            None => {
                for pod in self.cluster.orphans_of(&name) {
                    let place = if self.queue.contains(pod) { Place::Assumed(id) } else { Place::Bound(id) };
                    self.cluster.adopt(pod, place);
                }
                self.wake(&Change::NodeAdded(id));
            }
            Some(before) => self.wake(&Change::NodeChanged(id, &before)),
        }
    }

    fn node_removed(&mut self, node: NodeId) {
        let name = Arc::clone(self.cluster.nodes.name(node));
        for pod in self.cluster.nodes.pods(node).to_vec() {
            self.cluster.adopt(pod, Place::Orphan(Arc::clone(&name)));
        }
        for pod in self.nominations.clear_node(node) {
            self.queue.wake(pod, self.now);
        }
        self.cluster.nodes.remove(node);
        self.rotation.remove(node);
        self.wake(&Change::NodeRemoved);
    }

    fn pod_removed(&mut self, namespace: &str, name: &str) {
        if let Some(pod) = self.cluster.pods.find(namespace, name) {
            self.remove(pod);
        }
    }

    fn remove(&mut self, pod: PodSlot) {
        let class = Arc::clone(self.cluster.class(pod));
        self.queue.remove(pod);
        self.gangs.forget(pod);
        let nominated = self.nominations.clear(pod);
        let left = self.cluster.detach(pod);
        self.cluster.forget(pod);
        // A pod that only waited for a node kept others away from it as well.
        if nominated.or(left).is_some() {
            self.wake(&Change::PodLeft(&class));
        }
    }

    fn pod_applied(&mut self, pod: &CompiledPod) -> Result<()> {
        let known = self.cluster.pods.find(&pod.namespace, &pod.name);
        if let Some(holder) = self.cluster.pods.find_uid(&pod.uid).filter(|holder| Some(*holder) != known) {
            let holder = self.cluster.pods.get(holder).id.to_string();
            let name = format!("{}/{}", pod.namespace, pod.name);
            return Err(Error::DuplicateUid { pod: name, holder, uid: pod.uid.to_string() });
        }
        let same = known.filter(|known| self.cluster.pods.get(*known).id.uid() == &*pod.uid);
        let place = self.place(pod, same)?;
        if let (Some(old), None) = (known, same) {
            self.remove(old);
        }
        let slot = if let Some(slot) = same {
            self.reclass(slot, pod);
            slot
        } else {
            let class = self.cluster.classes.acquire(pod.class.clone());
            let (namespace, name, uid) = (pod.namespace.clone(), pod.name.clone(), pod.uid.clone());
            self.cluster.pods.insert(PodName { namespace, name, uid }, class)
        };
        if let (Some(Place::Bound(node)), Some(devices)) = (&place, &pod.devices) {
            self.tell_devices(slot, *node, devices);
        }
        self.cluster.set_start(slot, pod.start);
        self.cluster.set_deletion(slot, pod.deletion);
        let is_held = !pod.gates.is_empty() || pod.deletion == Deletion::Started;
        self.gangs.name(slot, pod.group, is_held);
        match place {
            Some(Place::Bound(node)) => self.pod_bound(slot, node),
            Some(_) => {}
            None => self.pod_pending(slot, pod, same.is_none()),
        }
        if let Some(group) = self.gangs.of(slot) {
            self.assemble(group);
        }
        Ok(())
    }

    /// Takes note of the devices that a pod has on a node.
    fn tell_devices(&mut self, pod: PodSlot, node: NodeId, devices: &[u16]) {
        if self.cluster.devices_of(pod) == devices {
            return;
        }
        let place = self.cluster.pods.get(pod).place.clone();
        if place.node() == Some(node) {
            self.cluster.detach(pod);
            self.cluster.give_devices(pod, Some(devices.into()));
            self.cluster.attach(pod, place);
        } else if place.node().is_none() {
            self.cluster.give_devices(pod, Some(devices.into()));
        }
    }

    /// Where an applied pod stands: `None` when it is to be scheduled.
    fn place(&self, pod: &CompiledPod, same: Option<PodSlot>) -> Result<Option<Place>> {
        let current = same.map(|slot| self.cluster.pods.get(slot).place.clone());
        let Some(name) = &pod.node else {
            return Ok(current.filter(|place| *place != Place::Pending));
        };
        if let Some(place @ Place::Orphan(node)) = &current
            && node == name
        {
            return Ok(Some(place.clone()));
        }
        let missing = || Error::NotFound { kind: "node", name: name.to_string() };
        let node = self.cluster.nodes.find(name).ok_or_else(missing)?;
        if !self.cluster.nodes.can_count(node, &pod.class) {
            let reason = "the node's sum of requests would leave the range that is counted";
            return Err(Error::invalid("spec.containers", name.to_string(), reason));
        }
        Ok(Some(Place::Bound(node)))
    }

    /// Exchanges the class of a known pod, and tells those who wait for its labels or its requests to change.
    fn reclass(&mut self, pod: PodSlot, applied: &CompiledPod) {
        let before = Arc::clone(self.cluster.class(pod));
        if *before == applied.class {
            return;
        }
        self.cluster.reclass(pod, applied.class.clone());
        self.nominations.touch(pod);
        if self.cluster.pods.get(pod).place.node().is_some() {
            self.wake(&Change::PodLeft(&before));
            self.wake(&Change::PodPlaced(&applied.class));
        } else if self.queue.contains(pod) {
            self.queue.push(pod, applied.class.priority, self.now);
        }
    }

    fn pod_bound(&mut self, pod: PodSlot, node: NodeId) {
        match self.cluster.pods.get(pod).place.clone() {
            Place::Bound(current) if current == node => {}
            Place::Assumed(current) if current == node => self.bound(pod, node),
            other => {
                let class = Arc::clone(self.cluster.class(pod));
                self.cluster.adopt(pod, Place::Bound(node));
                if other.node().is_some() {
                    self.wake(&Change::PodLeft(&class));
                }
                self.bound(pod, node);
            }
        }
    }

    fn pod_pending(&mut self, slot: PodSlot, pod: &CompiledPod, is_new: bool) {
        let wanted = pod.ownership == Ownership::Ours && pod.deletion == Deletion::No;
        if !wanted {
            self.queue.remove(slot);
            self.nominations.clear(slot);
            return;
        }
        if !pod.gates.is_empty() {
            self.queue.gate(slot, pod.class.priority, self.now);
        } else if is_new || (self.queue.is_gated(slot) && !self.gangs.waits(slot)) || !self.queue.contains(slot) {
            self.queue.push(slot, pod.class.priority, self.now);
        }
        let nominated = pod.nominated.as_ref().and_then(|name| self.cluster.nodes.find(name));
        if let (Some(node), None) = (nominated, self.nominations.of(slot)) {
            self.nominations.nominate(slot, node);
        }
    }
}
