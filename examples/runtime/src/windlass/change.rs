//! `pause`, `unpause`, `update` and `rename`: what changes while a container goes on.

use std::time::Duration;

use super::cli::Update;
use super::containers::Containers;
use super::failure::Failure;
use super::record::Limits;
use super::status::{self, Status};
use super::{group, limits, mounts, out, request};

/// How long freezing may take: a process in the middle of a write to a slow disk stops after it.
const FREEZE: Duration = Duration::from_secs(10);

pub(super) fn pause(containers: &Containers, names: &[String]) -> Result<u8, Failure> {
    out::each(names, |name| {
        let (container, config) = containers.find(name)?;
        let (found, state) = status::of(&container)?;
        if !matches!(found, Status::Running | Status::Unattended) {
            return Err(Failure::new(format!("container {} cannot be paused: it is {found}", config.name)));
        }
        let group = group::require(&config.name, &state, "pause")?;
        group.freeze(FREEZE).map_err(Failure::during(format_args!("pause {}", config.name)))?;
        out::line(name)
    })
}

pub(super) fn unpause(containers: &Containers, names: &[String]) -> Result<u8, Failure> {
    out::each(names, |name| {
        let (container, config) = containers.find(name)?;
        let (found, state) = status::of(&container)?;
        let is_frozen = |group: &windlass_cgroups::Group| group.is_frozen().is_ok_and(|frozen| frozen);
        match group::find(&state)?.filter(is_frozen) {
            Some(group) => group.thaw().map_err(Failure::during(format_args!("unpause {}", config.name)))?,
            None => return Err(Failure::new(format!("container {} is not paused: it is {found}", config.name))),
        }
        out::line(name)
    })
}

/// Changes limits, of a running container at once, and the restart policy.
pub(super) fn update(containers: &Containers, request: &Update) -> Result<u8, Failure> {
    out::each(&request.containers, |name| {
        let (container, config) = containers.find(name)?;
        let (found, state) = status::of(&container)?;
        let limits = merged(&config.limits, request::recorded_limits(&request.limits));
        let changed = limits != config.limits;
        if changed && found.is_live() {
            let group = group::require(&config.name, &state, "update")?;
            let resources = limits::resources(&limits)?;
            group.apply(&resources).map_err(Failure::during(format_args!("limit {}", config.name)))?;
        } else if changed {
            limits::resources(&limits)?;
        }
        container.change_config(|config| {
            config.limits = limits;
            config.restart = request.restart.unwrap_or(config.restart);
        })?;
        out::line(name)
    })
}

/// What is given counts, and what was there otherwise.
fn merged(old: &Limits, new: Limits) -> Limits {
    let list = |old: &Vec<_>, new: Vec<_>| if new.is_empty() { old.clone() } else { new };
    Limits {
        millicores: new.millicores.or(old.millicores),
        cpu_shares: new.cpu_shares.or(old.cpu_shares),
        cpuset_cpus: new.cpuset_cpus.or_else(|| old.cpuset_cpus.clone()),
        memory: new.memory.or(old.memory),
        memory_reservation: new.memory_reservation.or(old.memory_reservation),
        memory_swap: new.memory_swap.or(old.memory_swap),
        pids: new.pids.or(old.pids),
        device_read_bps: list(&old.device_read_bps, new.device_read_bps),
        device_write_bps: list(&old.device_write_bps, new.device_write_bps),
    }
}

pub(super) fn rename(containers: &Containers, name: &str, new: &str) -> Result<u8, Failure> {
    let new = mounts::volume_name(new).map_err(Failure::new)?;
    let _names = containers.lock()?;
    let (container, _) = containers.find(name)?;
    if let Some((other, _)) = containers.list()?.iter().find(|(_, config)| config.name == new) {
        return Err(Failure::new(format!("the name {new} is taken by container {}: remove or rename it", other.id)));
    }
    container.change_config(|config| config.name = new)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_stays() {
        let old = Limits { memory: Some(1), pids: Some(2), ..Limits::default() };
        let new = Limits { pids: Some(-1), millicores: Some(500), ..Limits::default() };
        let expected = Limits { memory: Some(1), pids: Some(-1), millicores: Some(500), ..Limits::default() };
        assert_eq!(merged(&old, new), expected);
    }
}
