//! How YAML 1.1 reads plain scalars, as the reader behind `kubectl` does.

/// What a plain scalar is.
#[derive(Debug, PartialEq)]
pub(crate) enum Plain {
    Null,
    Bool(bool),
    /// A number; `None` where its text is JSON as it stands.
    Number(Option<String>),
    String,
}

/// Resolves a plain scalar.
pub(crate) fn resolve(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Plain::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Plain::Bool(false),
        _ => match text.as_bytes()[0] {
            b'0'..=b'9' | b'+' | b'-' | b'.' => number(text),
            _ => Plain::String,
        },
    }
}

fn number(text: &str) -> Plain {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    if let Some(value) = integer(&plain) {
        let printed = value.to_string();
        return Plain::Number((printed != text).then_some(printed));
    }
    if !is_float(&plain) {
        return Plain::String;
    }
    match plain.parse::<f64>() {
        Ok(value) if value.is_finite() => Plain::Number(Some(print_float(value))),
        _ => Plain::String,
    }
}

/// Integers with the prefixes of Go's base 0: `0x`, `0o`, `0b`, and a leading zero for octal.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match lower.as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some(_) if digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -value } else { value };
    // The original keeps 64 bits: an int64, or else a uint64.
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_is_good = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && all_digits(fraction),
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
        None => !mantissa.is_empty() && all_digits(mantissa),
    };
    let exponent_is_good = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    mantissa_is_good && exponent_is_good
}

/// Prints a float as Go's JSON encoder does.
pub(crate) fn print_float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            // Go writes the sign of the exponent: `1e+21`.
            Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent}"),
            _ => text,
        };
    }
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use super::{Plain, resolve};

    #[test]
    fn scalars_resolve_as_in_yaml_1_1() {
        let number = |text: &str| Plain::Number(Some(text.to_owned()));
        for (text, expected) in [
            ("yes", Plain::Bool(true)),
            ("Off", Plain::Bool(false)),
            ("~", Plain::Null),
            ("8080", Plain::Number(None)),
            ("0644", number("420")),
            ("0o17", number("15")),
            ("0x1F", number("31")),
            ("1_000", number("1000")),
            ("0.50", number("0.5")),
            ("1e3", number("1000")),
            ("1e21", number("1e+21")),
            ("-.5", number("-0.5")),
            ("1.2.3", Plain::String),
            ("100m", Plain::String),
            ("2025-06-15", Plain::String),
            ("0899", number("899")),
            ("-", Plain::String),
            (".", Plain::String),
            ("v1", Plain::String),
        ] {
            assert_eq!(resolve(text), expected, "{text}");
        }
    }
}
