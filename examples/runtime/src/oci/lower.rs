//! A configuration becomes a command.

use oci_spec::runtime::LinuxNamespaceType;
use windlass_namespaces::{Command, Mount, Namespace, Rootfs, Source};

use super::bundle::Bundle;
use super::failure::{Failure, Result};

pub(super) fn command(bundle: &Bundle) -> Result<Command> {
    let process = bundle.process();
    let arguments = process.args().as_deref().unwrap_or_default();
    let (program, rest) = arguments.split_first().ok_or_else(|| Failure::new("process.args: is empty"))?;
    let mut command = Command::new(program);
    command.args(rest).env_clear().current_dir(process.cwd());
    for variable in process.env().iter().flatten() {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        command.env(name, value);
    }
    for namespace in bundle.spec.linux().iter().flat_map(|linux| linux.namespaces().iter().flatten()) {
        let kind = match namespace.typ() {
            LinuxNamespaceType::Mount => Namespace::Mount,
            LinuxNamespaceType::Cgroup => Namespace::Cgroup,
            LinuxNamespaceType::Uts => Namespace::Uts,
            LinuxNamespaceType::Ipc => Namespace::Ipc,
            LinuxNamespaceType::Pid => Namespace::Pid,
            LinuxNamespaceType::Network => Namespace::Net,
            LinuxNamespaceType::Time => Namespace::Time,
            LinuxNamespaceType::User => Namespace::User,
        };
        command.namespace(kind, Source::New);
    }
    if process.terminal().unwrap_or_default() {
        command.terminal(windlass_namespaces::Terminal::default());
    }
    if let Some(hostname) = bundle.spec.hostname() {
        command.hostname(hostname);
    }
    command.rootfs(Rootfs::Path(bundle.rootfs())).mounts(Mount::defaults());
    Ok(command)
}
