//! The Kubernetes scheduler as a pure, deterministic library.
//!
//! A [`Scheduler`] takes what happens in a cluster as [`Event`]s, and answers with [`Decision`]s: which pending pod goes
//! to which node, which pods must leave for it, or why it fits nowhere. It decides as kube-scheduler 1.34 does: the
//! same filters in the same order and words, the same scores in the same integer arithmetic, the same preemption. A
//! test compares it with what the real one decided about 600 clusters.
//!
//! ```
//! use std::time::Duration;
//! use windlass_scheduler_core::{Decision, Event, Profile, Scheduler};
//! use windlass_scheduler_core::windlass_pod::{Node, Pod, decode_yaml_as};
//!
//! let node: Node = decode_yaml_as(b"{apiVersion: v1, kind: Node, metadata: {name: n1},
//!     status: {allocatable: {cpu: '2', memory: 4Gi, pods: '10'}}}")?;
//! let pod: Pod = decode_yaml_as(b"{apiVersion: v1, kind: Pod, metadata: {name: web, uid: u1},
//!     spec: {containers: [{name: web, image: web, resources: {requests: {cpu: 500m}}}]}}")?;
//!
//! let mut scheduler = Scheduler::new(Profile::default())?;
//! scheduler.apply(Event::NodeApplied(&node))?;
//! scheduler.apply(Event::PodApplied(&pod))?;
//! let Decision::Bind { pod, node, .. } = scheduler.next(Duration::ZERO) else { panic!("the pod fits") };
//! assert_eq!((pod.to_string().as_str(), &*node), ("default/web", "n1"));
//! scheduler.commit(&pod)?; // the binding was written
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How data flows
//! Objects are compiled once, when they are applied: label keys and values, names and images become small integers,
//! amounts of resources become columns of integers, pods with equal demands share one class. An attempt filters the
//! node table with a pod's class, scores what is left, and takes the best. The pod counts on its node from the moment
//! of the decision; [`Scheduler::commit`] and [`Scheduler::rollback`] say how it went. A pod that fits nowhere waits:
//! for an event that can help it, for its backoff, or for five minutes.
//!
//! Time is a [`Duration`](std::time::Duration) that the caller passes, ties are broken by index or by a seed of the
//! [`Profile`]. There is no thread, clock, file or random number here: the same calls give the same decisions.
//!
//! A decision need not look at every node to be exact. For a class that comes again, a board keeps the nodes on which it
//! fits in groups that share their domains, counts and soft taints, each ordered by what its nodes are on their own; a
//! change moves one node. A class that comes for the first time, but differs from others in its requests only, is placed
//! by bounds: one pass over approximate columns leaves few nodes for exact arithmetic. For a class that fits nowhere, an
//! impasse keeps what each node had against it and who would have to go from there. Everything else goes through all
//! nodes, and tests compare them all.
//!
//! Distinct label values and names of nodes, namespaces and images are remembered for the scheduler's lifetime.
//!
//! # Explaining
//! [`Scheduler::explain`] says of every node what stands against it, or which plugin gave it how many points, which
//! node is nearest to fitting and what it lacks. [`Scheduler::what_if`] says so of a pod that nobody has created yet.
//! [`Scheduler::fork`] makes one that can be played forward: it shares the state with the original, and copies the pages
//! that it changes.
//!
//! # Pod groups
//! A [`PodGroup`] says how many pods with its name in the label `scheduling.x-k8s.io/pod-group` are needed at least.
//! They wait for one another, and are placed by one [`Decision::BindGroup`], or not at all: while one of those that are
//! needed finds no node, none of them takes room. Groups are applied before their pods; a pod that names no known group
//! is placed alone. To make a group whole nobody is preempted.
//!
//! # Sharing devices
//! With [`Profile::gpu_sharing`] pods ask for parts of a device, or for several, by annotations; a decision says which
//! devices a pod gets. [`GpuStrategy`] has the ways of choosing, the one against fragmentation among them; the example
//! `openb` replays a trace with each and tells how much of the devices could be given away.
//!
//! # Plugins of your own
//! A [`Filter`] or a [`Score`] of the caller's own joins as a type: [`Scheduler::with_plugins`] takes them as tuples in
//! [`Own`], and a scheduler without any is compiled as if there were no such thing. What a filter refuses is counted,
//! explained and preempted for as what the others refuse. Each says what it depends on ([`Dependence`]): on the node
//! alone, and its answers are kept as those of the others are; or on everything, and every decision asks it about every
//! node.
//!
//! ```
//! use windlass_scheduler_core::{Code, Dependence, Filter, NodeView, Own, PodView, Profile, Refusal, Scheduler, Score};
//!
//! /// Pods of one application are kept to two on a node.
//! #[derive(Clone, Debug)]
//! struct Apart;
//!
//! impl Filter for Apart {
//!     fn dependence(&self) -> Dependence {
//!         Dependence::Node
//!     }
//!
//!     fn check(&self, pod: &PodView<'_>, node: &NodeView<'_>) -> Result<(), &'static Refusal> {
//!         const CROWDED: Refusal =
//!             Refusal { plugin: "Apart", code: Code::Unschedulable, reason: "node(s) had two of them" };
//!         let same = node.pods().filter(|other| other.label("app") == pod.label("app"));
//!         if same.count() < 2 { Ok(()) } else { Err(&CROWDED) }
//!     }
//! }
//!
//! /// Cheap nodes first.
//! #[derive(Clone, Debug)]
//! struct Cheap;
//!
//! impl Score for Cheap {
//!     fn name(&self) -> &'static str {
//!         "Cheap"
//!     }
//!
//!     fn dependence(&self) -> Dependence {
//!         Dependence::Node
//!     }
//!
//!     fn points(&self, _: &PodView<'_>, node: &NodeView<'_>) -> i64 {
//!         100 - node.label("cents-an-hour").and_then(|cents| cents.parse().ok()).unwrap_or(100)
//!     }
//! }
//!
//! let own = Own { filters: (Apart,), scores: (Cheap,), volumes: () };
//! let scheduler = Scheduler::with_plugins(Profile::default(), own)?;
//! # Ok::<(), windlass_scheduler_core::Error>(())
//! ```
//!
//! Where volume claims let a pod go is for a [`Volumes`] to answer, the third part of [`Own`]: it knows the claims and the
//! volumes, and says what kube-scheduler's plugins would ([`Refusal::VOLUME_NODE_AFFINITY`] and so on).
//!
//! # What it does not do
//! It does not sample nodes unless told to: every node is filtered and scored, where kube-scheduler looks at a part of a
//! large cluster. [`Profile::sampling`] looks at the same part as kube-scheduler does. Preemption and explanations look
//! at all nodes either way.
//!
//! It knows no volume claims of its own (see [`Volumes`]), no disks that pods name themselves, and no dynamic resource
//! claims; a pending pod with one that nobody answers for is refused by [`Scheduler::apply`], not placed regardless. The spread that kube-scheduler gives to pods of a Service without
//! constraints of their own is not there, since Services are not among the events. It calls no extenders.
#![forbid(unsafe_code)]

