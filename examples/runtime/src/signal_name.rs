//! Signals as operators write them.

use windlass_namespaces::Signal;

/// The first and the last signal that programs may use as they like; the C library keeps two below for itself.
const REAL_TIME: (i32, i32) = (34, 64);

/// A number, or a name with or without `SIG` in any case; those for real time are `RTMIN`, `RTMIN+N`, `RTMAX-N` and `RTMAX`.
pub(crate) fn parse(text: &str) -> Option<Signal> {
    text.parse().ok().or_else(|| real_time(text))
}

fn real_time(text: &str) -> Option<Signal> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let (base, offset, sign) = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => (REAL_TIME.0, rest, '+'),
        (_, Some(rest)) => (REAL_TIME.1, rest, '-'),
        _ => return None,
    };
    let distance: i32 = match offset.strip_prefix(sign) {
        None if offset.is_empty() => 0,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        _ => return None,
    };
    let number = if sign == '+' { base.checked_add(distance)? } else { base.checked_sub(distance)? };
    Signal::new(number).filter(|_| number >= REAL_TIME.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_signals() {
        let cases =
            [("9", 9), ("KILL", 9), ("sigterm", 15), ("RTMIN", 34), ("SIGRTMIN+1", 35), ("rtmax", 64), ("RTMAX-1", 63)];
        for (text, number) in cases {
            assert_eq!(parse(text).map(Signal::as_raw), Some(number), "{text}");
        }
        for text in ["", "0", "65", "RTMIN-1", "RTMAX+1", "RTMIN+31", "RTMAX-31", "RTMIN+", "RTMIN++1", "SIGNOPE"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
