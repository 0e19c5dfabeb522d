//! The control group of a container: where it is, how it is made, and how it goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType, LinuxResources, Spec};
use windlass_cgroups::systemd::Systemd;
use windlass_cgroups::{Controller, Error, Group, GroupPath, Hierarchies, Report, Resources, Version, oci};

use super::failure::{Failure, Result};
use super::id::ContainerId;
use super::identity::Identity;
use super::log::Log;
use super::scope::{Placeholder, Scope};
use super::state::GroupState;
use crate::cgroup_path;

/// How long processes may take to be gone after they were killed.
pub(super) const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the caller may be refused control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// A refusal is an error.
    Root,
    /// A container that asks for no limit goes without.
    Rootless,
}

/// Devices that every container may use: the kind, the numbers and what may be done; `None` stands for all numbers.
const DEVICES: [(LinuxDeviceType, Option<i64>, Option<i64>, &str); 11] = [
    (LinuxDeviceType::C, None, None, "m"),
    (LinuxDeviceType::B, None, None, "m"),
    (LinuxDeviceType::C, Some(1), Some(3), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(5), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(7), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(8), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(9), "rwm"),
    (LinuxDeviceType::C, Some(5), Some(0), "rwm"),
    (LinuxDeviceType::C, Some(5), Some(2), "rwm"),
    (LinuxDeviceType::C, Some(136), None, "rwm"),
    // The terminal device of a container that has one is a bind of one of the above; tun is what VPNs need.
    (LinuxDeviceType::C, Some(10), Some(200), "rwm"),
];

/// The group that a configuration asks for, and what it shall hold its processes to.
#[derive(Debug)]
pub(super) struct Wanted {
    hierarchies: Hierarchies,
    path: GroupPath,
    resources: Resources,
    controllers: Vec<Controller>,
    rights: Rights,
    freezer: Option<PathBuf>,
    scope: Option<(Scope, Systemd)>,
}

/// Who makes a container's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// This program, in the files of the kernel.
    Runtime,
    /// systemd, as a scope.
    Systemd,
}

/// A group that was made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) group: Group,
    /// To be let go of when the container's own process is in the group.
    pub(super) placeholder: Option<Placeholder>,
}

impl Wanted {
    /// Reads it from a configuration; `None` where this user has no hierarchy and asks for no limit.
    pub(super) fn new(spec: &Spec, id: &ContainerId, maker: Maker, rights: Rights) -> Result<Option<Self>> {
        let linux = spec.linux().as_ref();
        let given = linux.and_then(|linux| linux.cgroups_path().as_ref()).filter(|path| !path.as_os_str().is_empty());
        let resources = resources(linux.and_then(|linux| linux.resources().as_ref()), rights)?;
        let found = match rights {
            Rights::Root => Hierarchies::discover_every(),
            Rights::Rootless => Hierarchies::discover(),
        };
        let hierarchies = match found {
            Err(_) if rights == Rights::Rootless && resources == Resources::default() => return Ok(None),
            found => found.map_err(Failure::during("find the cgroup hierarchies"))?,
        };
        let given = given.map(|path| path.to_string_lossy());
        let scope = match maker {
            Maker::Runtime => None,
            Maker::Systemd => Some((Scope::new(given.as_deref(), id)?, Scope::connect()?)),
        };
        let path = match (&scope, given, rights) {
            (Some((scope, _)), ..) => scope.path()?,
            (None, Some(path), _) => below_root(&path)?,
            (None, None, Rights::Root) => below_root(id.as_str())?,
            (None, None, Rights::Rootless) => below_root(&format!("{}/{id}", unified_path("self")?))?,
        };
        let controllers = match rights {
            Rights::Root => present(&hierarchies, &resources),
            Rights::Rootless => resources.controllers(),
        };
        let freezer = freezer(&hierarchies, &path);
        Ok(Some(Self { hierarchies, path, resources, controllers, rights, freezer, scope }))
    }

    /// What is kept of it; told before the group is made, so that whoever cleans up finds it.
    pub(super) fn state(&self) -> GroupState {
        let scope = self.scope.as_ref().map(|(scope, _)| scope.as_str().to_owned());
        GroupState { path: self.path.to_string(), freezer: self.freezer.clone(), scope }
    }

    /// Refuses a group that is in use; one that is there and empty is removed.
    ///
    /// An empty one may be what a killed runtime left; in one that was killed the kernel kills newcomers too.
    pub(super) fn clear(&self) -> Result<()> {
        if self.scope.is_some() {
            // Those are systemd's, which refuses a name that is in use.
            return Ok(());
        }
        let doing = || Failure::during(format!("group {}", self.path));
        // A group is in every hierarchy: where the one with the freezer has none, others have it only after a failure.
        let is_there = |file: &PathBuf| file.parent().is_some_and(Path::exists);
        if self.rights == Rights::Root && !self.freezer.as_ref().is_none_or(is_there) {
            return Ok(());
        }
        let Some(group) = self.hierarchies.find(&self.path).map_err(doing())? else { return Ok(()) };
        let pids = group.tree_pids().map_err(doing())?;
        if !pids.is_empty() {
            return Err(Failure::new(format!(
                "container's cgroup {} is not empty: {} processes",
                self.path,
                pids.len()
            )));
        }
        group.remove_tree().map_err(doing())
    }

