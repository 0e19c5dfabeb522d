//! Durations as Go writes them: `1h30m`, `1.5s`, `-2m`.

/// The whole seconds of a duration, or what is wrong with it.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos: i128 = 0;
    let mut rest = rest;
    while !rest.is_empty() {
        let length = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, tail) = rest.split_at(length);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(invalid());
        }
        let length = tail.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(length);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let factor = factor(unit).ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        nanos += scaled(whole, fraction, factor).filter(|nanos| *nanos <= i64::MAX.into()).ok_or_else(invalid)?;
        if nanos > i64::MAX.into() {
            return Err(invalid());
        }
        rest = next;
    }
    let seconds = i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX);
    Ok(if negative { -seconds } else { seconds })
}

/// The nanoseconds of a unit.
fn factor(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn scaled(whole: &str, fraction: &str, factor: i128) -> Option<i128> {
    let number = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<i64>().ok().map(i128::from) };
    // Digits beyond the nanosecond of an hour say nothing.
    let fraction = &fraction[..fraction.len().min(15)];
    let power = 10i128.pow(u32::try_from(fraction.len()).ok()?);
    Some(number(whole)? * factor + number(fraction)? * factor / power)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn durations_are_those_of_go() {
        for (text, expected) in [("1h30m", 5400), ("1.5h", 5400), ("90s", 90), ("-2m", -120), ("1500ms", 1), ("0", 0)] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in ["", "1", "x", "1x", "1..5s", ".s", "99999999999h"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
