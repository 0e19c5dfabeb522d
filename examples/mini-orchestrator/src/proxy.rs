//! What makes a service's address answer on one node.
//!
//! `rules` turns services and endpoint slices into a [`rules::Table`], plain data. [`nftables`] encodes a table as one
//! netlink batch that replaces the one before in a single step.

pub mod nftables;
pub mod rules;
