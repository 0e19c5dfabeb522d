//! `start`: the program of a created container begins.

use windlass_namespaces::{Opener, Signal};

use super::container::GATE;
use super::create::explain;
use super::failure::{Failure, Result};
use super::hooks::{self, Point};
use super::log::Log;
use super::notify::{Listener, Manager};
use super::state::{State, Status};
use super::store::{Place, Store};
use super::{container, group};

pub(super) fn start(store: &Store, log: &Log, id: &str) -> Result<()> {
    let place = store.open(id)?;
    place.lock()?;
    let state = container::read(&place)?;
    match container::status(&place, &state)? {
        Status::Created => {}
        Status::Stopped => return Err(Failure::new(format!("cannot start container {id} that has stopped"))),
        Status::Running => return Err(Failure::new(format!("cannot start container {id} that is already running"))),
        status => return Err(Failure::new(format!("cannot start container {id} in the {status} state"))),
    }
    let opener = Opener::connect(place.file(GATE)).map_err(Failure::during("come to the gate"))?;
    let listener = open(&place, &state, opener, log)?;
    leave(&place, &state, listener)
}

/// Leaves the container to itself, once it is ready if somebody waits for that.
pub(super) fn leave(place: &Place, state: &State, listener: Option<Listener>) -> Result<()> {
    let (Some(listener), Some(init)) = (listener, state.init) else { return Ok(()) };
    // Others may look after it meanwhile.
    place.unlock()?;
    listener.wait(init)
}

/// Opens the gate, and runs what is to be run once the program has begun; gives where that will say that it is ready.
pub(super) fn open(place: &Place, state: &State, opener: Opener, log: &Log) -> Result<Option<Listener>> {
    let listener = Manager::of_caller()?.map_or(Ok(None), |manager| manager.listen(place))?;
    opener.open().map_err(|error| explain(&program(place), &error))?;
    place.drop_file(GATE)?;
    let Some(hooks) = state.hooks.as_ref().and_then(|hooks| hooks.poststart.as_ref()) else {
        return Ok(listener);
    };
    let ran = hooks::kept(hooks).and_then(|hooks| hooks::run(Point::Poststart, &hooks, state, Status::Running));
    ran.map(|()| listener).map_err(|error| error.and(end(state, log)))
}

/// Ends a container whose hook failed.
fn end(state: &State, log: &Log) -> Result<()> {
    if let Some(init) = state.init {
        init.signal(Signal::KILL)?;
    }
    match group::find(state.group.as_ref()) {
        Ok(Some(group)) => group.kill_and_wait(group::KILL_TIMEOUT).map_err(Failure::during("end the container")),
        Ok(None) => Ok(()),
        Err(error) => {
            log.warn(format_args!("{error}"));
            Ok(())
        }
    }
}

/// The program's name in the configuration, for a message.
fn program(place: &Place) -> String {
    let config = place.content(super::bundle::CONFIG).ok().flatten().unwrap_or_default();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap_or_default();
    config["process"]["args"][0].as_str().unwrap_or_default().to_owned()
}
