//! The OCI runtime `windlass-oci`: one module a verb, over the libraries.

mod bundle;
mod cli;
mod console;
mod container;
mod create;
mod delete;
mod descriptors;
mod dispatch;
mod events;
mod exec;
mod failure;
mod features;
mod foreground;
mod group;
mod home;
mod hooks;
mod id;
mod identity;
mod kill;
mod log;
mod notify;
mod pause;
mod ps;
mod query;
mod run;
mod scope;
mod sealed;
mod spec;
mod start;
mod state;
mod store;
mod update;
mod usage;

pub use dispatch::main;
