//! What makes the objects of a cluster become what they say: each controller is a pure function from what there is to
//! what to do, and one loop calls them.
//!
//! `work` tells which parts of the cluster a change concerns; the loop in `driver` takes in every commit up to now, asks
//! the part's controller, and does what it answers. A controller never waits for its own writes to show: they are
//! taken in before it is asked again.

mod action;
mod address;
mod drain;
mod driver;
mod endpoints;
#[cfg(test)]
mod fixture;
mod garbage;
mod perform;
mod replication;
mod taints;
mod view;
mod work;

pub use self::address::{AddressRange, ParseAddressRangeError};
pub use self::drain::{DrainError, Unmanaged, cordon, drain, uncordon};
pub use self::driver::run;

/// How the controllers behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Where services without an address get one from.
    pub service_range: AddressRange,
}

/// What tasks call themselves in the events that they record.
const COMPONENT: &str = "controllers";
