//! A second scheduler for a Kubernetes cluster, over [`windlass_scheduler_core`].
//!
//! It watches nodes, pods, namespaces, disruption budgets and priority classes, lets the library decide about every
//! pending pod whose `spec.schedulerName` is its own, and writes the decisions back: bindings, nominations with their
//! evictions, the condition `PodScheduled`, events.
//!
//! # How data flows
//! [`watch`] turns what the API server sends into changes, in the types of [`windlass_pod`] ([`seen`]); [`cluster`]
//! tells them to the scheduler and keeps what waits for its node; [`schedule`] takes decisions and has [`write`] send
//! each, beside the next ones. A decision counts in the scheduler at once: what the server answers is its commit or its
//! rollback. Everything is told again by the watch, so a scheduler that is killed has lost nothing.

pub mod cli;
pub mod cluster;
mod out;
pub mod schedule;
pub mod seen;
pub mod watch;
pub mod write;
