//! Rollouts: deployments, stateful sets and daemon sets on their way from one template to the next.
//!
//! Each `step` looks at what there is and says what to do next; the caller does it and calls again when something has
//! changed, or when the time that the step names has come. Nothing is remembered between two steps but what the objects
//! themselves hold.

mod bounds;
mod daemon;
mod deployment;
mod proportion;
mod revision;
mod stateful;
mod status;

pub use bounds::Bounds;
pub use daemon::{DaemonAction, DaemonStep, daemon_set};
pub use deployment::{DeploymentAction, DeploymentStep, deployment, rollback};
pub use revision::{DESIRED, MAX_REPLICAS, REVISION, TEMPLATE_HASH, template_hash};
pub use stateful::{StatefulAction, StatefulStep, stateful_set};
