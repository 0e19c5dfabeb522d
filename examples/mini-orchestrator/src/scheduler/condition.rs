//! The condition that says whether a pod has a node.

use windlass_pod::Time;
use windlass_pod::kinds::{PodCondition, PodStatus};

const POD_SCHEDULED: &str = "PodScheduled";

/// The pod has a node.
pub(super) fn scheduled(status: &mut PodStatus, now: Time) {
    set(status, now, "True", None, None);
}

/// The pod has none, for this reason.
pub(super) fn unscheduled(status: &mut PodStatus, now: Time, reason: &str, message: &str) {
    set(status, now, "False", Some(reason), Some(message));
}

/// Changes nothing when the pod says so already; the time tells when the answer changed, not its words.
fn set(status: &mut PodStatus, now: Time, answer: &str, reason: Option<&str>, message: Option<&str>) {
    let found = status.conditions.iter().position(|condition| condition.type_.as_deref() == Some(POD_SCHEDULED));
    let index = found.unwrap_or_else(|| {
        status.conditions.push(PodCondition { type_: Some(POD_SCHEDULED.to_owned()), ..PodCondition::default() });
        status.conditions.len() - 1
    });
    let condition = &mut status.conditions[index];
    if condition.status.as_deref() != Some(answer) {
        condition.status = Some(answer.to_owned());
        condition.last_transition_time = Some(now);
    }
    condition.reason = reason.map(str::to_owned);
    condition.message = message.map(str::to_owned);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_the_answer() {
        let mut status = PodStatus::default();
        let at = Time::from_unix_seconds;
        let told = |status: &PodStatus| {
            let [condition] = &status.conditions[..] else { panic!("{status:?}") };
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let time = condition.last_transition_time.map_or(0, Time::unix_seconds);
            (text(&condition.status), text(&condition.reason), text(&condition.message), time)
        };
        let words = |a: &str, b: &str, c: &str, d| (a.to_owned(), b.to_owned(), c.to_owned(), d);
        unscheduled(&mut status, at(1), "Unschedulable", "no node");
        assert_eq!(told(&status), words("False", "Unschedulable", "no node", 1));
        unscheduled(&mut status, at(2), "Unschedulable", "1 node");
        assert_eq!(told(&status), words("False", "Unschedulable", "1 node", 1));
        scheduled(&mut status, at(3));
        assert_eq!(told(&status), words("True", "", "", 3));
        let before = status.clone();
        scheduled(&mut status, at(4));
        assert_eq!(status, before);
    }
}
