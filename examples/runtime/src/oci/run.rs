//! `run`: `create` and `start` in one, and in the foreground `delete` as well.

use super::console::Stay;
use super::create::{Created, Doorman, Request, create};
use super::failure::{Failure, Result};
use super::foreground::{Signals, attend, fit};
use super::log::Log;
use super::store::Store;
use super::{delete, start};

/// What becomes of a container in the foreground after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Remove,
    Keep,
}

/// Makes this process the parent of those that lose theirs in a container without a pid namespace of its own.
pub(super) fn adopt_orphans() -> Result<()> {
    rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1)).map_err(Failure::during("adopt orphans"))
}

/// Runs a container; returns its exit code, or 0 when it is left to itself.
pub(super) fn run(store: &Store, log: &Log, request: &Request<'_>, after: After) -> Result<u8> {
    let signals = match request.stay {
        Stay::Attached => Some(Signals::take()?),
        Stay::Detached => None,
    };
    let created = create(store, log, request, Doorman::Creator)?;
    let Created { place, state, mut child, terminal, opener, site } = created;
    let opener = opener.expect("the creator is the doorman");
    // Before the program begins, which may look at once.
    let fitted = match (&signals, &terminal) {
        (Some(_), Some(terminal)) => fit(terminal),
        _ => Ok(()),
    };
    let (begun, ended) = match (fitted.and_then(|()| start::open(&place, &state, opener, log)), &signals) {
        (Ok(listener), None) => return start::leave(&place, &state, listener).map(|()| 0),
        // Others may pause, update or delete it while it runs.
        (Ok(listener), Some(signals)) => {
            (Ok(()), place.unlock().and_then(|()| attend(&mut child, signals, terminal, listener)))
        }
        (Err(error), _) => (Err(error), Ok(1)),
    };
    if after == After::Keep && begun.is_ok() {
        return ended;
    }
    let removed = match place.lock() {
        // Somebody else has removed it meanwhile.
        Err(_) if store.find(place.id()).is_ok_and(|found| found.is_none()) => Ok(()),
        locked => locked.and_then(|()| delete::remove(&place, &state, site.as_ref(), log)),
    };
    // This process ends: what it has open closes by itself, and all at once.
    std::mem::forget(site);
    match begun.and(ended) {
        Ok(code) => removed.map(|()| code),
        Err(error) => Err(error.and(removed)),
    }
}
