//! A small Kubernetes in one process, over the windlass crates: the composition, and nothing that a crate could own.
//!
//! Every task knows the [`store`]'s interface only (get, list, watch from a revision, write by compare-and-swap), and
//! none of the others.

#![deny(unsafe_code)]

pub mod agent;
pub mod caller;
pub mod cli;
pub mod controllers;
pub mod demo;
pub mod http;
pub mod images;
pub mod net;
pub mod pause;
pub mod proxy;
pub mod registry;
pub mod responder;
pub mod scheduler;
pub mod sidecar;
pub mod signals;
pub mod store;
