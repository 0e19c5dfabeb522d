//! The promises of the windlass crates, each measured beside its baseline in one interleaved run.
//!
//! `BUDGETS.toml` holds what is promised; [`subject`] holds how each line is measured; [`table`] puts
//! both together. Promises are ratios, because absolute times differ between machines and hours.

pub mod budget;
pub mod corpus;
pub mod floor;
pub mod measure;
// The examples of the workspace's README are compiled and run as this crate's, which knows all the others.
#[cfg(doctest)]
mod readme;
pub mod statistics;
pub mod subject;
pub mod table;
pub mod transfer;
pub mod unpack;