    /// Makes the group and sets its limits; `None` where this user may not and asks for no limit.
    pub(super) fn make(&mut self, log: &Log) -> Result<Option<Made>> {
        if self.scope.is_some() {
            return self.make_scope().map(Some);
        }
        let group = match self.hierarchies.create(&self.path, &self.controllers) {
            Err(error) if self.may_go_without(&error) => {
                log.warn(format_args!("no control group: {}", crate::cause::chain(&error)));
                return Ok(None);
            }
            made => made.map_err(Failure::during(format_args!("make the group {}", self.path)))?,
        };
        match group.apply(&self.resources) {
            Ok(_) => Ok(Some(Made { group, placeholder: None })),
            Err(error) => {
                let removed = group.remove().map_err(Failure::during("remove the group"));
                Err(Failure::during(format_args!("limit the group {}", self.path))(error).and(removed))
            }
        }
    }

    /// Has systemd make the scope, and completes it in the hierarchies that systemd leaves alone. What there is of it
    /// after a failure is removed with the container's state.
    fn make_scope(&mut self) -> Result<Made> {
        let (scope, systemd) = self.scope.as_mut().expect("asked for one that systemd makes");
        let (path, placeholder) = scope.start(systemd, &self.resources, &self.hierarchies)?;
        self.freezer = freezer(&self.hierarchies, &path);
        self.path = path;
        let group = self.hierarchies.adopt(&self.path, &self.controllers);
        let group = group.map_err(Failure::during(format_args!("complete the group {}", self.path)))?;
        group.apply(&self.resources).map_err(Failure::during(format_args!("limit the group {}", self.path)))?;
        Ok(Made { group, placeholder: Some(placeholder) })
    }

    /// Where the group is that was made.
    pub(super) fn site(self) -> Site {
        Site { hierarchies: self.hierarchies, path: self.path, scope: self.scope.map(|(scope, _)| scope) }
    }

    fn may_go_without(&self, error: &Error) -> bool {
        let refused = matches!(error.errno(), Some(libc::EACCES | libc::EPERM | libc::EROFS))
            || matches!(error, Error::NotDelegated { .. });
        self.rights == Rights::Rootless && self.resources == Resources::default() && refused
    }
}

/// The limits of a configuration; those on devices are completed by the devices that every container has.
pub(super) fn resources(spec: Option<&LinuxResources>, rights: Rights) -> Result<Resources> {
    let mut spec = spec.cloned().unwrap_or_default();
    let devices = match rights {
        Rights::Root => Some(spec.devices().iter().flatten().cloned().chain(default_devices()?).collect()),
        // An ordinary user's containers have the devices that the user has.
        Rights::Rootless => None,
    };
    spec.set_devices(devices);
    limits(&spec)
}

/// The limits of a configuration as they are.
pub(super) fn limits(spec: &LinuxResources) -> Result<Resources> {
    Ok(oci::resources(spec).map_err(Failure::during("linux.resources"))?.resources)
}

fn default_devices() -> Result<Vec<LinuxDeviceCgroup>> {
    let rule = |(kind, major, minor, access): (LinuxDeviceType, Option<i64>, Option<i64>, &str)| {
        let rule = LinuxDeviceCgroupBuilder::default().allow(true).typ(kind).access(access);
        let rule = if let Some(major) = major { rule.major(major) } else { rule };
        let rule = if let Some(minor) = minor { rule.minor(minor) } else { rule };
        rule.build().map_err(Failure::during("a rule of the default devices"))
    };
    DEVICES.into_iter().map(rule).collect()
}

/// The controllers that a container has a group for: all that there are, as with other runtimes; but beside v1 those of
/// v2 only if they are needed, since a group of v2 that holds processes cannot pass any on.
fn present(hierarchies: &Hierarchies, resources: &Resources) -> Vec<Controller> {
    let needed = resources.controllers();
    let version = |controller: &Controller| hierarchies.version_of(*controller);
    let has_v1 = Controller::ALL.iter().any(|controller| version(controller) == Some(Version::V1));
    let is_present = |controller: &Controller| match version(controller) {
        Some(Version::V1) => true,
        Some(Version::V2) => !has_v1 || needed.contains(controller),
        None => needed.contains(controller),
    };
    Controller::ALL.into_iter().filter(is_present).collect()
}

fn freezer(hierarchies: &Hierarchies, path: &GroupPath) -> Option<PathBuf> {
    let file = match hierarchies.version_of(Controller::Freezer)? {
        Version::V2 => "cgroup.freeze",
        Version::V1 => "freezer.state",
    };
    Some(Path::new(hierarchies.base_of(Controller::Freezer)?).join(path.as_str()).join(file))
}

