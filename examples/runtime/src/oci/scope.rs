//! Groups that systemd makes: a scope for each container.

use windlass_cgroups::systemd::{Bus, ScopeName, Systemd};
use windlass_cgroups::{GroupPath, Hierarchies, Resources};
use windlass_namespaces::{Child, Command, Gate, KillOnDrop, Opener, Stdio};

use super::failure::{Failure, Result};
use super::id::ContainerId;

/// The scope of a container.
#[derive(Debug)]
pub(super) struct Scope {
    /// As `slice:prefix:name`.
    text: String,
    name: ScopeName,
}

/// A process that is in a new scope, since there is none without, until the container's own is there; it waits and does
/// nothing, and ends with this.
#[derive(Debug)]
pub(super) struct Placeholder {
    child: Child,
    /// Nobody opens it: without it the process would end at once.
    _opener: Opener,
}

impl Scope {
    /// The scope that a configuration names, or the one of a container whose configuration names none.
    pub(super) fn new(given: Option<&str>, id: &ContainerId) -> Result<Self> {
        let slice = if rustix::process::geteuid().is_root() { "" } else { "user.slice" };
        let text = given.map_or_else(|| format!("{slice}:windlass:{id}"), str::to_owned);
        Self::parse(text)
    }

    pub(super) fn parse(text: String) -> Result<Self> {
        let name = text.parse().map_err(Failure::during(format_args!("--systemd-cgroup: {text:?}")))?;
        Ok(Self { text, name })
    }

    /// As it is kept in a state.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Where its group is expected to be.
    pub(super) fn path(&self) -> Result<GroupPath> {
        GroupPath::new(&self.name.path()).map_err(Failure::during(format_args!("scope {}", self.name)))
    }

    /// Connects to systemd, which is asked for nothing yet.
    pub(super) fn connect() -> Result<Systemd> {
        Systemd::connect(&bus()).map_err(Failure::during("--systemd-cgroup: systemd cannot be asked for a scope"))
    }

    /// Starts it; answers where its group is, and with what holds it.
    pub(super) fn start(
        &self,
        systemd: &mut Systemd,
        resources: &Resources,
        all: &Hierarchies,
    ) -> Result<(GroupPath, Placeholder)> {
        let placeholder = Placeholder::new()?;
        let pids = [placeholder.child.pid().as_raw()];
        let started = systemd.start_scope(&self.name, &pids, resources, all);
        let path = started.map_err(Failure::during(format_args!("start the scope {}", self.name)))?;
        Ok((path, placeholder))
    }

    /// Tells systemd of other limits.
    pub(super) fn update(&self, resources: &Resources, all: &Hierarchies) -> Result<()> {
        let updated = Self::connect()?.update_scope(&self.name, resources, all);
        updated.map_err(Failure::during(format_args!("update the scope {}", self.name)))
    }

    /// Ends it; one that is gone already is none.
    pub(super) fn stop(&self) -> Result<()> {
        let stopped = Self::connect()?.stop_scope(&self.name);
        stopped.map_err(Failure::during(format_args!("stop the scope {}", self.name)))
    }
}

impl Placeholder {
    fn new() -> Result<Self> {
        let doing = || Failure::during("make a process to hold the scope");
        let (gate, opener) = Gate::pair().map_err(doing())?;
        let mut command = Command::new("/proc/self/exe");
        command.gate(gate).kill_on_drop(KillOnDrop::Yes).current_dir("/");
        command.stdin(Stdio::Null).stdout(Stdio::Null).stderr(Stdio::Null);
        Ok(Self { child: command.spawn().map_err(doing())?, _opener: opener })
    }
}

/// The bus of the systemd that the caller commands, where the usual variables do not name another.
fn bus() -> Bus {
    let user = rustix::process::geteuid();
    let (variable, usual) = if user.is_root() {
        ("DBUS_SYSTEM_BUS_ADDRESS", Bus::System)
    } else {
        ("DBUS_SESSION_BUS_ADDRESS", Bus::User(user.as_raw()))
    };
    let address = std::env::var(variable).unwrap_or_default();
    socket(&address).map_or(usual, |path| Bus::Socket(path.into()))
}

/// The socket of an address such as `unix:path=/run/bus,guid=...`; of several the first that is a path.
///
/// Source: D-Bus specification, section "Server Addresses".
fn socket(address: &str) -> Option<&str> {
    let sockets = address.split(';').filter_map(|address| address.strip_prefix("unix:"));
    sockets.flat_map(|keys| keys.split(',')).find_map(|pair| pair.strip_prefix("path="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_buses_are_read() {
        for (address, path) in [
            ("unix:path=/run/bus", Some("/run/bus")),
            ("unix:guid=1,path=/run/bus,x=y", Some("/run/bus")),
            ("tcp:host=a,port=1;unix:path=/b", Some("/b")),
            ("unix:abstract=/tmp/x", None),
            ("", None),
        ] {
            assert_eq!(socket(address), path, "{address}");
        }
    }

    #[test]
    fn a_container_has_a_scope_of_its_own() {
        let id: ContainerId = "box".parse().unwrap();
        let scope = Scope::new(Some("machine.slice:p:n"), &id).unwrap();
        assert_eq!(scope.path().unwrap().as_str(), "machine.slice/p-n.scope");
        assert_eq!(Scope::parse(scope.as_str().to_owned()).unwrap().name, scope.name);
        assert!(Scope::new(None, &id).unwrap().path().unwrap().as_str().ends_with(".slice/windlass-box.scope"));
        let error = Scope::new(Some("/a/path"), &id).unwrap_err().to_string();
        assert!(error.contains("slice:prefix:name"), "{error}");
    }
}
