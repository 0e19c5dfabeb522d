//! A container as an OCI runtime configuration describes it.
//!
//! Every field that is set is either part of the [`Container`] or an error that names it: none is passed over. What the
//! specification lets go with a warning is a [`Notice`].
//!
//! ```
//! use windlass_namespaces::oci;
//!
//! let json = br#"{
//!     "ociVersion": "1.3.0",
//!     "root": { "path": "rootfs", "readonly": true },
//!     "process": { "user": { "uid": 7, "gid": 7 }, "args": ["sh"], "env": ["PATH=/bin"], "cwd": "/" },
//!     "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
//!     "linux": { "namespaces": [{ "type": "mount" }, { "type": "pid" }], "maskedPaths": ["/proc/keys"] }
//! }"#;
//! let config = oci::Config::parse(json)?;
//! let container = oci::container(&config, "/bundle".as_ref(), &oci::Options::new("box"))?;
//! let plan = container.command.plan()?.to_string();
//! for step in ["attach root /bundle/rootfs", "mask /proc/keys", "set uid 7 gid 7", "make the root read-only"] {
//!     assert!(plan.contains(step), "{plan}");
//! }
//! # Ok::<(), windlass_namespaces::Error>(())
//! ```
//!
//! Source: the OCI runtime specification, version 1.3.

mod attributes;
mod config;
mod hooks;
mod linux;
mod listener;
mod mount;
mod process;
mod resctrl;
#[cfg(test)]
mod schema;
mod seccomp;
mod state;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxResources, Spec};

pub use config::{Config, ProcessConfig};
pub use hooks::Hooks;
pub use listener::Listener;
pub use seccomp::{TakenPolicy, policy};
pub use state::{State, Status};

use attributes::Part;

use crate::command::Command;
use crate::error::{Error, Result};
use crate::hook::{HookInput, HookPoint};
use crate::kind::{Namespace, Source};
use crate::landlock::Ruleset;
use crate::plan::Notice;
use crate::resctrl::Class;
use crate::rootfs::Rootfs;

/// What a runtime knows beside the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The container's name.
    pub id: String,
    /// Whether the machine has `/proc/kcore`, which `/dev/core` then leads to.
    pub has_kcore: bool,
    /// Whether the root is moved over the old one, as [`Command::without_pivot`] does.
    pub keeps_old_root: bool,
    /// What the kernel has to confine programs by.
    pub modules: SecurityModules,
}

/// The security modules that a kernel has; a label of one that it has not is [`Error::NotHonoured`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecurityModules {
    /// AppArmor, whose profiles `process.apparmorProfile` names.
    pub apparmor: bool,
    /// SELinux, which knows `process.selinuxLabel` and `linux.mountLabel`.
    pub selinux: bool,
}

impl Options {
    /// Options for the container of this name.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), has_kcore: false, keeps_old_root: false, modules: SecurityModules::default() }
    }
}

/// A container that can be started.
#[derive(Debug)]
#[non_exhaustive]
pub struct Container {
    /// Its process, less what is the runtime's: control groups, standard descriptors, gate.
    pub command: Command,
    /// The hooks that the runtime runs.
    pub hooks: Hooks,
    /// Who decides about system calls that the filter leaves open.
    pub listener: Option<Listener>,
    /// The limits of its control group, untouched.
    pub resources: Option<LinuxResources>,
    /// Where its control group shall be.
    pub cgroups_path: Option<PathBuf>,
    /// The class of service that its process shall be in: the runtime makes it, and removes it.
    pub class: Option<Class>,
    /// What annotates it.
    pub annotations: BTreeMap<String, String>,
    /// What was asked for and will not be given, beside what [`Child::notices`](crate::Child::notices) tells.
    pub notices: Vec<Notice>,
}

/// A container that runs.
#[derive(Debug)]
pub struct Running<'a> {
    /// The configuration that it was made from.
    pub config: &'a Config,
    /// The namespaces of its process, of every kind that the configuration isolates.
    pub namespaces: Vec<(Namespace, OwnedFd)>,
    /// As in the [`Options`] of the container.
    pub modules: SecurityModules,
}

