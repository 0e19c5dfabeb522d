//! Small questions about pods.

use std::time::Duration;

use crate::kinds::{Pod, PodCondition};
use crate::wire::text::Text as _;
use crate::wire::time::Time;

impl Pod {
    /// The condition of this type.
    pub fn condition(&self, kind: &str) -> Option<&PodCondition> {
        self.status.conditions.iter().find(|condition| condition.type_.text() == kind)
    }

    /// Its condition `Ready` is true.
    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|condition| condition.status.text() == "True")
    }

    /// It has been ready for this long.
    pub fn is_available(&self, ready_for: Duration, now: Time) -> bool {
        if !self.is_ready() {
            return false;
        }
        let since = self.condition("Ready").and_then(|condition| condition.last_transition_time);
        let span = i64::try_from(ready_for.as_secs()).unwrap_or(i64::MAX);
        span == 0 || since.is_some_and(|since| since.unix_seconds().saturating_add(span) <= now.unix_seconds())
    }

    /// None of its containers will run again.
    pub fn is_terminal(&self) -> bool {
        matches!(self.status.phase.text(), "Succeeded" | "Failed")
    }

    /// It runs or will, and is not being deleted.
    pub fn is_active(&self) -> bool {
        !self.is_terminal() && self.metadata.deletion_timestamp.is_none()
    }
}
