//! The grammar of quantities.

use super::decimal::Decimal;
use super::{Amount, Format, Quantity};

/// The largest exponent that is taken: the original runs without end on `1e99999999999`.
const EXPONENT_MAX: i32 = 1000;
/// The longest text that is taken.
const LENGTH_MAX: usize = 4096;
/// How many decimal digits always fit in 64 bits.
const DIGITS_FIT: i64 = 18;
/// The finest fraction that is kept.
const NANO: i32 = -9;

/// Why a text is not a quantity, in the words of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseQuantityError {
    /// It is not a number followed by a suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The suffix is none of those known, or its exponent is beyond reason.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

fn split(text: &str) -> Result<Parts<'_>, ParseQuantityError> {
    let negative = text.starts_with('-');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = unsigned.split_at(digits(unsigned));
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    let letters = suffix.bytes().take_while(|byte| b"eEinumkKMGTP".contains(byte)).count();
    let exponent = suffix[letters..].strip_prefix(['+', '-']).unwrap_or(&suffix[letters..]);
    if exponent.bytes().any(|byte| !byte.is_ascii_digit()) {
        return Err(ParseQuantityError::Format);
    }
    Ok(Parts { negative, whole: whole.trim_start_matches('0'), fraction, suffix })
}

enum Power {
    Ten(i32),
    Two(u32),
}

fn interpret(suffix: &str) -> Result<(Power, Format), ParseQuantityError> {
    let ten = |power, format| Ok((Power::Ten(power), format));
    let two = |power| Ok((Power::Two(power), Format::BinarySi));
    match suffix {
        "n" => ten(-9, Format::DecimalSi),
        "u" => ten(-6, Format::DecimalSi),
        "m" => ten(-3, Format::DecimalSi),
        "" => ten(0, Format::DecimalSi),
        "k" => ten(3, Format::DecimalSi),
        "M" => ten(6, Format::DecimalSi),
        "G" => ten(9, Format::DecimalSi),
        "T" => ten(12, Format::DecimalSi),
        "P" => ten(15, Format::DecimalSi),
        "E" => ten(18, Format::DecimalSi),
        "Ki" => two(10),
        "Mi" => two(20),
        "Gi" => two(30),
        "Ti" => two(40),
        "Pi" => two(50),
        "Ei" => two(60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E']).ok_or(ParseQuantityError::Suffix)?;
            let exponent: i32 = exponent.parse().map_err(|_| ParseQuantityError::Suffix)?;
            if exponent.abs() > EXPONENT_MAX {
                return Err(ParseQuantityError::Suffix);
            }
            ten(exponent, Format::DecimalExponent)
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Quantity, ParseQuantityError> {
    if text.is_empty() || text.len() > LENGTH_MAX {
        return Err(ParseQuantityError::Format);
    }
    if text == "0" {
        return Ok(Quantity { text: Some(text.into()), ..Quantity::default() });
    }
    let parts = split(text)?;
    let (power, format) = interpret(parts.suffix)?;
    if !is_within_reason(&parts, &power) {
        return Err(ParseQuantityError::Suffix);
    }
    if let Some((value, scale)) = small(&parts, &power) {
        let text = keeps_text(&parts, &power, scale).then(|| text.into());
        return Ok(Quantity { amount: Amount::Small { value, scale }, format, text });
    }
    Ok(large(&parts, &power, format))
}

/// Whether the size is within what the largest exponent allows, however the digits are split between the two: so
/// the canonical form of what is taken is taken too.
fn is_within_reason(parts: &Parts<'_>, power: &Power) -> bool {
    match power {
        Power::Ten(exponent) if *exponent > 18 => {
            i32::try_from(parts.whole.len()).is_ok_and(|digits| digits + exponent <= EXPONENT_MAX + 1)
        }
        _ => true,
    }
}

/// The numbers that the original keeps in 64 bits, with the text they came from.
fn small(parts: &Parts<'_>, power: &Power) -> Option<(i64, i32)> {
    let whole_length = i64::try_from(parts.whole.len().max(1)).ok()?;
    let fraction_length = i64::try_from(parts.fraction.len()).ok()?;
    let (precision, scale, factor) = match power {
        Power::Ten(exponent) => (DIGITS_FIT - whole_length - fraction_length, *exponent, 1),
        Power::Two(exponent) if parts.fraction.is_empty() => {
            // Ten bits are about three decimal digits.
            (15 - whole_length - i64::from(exponent * 3 / 10) - 1, 0, 1i64 << exponent)
        }
        Power::Two(_) => return None,
    };
    let scale = scale - i32::try_from(fraction_length).ok()?;
    if precision < 0 || scale < NANO {
        return None;
    }
    let digits = parts.whole.bytes().chain(parts.fraction.bytes());
    let value = digits.fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0')).checked_mul(factor)?;
    Some((if parts.negative { -value } else { value }, scale))
}

/// Whether the original takes the text for canonical and prints it again as it is.
fn keeps_text(parts: &Parts<'_>, power: &Power, scale: i32) -> bool {
    match power {
        Power::Two(_) => {
            parts.whole.bytes().fold(0u8, |low, digit| low.wrapping_mul(10).wrapping_add(digit - b'0')) & 7 != 0
        }
        Power::Ten(_) => {
            let thousands = parts.fraction.ends_with("000")
                || (parts.fraction.len() < 3 && format!("{}{}", parts.whole, parts.fraction).ends_with("000"));
            scale % 3 == 0 && !thousands && !parts.whole.is_empty()
        }
    }
}

fn large(parts: &Parts<'_>, power: &Power, format: Format) -> Quantity {
    let decimal = match power {
        Power::Ten(exponent) => Decimal::from_text(false, parts.whole, parts.fraction, *exponent),
        Power::Two(exponent) => Decimal::from_text(false, parts.whole, parts.fraction, 0).times_power_of_two(*exponent),
    };
    let mut decimal = decimal.rounded_away(NANO);
    let mut format = format;
    if format == Format::BinarySi {
        let maximum = Decimal::from_i64(i64::MAX, 0);
        if decimal.compare(&maximum).is_gt() {
            decimal = maximum;
        }
        if decimal.signum() > 0 && decimal.compare(&Decimal::from_i64(1, 0)).is_lt() {
            format = Format::DecimalSi;
        }
    }
    Quantity::from_decimal(if parts.negative { decimal.negated() } else { decimal }, format)
}
