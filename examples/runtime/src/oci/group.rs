//! The control group of a container: where it is, how it is made, and how it goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType, LinuxResources, Spec};
use windlass_cgroups::{Controller, Error, Group, GroupPath, Hierarchies, Resources, Version, oci};

use super::failure::{Failure, Result};
use super::id::ContainerId;
use super::log::Log;
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
}

impl Wanted {
    /// Reads it from a configuration; `None` where this user has no hierarchy and asks for no limit.
    pub(super) fn new(spec: &Spec, id: &ContainerId, systemd: bool, rights: Rights) -> Result<Option<Self>> {
        let linux = spec.linux().as_ref();
        let given = linux.and_then(|linux| linux.cgroups_path().as_ref()).filter(|path| !path.as_os_str().is_empty());
        if systemd {
            return Err(Failure::new("--systemd-cgroup: systemd does not run here, so it can make no scope"));
        }
        let resources = resources(linux.and_then(|linux| linux.resources().as_ref()), rights)?;
        let found = match rights {
            Rights::Root => Hierarchies::discover_every(),
            Rights::Rootless => Hierarchies::discover(),
        };
        let hierarchies = match found {
            Err(_) if rights == Rights::Rootless && resources == Resources::default() => return Ok(None),
            found => found.map_err(Failure::during("find the cgroup hierarchies"))?,
        };
        let text = match (given, rights) {
            (Some(path), _) => path.to_string_lossy().into_owned(),
            (None, Rights::Root) => id.to_string(),
            (None, Rights::Rootless) => format!("{}/{id}", own_group()?),
        };
        let path = cgroup_path::below_root(&text).map_err(Failure::during(format_args!("cgroupsPath {text:?}")))?;
        let controllers = match rights {
            Rights::Root => present(&hierarchies, &resources),
            Rights::Rootless => resources.controllers(),
        };
        let freezer = freezer(&hierarchies, &path);
        Ok(Some(Self { hierarchies, path, resources, controllers, rights, freezer }))
    }

    /// What is kept of it; told before the group is made, so that whoever cleans up finds it.
    pub(super) fn state(&self) -> GroupState {
        GroupState { path: self.path.to_string(), freezer: self.freezer.clone() }
    }

    /// Refuses a group that is in use; one that is there and empty is removed.
    ///
    /// An empty one may be what a killed runtime left; in one that was killed the kernel kills newcomers too.
    pub(super) fn clear(&self) -> Result<()> {
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
    pub(super) fn make(&self, log: &Log) -> Result<Option<Group>> {
        let group = match self.hierarchies.create(&self.path, &self.controllers) {
            Err(error) if self.may_go_without(&error) => {
                log.warn(format_args!("no control group: {}", crate::cause::chain(&error)));
                return Ok(None);
            }
            made => made.map_err(Failure::during(format_args!("make the group {}", self.path)))?,
        };
        match group.apply(&self.resources) {
            Ok(_) => Ok(Some(group)),
            Err(error) => {
                let removed = group.remove().map_err(Failure::during("remove the group"));
                Err(Failure::during(format_args!("limit the group {}", self.path))(error).and(removed))
            }
        }
    }

    /// Where the group is that was made.
    pub(super) fn site(self) -> Site {
        Site { hierarchies: self.hierarchies, path: self.path }
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

/// The group of this process in the unified hierarchy.
fn own_group() -> Result<String> {
    const FILE: &str = "/proc/self/cgroup";
    let text = std::fs::read_to_string(FILE).map_err(Failure::during(FILE))?;
    Ok(text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().to_owned())
}

/// Where the group of a container is, whether or not it is still there.
#[derive(Debug)]
pub(super) struct Site {
    hierarchies: Hierarchies,
    path: GroupPath,
}

impl Site {
    /// `None` of a container without a group, and where there are no groups at all.
    pub(super) fn of(state: Option<&GroupState>) -> Result<Option<Self>> {
        let Some(state) = state else { return Ok(None) };
        let path = GroupPath::new(&state.path).map_err(Failure::during("group of the state"))?;
        match Hierarchies::discover_every() {
            Err(Error::NoHierarchy) => Ok(None),
            found => {
                let hierarchies = found.map_err(Failure::during(format!("group {}", state.path)))?;
                Ok(Some(Self { hierarchies, path }))
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
            Ok(()) | Err(Error::Gone { .. }) => Ok(()),
            Err(Error::Busy { .. }) => self.group()?.map_or(Ok(()), |group| kill_and_remove(&group)),
            Err(error) => Err(Failure::during(format!("group {}", self.path))(error)),
        }
    }
}

/// The group of a container; `None` if it has none, or it is gone.
pub(super) fn find(state: Option<&GroupState>) -> Result<Option<Group>> {
    Site::of(state)?.map_or(Ok(None), |site| site.group())
}

/// The group of a container, which it has to have.
pub(super) fn open(id: &ContainerId, state: Option<&GroupState>) -> Result<Group> {
    find(state)?.ok_or_else(|| Failure::new(format!("container {id} has no control group")))
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
