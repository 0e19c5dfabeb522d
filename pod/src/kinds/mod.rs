//! The kinds of Kubernetes 1.34 and what they are made of, as tables of fields.
//!
//! The names are those of Kubernetes. Texts, numbers and flags are `Option`s, lists and maps are empty when they are
//! unset, and a record that may be absent is boxed.

mod affinity;
mod apps;
mod batch;
mod config;
mod container;
mod event;
mod kind;
mod meta;
mod namespace;
mod networking;
mod node;
mod pod;
mod pod_status;
mod policy;
mod probe;
mod rbac;
mod replication;
mod resources;
mod security;
mod service;
mod storage;
mod volume;

pub use affinity::*;
pub use apps::*;
pub use batch::*;
pub use config::*;
pub use container::*;
pub use event::*;
pub use kind::Kind;
pub use meta::*;
pub use namespace::*;
pub use networking::*;
pub use node::*;
pub use pod::*;
pub use pod_status::*;
pub use policy::*;
pub use probe::*;
pub use rbac::*;
pub use replication::*;
pub use resources::*;
pub use security::*;
pub use service::*;
pub use storage::*;
pub use volume::*;
