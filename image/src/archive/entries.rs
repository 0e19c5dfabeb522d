//! Entries of an archive, from whoever wrote it: names are only ever compared, never opened.

use std::io::Read;

use crate::error::{Error, Fault, Result};

const KIND: &str = "image archive";
/// More than any image has; an archive of empty files ends here.
const ENTRIES_MAX: u64 = 100_000;
/// Of the records that carry a long name.
const NAME_BYTES_MAX: u64 = 64 << 10;

/// What an entry is.
pub(super) enum Entry<'e> {
    /// A regular file.
    File(&'e mut dyn Read),
    /// A link, symbolic or hard, to another name in the archive.
    Link(String),
}

/// Calls `visit` with the name and the content of every file and link, in order.
pub(super) fn read(input: impl Read, mut visit: impl FnMut(&str, Entry<'_>, u64) -> Result<()>) -> Result<()> {
    let failed = |error| Error::sys("read", "an image archive")(error);
    let mut archive = tar::Archive::new(input);
    let mut long = LongNames::default();
    let mut count = 0;
    // Raw, so that records of long names come here to be bounded instead of being read into memory whole.
    for entry in archive.entries().map_err(failed)?.raw(true) {
        let mut entry = entry.map_err(failed)?;
        count += 1;
        if count > ENTRIES_MAX {
            return Err(Error::LimitExceeded { limit: "number of entries in an image archive", max: ENTRIES_MAX });
        }
        let kind = entry.header().entry_type();
        if long.take_record(kind, &mut entry)? {
            continue;
        }
        let long = std::mem::take(&mut long);
        let name = long.path.unwrap_or_else(|| text(&entry.path_bytes()));
        let name = normal(&name);
        match kind {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let size = entry.size();
                visit(&name, Entry::File(&mut entry), size)?;
            }
            tar::EntryType::Symlink => {
                let target = long.link.unwrap_or_else(|| text(&entry.link_name_bytes().unwrap_or_default()));
                let directory = name.rsplit_once('/').map_or("", |(directory, _)| directory);
                visit(&name, Entry::Link(normal(&format!("{directory}/{target}"))), 0)?;
            }
            tar::EntryType::Link => {
                let target = long.link.unwrap_or_else(|| text(&entry.link_name_bytes().unwrap_or_default()));
                visit(&name, Entry::Link(normal(&target)), 0)?;
            }
            tar::EntryType::Directory => {}
            other => {
                return Err(Fault::new(format!("holds an entry of type {:?}", char::from(other.as_byte())))
                    .within(&name)
                    .of(KIND));
            }
        }
    }
    Ok(())
}

/// Names that come in records of their own, for the entry behind them.
#[derive(Default)]
struct LongNames {
    path: Option<String>,
    link: Option<String>,
}

impl LongNames {
    /// Whether the entry was such a record.
    fn take_record(&mut self, kind: tar::EntryType, content: &mut impl Read) -> Result<bool> {
        match kind {
            tar::EntryType::GNULongName => self.path = Some(text(&bounded(content)?)),
            tar::EntryType::GNULongLink => self.link = Some(text(&bounded(content)?)),
            tar::EntryType::XHeader => self.take_pax(&bounded(content)?)?,
            tar::EntryType::XGlobalHeader => drop(bounded(content)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Records of the form `LENGTH KEY=VALUE\n`.
    fn take_pax(&mut self, mut records: &[u8]) -> Result<()> {
        let broken = || Fault::new("has a broken extended header").of(KIND);
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
            let length: usize = text(&records[..space]).parse().map_err(|_| broken())?;
            let record = records.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n"));
            let record = text(record.ok_or_else(broken)?);
            let (key, value) = record.split_once('=').ok_or_else(broken)?;
            match key {
                "path" => self.path = Some(value.to_owned()),
                "linkpath" => self.link = Some(value.to_owned()),
                // The entry's length would be read wrong.
                "size" => return Err(Error::Unsupported { feature: "a length in an extended header".into() }),
                _ => {}
            }
            records = &records[length..];
        }
        Ok(())
    }
}

fn bounded(content: &mut impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut limited = content.take(NAME_BYTES_MAX + 1);
    limited.read_to_end(&mut bytes).map_err(Error::sys("read", "an image archive"))?;
    if bytes.len() as u64 > NAME_BYTES_MAX {
        return Err(Error::LimitExceeded { limit: "header in an image archive", max: NAME_BYTES_MAX });
    }
    Ok(bytes)
}

/// The text up to the first NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// One spelling for one name: without `.`, `..` and needless slashes; what climbs out ends at the top.
pub(super) fn normal(name: &str) -> String {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        for (name, expected) in
            [("./a//b", "a/b"), ("a/../b", "b"), ("../../a", "a"), ("x/layer/../../y", "y"), ("/", "")]
        {
            assert_eq!(normal(name), expected);
        }
    }

    #[test]
    fn extended_headers() {
        let mut names = LongNames::default();
        names.take_pax(b"12 path=a/b\n14 linkpath=c\n8 uid=1\n").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((names.path.as_deref(), names.link.as_deref()), (Some("a/b"), Some("c")));
        for broken in
            [&b"99 path=a\n"[..], b"x path=a\n", b"10 path=ab", b"4 ab", b"0 \n", b"5 a=\n\n", b"11 size=99\n"]
        {
            assert!(LongNames::default().take_pax(broken).is_err(), "{}", String::from_utf8_lossy(broken));
        }
    }
}
