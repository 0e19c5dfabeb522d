//! When to ask again.

use std::time::Duration;

/// How often and how soon a request is repeated that may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Repetitions of one request at most; 5 by default.
    pub attempts: u32,
    /// Before the first repetition, at most; it doubles with each. 500 ms by default.
    pub base: Duration,
    /// Before any repetition, at most; 30 s by default.
    pub max: Duration,
    /// A registry that asks for a longer pause has refused; 5 minutes by default.
    pub retry_after_max: Duration,
}

impl RetryPolicy {
    /// What suits public registries.
    pub const DEFAULT: Self = Self {
        attempts: 5,
        base: Duration::from_millis(500),
        max: Duration::from_secs(30),
        retry_after_max: Duration::from_mins(5),
    };

    /// The pause before repetition number `attempt`, which begins at 0; `None` to give up.
    ///
    /// `seed` spreads the pauses of many clients; the same seed gives the same pause. What the registry asked for is
    /// never undercut.
    pub fn pause(&self, attempt: u32, retry_after: Option<Duration>, seed: u64) -> Option<Duration> {
        if attempt >= self.attempts || retry_after.is_some_and(|wanted| wanted > self.retry_after_max) {
            return None;
        }
        let ceiling = self.base.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.max);
        // Half is certain, the other half is spread.
        let half = ceiling / 2;
        let spread = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).max(1);
        let jitter = Duration::from_nanos(mix(seed, attempt) % spread);
        let own = half + jitter;
        Some(retry_after.map_or(own, |wanted| wanted + jitter.min(Duration::from_millis(250))))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A permutation that spreads neighbouring seeds (the finaliser of `SplitMix64`).
fn mix(seed: u64, attempt: u32) -> u64 {
    let mut state = seed.wrapping_add(u64::from(attempt).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}

/// Whether a request that was answered so may succeed later.
pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Reads a `Retry-After` header, in seconds or as a date; `now` is since the epoch.
///
/// What is neither is taken for not there: the header is advice.
///
/// # Source
/// RFC 9110, sections 5.6.7 and 10.2.3.
pub fn retry_after(header: &str, now: Duration) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(header.parse().unwrap_or(u64::MAX)));
    }
    Some(date(header)?.saturating_sub(now))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, since the epoch.
fn date(text: &str) -> Option<Duration> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day: u64 = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = parts.next()?.parse().ok()?;
    let mut clock = parts.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let end = (parts.next(), parts.next(), clock.next());
    if end != (Some("GMT"), None, None) || !(1970..10_000).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since the epoch in a calendar whose year begins in March, so that the leap day is its last.
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = shifted_year * 365 + shifted_year / 4 - shifted_year / 100
        + shifted_year / 400
        + (shifted_month * 153 + 2) / 5
        + day
        - 1;
    let epoch = 719_468;
    Some(Duration::from_secs((days.checked_sub(epoch)?) * 86_400 + hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_registry_asks_for() {
        let now = Duration::from_secs(784_111_777 - 10);
        for (header, seconds) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800 - now.as_secs())),
            ("", None),
            ("-1", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
        ] {
            assert_eq!(retry_after(header, now), seconds.map(Duration::from_secs), "{header}");
        }
    }

    proptest! {
        #[test]
        fn pauses_grow_within_bounds(seed: u64, attempt in 0..5_u32) {
            let policy = RetryPolicy::DEFAULT;
            let pause = policy.pause(attempt, None, seed).unwrap();
            let ceiling = policy.base * 2_u32.pow(attempt);
            prop_assert!(pause >= ceiling / 2 && pause <= ceiling, "{pause:?}");
            prop_assert_eq!(policy.pause(attempt, None, seed), Some(pause));
            let wanted = Duration::from_secs(100);
            prop_assert!(policy.pause(attempt, Some(wanted), seed).unwrap() >= wanted);
        }

        #[test]
        fn any_text_is_read_or_not(text in "[A-Za-z, 0-9:]{0,32}") {
            let _ = retry_after(&text, Duration::ZERO); // only that it ends
        }
    }

    #[test]
    fn it_gives_up() {
        assert_eq!(RetryPolicy::DEFAULT.pause(5, None, 0), None);
        assert_eq!(RetryPolicy::DEFAULT.pause(0, Some(Duration::from_secs(301)), 0), None);
    }

    #[test]
    fn neighbours_do_not_come_together() {
        let pauses: std::collections::BTreeSet<_> =
            (0..100).map(|seed| RetryPolicy::DEFAULT.pause(3, None, seed)).collect();
        assert_eq!(pauses.len(), 100);
    }
}