mod apply;
mod assume;
mod attempt;
mod board;
mod bounds;
mod class;
mod cluster;
mod compile;
mod decision;
mod device;
mod error;
mod explain;
mod filter;
mod gang;
mod gang_attempt;
mod gpu;
mod impasse;
mod intern;
mod labels;
mod log;
mod node;
mod plugin;
mod pod_table;
mod preempt;
mod profile;
mod queue;
mod report;
mod request;
mod resources;
mod rotation;
mod scale;
mod schedule;
mod scheduler;
mod score;
mod shared;
mod slot;
mod taint;
mod topology;
mod verdict;
mod view;
mod wake;

pub use compile::{Event, PodGroup, windlass_pod};
pub use decision::{Binding, Decision, GroupName};
pub use error::{Error, Result};
pub use explain::{Eviction, Explanation, NearestMiss, NodeExplanation, Remedy, Verdict};
pub use gpu::{GpuStrategy, GpuTask, GpuWorkload};
pub use plugin::{Dependence, Filter, Filters, Own, Plugins, Scale, Score, Scores, Volumes};
pub use pod_table::PodRef;
pub use profile::{FilterPlugin, FitStrategy, Preemption, Profile, Sampling, ScorePlugin, Shape, Ties};
pub use report::{GroupReport, PreemptionReport, Reason, Report};
pub use scheduler::{Counts, Scheduler};
pub use verdict::{Code, Refusal};
pub use view::{ClaimView, NodeView, PodView};
