//! Starting programs: in a group, and never for longer than their handle.

use std::path::Path;
use std::time::Duration;

use windlass_cgroups::Group;
use windlass_namespaces::{Child, Command, KillOnDrop};

use super::error::{Error, Result};

/// Starts a command in a group, if there is one; the process does not outlive its handle.
pub(super) fn spawn(mut command: Command, group: Option<&Group>, name: &str) -> Result<Child> {
    if let Some(group) = group {
        place_in(&mut command, group)?;
    }
    command.kill_on_drop(KillOnDrop::Yes).spawn().map_err(Error::process("start", name))
}

/// Lets a command start in a group.
pub(super) fn place_in(command: &mut Command, group: &Group) -> Result<()> {
    for directory in group.descriptors() {
        let directory = directory.try_clone_to_owned().map_err(Error::io("open", Path::new("a control group")))?;
        command.cgroup(directory);
    }
    Ok(())
}

/// Runs a command to its end and returns its exit code; `None` when it was too late and was killed.
pub(super) fn exec(mut command: Command, name: &str, timeout: Duration) -> Result<Option<i32>> {
    let mut child = command.spawn().map_err(Error::process("start", name))?;
    let ended = child.wait_timeout(timeout).map_err(Error::process("wait for", name))?;
    // One that is too late is killed with its handle.
    Ok(ended.map(|status| status.code().unwrap_or(-1)))
}
