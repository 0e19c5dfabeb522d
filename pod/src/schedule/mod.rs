//! Schedules of cron jobs: `30 4 * * 1-5`, `@daily`, `@every 90m`.
//!
//! Source: the grammar of the cron library that Kubernetes reads schedules with, its words for errors included.

mod duration;
pub mod zones;

use std::fmt;
use std::str::FromStr;

use crate::wire::time::{Time, civil};

const DAY: i64 = 86_400;
/// A schedule that does not come to pass within this many years never does.
const YEARS_MAX: i64 = 5;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The values that one field of a schedule allows, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field {
    bits: u64,
    /// It was written as `*` or `?`.
    star: bool,
}

impl Field {
    const fn just(value: u32) -> Self {
        Self { bits: 1 << value, star: false }
    }

    const fn all(bounds: &Bounds) -> Self {
        Self { bits: bounds.all(), star: true }
    }

    fn has(self, value: u32) -> bool {
        self.bits & (1 << value) != 0
    }
}

/// What a field may hold.
struct Bounds {
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

impl Bounds {
    const fn all(&self) -> u64 {
        (u64::MAX >> (63 - self.max)) & !((1 << self.min) - 1)
    }
}

const MINUTE: Bounds = Bounds { min: 0, max: 59, names: &[] };
const HOUR: Bounds = Bounds { min: 0, max: 23, names: &[] };
const DAY_OF_MONTH: Bounds = Bounds { min: 1, max: 31, names: &[] };
const MONTH: Bounds = Bounds { min: 1, max: 12, names: &MONTHS };
const DAY_OF_WEEK: Bounds = Bounds { min: 0, max: 6, names: &WEEKDAYS };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Calendar {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Calendar(Calendar),
    /// Seconds.
    Every(i64),
}

/// When a cron job runs.
///
/// ```
/// use windlass_pod::Time;
/// use windlass_pod::schedule::Schedule;
///
/// let schedule: Schedule = "30 4 * * mon-fri".parse().unwrap();
/// let saturday: Time = "2025-06-14T00:00:00Z".parse().unwrap();
/// assert_eq!(schedule.next_after(saturday, 0).unwrap().to_string(), "2025-06-16T04:30:00Z");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule(Kind);

/// The text is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseScheduleError(String);

fn refuse<T>(reason: impl fmt::Display) -> Result<T, ParseScheduleError> {
    Err(ParseScheduleError(reason.to_string()))
}

impl FromStr for Schedule {
    type Err = ParseScheduleError;

