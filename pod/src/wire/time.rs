//! Points in time as Kubernetes writes them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const DAY: i64 = 86_400;

/// A point in time with the precision of a second, written as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    seconds: i64,
}

/// A point in time with the precision of a microsecond, written as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicroTime {
    seconds: i64,
    micros: u32,
}

/// The text is not a time of RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a time of RFC 3339")]
pub struct ParseTimeError {
    text: String,
}

impl Time {
    /// The time this long after 1970-01-01T00:00:00Z; what is below a second is cut off.
    pub fn since_epoch(elapsed: Duration) -> Self {
        Self { seconds: i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX) }
    }

    /// The time this many seconds after, or before, 1970-01-01T00:00:00Z.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self { seconds }
    }

    /// The seconds since 1970-01-01T00:00:00Z.
    pub fn unix_seconds(self) -> i64 {
        self.seconds
    }
}

impl MicroTime {
    /// The time this long after 1970-01-01T00:00:00Z; what is below a microsecond is cut off.
    pub fn since_epoch(elapsed: Duration) -> Self {
        Self { seconds: i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX), micros: elapsed.subsec_micros() }
    }

    /// The time this many seconds and microseconds after 1970-01-01T00:00:00Z.
    pub(crate) fn from_unix(seconds: i64, micros: u32) -> Self {
        Self { seconds, micros }
    }

    /// The whole seconds since 1970-01-01T00:00:00Z.
    pub fn unix_seconds(self) -> i64 {
        self.seconds
    }

    /// The microseconds that are left of a second.
    pub fn subsec_micros(self) -> u32 {
        self.micros
    }
}

impl FromStr for Time {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        let (seconds, _) = parse(text).ok_or_else(|| ParseTimeError { text: text.to_owned() })?;
        Ok(Self { seconds })
    }
}

impl FromStr for MicroTime {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        let (seconds, nanos) = parse(text).ok_or_else(|| ParseTimeError { text: text.to_owned() })?;
        Ok(Self { seconds, micros: nanos / 1000 })
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(f, self.seconds)?;
        f.write_str("Z")
    }
}

impl fmt::Display for MicroTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(f, self.seconds)?;
        write!(f, ".{:06}Z", self.micros)
    }
}

fn write_seconds(f: &mut fmt::Formatter<'_>, seconds: i64) -> fmt::Result {
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// `2025-06-15T15:06:40.5+02:00` as seconds since 1970 and nanoseconds.
fn parse(text: &str) -> Option<(i64, u32)> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, separator)| bytes.get(*at) != Some(separator)) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let days = days_from_civil(year, month, day);
    if !(1..=12).contains(&month) || civil(days) != (year, month, day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, rest) = fraction(&text[19..])?;
    let offset = offset_seconds(rest)?;
    Some((days * DAY + hour * 3600 + minute * 60 + second - offset, nanos))
}

fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(digits) = text.strip_prefix(['.', ',']) else { return Some((0, text)) };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    if length == 0 {
        return None;
    }
    let nanos = digits[..length].bytes().chain(std::iter::repeat(b'0')).take(9);
    Some((nanos.fold(0, |value, digit| value * 10 + u32::from(digit - b'0')), &digits[length..]))
}

fn offset_seconds(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    let two_digits = |text: &str| -> Option<i64> {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date that is this many days after 1970-01-01.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{MicroTime, Time};

    #[test]
    fn times_print_in_utc() {
        for (text, printed) in [
            ("2025-06-15T15:06:40Z", "2025-06-15T15:06:40Z"),
            ("2025-06-15T15:06:40.999Z", "2025-06-15T15:06:40Z"),
            ("2025-06-15T15:06:40+02:00", "2025-06-15T13:06:40Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(text.parse::<Time>().unwrap().to_string(), printed);
        }
        let micro: MicroTime = "2025-06-15T15:06:40.5Z".parse().unwrap();
        assert_eq!(micro.to_string(), "2025-06-15T15:06:40.500000Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "2025", "2025-13-01T00:00:00Z", "2025-02-29T00:00:00Z", "2025-06-15T15:06:40", "2025-06-15 15:06:40Z"]
        {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }
}
