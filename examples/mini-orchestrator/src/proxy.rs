//! What makes a service's address answer on one node.
//!
//! [`rules`] turns services and endpoint slices into a [`rules::Table`], plain data. [`nftables`] encodes a table as one
//! netlink batch that replaces the one before in a single step. Where the kernel refuses a probe of such a batch, a
//! proxy in this process listens at the services' addresses instead, and [`Proxy::mode`] says so. [`Proxy::run`] is the
//! task of one node: it follows the registry and keeps what is in force up to date.

mod error;
pub mod nftables;
mod node;
pub mod rules;
mod userspace;

pub use self::error::Error;
pub use self::node::{InForce, Mode, Proxy};