impl Running<'_> {
    /// The kinds of namespaces in which a container of this configuration lives apart.
    pub fn kinds(config: &Config) -> Vec<Namespace> {
        let linux = config.spec().linux().as_ref();
        let namespaces = linux.and_then(|linux| linux.namespaces().as_ref()).into_iter().flatten();
        namespaces.map(|namespace| linux::kind(namespace.typ())).collect()
    }
}

/// An additional process of a container.
#[derive(Debug)]
#[non_exhaustive]
pub struct Additional {
    /// The process, less what is the runtime's: control groups, standard descriptors.
    pub command: Command,
    /// Who decides about system calls that the filter leaves open.
    pub listener: Option<Listener>,
    /// What was asked for and will not be given, beside what [`Child::notices`](crate::Child::notices) tells.
    pub notices: Vec<Notice>,
}

/// Turns a configuration into a container.
///
/// Relative paths of the configuration are read as from `bundle`, which is absolute.
///
/// # Errors
/// [`Error::Invalid`] for what the specification forbids, [`Error::NotHonoured`] for what cannot be given.
pub fn container(config: &Config, bundle: &Path, options: &Options) -> Result<Container> {
    let spec = config.spec();
    check(bundle, options)?;
    let mut notices = unknown(config.unknown_capabilities());
    let process = config.process()?;
    let mut command = process::command(process.process(), options.modules, &mut notices)?;
    attributes::of_process(&mut command, process.process(), Part::First)?;
    let none = Linux::rootless(0, 0);
    let linux = spec.linux().as_ref().unwrap_or(&none);
    linux::namespaces(&mut command, linux.namespaces().as_deref().unwrap_or_default())?;
    linux::id_mappings(&mut command, linux)?;
    refuse(linux, options)?;
    linux::net_devices(&mut command, linux)?;
    attributes::of_linux(&mut command, linux)?;
    tree(&mut command, spec, linux, bundle, options)?;
    if let Some(name) = spec.hostname().as_ref().filter(|name| !name.is_empty()) {
        command.hostname(name);
    }
    if let Some(name) = spec.domainname().as_ref().filter(|name| !name.is_empty()) {
        command.domainname(name);
    }
    if let Some(text) = annotations(spec).get(LANDLOCK) {
        command.landlock(landlock(text)?);
    }
    let listener = filter(&mut command, linux, &mut notices)?;
    let mut hooks = hooks::hooks(spec.hooks().as_ref())?;
    own_hooks(&mut command, spec, bundle, options, &mut hooks);
    Ok(Container {
        command,
        hooks: hooks.runtime,
        listener,
        resources: linux.resources().clone(),
        cgroups_path: linux.cgroups_path().clone(),
        class: class(config, &options.id)?,
        annotations: annotations(spec),
        notices,
    })
}

/// Turns the configuration of a process into an additional process of a container that runs.
///
/// # Errors
/// As [`container`].
pub fn process(process: &ProcessConfig, running: Running<'_>) -> Result<Additional> {
    let mut notices = unknown(process.unknown_capabilities());
    let mut command = process::command(process.process(), running.modules, &mut notices)?;
    attributes::of_process(&mut command, process.process(), Part::Additional)?;
    for (kind, descriptor) in running.namespaces {
        command.namespace(kind, Source::Join(descriptor));
    }
    if let Some(text) = annotations(running.config.spec()).get(LANDLOCK) {
        command.landlock(landlock(text)?);
    }
    let linux = running.config.spec().linux().as_ref();
    let listener = linux.map(|linux| filter(&mut command, linux, &mut notices)).transpose()?.flatten();
    Ok(Additional { command, listener, notices })
}

/// The class of service that a configuration asks for, of the container of this name.
///
/// # Errors
/// [`Error::Invalid`] for what the specification forbids.
pub fn class(config: &Config, id: &str) -> Result<Option<Class>> {
    resctrl::class(config, id)
}

/// The annotation that confines the program by Landlock, in the words of [`Ruleset`]'s `FromStr`.
///
/// ```json
/// "annotations": { "org.windlass.landlock": "read+execute:/usr,read+write:/data,connect:443" }
/// ```
pub const LANDLOCK: &str = "org.windlass.landlock";

fn landlock(text: &str) -> Result<Ruleset> {
    text.parse().map_err(|_| Error::invalid("annotations", text, "org.windlass.landlock is no list of rules"))
}

