//! Extended headers: `LENGTH KEY=VALUE` records.

use std::collections::BTreeMap;

use super::sparse::PaxSparse;
use super::text::{decimal, name};
use crate::entry::Timestamp;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::limits::{Limit, Limits};

/// One record of a pax header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The keyword.
    pub key: &'a str,
    /// The value, without the line feed that ends the record.
    pub value: &'a [u8],
}

/// Splits the content of a pax header into its records.
///
/// # Errors
/// [`Fault::PaxRecord`] where a length, the equals sign or the line feed is missing or wrong.
pub fn parse_records(content: &[u8]) -> std::result::Result<Vec<Record<'_>>, Fault> {
    let mut records = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let (record, after) = first_record(rest).ok_or(Fault::PaxRecord)?;
        records.push(record);
        rest = after;
    }
    Ok(records)
}

fn first_record(content: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let space = content.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&content[..space])?).ok()?;
    let body = content.get(space + 1..length)?;
    let (line_feed, body) = body.split_last()?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    let key = std::str::from_utf8(&body[..equals]).ok()?;
    let usable = *line_feed == b'\n' && !key.is_empty() && !key.contains('\0');
    usable.then(|| (Record { key, value: &body[equals + 1..] }, &content[length..]))
}

/// What pax headers say about the next entry, or about all that follow.
#[derive(Debug, Clone, Default)]
pub(super) struct Overrides {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<Timestamp>,
    pub(super) xattrs: BTreeMap<Box<[u8]>, Box<[u8]>>,
    pub(super) sparse: PaxSparse,
}

impl Overrides {
    /// Reads the header of one entry.
    pub(super) fn local(content: &[u8], offset: u64, limits: &Limits) -> Result<Self> {
        let mut overrides = Self::default();
        let mut keys = std::collections::BTreeSet::new();
        for record in counted(content, offset, limits)? {
            // Only the oldest sparse format repeats a key; elsewhere readers disagree on which one counts.
            let repeats = matches!(record.key, "GNU.sparse.offset" | "GNU.sparse.numbytes");
            if !repeats && !keys.insert(record.key) {
                return Err(Error::archive(offset, Fault::Contradiction("a pax key is repeated")));
            }
            overrides.set(record, limits).map_err(|fault| Error::archive(offset, fault))?;
        }
        let bytes: usize = overrides.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > limits.xattr_bytes {
            return Err(Error::LimitExceeded { limit: Limit::XattrBytes, max: limits.xattr_bytes as u64 });
        }
        Ok(overrides)
    }

    /// Merges a global header, which may set owners and times only.
    pub(super) fn merge_global(&mut self, content: &[u8], offset: u64, limits: &Limits) -> Result<()> {
        for record in counted(content, offset, limits)? {
            let about_one = matches!(record.key, "path" | "linkpath" | "size")
                || ["GNU.sparse.", XATTR, "LIBARCHIVE.xattr."].iter().any(|prefix| record.key.starts_with(prefix));
            if about_one {
                return Err(Error::archive(offset, Fault::PaxGlobal(record.key.to_owned())));
            }
            self.set(record, limits).map_err(|fault| Error::archive(offset, fault))?;
        }
        Ok(())
    }

    fn set(&mut self, record: Record<'_>, limits: &Limits) -> std::result::Result<(), Fault> {
        let Record { key, value } = record;
        let wrong = || Fault::PaxValue(key.to_owned());
        match key {
            "path" => self.path = Some(name(value).ok_or_else(wrong)?),
            "linkpath" => self.link = Some(name(value).ok_or_else(wrong)?),
            "size" => self.size = Some(decimal(value).ok_or_else(wrong)?),
            "uid" => self.uid = Some(decimal(value).and_then(|id| id.try_into().ok()).ok_or_else(wrong)?),
            "gid" => self.gid = Some(decimal(value).and_then(|id| id.try_into().ok()).ok_or_else(wrong)?),
            "mtime" => self.mtime = Some(timestamp(value).ok_or_else(wrong)?),
            "hdrcharset" if matches!(value, b"BINARY" | b"ISO-IR 10646 2000 UTF-8") => {}
            "hdrcharset" => return Err(wrong()),
            "atime" | "ctime" | "uname" | "gname" | "comment" | "charset" => {}
            _ if key.starts_with("GNU.sparse.") => self.sparse.set(key, value, limits)?,
            _ if key.starts_with(XATTR) => {
                let name = &key.as_bytes()[XATTR.len()..];
                if name.is_empty() || name.len() > 255 {
                    return Err(Fault::PaxKey(key.to_owned()));
                }
                self.xattrs.insert(name.into(), value.into());
            }
            // These change what the data of the entry is, or carry an access list that would be lost.
            "SCHILY.realsize" | "SCHILY.filetype" | "GNU.dumpdir" => return Err(Fault::PaxKey(key.to_owned())),
            _ if key.starts_with("GNU.volume.") || key.starts_with("SCHILY.acl.") => {
                return Err(Fault::PaxKey(key.to_owned()));
            }
            // POSIX keeps keys with a capital letter for vendors, and they are free to be ignored.
            _ if key.starts_with(|first: char| first.is_ascii_uppercase()) => {}
            _ => return Err(Fault::PaxKey(key.to_owned())),
        }
        Ok(())
    }
}

