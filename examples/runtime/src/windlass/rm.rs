//! `rm`: containers, whatever they do.

use super::cli::Remove;
use super::containers::Containers;
use super::failure::Failure;
use super::home::Home;
use super::{out, removal, status, stop, volumes};

pub(super) fn rm(home: &Home, containers: &Containers, request: &Remove) -> Result<u8, Failure> {
    let which = if request.volumes { removal::Volumes::Anonymous } else { removal::Volumes::Kept };
    out::each(&request.containers, |name| {
        if request.force && containers.find(name).is_err() && !exists(containers, name)? {
            return Ok(());
        }
        remove(home, containers, name, request.force, which)?;
        out::line(name)
    })
}

/// Whether a folder of this name is there, be it of a container that was never made whole.
fn exists(containers: &Containers, id: &str) -> Result<bool, Failure> {
    Ok(containers.folders()?.iter().any(|container| container.id == id))
}

fn remove(
    home: &Home,
    containers: &Containers,
    name: &str,
    force: bool,
    which: removal::Volumes,
) -> Result<(), Failure> {
    let (container, config) = containers.find(name)?;
    let (found, state) = status::of(&container)?;
    if found.is_live() {
        if !force {
            let name = &config.name;
            return Err(Failure::new(format!(
                "container {name} is {found}: `windlass stop {name}` first, or `windlass rm -f {name}`"
            )));
        }
        stop::end(&container, &config, &state, windlass_namespaces::Signal::KILL, None)?;
    }
    // One that was started with --rm is gone by now.
    if container.config()?.is_none() {
        return Ok(());
    }
    let Some(claim) = container.claim()? else {
        return Err(Failure::new(format!("container {} is being started or removed by somebody else", config.name)));
    };
    let removed = removal::remove_claimed(home, &volumes::Volumes::open(&home.root), &container, which);
    drop(claim);
    super::network::bridge::collect_as_root()?;
    removed
}
