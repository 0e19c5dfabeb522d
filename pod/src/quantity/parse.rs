//! The grammar of quantities.

use super::decimal::Decimal;
use super::text::Text;
use super::{Amount, Format, Quantity};

/// The largest exponent that is taken: the original runs without end on `1e99999999999`.
const EXPONENT_MAX: i32 = 1000;
/// The longest text that is taken.
const LENGTH_MAX: usize = 4096;
/// How many decimal digits always fit in 64 bits.
const DIGITS_FIT: usize = 18;
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
    /// Without zeros in front.
    whole: &'a [u8],
    fraction: &'a [u8],
    suffix: &'a [u8],
    /// All digits as one number, where there are at most [`DIGITS_FIT`] of them.
    digits: i64,
}

fn split(text: &[u8]) -> Result<Parts<'_>, ParseQuantityError> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut digits = 0i64;
    let mut read_digits = |text: &[u8]| {
        let mut length = 0;
        while let Some(byte) = text.get(length)
            && byte.is_ascii_digit()
        {
            digits = digits.wrapping_mul(10).wrapping_add(i64::from(byte - b'0'));
            length += 1;
        }
        length
    };
    let (mut whole, mut suffix) = unsigned.split_at(read_digits(unsigned));
    let mut fraction = &[][..];
    if let [b'.', rest @ ..] = suffix {
        (fraction, suffix) = rest.split_at(read_digits(rest));
    }
    while let [b'0', rest @ ..] = whole {
        whole = rest;
    }
    let letters = suffix.iter().take_while(|byte| b"eEinumkKMGTP".contains(byte)).count();
    let tail = &suffix[letters..];
    let exponent = tail.strip_prefix(b"+").or_else(|| tail.strip_prefix(b"-")).unwrap_or(tail);
    if exponent.iter().any(|byte| !byte.is_ascii_digit()) {
        return Err(ParseQuantityError::Format);
    }
    Ok(Parts { negative, whole, fraction, suffix, digits })
}

impl Parts<'_> {
    fn signed(&self, size: i64) -> i64 {
        if self.negative { -size } else { size }
    }
}

enum Power {
    Ten(i32),
    Two(u32),
}

fn interpret(suffix: &[u8]) -> Result<(Power, Format), ParseQuantityError> {
    let ten = |power, format| Ok((Power::Ten(power), format));
    let two = |power| Ok((Power::Two(power), Format::BinarySi));
    match suffix {
        b"n" => ten(-9, Format::DecimalSi),
        b"u" => ten(-6, Format::DecimalSi),
        b"m" => ten(-3, Format::DecimalSi),
        b"" => ten(0, Format::DecimalSi),
        b"k" => ten(3, Format::DecimalSi),
        b"M" => ten(6, Format::DecimalSi),
        b"G" => ten(9, Format::DecimalSi),
        b"T" => ten(12, Format::DecimalSi),
        b"P" => ten(15, Format::DecimalSi),
        b"E" => ten(18, Format::DecimalSi),
        b"Ki" => two(10),
        b"Mi" => two(20),
        b"Gi" => two(30),
        b"Ti" => two(40),
        b"Pi" => two(50),
        b"Ei" => two(60),
        _ => {
            let [b'e' | b'E', exponent @ ..] = suffix else { return Err(ParseQuantityError::Suffix) };
            let exponent: Option<i32> = std::str::from_utf8(exponent).ok().and_then(|exponent| exponent.parse().ok());
            let exponent = exponent.ok_or(ParseQuantityError::Suffix)?;
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
        return Ok(Quantity { text: Text::new(text), ..Quantity::default() });
    }
    let parts = split(text.as_bytes())?;
    let (power, format) = interpret(parts.suffix)?;
    if !is_within_reason(&parts, &power) {
        return Err(ParseQuantityError::Suffix);
    }
    if let Some((value, scale)) = small(&parts, &power) {
        let text = if keeps_text(&parts, &power, scale) { Text::new(text) } else { Text::Canonical };
        return Ok(Quantity { amount: Amount::Small { value, scale }, format, text });
    }
    Ok(binary_fraction(&parts, &power).unwrap_or_else(|| large(&parts, &power, format)))
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
    let digits = parts.whole.len().max(1) + parts.fraction.len();
    let (digits_max, scale, factor) = match power {
        Power::Ten(exponent) => (DIGITS_FIT, *exponent, 1),
        // Ten bits are about three decimal digits.
        Power::Two(exponent) if parts.fraction.is_empty() => {
            (14usize.checked_sub(*exponent as usize * 3 / 10)?, 0, 1i64 << exponent)
        }
        Power::Two(_) => return None,
    };
    let scale = scale - i32::try_from(parts.fraction.len()).ok()?;
    if digits > digits_max || scale < NANO {
        return None;
    }
    Some((parts.signed(parts.digits.checked_mul(factor)?), scale))
}

/// The result of [`large`] for a binary number with a fraction, where it fits in 64 bits.
fn binary_fraction(parts: &Parts<'_>, power: &Power) -> Option<Quantity> {
    let Power::Two(exponent) = power else { return None };
    let places = u32::try_from(parts.fraction.len()).ok().filter(|places| *places <= NANO.unsigned_abs())?;
    if parts.whole.len() + parts.fraction.len() > DIGITS_FIT {
        return None;
    }
    let value = parts.digits.checked_mul(1 << exponent)?;
    let below_one = 0 < value && value < 10i64.pow(places);
    let format = if below_one { Format::DecimalSi } else { Format::BinarySi };
    let scale = -i32::try_from(places).ok()?;
    Some(Quantity { amount: Amount::Small { value: parts.signed(value), scale }, format, text: Text::Canonical })
}

/// Whether the original takes the text for canonical and prints it again as it is.
fn keeps_text(parts: &Parts<'_>, power: &Power, scale: i32) -> bool {
    match power {
        Power::Two(_) => parts.digits & 7 != 0,
        Power::Ten(_) => {
            let thousands = parts.whole.len() + parts.fraction.len() >= 3 && parts.digits % 1000 == 0;
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
