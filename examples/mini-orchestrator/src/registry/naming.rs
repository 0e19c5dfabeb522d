//! What an object gets that nobody may guess: its uid, and the end of a generated name.

use std::fs::File;
use std::io::{self, Read as _};

/// The letters of generated names: no vowels, so no words; no digits that look like letters.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Letters that a generated name ends in.
const SUFFIX: usize = 5;

/// What `generateName` may hold at most for the whole to be a label of 63 bytes.
const PREFIX_MAX: usize = 63 - SUFFIX;

/// Bytes that nobody can foresee.
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A uid of version 4 of RFC 9562.
pub(super) fn uid(random: [u8; 16]) -> String {
    let bits = u128::from_be_bytes(random) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A name that starts with `prefix`, or with as much of it as fits.
pub(super) fn generated(prefix: &str, random: [u8; 16]) -> String {
    let end = (0..=prefix.len().min(PREFIX_MAX)).rev().find(|end| prefix.is_char_boundary(*end)).unwrap_or(0);
    // A byte that would make some letters likelier than others is passed over: one in twenty, so five are left.
    let fair = 256 / ALPHABET.len() * ALPHABET.len();
    let letters = random.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair).take(SUFFIX);
    let suffix = letters.map(|byte| char::from(ALPHABET[byte % ALPHABET.len()]));
    prefix[..end].chars().chain(suffix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_says_its_version_and_keeps_the_other_bits() {
        assert_eq!(uid([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(
            uid(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"),
            "01234567-89ab-4def-8123-456789abcdef"
        );
    }

    #[test]
    fn a_generated_name_fits_and_ends_in_five_letters() {
        let random = *b"\xff\x00\x01\xf8\x1a\x1b\x02abcdefghi";
        assert_eq!(generated("web-", random), "web-bc9bd");
        let long = generated(&"x".repeat(80), random);
        assert_eq!((long.len(), &long[57..]), (63, "xbc9bd"));
        assert_eq!(generated(&"é".repeat(40), random).len(), 58 + 5);
    }
}
