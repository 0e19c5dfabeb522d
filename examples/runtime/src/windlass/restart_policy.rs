//! When a container that ended is started again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

const DELAY_MIN: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_mins(1);
/// A container that ran this long has started well: the next wait is the shortest again.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// When a container that ended is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) enum RestartPolicy {
    #[default]
    No,
    /// After an exit code other than 0, this often at most.
    OnFailure { retries: Option<u32> },
    /// Until somebody stops it.
    Always,
    /// Until somebody stops it; what differs from `Always` is who starts it after the machine did, and here that is
    /// nobody's but the user's.
    UnlessStopped,
}

/// How a run of the container ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) code: i32,
    /// How often it was started again before.
    pub(super) restarts: u32,
    /// `stop` or `kill` was called for this container.
    pub(super) by_user: bool,
}

impl RestartPolicy {
    pub(super) fn wants(self, ended: Ended) -> bool {
        match self {
            _ if ended.by_user => false,
            Self::No => false,
            Self::OnFailure { retries } => ended.code != 0 && retries.is_none_or(|retries| ended.restarts < retries),
            Self::Always | Self::UnlessStopped => true,
        }
    }
}

/// How long to wait before the next start: longer each time, until a run was long enough.
pub(super) fn next_delay(last: Option<Duration>, ran: Duration) -> Duration {
    match last {
        Some(last) if ran < GOOD_RUN => (last * 2).min(DELAY_MAX),
        _ => DELAY_MIN,
    }
}

impl FromStr for RestartPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, retries) = match text.split_once(':') {
            Some((name, retries)) => (name, Some(retries)),
            None => (text, None),
        };
        match (name, retries) {
            ("no", None) => Ok(Self::No),
            ("always", None) => Ok(Self::Always),
            ("unless-stopped", None) => Ok(Self::UnlessStopped),
            ("on-failure", None) => Ok(Self::OnFailure { retries: None }),
            ("on-failure", Some(retries)) => match retries.parse() {
                // No limit is what 0 means to Docker.
                Ok(0) => Ok(Self::OnFailure { retries: None }),
                Ok(retries) => Ok(Self::OnFailure { retries: Some(retries) }),
                Err(_) => Err(format!("{retries:?} is no number of retries")),
            },
            _ => Err(format!("{text:?} is none of no, on-failure[:RETRIES], always, unless-stopped")),
        }
    }
}

impl TryFrom<String> for RestartPolicy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RestartPolicy> for String {
    fn from(policy: RestartPolicy) -> Self {
        policy.to_string()
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::OnFailure { retries: None } => f.write_str("on-failure"),
            Self::OnFailure { retries: Some(retries) } => write!(f, "on-failure:{retries}"),
            Self::Always => f.write_str("always"),
            Self::UnlessStopped => f.write_str("unless-stopped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_survive_their_text() {
        for text in ["no", "on-failure", "on-failure:3", "always", "unless-stopped"] {
            assert_eq!(text.parse::<RestartPolicy>().unwrap().to_string(), text);
        }
        for wrong in ["", "never", "always:1", "on-failure:x", "on-failure:-1"] {
            assert!(wrong.parse::<RestartPolicy>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn who_is_started_again() {
        let ended = |code, restarts, by_user| Ended { code, restarts, by_user };
        let twice = RestartPolicy::OnFailure { retries: Some(2) };
        for (policy, ended, expected) in [
            (RestartPolicy::No, ended(1, 0, false), false),
            (RestartPolicy::Always, ended(0, 99, false), true),
            (RestartPolicy::Always, ended(0, 0, true), false),
            (RestartPolicy::UnlessStopped, ended(0, 0, false), true),
            (twice, ended(0, 0, false), false),
            (twice, ended(1, 1, false), true),
            (twice, ended(1, 2, false), false),
            (RestartPolicy::OnFailure { retries: None }, ended(1, 99, false), true),
        ] {
            assert_eq!(policy.wants(ended), expected, "{policy} {ended:?}");
        }
    }

    #[test]
    fn waits_double_until_a_run_was_long_enough() {
        let short = Duration::from_millis(5);
        assert_eq!(next_delay(None, short), DELAY_MIN);
        assert_eq!(next_delay(Some(DELAY_MIN), short), DELAY_MIN * 2);
        assert_eq!(next_delay(Some(DELAY_MAX), short), DELAY_MAX);
        assert_eq!(next_delay(Some(DELAY_MAX), GOOD_RUN), DELAY_MIN);
    }
}
