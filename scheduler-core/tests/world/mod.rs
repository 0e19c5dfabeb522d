//! A random world: objects made from seeds, and a run of events and decisions over them.

pub(crate) mod draw;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use windlass_pod::{Namespace, Node, Pod};
use windlass_scheduler_core::{Decision, Event, Plugins, Profile, Scheduler};

use crate::wire::decode;

/// One step of a run; numbers choose among what is there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    ApplyNode(u64),
    RemoveNode(usize),
    ApplyPod(u64),
    ChangePod(usize, u64),
    RemovePod(usize),
    Decide(Outcome),
    Wait(u16),
}

/// What becomes of a decision.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Commit,
    Confirm,
    Rollback,
}

/// The objects as the API server would have them, and the scheduler that was told of them.
pub(crate) struct World<P = ()> {
    pub(crate) scheduler: Scheduler<P>,
    pub(crate) namespaces: Vec<Value>,
    pub(crate) nodes: BTreeMap<String, Value>,
    pub(crate) pods: BTreeMap<String, Value>,
    now: Duration,
    made: usize,
}

impl<P: Plugins + Clone> World<P> {
    pub(crate) fn new(profile: Profile, plugins: P) -> Self {
        let mut scheduler = Scheduler::with_plugins(profile, plugins).expect("the profile is valid");
        let namespaces = vec![
            json!({"metadata": {"name": "blue", "labels": {"team": "x"}}}),
            json!({"metadata": {"name": "green", "labels": {"team": "y"}}}),
        ];
        for namespace in &namespaces {
            scheduler.apply(Event::NamespaceApplied(&decode::<Namespace>(namespace))).expect("namespaces apply");
        }
        let (nodes, pods) = (BTreeMap::new(), BTreeMap::new());
        Self { scheduler, namespaces, nodes, pods, now: Duration::ZERO, made: 0 }
    }

    /// The same world, to be played forward apart.
    pub(crate) fn fork(&self) -> Self {
        Self {
            scheduler: self.scheduler.fork(),
            namespaces: self.namespaces.clone(),
            nodes: self.nodes.clone(),
            pods: self.pods.clone(),
            now: self.now,
            made: self.made,
        }
    }

    /// What the next decision would be.
    pub(crate) fn peek(&self) -> Decision {
        self.scheduler.fork().next(self.now)
    }

    /// Takes a step. `check` sees every decision before it is carried out, with the world as it was decided on.
    pub(crate) fn step(&mut self, step: Step, check: &mut dyn FnMut(&Self, &Decision)) {
        match step {
            Step::ApplyNode(seed) => {
                let node = draw::node(seed);
                self.scheduler.apply(Event::NodeApplied(&decode::<Node>(&node))).expect("nodes apply");
                self.nodes.insert(crate::plain::name(&node).to_owned(), node);
            }
            Step::RemoveNode(index) => {
                let Some(name) = self.nodes.keys().nth(index % self.nodes.len().max(1)).cloned() else { return };
                self.scheduler.apply(Event::NodeRemoved(&name)).expect("the node is there");
                self.nodes.remove(&name);
            }
            Step::ApplyPod(seed) => {
                let pod = draw::pod(seed, self.made);
                self.made += 1;
                self.tell(&pod);
                self.pods.insert(crate::plain::name(&pod).to_owned(), pod);
            }
            Step::ChangePod(index, seed) => {
                let Some(name) = self.pods.keys().nth(index % self.pods.len().max(1)).cloned() else { return };
                let pod = self.pods.get_mut(&name).expect("the name was listed");
                pod["metadata"]["labels"] = draw::labels(seed);
                let pod = pod.clone();
                // A pod whose node is gone is not told of again: its object names a node that is not there.
                if self.node_is_there(&pod) {
                    self.tell(&pod);
                }
            }
            Step::RemovePod(index) => {
                let Some(name) = self.pods.keys().nth(index % self.pods.len().max(1)).cloned() else { return };
                self.remove(&name);
            }
            Step::Wait(millis) => self.now += Duration::from_millis(u64::from(millis)),
            Step::Decide(outcome) => {
                let decision = self.scheduler.next(self.now);
                check(self, &decision);
                self.carry_out(&decision, outcome);
            }
        }
    }

    fn node_is_there(&self, pod: &Value) -> bool {
        pod["spec"]["nodeName"].as_str().is_none_or(|node| self.nodes.contains_key(node))
    }

    fn tell(&mut self, pod: &Value) {
        self.scheduler.apply(Event::PodApplied(&decode::<Pod>(pod))).expect("pods apply");
    }

    fn remove(&mut self, name: &str) {
        let pod = self.pods.remove(name).expect("the pod is there");
        let namespace = crate::plain::namespace(&pod).to_owned();
        self.scheduler.apply(Event::PodRemoved { namespace: &namespace, name }).expect("pods can be removed");
    }

    fn carry_out(&mut self, decision: &Decision, outcome: Outcome) {
        match (decision, outcome) {
            (Decision::Bind { pod, .. } | Decision::Preempt { pod, .. }, Outcome::Rollback) => {
                self.scheduler.rollback(pod).expect("the decision was just made");
            }
            (Decision::Bind { pod, node, .. }, outcome) => {
                let object = self.pods.get_mut(pod.name()).expect("decisions are about pods of the world");
                object["spec"]["nodeName"] = json!(&**node);
                let object = object.clone();
                match outcome {
                    Outcome::Confirm => self.tell(&object),
                    _ => self.scheduler.commit(pod).expect("the pod is assumed"),
                }
            }
            (Decision::Preempt { victims, .. }, _) => {
                let victims: Vec<String> = victims.iter().map(|victim| victim.name().to_owned()).collect();
                for victim in victims {
                    self.remove(&victim);
                }
            }
            _ => {}
        }
    }

    /// The world as a record, with one of its pods as the pending one. Pods without a node are not in the way.
    pub(crate) fn record(&self, pending: &str) -> Value {
        let placed = self.pods.values().filter(|pod| !pod["spec"]["nodeName"].is_null());
        json!({
            "namespaces": self.namespaces,
            "nodes": self.nodes.values().collect::<Vec<_>>(),
            "pods": placed.collect::<Vec<_>>(),
            "pending": self.pods[pending],
        })
    }
}
