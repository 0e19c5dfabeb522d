//! `delete`: the end of a container, whatever is left of it.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use windlass_namespaces::Signal;

use super::failure::{Failure, Result};
use super::group::Site;
use super::hooks::{self, Point};
use super::log::Log;
use super::state::{State, Status};
use super::store::{Place, Store};
use super::{class, container, identity};

/// How long the first process may take to be gone after it was killed.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether a container that still runs is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Force {
    Yes,
    No,
}

pub(super) fn delete(store: &Store, log: &Log, id: &str, force: Force) -> Result<()> {
    let Some(place) = store.find(&id.parse()?)? else {
        return if force == Force::Yes { Ok(()) } else { Err(Failure::no_container(id)) };
    };
    match place.lock() {
        // Somebody else has removed it meanwhile.
        Err(_) if force == Force::Yes && store.find(place.id())?.is_none() => return Ok(()),
        locked => locked?,
    }
    let Some(state) = place.read()? else {
        // The creation was cut off before there was anything but the directory.
        return place.remove();
    };
    match container::status(&place, &state)? {
        Status::Stopped | Status::Creating => {}
        _ if force == Force::Yes => {}
        status => {
            return Err(Failure::new(format!("cannot delete container {id} that is not stopped: {status}")));
        }
    }
    let site = Site::of(state.group.as_ref())?;
    remove(&place, &state, site.as_ref(), log)
}

/// Ends every process of a container and removes all that there is of it.
pub(super) fn remove(place: &Place, state: &State, site: Option<&Site>, log: &Log) -> Result<()> {
    if let Some(init) = state.init {
        end(init, site)?;
    }
    if let Some(site) = site {
        site.remove()?;
    }
    if let Some(class) = &state.class {
        class::group(class).remove().map_err(Failure::during("remove the class of service"))?;
    }
    place.remove()?;
    if let Some(hooks) = state.hooks.as_ref().and_then(|hooks| hooks.poststop.as_ref()) {
        hooks::run_late(Point::Poststop, hooks, state, Status::Stopped, log);
    }
    Ok(())
}

/// Kills the first process and waits for its end, which takes along all others of its pid namespace.
fn end(init: identity::Identity, site: Option<&Site>) -> Result<()> {
    let Some(pidfd) = init.open()? else { return Ok(()) };
    if !identity::send(&pidfd, Signal::KILL)? {
        return Ok(());
    }
    if let Some(group) = site.map_or(Ok(None), Site::group)? {
        // Stopped by v1's freezer it would not die. It is being removed: that it cannot be thawed will be told there.
        drop(group.thaw());
    }
    let until = Instant::now() + KILL_TIMEOUT;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(Failure::during("wait"))?;
        let mut descriptors = [PollFd::new(&pidfd, PollFlags::IN)];
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(0) => return Err(Failure::new(format!("process {} does not end after SIGKILL", init.pid))),
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::during(format_args!("wait for process {}", init.pid))(error)),
        }
    }
}
