//! The grammar of kernel files: single values, `key value` lines, and lines of `key=value` pairs.
//!
//! Works on bytes and allocates nothing, because reading statistics is on a caller's hot path.

use std::time::Duration;

use crate::device::DeviceNumber;
use crate::value::{Bytes, Limit};

/// A kernel file that does not read as documented; the shell adds the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FormatError(pub(crate) &'static str);

pub(crate) type Result<T> = std::result::Result<T, FormatError>;

/// A decimal number without a sign.
pub(crate) fn number(text: &[u8]) -> Result<u64> {
    if text.is_empty() {
        return Err(FormatError("a number is expected"));
    }
    text.iter().try_fold(0_u64, |number, byte| match byte {
        b'0'..=b'9' => number
            .checked_mul(10)
            .and_then(|number| number.checked_add(u64::from(byte - b'0')))
            .ok_or(FormatError("a number is too great")),
        _ => Err(FormatError("a number is expected")),
    })
}

/// A decimal number or `max`.
pub(crate) fn number_or_max(text: &[u8]) -> Result<Limit<u64>> {
    if text == b"max" { Ok(Limit::Max) } else { number(text).map(Limit::At) }
}

/// The only value of a file.
pub(crate) fn single(content: &[u8]) -> &[u8] {
    content.trim_ascii()
}

/// An amount of bytes, alone in its file.
pub(crate) fn bytes(content: &[u8]) -> Result<Bytes> {
    number(single(content)).map(Bytes::new)
}

/// An amount of bytes or `max`, alone in its file.
pub(crate) fn bytes_or_max(content: &[u8]) -> Result<Limit<Bytes>> {
    number_or_max(single(content)).map(|limit| limit.map(Bytes::new))
}

/// An amount of bytes in v1, where no limit is the greatest number of whole pages.
pub(crate) fn bytes_or_greatest(content: &[u8], page_size: u64) -> Result<Limit<Bytes>> {
    let number = number(single(content))?;
    let greatest = i64::MAX.unsigned_abs();
    if number >= greatest - greatest % page_size { Ok(Limit::Max) } else { Ok(Limit::At(Bytes::new(number))) }
}

/// A number of microseconds.
pub(crate) fn micros(text: &[u8]) -> Result<Duration> {
    number(text).map(Duration::from_micros)
}

/// The lines of a file, without empty ones.
pub(crate) fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// The words of a line.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b' ' || *byte == b'\t').filter(|word| !word.is_empty())
}

/// The lines of a flat keyed file: `key value`.
pub(crate) fn keyed(content: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines(content).filter_map(|line| {
        let space = line.iter().position(|byte| *byte == b' ')?;
        Some((&line[..space], line[space + 1..].trim_ascii()))
    })
}

/// The value of one key of a flat keyed file.
pub(crate) fn value_of<'a>(content: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    keyed(content).find(|(found, _)| *found == key).map(|(_, value)| value)
}

/// A pair `key=value`.
pub(crate) fn pair(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = word.iter().position(|byte| *byte == b'=')?;
    Some((&word[..equals], &word[equals + 1..]))
}

/// A device number `major:minor`.
pub(crate) fn device(word: &[u8]) -> Result<DeviceNumber> {
    let fail = FormatError("a device number is expected");
    let colon = word.iter().position(|byte| *byte == b':').ok_or(fail)?;
    let part = |text| number(text).ok().and_then(|number| u32::try_from(number).ok()).ok_or(fail);
    Ok(DeviceNumber { major: part(&word[..colon])?, minor: part(&word[colon + 1..])? })
}

/// A percentage with two decimals, as pressure files print it.
pub(crate) fn percent(text: &[u8]) -> Result<f32> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<f32>().ok())
        .filter(|value| value.is_finite())
        .ok_or(FormatError("a percentage is expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_no_limit_differ() {
        assert_eq!(number(b"0"), Ok(0));
        assert_eq!(number(b"18446744073709551615"), Ok(u64::MAX));
        for text in [&b""[..], b"-1", b"+1", b"1 ", b"max", b"18446744073709551616", b"0x1"] {
            assert!(number(text).is_err(), "{text:?}");
        }
        assert_eq!(bytes_or_max(b"max\n"), Ok(Limit::Max));
        assert_eq!(bytes_or_max(b"0\n"), Ok(Limit::At(Bytes::new(0))));
        assert_eq!(bytes_or_greatest(b"9223372036854771712\n", 4096), Ok(Limit::Max));
        assert_eq!(bytes_or_greatest(b"9223372036852678656\n", 2 << 20), Ok(Limit::Max));
        assert_eq!(
            bytes_or_greatest(b"9223372036850581504\n", 2 << 20),
            Ok(Limit::At(Bytes::new(9_223_372_036_850_581_504)))
        );
    }

    #[test]
    fn keyed_lines() {
        let content = b"populated 1\nfrozen 0\n\nodd\n";
        assert_eq!(value_of(content, b"frozen"), Some(&b"0"[..]));
        assert_eq!(value_of(content, b"odd"), None);
        assert_eq!(keyed(content).count(), 2);
    }

    #[test]
    fn devices_and_pairs() {
        assert_eq!(device(b"254:0"), Ok(DeviceNumber { major: 254, minor: 0 }));
        assert!(device(b"254").is_err());
        assert!(device(b"254:").is_err());
        assert_eq!(pair(b"rbps=max"), Some((&b"rbps"[..], &b"max"[..])));
        assert_eq!(pair(b"rbps"), None);
    }
}
