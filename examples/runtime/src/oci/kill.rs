//! `kill`: a signal to a container.

use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use windlass_cgroups::Group;
use windlass_namespaces::Signal;

use super::failure::{Failure, Result};
use super::state::{State, Status};
use super::store::{Place, Store};
use super::{container, group, identity};
use crate::signal_name;

/// How long processes may take to stop before they are signalled one by one.
const FREEZE_AT_MOST: Duration = Duration::from_millis(500);
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Whom a signal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    First,
    All,
}

pub(super) fn kill(store: &Store, id: &str, signal: &str, whom: Whom) -> Result<()> {
    let place = store.open(id)?;
    let signal = signal_name::parse(signal).ok_or_else(|| Failure::new(format!("unknown signal {signal:?}")))?;
    let state = container::read(&place)?;
    match whom {
        Whom::First => first(&place, &state, signal),
        Whom::All => match group::find(state.group.as_ref())? {
            Some(group) => all(&group, signal),
            None => first(&place, &state, signal),
        },
    }
}

fn first(place: &Place, state: &State, signal: Signal) -> Result<()> {
    let not_running = || Failure::not_running(place.id().as_str());
    let init = state.init.ok_or_else(not_running)?;
    if !init.signal(signal)? {
        return Err(not_running());
    }
    // What is stopped through v1's freezer does not die until it goes on.
    if signal == Signal::KILL && container::status(place, state)? == Status::Paused {
        group::open(place.id(), state.group.as_ref())?.thaw().map_err(Failure::during("let the container go on"))?;
    }
    Ok(())
}

/// Sends a signal to every process of a group and of those below it.
fn all(group: &Group, signal: Signal) -> Result<()> {
    let doing = || Failure::during(format!("signal the processes of group {}", group.path()));
    if signal == Signal::KILL {
        return group.kill_and_wait(KILL_TIMEOUT).map_err(doing());
    }
    let pids = group.tree_pids().map_err(doing())?;
    if pids.is_empty() {
        return Ok(());
    }
    // Stopped, none of them can start another one that the signal would miss. What does not stop in time, or was stopped
    // before, is signalled as it is.
    let was_frozen = group.is_frozen().map_err(doing())?;
    let froze = !was_frozen && group.freeze(FREEZE_AT_MOST).is_ok();
    let sent = each(group, signal);
    let thawed = if froze { group.thaw().map_err(doing()) } else { Ok(()) };
    match sent {
        Ok(()) => thawed,
        Err(error) => Err(error.and(thawed)),
    }
}

fn each(group: &Group, signal: Signal) -> Result<()> {
    let doing = || Failure::during(format!("list the processes of group {}", group.path()));
    for pid in group.tree_pids().map_err(doing())? {
        let Some(pid) = Pid::from_raw(pid) else { continue };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => drop(identity::send(&pidfd, signal)?),
            Err(Errno::SRCH) => {}
            Err(error) => return Err(Failure::during(format_args!("open process {}", pid.as_raw_nonzero()))(error)),
        }
    }
    Ok(())
}
