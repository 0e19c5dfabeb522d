//! Points in time as records, logs and people write them.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::timestamp::precise;

const SECOND: u64 = 1_000_000_000;
/// Days from the first of March of the year 0 to 1970.
const TO_1970: u64 = 719_468;

/// Nanoseconds since 1970, written in the form of RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Time(u64);

impl Time {
    pub(super) fn now() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn seconds(self) -> u64 {
        self.0 / SECOND
    }

    pub(super) fn nanoseconds(self) -> u32 {
        u32::try_from(self.0 % SECOND).unwrap_or_default()
    }

    /// How long ago it is; nothing for what lies ahead.
    pub(super) fn elapsed(self) -> Duration {
        Duration::from_nanos(Self::now().0.saturating_sub(self.0))
    }

    /// What `--since` takes: a time of RFC 3339, seconds since 1970, or how long ago, as `10m` or `1h30m`.
    pub(super) fn parse_since(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse() {
            return Ok(time);
        }
        if let Ok(seconds) = text.parse::<u64>() {
            return Ok(Self(seconds.saturating_mul(SECOND)));
        }
        match parse_ago(text) {
            Some(ago) => Ok(Self(Self::now().0.saturating_sub(ago))),
            None => Err(format!("{text:?} is neither a time like 2026-01-31T12:00:00Z nor how long ago, like 10m")),
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&precise(self.seconds(), self.nanoseconds()))
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).map(Self).ok_or_else(|| format!("{text:?} is no time of RFC 3339"))
    }
}

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

fn parse(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once('T')?;
    let (clock, offset) = split_offset(rest)?;
    let [year, month, day] = numbers(date, '-')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':')?;
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range || fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: u64 = format!("{:0<9}", &fraction[..fraction.len().min(9)]).parse().ok()?;
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let seconds = seconds.checked_add_signed(-offset)?;
    seconds.checked_mul(SECOND)?.checked_add(nanoseconds)
}

/// The clock and how many seconds its zone is ahead.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let at = text.rfind(['+', '-'])?;
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
    Some((&text[..at], if text[at..].starts_with('-') { -seconds } else { seconds }))
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let mut parts = text.split(separator).map(|part| part.parse().ok());
    let found = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(found)
}

/// Days from 1970 to a day of the calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    // Years that begin in March have their leap day last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_years = year * 365 + year / 4 - year / 100 + year / 400;
    of_years + (153 * month + 2) / 5 + day - 1 - TO_1970
}

/// Nanoseconds of a length like `90s` or `1h30m`.
fn parse_ago(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let end = rest[digits..].find(|letter: char| letter.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let unit = match &rest[digits..end] {
            "ms" => SECOND / 1000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            "d" => 86_400 * SECOND,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[end..];
    }
    (!text.is_empty()).then_some(total)
}

/// How long something takes or took, in the largest unit that fits.
pub(super) fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_their_text() {
        for nanoseconds in [0, 1, 951_782_400 * SECOND + 5, 1_709_164_799_123_456_789, 4_102_444_800 * SECOND] {
            assert_eq!(Time(nanoseconds).to_string().parse(), Ok(Time(nanoseconds)));
        }
        assert_eq!("2024-02-29T12:00:00+02:00".parse(), Ok(Time(1_709_200_800 * SECOND)));
        assert_eq!("1970-01-01T00:00:00.5Z".parse(), Ok(Time(SECOND / 2)));
        for wrong in
            ["", "2024", "2024-13-01T00:00:00Z", "2024-01-01 00:00:00", "2024-01-01T00:00:00", "1960-01-01T00:00:00Z"]
        {
            assert!(wrong.parse::<Time>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn since_is_a_time_or_how_long_ago() {
        assert_eq!(Time::parse_since("10"), Ok(Time(10 * SECOND)));
        assert_eq!(parse_ago("1h30m"), Some(5400 * SECOND));
        assert_eq!(parse_ago("250ms"), Some(SECOND / 4));
        for wrong in ["", "x", "10y", "m", "1h3"] {
            assert!(Time::parse_since(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn lengths_are_rough() {
        let of = |seconds| rough(Duration::from_secs(seconds));
        assert_eq!(
            [of(1), of(119), of(120), of(7200), of(200_000)].join(", "),
            "1 second, 119 seconds, 2 minutes, 2 hours, 2 days"
        );
    }
}
