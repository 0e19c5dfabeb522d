//! The OCI runtime `windlass-oci`: one module a verb, over the libraries.

mod bundle;
mod cli;
mod console;
mod container;
mod create;
mod delete;
mod dispatch;
mod failure;
mod foreground;
mod group;
mod hooks;
mod id;
mod identity;
mod kill;
mod log;
mod lower;
mod pause;
mod query;
mod run;
mod sealed;
mod start;
mod state;
mod store;

pub use dispatch::main;
