//! Descriptors of the caller that a container's program gets beside the standard ones.

use std::os::fd::{OwnedFd, RawFd};

use windlass_namespaces::Command;

use super::failure::{Failure, Result};

const FIRST: RawFd = 3;

/// Descriptors that the program finds from number 3 on: those of socket activation first, as `sd_listen_fds(3)` wants
/// it, and then those of `--preserve-fds`.
#[derive(Debug)]
pub(super) struct Passed {
    descriptors: Vec<OwnedFd>,
    activation: u32,
}

impl Passed {
    /// Takes hold of `preserve` descriptors, and of those that `LISTEN_FDS` counts.
    pub(super) fn new(preserve: u32) -> Result<Self> {
        let activation = activation();
        let count = activation.checked_add(preserve).and_then(|count| RawFd::try_from(count).ok());
        let count = count.filter(|count| *count < RawFd::MAX - FIRST);
        let count = count.ok_or_else(|| Failure::new(format!("preserve-fds: {preserve} is too many")))?;
        let take = |number: RawFd| {
            crate::sys::inherited(number).map_err(|error| {
                Failure::new(format!(
                    "please check that preserved-fd {} (of {preserve}) is present: {error}",
                    number - FIRST
                ))
            })
        };
        let descriptors = (FIRST..FIRST + count).map(take).collect::<Result<_>>()?;
        Ok(Self { descriptors, activation })
    }

    /// Gives them to a command, under the numbers that they have here.
    pub(super) fn give(self, command: &mut Command) {
        for (number, descriptor) in (FIRST..).zip(self.descriptors) {
            command.inherit(descriptor, number);
        }
        if self.activation > 0 {
            command.env("LISTEN_FDS", self.activation.to_string()).env("LISTEN_PID", "1");
        }
    }
}

fn activation() -> u32 {
    let value = std::env::var("LISTEN_FDS").ok().and_then(|value| value.parse().ok());
    value.unwrap_or(0)
}