/// The path in the unified hierarchy of a process's group.
fn unified_path(process: &str) -> Result<String> {
    let file = format!("/proc/{process}/cgroup");
    let text = std::fs::read_to_string(&file).map_err(Failure::during(file))?;
    Ok(text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().to_owned())
}

/// The group of a process in the unified hierarchy.
pub(super) fn unified_of(process: Identity) -> Result<Group> {
    let path = unified_path(&process.pid.to_string())?;
    let gone = || Failure::new(format!("group {path} of process {} is gone", process.pid));
    if !process.is_alive()? {
        return Err(gone());
    }
    let all = Hierarchies::discover_every().and_then(|all| all.only(Version::V2));
    let found = all.and_then(|all| all.find(&GroupPath::new(path.trim_start_matches('/'))?));
    found.map_err(Failure::during(format_args!("group {path}")))?.ok_or_else(gone)
}

/// Where the group of a container is, whether or not it is still there.
#[derive(Debug)]
pub(super) struct Site {
    hierarchies: Hierarchies,
    path: GroupPath,
    scope: Option<Scope>,
}

impl Site {
    /// `None` of a container without a group, and where there are no groups at all.
    pub(super) fn of(state: Option<&GroupState>) -> Result<Option<Self>> {
        let Some(state) = state else { return Ok(None) };
        let path = GroupPath::new(&state.path).map_err(Failure::during("group of the state"))?;
        let scope = state.scope.clone().map(Scope::parse).transpose()?;
        match Hierarchies::discover_every() {
            Err(Error::NoHierarchy) => Ok(None),
            found => {
                let hierarchies = found.map_err(Failure::during(format!("group {}", state.path)))?;
                Ok(Some(Self { hierarchies, path, scope }))
            }
        }
    }

    /// The group, if it is there.
    pub(super) fn group(&self) -> Result<Option<Group>> {
        self.hierarchies.find(&self.path).map_err(Failure::during(format!("group {}", self.path)))
    }

    /// Kills whatever is in the group, and removes it.
    pub(super) fn remove(&self) -> Result<()> {
        // In most cases nothing is in it any more.
        match self.hierarchies.remove(&self.path) {
            Ok(()) | Err(Error::Gone { .. }) => {}
            Err(Error::Busy { .. }) => self.group()?.map_or(Ok(()), |group| kill_and_remove(&group))?,
            Err(error) => return Err(Failure::during(format!("group {}", self.path))(error)),
        }
        self.scope.as_ref().map_or(Ok(()), Scope::stop)
    }

    /// The limit on memory that there is.
    pub(super) fn memory_limit(&self) -> Result<Option<i64>> {
        let Some(group) = self.group()? else { return Ok(None) };
        for (version, name) in [(Version::V1, "memory.limit_in_bytes"), (Version::V2, "memory.max")] {
            if let Some(text) = group.file(version, name).map_err(Failure::during(name))? {
                // No limit is a word, or more than any machine has.
                return Ok(text.trim().parse().ok().filter(|limit| *limit < i64::MAX >> 1));
            }
        }
        Ok(None)
    }

    /// Sets other limits, also with who else writes them.
    pub(super) fn update(&self, id: &ContainerId, resources: &Resources) -> Result<Report> {
        let group = self.group()?.ok_or_else(|| no_group(id))?;
        let report = group.apply(resources).map_err(Failure::during("update the limits"))?;
        self.scope.as_ref().map_or(Ok(()), |scope| scope.update(resources, &self.hierarchies))?;
        Ok(report)
    }
}

/// The group of a container; `None` if it has none, or it is gone.
pub(super) fn find(state: Option<&GroupState>) -> Result<Option<Group>> {
    Site::of(state)?.map_or(Ok(None), |site| site.group())
}

/// The group of a container, which it has to have.
pub(super) fn open(id: &ContainerId, state: Option<&GroupState>) -> Result<Group> {
    find(state)?.ok_or_else(|| no_group(id))
}

pub(super) fn no_group(id: &ContainerId) -> Failure {
    Failure::new(format!("container {id} has no control group"))
}

fn below_root(text: &str) -> Result<GroupPath> {
    cgroup_path::below_root(text).map_err(Failure::during(format_args!("cgroupsPath {text:?}")))
}

fn kill_and_remove(group: &Group) -> Result<()> {
    let doing = || Failure::during(format!("group {}", group.path()));
    // Some of its directories may be gone by now; what is left is removed all the same.
    for step in [|group: &Group| group.kill_and_wait(KILL_TIMEOUT), Group::remove_tree] {
        match step(group) {
            Ok(()) | Err(Error::Gone { .. }) => {}
            Err(error) => return Err(doing()(error)),
        }
    }
    Ok(())
}
