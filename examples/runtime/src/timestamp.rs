//! Points in time as RFC 3339 writes them.

use std::fmt;
use std::time::{Duration, SystemTime};

use windlass_image::config::rfc3339;

/// A point in time, which prints as `2026-01-02T03:04:05.006007008Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(Duration);

impl From<SystemTime> for Timestamp {
    /// A clock before 1970 counts as 1970.
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }
}

impl Timestamp {
    /// The same without a fraction of a second.
    pub(crate) const fn to_seconds(self) -> Self {
        Self(Duration::from_secs(self.0.as_secs()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.subsec_nanos() {
            0 => f.write_str(&rfc3339(self.0.as_secs())),
            nanoseconds => f.write_str(&precise(self.0.as_secs(), nanoseconds)),
        }
    }
}

/// A time of RFC 3339 with all nine digits of the second's fraction.
pub(crate) fn precise(seconds: u64, nanoseconds: u32) -> String {
    format!("{}.{nanoseconds:09}Z", rfc3339(seconds).trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (951_782_399, 0, "2000-02-28T23:59:59Z"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"),
            (951_868_800, 1, "2000-03-01T00:00:00.000000001Z"),
            (1_735_689_599, 999_999_999, "2024-12-31T23:59:59.999999999Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00Z"),
        ] {
            let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
            assert_eq!(Timestamp::from(time).to_string(), text);
        }
    }
}
