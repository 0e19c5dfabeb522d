//! Network namespaces, and what is in them.

pub mod link;
mod namespace;
pub mod netlink;
mod sysctl;

pub use namespace::NetNamespace;
pub use sysctl::sysctl;
