//! `pause` and `resume`.

use std::time::Duration;

use super::failure::{Failure, Result};
use super::state::Status;
use super::store::Store;
use super::{container, group};

/// How long the processes may take to stop.
const FREEZE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn pause(store: &Store, id: &str) -> Result<()> {
    let place = store.open(id)?;
    place.lock()?;
    let state = container::read(&place)?;
    match container::status(&place, &state)? {
        Status::Running | Status::Created => {}
        status => return Err(Failure::new(format!("container not running or created: {status}"))),
    }
    let group = group::open(place.id(), state.group.as_ref())?;
    group.freeze(FREEZE_TIMEOUT).map_err(Failure::during("pause the container"))
}

pub(super) fn resume(store: &Store, id: &str) -> Result<()> {
    let place = store.open(id)?;
    place.lock()?;
    let state = container::read(&place)?;
    match container::status(&place, &state)? {
        Status::Paused => {}
        status => return Err(Failure::new(format!("container not paused: {status}"))),
    }
    let group = group::open(place.id(), state.group.as_ref())?;
    group.thaw().map_err(Failure::during("resume the container"))
}
