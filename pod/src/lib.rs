//! Kubernetes objects and their behaviour without a cluster.
//!
//! A program reads manifests, fills in their defaults, learns everything that is wrong with them in the words of
//! Kubernetes 1.34, and runs what they describe, without a server, a daemon or a clock.
//!
//! ```
//! use std::time::Duration;
//!
//! use windlass_pod::kinds::Pod;
//! use windlass_pod::lifecycle::{Action, Event, PodMachine, Settings};
//! use windlass_pod::valid::{RestartPolicy, Valid};
//! use windlass_pod::{decode_yaml_as, encode_json};
//!
//! // The wire: what a document says, with the fields that nobody here knows.
//! let text = b"{kind: Pod, metadata: {name: web, namespace: a}, spec: {containers: [{name: c, x: 1}]}}";
//! let pod: Pod = decode_yaml_as(text).unwrap();
//! assert!(encode_json(&pod).contains(r#""x":1"#));
//!
//! // Defaulted and validated: everything that is wrong, or an object of which nothing is.
//! let mut refused = Valid::new(pod).unwrap_err();
//! assert_eq!(refused.to_string(), r#"Pod "web" is invalid: spec.containers[0].image: Required value"#);
//! refused.object.spec.containers[0].image = Some("nginx".to_owned());
//! let pod = Valid::new(*refused.object).unwrap();
//! assert_eq!(pod.view().restart_policy(), RestartPolicy::Always);
//!
//! // Behaviour: what to do when something has happened, and what to report.
//! let mut machine = PodMachine::new(pod.into_inner(), Settings::default());
//! let now = Duration::from_secs(1000);
//! assert_eq!(machine.handle(Event::Tick, now), [Action::CreateSandbox]);
//! let actions = machine.handle(Event::SandboxReady { ips: vec!["10.0.0.1".to_owned()] }, now);
//! assert_eq!(actions, [Action::Start { container: "c".to_owned(), attempt: 0 }]);
//! assert_eq!(machine.status().phase.as_deref(), Some("Pending"));
//! ```
//!
//! # How data flows
//!
//! - **Wire.** [`kinds`] has a struct for each kind and each part of one, made from tables of fields. [`decode_json`]
//!   and [`decode_yaml`] read text into them with one reader, which keeps fields that it does not know, names the path,
//!   line and column of a wrong one ([`Decoder`] can be strict), and holds to [`Limits`]; [`encode_json`] and
//!   [`encode_yaml`] write them back with everything they had. [`decode_protobuf`] and [`encode_protobuf`] carry all
//!   but unknown fields.
//! - **Rules.** [`defaults::apply`] fills in what is not set, [`strategy`] does what the server does before it looks,
//!   [`validate`] and [`validate_update`] return every [`Violation`], [`valid::Valid`] holds an object without any and
//!   reads its fields as types that cannot be wrong, and [`warnings`](warnings::warnings) what is odd
//!   but taken. [`Quantity`], [`Selector`] and [`names`] are the values that rules speak of; [`difference`] tells where
//!   two objects differ in meaning, [`patch`] makes one from another, [`managed`] keeps apart what several managers apply,
//!   [`table`] prints objects as `kubectl get` does.
//! - **Behaviour.** Plain functions over objects: [`replication`] decides what to create and delete, [`endpoints`]
//!   what a service publishes (each with an index that is told what changed), [`balance`] what that means to a proxy, [`resources`] what a pod asks for and the cgroup numbers of it, [`status`] what it
//!   reports; [`allocation`] gives out addresses and ports, [`limit_range`] and [`quota`] hold a namespace to what it
//!   may use, [`rbac`] says who may do what and why, [`rollout`] takes workloads to their next version,
//!   [`batch`] runs jobs to their end, [`garbage`] removes what nobody owns. And machines that are told what happened and answer what to do:
//!   [`probe::Prober`], [`backoff::Backoff`], [`lifecycle::PodMachine`]. Time is an argument everywhere: a
//!   [`Duration`](std::time::Duration) since an epoch that the caller chooses.
//!
//! With the feature `k8s-openapi` every kind converts to and from Kubernetes' published types, by `TryFrom`.
//!
//! # What it does not do
//!
//! It has no input and output, no clock and no random numbers. Validation is that of a server with the feature gates of
//! 1.34 as they are by default; of the kinds that [`covers`] names it knows every rule that the recorded answers of
//! Kubernetes show, of the others those for metadata and what may not change. Merge keys (`<<`) in YAML are refused.
#![forbid(unsafe_code)]

pub mod allocation;
pub mod backoff;
pub mod balance;
pub mod batch;
mod condition;
pub mod defaults;
pub mod endpoints;
mod error;
pub mod garbage;
pub mod kinds;
pub mod lifecycle;
pub mod limit_range;
pub mod managed;
pub mod names;
mod object;
pub mod patch;
pub mod probe;
#[cfg(feature = "k8s-openapi")]
mod published;
pub mod quantity;
pub mod quota;
pub mod rbac;
pub mod replication;
pub mod resources;
pub mod rollout;
pub mod schedule;
pub mod selector;
pub mod status;
pub mod strategy;
pub mod table;
mod taint;
pub mod valid;
mod validate;
mod violation;
pub mod warnings;
mod wire;

pub use error::{Error, Position, Problem, ProblemKind, Result};
#[doc(no_inline)]
pub use kinds::*;
pub use object::decode::{
    Decoded, Decoder, Strictness, decode_json, decode_json_as, decode_protobuf, decode_yaml, decode_yaml_as,
};
pub use object::{Object, encode_json, encode_protobuf, encode_yaml};
pub use quantity::{ParseQuantityError, Quantity};
pub use selector::{FieldSelector, Selector, SelectorError};
pub use validate::{covers, is_namespaced, validate, validate_update};
pub use violation::{Violation, ViolationKind};
pub use wire::limits::Limits;
pub use wire::places::Places;
pub use wire::raw::{Raw, Unknown};
pub use wire::record::{Entries, FieldInfo, Items, Presence, Record, Shape, Value, View};
pub use wire::scalar::{Bytes, IntOrString};
pub use wire::semantic::{Change, difference, equal};
pub use wire::time::{MicroTime, ParseTimeError, Time};
pub use wire::writer::Style;
