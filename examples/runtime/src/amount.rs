//! Amounts of memory as people write them.

/// A number of bytes like `64m`, with units of 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        "t" | "tb" => 40,
        _ => return Err(format!("{text:?}: the unit is none of b, k, m, g, t")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is no number of bytes like 64m"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text:?} does not fit in 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn units_are_of_1024() {
        for (text, expected) in [("1024", 1024), ("4b", 4), ("2k", 2048), ("64m", 64 << 20), ("1G", 1 << 30)] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for wrong in ["", "m", "-1", "1.5g", "1x", "99999999999999g"] {
            assert!(bytes(wrong).is_err(), "{wrong:?}");
        }
    }
}
