//! What a container does now: what its record says, held against the processes that there are.

use std::fmt;

use super::containers::Container;
use super::failure::Failure;
use super::identity::Identity;
use super::record::{Phase, State};
use super::{clock, group};

/// What a container does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Created,
    Running,
    Paused,
    Restarting,
    Exited,
    /// It runs and nobody is there to see its end: its monitor was killed.
    Unattended,
}

impl Status {
    /// Whether something of it runs or is about to.
    pub(super) fn is_live(self) -> bool {
        !matches!(self, Self::Created | Self::Exited)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Unattended => "unattended",
        })
    }
}

/// Looks, and writes down an end that nobody was left to see.
pub(super) fn of(container: &Container) -> Result<(Status, State), Failure> {
    let state = container.state()?;
    let monitored = state.monitor.as_ref().is_some_and(Identity::is_alive);
    let runs = state.process.as_ref().is_some_and(Identity::is_alive);
    let status = match state.phase {
        Phase::Created => Status::Created,
        Phase::Exited => Status::Exited,
        Phase::Running if !monitored && runs => Status::Unattended,
        Phase::Running | Phase::Restarting if !monitored => return settle(container, &state),
        Phase::Restarting => Status::Restarting,
        Phase::Running if is_frozen(&state) => Status::Paused,
        Phase::Running => Status::Running,
    };
    Ok((status, state))
}

fn is_frozen(state: &State) -> bool {
    // A group that cannot be asked is one that has just gone.
    matches!(group::find(state), Ok(Some(group)) if group.is_frozen().is_ok_and(|frozen| frozen))
}

fn settle(container: &Container, seen: &State) -> Result<(Status, State), Failure> {
    let state = container.change_state(|state| {
        // Somebody may have started it anew meanwhile.
        if state == seen {
            state.phase = Phase::Exited;
            state.process = None;
            state.monitor = None;
            state.exit_code = None;
            state.finished = Some(clock::Time::now());
            state.error =
                Some("its monitor was killed or the machine started anew: how it ended is not known".to_owned());
        }
    })?;
    Ok((Status::Exited, state))
}
