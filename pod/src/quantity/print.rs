//! The canonical form of quantities.

use std::cmp::Ordering;

use super::Format;
use super::decimal::Decimal;

pub(super) fn canonical(decimal: &Decimal, format: Format) -> String {
    if decimal.signum() == 0 {
        return "0".to_owned();
    }
    match format {
        Format::BinarySi if is_binary(decimal) => {
            let (mut text, times) = decimal.in_powers_of_1024();
            text.push_str(["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].get(times as usize).copied().unwrap_or_default());
            text
        }
        Format::BinarySi | Format::DecimalSi => {
            let (mut text, exponent) = decimal.clone().in_thousands();
            let suffix = match exponent {
                -9 => "n",
                -6 => "u",
                -3 => "m",
                3 => "k",
                6 => "M",
                9 => "G",
                12 => "T",
                15 => "P",
                18 => "E",
                _ => "",
            };
            text.push_str(suffix);
            text
        }
        Format::DecimalExponent => {
            let (text, exponent) = decimal.clone().in_thousands();
            if exponent == 0 { text } else { format!("{text}e{exponent}") }
        }
    }
}

/// Fractions and what is below 1024 print as decimal, so that nothing is rounded.
fn is_binary(decimal: &Decimal) -> bool {
    let size = if decimal.is_negative() { decimal.clone().negated() } else { decimal.clone() };
    size.compare(&Decimal::from_i64(1024, 0)) != Ordering::Less && decimal.is_whole()
}
