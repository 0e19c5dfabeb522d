//! How a container is stopped: its hook, its signal, and its end when the grace period is over.

use std::time::Duration;

use super::{Cell, State};
use crate::lifecycle::{Action, Hook};

/// What a container gets at least between its signal and its end.
const GRACE_MIN: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The hook runs.
    Hook,
    /// The signal has been sent.
    Signalled,
    /// It has been killed; only its end can follow.
    Killed,
}

#[derive(Debug, Clone)]
pub(in crate::lifecycle) struct Stop {
    stage: Stage,
    deadline: Duration,
}

impl Stop {
    pub(in crate::lifecycle) fn deadline(&self) -> Option<Duration> {
        (self.stage != Stage::Killed).then_some(self.deadline)
    }
}

impl Cell {
    fn running_id(&self) -> Option<String> {
        match &self.state {
            State::Running { id, .. } => Some(id.clone()),
            _ => None,
        }
    }

    /// Begins to stop it, or shortens the time that it still has.
    pub(in crate::lifecycle) fn begin_stop(&mut self, grace: Duration, now: Duration, actions: &mut Vec<Action>) {
        let Some(id) = self.running_id() else { return };
        let deadline = now + grace;
        if let Some(stop) = &mut self.stop {
            stop.deadline = stop.deadline.min(deadline);
            self.continue_stop(now, actions);
            return;
        }
        if grace.is_zero() {
            self.stop = Some(Stop { stage: Stage::Killed, deadline });
            actions.push(Action::Kill { container: self.name.clone(), id });
        } else if let Some(handler) = self.pre_stop.clone() {
            self.stop = Some(Stop { stage: Stage::Hook, deadline });
            actions.push(Action::Run { container: self.name.clone(), hook: Hook::PreStop, handler });
        } else {
            self.stop = Some(Stop { stage: Stage::Signalled, deadline });
            actions.push(Action::Terminate { container: self.name.clone(), id });
        }
    }

    /// The hook has run; the signal follows.
    pub(in crate::lifecycle) fn hook_finished(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let Some(id) = self.running_id() else { return };
        if let Some(stop) = self.stop.as_mut().filter(|stop| stop.stage == Stage::Hook) {
            stop.stage = Stage::Signalled;
            stop.deadline = stop.deadline.max(now + GRACE_MIN);
            actions.push(Action::Terminate { container: self.name.clone(), id });
        }
    }

    /// Does what is due: a hook that takes too long is left behind, and then the container is ended.
    pub(in crate::lifecycle) fn continue_stop(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let Some(id) = self.running_id() else { return };
        let Some(stop) = self.stop.as_mut().filter(|stop| now >= stop.deadline) else { return };
        match stop.stage {
            Stage::Hook => {
                stop.stage = Stage::Signalled;
                stop.deadline = now + GRACE_MIN;
                actions.push(Action::Terminate { container: self.name.clone(), id });
            }
            Stage::Signalled => {
                stop.stage = Stage::Killed;
                actions.push(Action::Kill { container: self.name.clone(), id });
            }
            Stage::Killed => {}
        }
    }
}
