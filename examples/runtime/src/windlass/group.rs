//! The control group of a container.

use std::time::Duration;

use windlass_cgroups::{Anchor, Controller, Group, GroupPath, Hierarchies, Home, Resources};

use super::failure::Failure;
use super::record::{Config, State};
use super::{limits, rootless};

/// How long the processes of a group may take to be gone after they were killed.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// What every container of root is accounted by, where the kernel has it.
const ACCOUNTED: [Controller; 5] =
    [Controller::Cpu, Controller::Memory, Controller::Pids, Controller::Io, Controller::Devices];

fn path(id: &str) -> Result<GroupPath, Failure> {
    GroupPath::new(&format!("windlass-{id}")).map_err(Failure::during("name the group"))
}

fn hierarchies() -> Result<Hierarchies, Failure> {
    let found =
        if rootless::is_ordinary() { Hierarchies::discover_at(Anchor::OwnParent) } else { Hierarchies::discover() };
    found.map_err(Failure::during("find the cgroup hierarchies"))
}

/// Makes the group with its limits. An ordinary user gets one where limits are asked for and a group was delegated.
pub(super) fn create(config: &Config) -> Result<Option<Group>, Failure> {
    let mut resources = limits::resources(&config.limits)?;
    let mut controllers = limits::needed(&resources);
    if rootless::is_ordinary() {
        let Some(first) = controllers.first().copied() else { return Ok(None) };
        let made = hierarchies().and_then(|hierarchies| make(&hierarchies, config, &controllers, &resources));
        return made.map(Some).map_err(|failure| {
            Failure::new(format!(
                "a limit on {first} needs root, or a control group that was delegated to this user, as \
                 `systemd-run --user --pty -p Delegate=yes -p DelegateSubgroup=shell sh` starts one: {failure}"
            ))
        });
    }
    let hierarchies = hierarchies()?;
    let is_there = |controller: &Controller| !matches!(hierarchies.home(*controller), Home::Absent(_));
    controllers.extend(ACCOUNTED.into_iter().filter(is_there));
    controllers.sort_unstable();
    controllers.dedup();
    if !config.security.privileged {
        // Without a device controller the missing right to make nodes, and nodev mounts, are what is left.
        resources.devices =
            is_there(&Controller::Devices).then(|| limits::device_filter(&config.devices)).transpose()?;
    }
    make(&hierarchies, config, &controllers, &resources).map(Some)
}

fn make(
    hierarchies: &Hierarchies,
    config: &Config,
    controllers: &[Controller],
    resources: &Resources,
) -> Result<Group, Failure> {
    let path = path(&config.id)?;
    let group = hierarchies.create(&path, controllers).map_err(Failure::during("create a group for the limits"))?;
    match group.apply(resources) {
        Ok(_) => Ok(group),
        Err(error) => {
            let failure = Failure::during("limit the container")(error);
            match remove(&group) {
                Ok(()) => Err(failure),
                Err(second) => Err(Failure::new(format!("{failure}; and then: {second}"))),
            }
        }
    }
}

/// The group of a container that has one.
pub(super) fn find(state: &State) -> Result<Option<Group>, Failure> {
    let Some(path) = &state.group else { return Ok(None) };
    let path = GroupPath::new(path).map_err(Failure::during(format_args!("group {path}")))?;
    hierarchies()?.find(&path).map_err(Failure::during(format_args!("open the group {path}", path = path.as_str())))
}

/// The group of a running container, for a verb that cannot do without.
pub(super) fn require(name: &str, state: &State, verb: &str) -> Result<Group, Failure> {
    match find(state)? {
        Some(group) => Ok(group),
        None => Err(Failure::new(format!(
            "container {name} has no control group, which {verb} needs: run it as root, or with a limit in a \
             delegated group"
        ))),
    }
}

/// Ends what is in the group, and removes it.
pub(super) fn remove(group: &Group) -> Result<(), Failure> {
    let doing = || format!("remove the group {}", group.path());
    // A frozen process of v1 would not end.
    if group.is_frozen().is_ok_and(|frozen| frozen) {
        group.thaw().map_err(Failure::during(doing()))?;
    }
    group.kill_and_wait(KILL_TIMEOUT).map_err(Failure::during(doing()))?;
    group.remove_tree().map_err(Failure::during(doing()))
}

/// Removes what a killed monitor left of a container's group.
pub(super) fn remove_left(id: &str) -> Result<(), Failure> {
    let Ok(hierarchies) = hierarchies() else { return Ok(()) };
    match hierarchies.find(&path(id)?) {
        Ok(Some(group)) => remove(&group),
        _ => Ok(()),
    }
}