const XATTR: &str = "SCHILY.xattr.";

fn counted<'a>(content: &'a [u8], offset: u64, limits: &Limits) -> Result<Vec<Record<'a>>> {
    let records = parse_records(content).map_err(|fault| Error::archive(offset, fault))?;
    if records.len() > limits.pax_records {
        return Err(Error::LimitExceeded { limit: Limit::PaxRecords, max: limits.pax_records as u64 });
    }
    Ok(records)
}

/// Decimal seconds with an optional sign and fraction; digits beyond nanoseconds are dropped.
fn timestamp(value: &[u8]) -> Option<Timestamp> {
    let (negative, value) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let mut parts = value.splitn(2, |byte| *byte == b'.');
    let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
    let nanoseconds = parts.next().map_or(Some(0), nanoseconds)?;
    Some(match (negative, nanoseconds) {
        (false, _) => Timestamp { seconds, nanoseconds },
        (true, 0) => Timestamp { seconds: -seconds, nanoseconds: 0 },
        (true, _) => Timestamp { seconds: (-seconds).checked_sub(1)?, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

fn nanoseconds(fraction: &[u8]) -> Option<u32> {
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    Some(digits.fold(0, |value, digit| value * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_records() {
        for content in
            ["x", "5 a=b", "6 a=b\nx", "0 a=b\n", "6 a-b\n", "5 =b\n", "99999999999999999999 a=b\n", "+6 a=b\n"]
        {
            assert_eq!(parse_records(content.as_bytes()), Err(Fault::PaxRecord), "{content}");
        }
        assert_eq!(parse_records(b"6 a=b\n"), Ok(vec![Record { key: "a", value: b"b" }]));
        assert_eq!(
            parse_records(b"8 a=\nb\n\n"),
            Ok(vec![Record { key: "a", value: b"\nb\n" }]).map_err(|_: Fault| Fault::PaxRecord)
        );
    }

    #[test]
    fn times() {
        let at = |seconds, nanoseconds| Some(Timestamp { seconds, nanoseconds });
        let table: [(&str, Option<Timestamp>); 10] = [
            ("1700000000", at(1_700_000_000, 0)),
            ("1.5", at(1, 500_000_000)),
            ("1.1234567891", at(1, 123_456_789)),
            ("-1.25", at(-2, 750_000_000)),
            ("-3", at(-3, 0)),
            ("1.", at(1, 0)),
            ("", None),
            ("1.x", None),
            ("1 ", None),
            (".5", None),
        ];
        for (text, expected) in table {
            assert_eq!(timestamp(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn keys_that_change_the_meaning_are_refused() {
        let record = |key: &str, value: &str| {
            let bare = key.len() + value.len() + 3;
            let length = (bare..bare + 20).find(|length| length.to_string().len() + bare == *length);
            format!("{} {key}={value}\n", length.unwrap())
        };
        let limits = Limits::default();
        let local = |content: &str| match Overrides::local(content.as_bytes(), 7, &limits) {
            Ok(_) => None,
            Err(Error::Archive { offset: 7, fault }) => Some(fault),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(local(&record("SCHILY.realsize", "1")), Some(Fault::PaxKey("SCHILY.realsize".into())));
        assert_eq!(local(&record("unheard", "1")), Some(Fault::PaxKey("unheard".into())));
        assert_eq!(local(&record("VENDOR.unheard", "1")), None);
        assert_eq!(local(&record("size", "-1")), Some(Fault::PaxValue("size".into())));
        assert_eq!(local(&record("path", "a\0b")), Some(Fault::PaxValue("path".into())));
        let twice = record("path", "a") + &record("path", "b");
        assert_eq!(local(&twice), Some(Fault::Contradiction("a pax key is repeated")));
        let global = Overrides::default().merge_global(record("size", "1").as_bytes(), 9, &limits);
        assert!(matches!(global, Err(Error::Archive { offset: 9, fault: Fault::PaxGlobal(ref key) }) if key == "size"));
    }
}
