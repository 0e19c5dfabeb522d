//! The agent that decides about system calls which a filter leaves open.

use std::os::fd::AsFd as _;

use serde_json::json;
use windlass_namespaces::Child;
use windlass_namespaces::oci::Listener;

use super::console::Receiver;
use super::failure::{Failure, Result};
use super::state::{State, Status};

/// Sends the filter's descriptor of a process to the agent that listens for it, with the state of the container.
///
/// Source: runtime-spec, `config-linux.md`, "The Container Process State".
pub(super) fn hand_over(listener: &Listener, child: &mut Child, state: &State, status: Status) -> Result<()> {
    let doing = format!("seccomp listener {}", listener.path.display());
    let descriptor = taken(child).ok_or_else(|| Failure::new(format!("{doing}: there is no filter")))?;
    let message = message(listener, child.pid().as_raw(), state, status)?;
    let receiver = Receiver::connect(&listener.path)?;
    receiver.send(descriptor.as_fd(), &message).map_err(|error| error.after(doing))
}

fn message(listener: &Listener, pid: u32, state: &State, status: Status) -> Result<String> {
    let report =
        serde_json::to_value(state.report(status, String::new())).map_err(Failure::during("encode the state"))?;
    let message = json!({
        "ociVersion": super::bundle::SPECIFICATION,
        "fds": ["seccompFd"],
        "pid": pid,
        "metadata": listener.metadata,
        "state": report,
    });
    Ok(message.to_string())
}

/// TEMPORARY until the library delivers it.
fn taken(_child: &mut Child) -> Option<std::os::fd::OwnedFd> {
    None
}