    fn from_str(text: &str) -> Result<Self, ParseScheduleError> {
        if text.is_empty() {
            return refuse("empty spec string");
        }
        let text = match text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) {
            None => text,
            Some(rest) => {
                let (zone, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                if !zone.is_empty() && !zones::is_known(zone) {
                    return refuse(format!("provided bad location {zone}: unknown time zone {zone}"));
                }
                rest.trim()
            }
        };
        if text.starts_with('@') {
            return descriptor(text).map(Self);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return refuse(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
        };
        Ok(Self(Kind::Calendar(Calendar {
            minute: field(minute, &MINUTE)?,
            hour: field(hour, &HOUR)?,
            day: field(day, &DAY_OF_MONTH)?,
            month: field(month, &MONTH)?,
            weekday: field(weekday, &DAY_OF_WEEK)?,
        })))
    }
}

fn descriptor(text: &str) -> Result<Kind, ParseScheduleError> {
    let midnight = Calendar {
        minute: Field::just(0),
        hour: Field::just(0),
        day: Field::all(&DAY_OF_MONTH),
        month: Field::all(&MONTH),
        weekday: Field::all(&DAY_OF_WEEK),
    };
    Ok(Kind::Calendar(match text {
        "@yearly" | "@annually" => Calendar { day: Field::just(1), month: Field::just(1), ..midnight },
        "@monthly" => Calendar { day: Field::just(1), ..midnight },
        "@weekly" => Calendar { weekday: Field::just(0), ..midnight },
        "@daily" | "@midnight" => midnight,
        "@hourly" => Calendar { hour: Field::all(&HOUR), ..midnight },
        _ => {
            let Some(every) = text.strip_prefix("@every ") else {
                return refuse(format!("unrecognized descriptor: {text}"));
            };
            return match duration::seconds(every) {
                Ok(seconds) => Ok(Kind::Every(seconds.max(1))),
                Err(reason) => refuse(format!("failed to parse duration {text}: {reason}")),
            };
        }
    }))
}

fn field(text: &str, bounds: &Bounds) -> Result<Field, ParseScheduleError> {
    let mut all = Field { bits: 0, star: false };
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let one = range(part, bounds)?;
        all = Field { bits: all.bits | one.bits, star: all.star || one.star };
    }
    Ok(all)
}

/// `number`, `number-number`, `*`, each with `/step`.
fn range(text: &str, bounds: &Bounds) -> Result<Field, ParseScheduleError> {
    let parts: Vec<&str> = text.split('/').collect();
    let limits: Vec<&str> = parts[0].split('-').collect();
    let mut star = false;
    let (start, mut end) = match limits[..] {
        ["*" | "?", ..] => {
            star = true;
            (bounds.min, bounds.max)
        }
        [one] => {
            let start = number_or_name(one, bounds)?;
            (start, start)
        }
        [low, high] => (number_or_name(low, bounds)?, number_or_name(high, bounds)?),
        _ => {
            number_or_name(limits[0], bounds)?;
            return refuse(format!("too many hyphens: {text}"));
        }
    };
    let step = match parts[..] {
        [_] => 1,
        [_, step] => {
            let step = number(step)?;
            if limits.len() == 1 {
                end = bounds.max;
            }
            star &= step <= 1;
            step
        }
        _ => return refuse(format!("too many slashes: {text}")),
    };
    if start < bounds.min {
        return refuse(format!("beginning of range ({start}) below minimum ({}): {text}", bounds.min));
    }
    if end > bounds.max {
        return refuse(format!("end of range ({end}) above maximum ({}): {text}", bounds.max));
    }
    if start > end {
        return refuse(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return refuse(format!("step of range should be a positive number: {text}"));
    }
    let bits = (start..=end).step_by(step as usize).fold(0, |bits, value| bits | 1 << value);
    Ok(Field { bits, star })
}

fn number_or_name(text: &str, bounds: &Bounds) -> Result<u32, ParseScheduleError> {
    let lower = text.to_ascii_lowercase();
    match bounds.names.iter().position(|name| *name == lower) {
        // There are twelve names at most.
        Some(index) => Ok(bounds.min + u32::try_from(index).unwrap_or(0)),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u32, ParseScheduleError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return refuse(format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax"));
    }
    match text.parse::<i64>() {
        Ok(value) if value < 0 => refuse(format!("negative number ({value}) not allowed: {text}")),
        // Larger ones are above every maximum alike.
        Ok(value) => Ok(u32::try_from(value).unwrap_or(u32::MAX)),
        Err(_) => {
            refuse(format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: value out of range"))
        }
    }
}

impl Calendar {
    /// One field that is not `*` decides, or either of two.
    fn has_day(&self, day: u32, weekday: u32) -> bool {
        let (by_day, by_weekday) = (self.day.has(day), self.weekday.has(weekday));
        if self.day.star || self.weekday.star { by_day && by_weekday } else { by_day || by_weekday }
    }

    /// The first minute of a day, counted from `from`, that the schedule names.
    fn minute_of_day(&self, from: i64) -> Option<i64> {
        (from..DAY / 60).find(|minute| {
            let part = |value: i64| u32::try_from(value).unwrap_or(0);
            self.hour.has(part(minute / 60)) && self.minute.has(part(minute % 60))
        })
    }

    fn next(&self, seconds: i64) -> Option<i64> {
        let first_day = seconds.div_euclid(DAY);
        let mut minute = seconds.rem_euclid(DAY) / 60 + 1;
        for day in first_day..first_day + YEARS_MAX * 366 {
            let (_, month, day_of_month) = civil(day);
            let part = |value: i64| u32::try_from(value).unwrap_or(0);
            let weekday = part((day + 4).rem_euclid(7));
            if self.month.has(part(month))
                && self.has_day(part(day_of_month), weekday)
                && let Some(minute) = self.minute_of_day(minute)
            {
                return Some(day * DAY + minute * 60);
            }
            minute = 0;
        }
        None
    }
}

impl Schedule {
    /// The first time after this one, in a zone that is this many seconds east of Greenwich then; `None` for a
    /// schedule such as `0 0 30 2 *`, which never comes to pass.
    pub fn next_after(&self, time: Time, offset_seconds: i32) -> Option<Time> {
        let seconds = time.unix_seconds();
        match self.0 {
            Kind::Every(every) => seconds.checked_add(every).map(Time::from_unix_seconds),
            Kind::Calendar(calendar) => {
                let offset = i64::from(offset_seconds);
                calendar.next(seconds.checked_add(offset)?).map(|local| Time::from_unix_seconds(local - offset))
            }
        }
    }

    /// The latest time after `since` and not after `now`, and how many there were about.
    pub fn missed(&self, since: Time, now: Time, offset_seconds: i32) -> Option<(Time, i64)> {
        let next = |time: Time| self.next_after(time, offset_seconds).filter(|next| *next <= now);
        let first = next(since)?;
        let Some(second) = next(first) else { return Some((first, 1)) };
        let gap = second.unix_seconds() - first.unix_seconds();
        let count = (now.unix_seconds() - first.unix_seconds()) / gap + 1;
        // Two gaps before the last one that a regular schedule would have; what lies before does not matter.
        let mut latest = Time::from_unix_seconds(first.unix_seconds() + (count - 2).max(0) * gap);
        let mut found = first;
        while let Some(time) = next(latest) {
            (latest, found) = (time, time);
        }
        Some((found, count))
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;
    use crate::wire::time::Time;

    fn next(schedule: &str, after: &str) -> String {
        let after: Time = after.parse().unwrap();
        let schedule: Schedule = schedule.parse().unwrap_or_else(|error| panic!("{schedule}: {error}"));
        schedule.next_after(after, 0).map_or_else(|| "never".to_owned(), |time| time.to_string())
    }

    #[test]
    fn schedules_come_to_pass() {
        for (schedule, after, expected) in [
            ("* * * * *", "2025-06-15T15:06:40Z", "2025-06-15T15:07:00Z"),
            ("*/15 * * * *", "2025-06-15T15:06:40Z", "2025-06-15T15:15:00Z"),
            ("0 0 * * *", "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"),
            ("0 0 29 feb *", "2025-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("0 12 1 * sun", "2025-06-02T00:00:00Z", "2025-06-08T12:00:00Z"),
            ("5/20 3 * * *", "2025-06-15T00:00:00Z", "2025-06-15T03:05:00Z"),
            ("@weekly", "2025-06-15T00:00:00Z", "2025-06-22T00:00:00Z"),
            ("@every 1h30m", "2025-06-15T00:00:00Z", "2025-06-15T01:30:00Z"),
            ("0 0 30 2 *", "2025-06-15T00:00:00Z", "never"),
        ] {
            assert_eq!(next(schedule, after), expected, "{schedule}");
        }
    }

    #[test]
    fn what_is_no_schedule_says_why() {
        for (text, reason) in [
            ("", "empty spec string"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("@often", "unrecognized descriptor: @often"),
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap_err().to_string(), reason, "{text}");
        }
    }

    #[test]
    fn missed_times_are_counted() {
        let schedule: Schedule = "* * * * *".parse().unwrap();
        let since: Time = "2025-06-15T15:00:00Z".parse().unwrap();
        let later = |seconds: i64| Time::from_unix_seconds(since.unix_seconds() + seconds);
        assert_eq!(schedule.missed(since, later(59), 0), None);
        assert_eq!(schedule.missed(since, later(150), 0), Some((later(120), 2)));
        assert_eq!(schedule.missed(since, later(60 * 500), 0), Some((later(60 * 500), 500)));
    }
}