/// The hooks that the process of the container runs.
fn own_hooks(command: &mut Command, spec: &Spec, bundle: &Path, options: &Options, hooks: &mut hooks::Taken) {
    let points = [
        (HookPoint::BeforePivot, &mut hooks.create_container, Status::Creating),
        (HookPoint::BeforeExec, &mut hooks.start_container, Status::Created),
    ];
    for (point, hooks, status) in points {
        let (oci_version, id, bundle) = (spec.version().clone(), options.id.clone(), bundle.to_owned());
        let state = State { oci_version, id, status, pid: None, bundle, annotations: annotations(spec) };
        let (before, after) = state.around_pid();
        for hook in hooks.drain(..) {
            command.hook(point, hook, HookInput::around_pid(before.clone(), after.clone()));
        }
    }
}

fn annotations(spec: &Spec) -> BTreeMap<String, String> {
    spec.annotations().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn not_honoured<T>(field: impl Into<String>, reason: &'static str) -> Result<T> {
    Err(Error::NotHonoured { field: field.into(), reason })
}

/// What is in the specification and cannot be given.
fn refuse(linux: &Linux, options: &Options) -> Result<()> {
    if mount_label(linux).is_some() && !options.modules.selinux {
        return not_honoured("linux.mountLabel", "the kernel has no SELinux");
    }
    Ok(())
}

fn mount_label(linux: &Linux) -> Option<&str> {
    linux.mount_label().as_deref().filter(|label| !label.is_empty())
}

fn unknown(capabilities: &[String]) -> Vec<Notice> {
    let none = capabilities.is_empty();
    if none { Vec::new() } else { vec![Notice::CapabilitiesUnknown(capabilities.to_vec())] }
}

fn check(bundle: &Path, options: &Options) -> Result<()> {
    if !bundle.is_absolute() {
        return Err(Error::invalid("bundle", bundle.display().to_string(), "is not absolute"));
    }
    if options.id.is_empty() {
        return Err(Error::invalid("id", "", "is empty"));
    }
    Ok(())
}

/// The root file system and all that is mounted in it.
fn tree(command: &mut Command, spec: &Spec, linux: &Linux, bundle: &Path, options: &Options) -> Result<()> {
    let root = spec.root().as_ref().ok_or_else(|| Error::invalid("root", "", "is needed on this platform"))?;
    if root.path() == Path::new("") {
        return Err(Error::invalid("root.path", "", "is empty"));
    }
    if !command.is_new(Namespace::Mount) {
        return Err(Error::NotHonoured {
            field: "linux.namespaces".to_owned(),
            reason: "a container without a mount namespace of its own would mount in the host's tree",
        });
    }
    command.rootfs(Rootfs::Path(bundle.join(root.path()))).create_current_dir();
    if options.keeps_old_root {
        command.without_pivot();
    }
    if root.readonly() == Some(true) {
        command.read_only_rootfs();
    }
    let mounts = mount::mounts(spec.mounts().as_deref().unwrap_or_default(), bundle, mount_label(linux))?;
    let around = linux::propagation(linux)?.unwrap_or(mounts.propagation);
    command.propagation(around).mounts(mounts.list);
    let devices = linux.devices().as_deref().unwrap_or_default();
    match (mounts.host_dev, devices) {
        (false, devices) => {
            command.mounts(linux::devices(devices, options)?);
        }
        (true, []) => {}
        // As runc does: they are there, or they are not.
        (true, devices) => drop(linux::devices(devices, options)?),
    }
    command.mounts(linux::covers(linux)?);
    Ok(())
}

fn filter(command: &mut Command, linux: &Linux, notices: &mut Vec<Notice>) -> Result<Option<Listener>> {
    let Some(spec) = linux.seccomp() else { return Ok(None) };
    let TakenPolicy { policy, foreign } = policy(spec)?;
    let filter = policy.compile()?;
    if !filter.unknown_names().is_empty() {
        notices.push(Notice::SystemCallsUnknown(filter.unknown_names().to_vec()));
    }
    if !foreign.is_empty() {
        notices.push(Notice::ArchitecturesForeign(foreign));
    }
    let asks = filter.notifies();
    command.seccomp(filter);
    let metadata = spec.listener_metadata().clone().unwrap_or_default();
    let path = spec.listener_path().clone().filter(|_| asks);
    Ok(path.map(|path| Listener { path, metadata }))
}
