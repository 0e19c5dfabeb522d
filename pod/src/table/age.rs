//! How long ago something was, in the few letters that a table has for it.

use super::UNKNOWN;
use crate::wire::time::Time;

/// A duration as tables show it: `59s`, `4m30s`, `3h12m`, `2d7h`, `2y`.
pub fn human_duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 3600;
    const DAY: i64 = 24;
    const YEAR: i64 = 24 * 365;
    let pair = |first: i64, unit: &str, second: i64, smaller: &str| {
        if second == 0 { format!("{first}{unit}") } else { format!("{first}{unit}{second}{smaller}") }
    };
    let (minutes, hours) = (seconds / MINUTE, seconds / HOUR);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < DAY * 8 => pair(hours / DAY, "d", hours % DAY, "h"),
        _ if hours < YEAR * 2 => format!("{}d", hours / DAY),
        _ if hours < YEAR * 8 => pair(hours / YEAR, "y", hours / DAY % 365, "d"),
        _ => format!("{}y", hours / YEAR),
    }
}

pub(super) fn since(time: Option<Time>, now: Time) -> String {
    time.map_or_else(
        || UNKNOWN.to_owned(),
        |time| human_duration(now.unix_seconds().saturating_sub(time.unix_seconds())),
    )
}

#[cfg(test)]
mod tests {
    use super::human_duration;

    #[test]
    fn durations_have_two_parts_at_most() {
        for (seconds, text) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (119, "119s"),
            (120, "2m"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (28_799, "7h59m"),
            (28_800, "8h"),
            (172_800, "2d"),
            (198_000, "2d7h"),
            (700_000, "8d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (400_000_000, "12y"),
        ] {
            assert_eq!(human_duration(seconds), text, "{seconds}");
        }
    }
}
