//! `start`: a monitor for a container, and the word that it runs.

use std::os::unix::net::UnixStream;
use std::path::Path;

use windlass_namespaces::{Command, Stdio};

use super::containers::Container;
use super::failure::{Failure, warn};
use super::record::Config;
use super::report::Report;
use super::status::{self, Status};

/// The hidden verb of this program that a monitor is.
pub(super) const MONITOR: &str = "monitor";

/// Starts a container; `caller` is attached before its program begins.
pub(super) fn start(
    root: &Path,
    container: &Container,
    config: &Config,
    caller: Option<UnixStream>,
) -> Result<(), Failure> {
    let (found, _) = status::of(container)?;
    match found {
        Status::Created | Status::Exited => {}
        Status::Unattended => {
            return Err(Failure::new(format!(
                "container {0} still runs without its monitor, which was killed: `windlass stop {0}` first",
                config.name
            )));
        }
        found => return Err(Failure::new(format!("container {} is {found} already", config.name))),
    }
    let (reader, writer) = std::io::pipe().map_err(Failure::during("make a pipe"))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg("--root").arg(root).args([MONITOR, &container.id]).current_dir("/").new_session();
    match caller {
        Some(caller) => command.stdin(caller),
        None => command.stdin(Stdio::Null),
    };
    command.stdout(writer).stderr(Stdio::Null);
    let monitor = command.spawn().map_err(Failure::during("start the container's monitor"))?;
    // The monitor's copy is the only one from here on, so that its end is the end of the pipe.
    drop(command);
    let report = Report::receive(reader)?;
    drop(monitor);
    for warning in &report.warnings {
        warn(warning);
    }
    match report.error {
        Some(error) => Err(Failure::told(report.code, error)),
        None => Ok(()),
    }
}
