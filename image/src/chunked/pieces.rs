//! An archive as its raw pieces: headers as they are, and what they say.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::entry::{Content, Entry, Kind};
use crate::config::rfc3339;
use crate::error::{Error, Fault, Result};

const BLOCK: usize = 512;
/// Of the records before one entry.
const RECORDS_MAX: u64 = 1 << 20;
const ARCHIVE: &str = "layer";
/// What extended attributes are called in extended headers.
const ATTRIBUTE: &str = "SCHILY.xattr.";

/// Reads an archive entry by entry.
pub(super) struct Pieces<R> {
    input: R,
    padding: u64,
}

/// What comes next.
pub(super) struct Piece {
    /// What fills the last block of the entry before.
    pub(super) padding: Vec<u8>,
    /// The entry's header with all records before it; at the end of the archive its first block, if there is one.
    pub(super) raw: Vec<u8>,
    /// The entry, and how many bytes of content follow; `None` at the end.
    pub(super) entry: Option<(Entry, u64)>,
}

/// What extended headers and long names say of the entry behind them.
#[derive(Default)]
struct Records {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<String>,
    attributes: BTreeMap<String, Vec<u8>>,
}

impl<R: Read> Pieces<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, padding: 0 }
    }

    /// The content of the entry that came last, to be read to its end.
    pub(super) fn content(&mut self, size: u64) -> io::Take<&mut R> {
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        (&mut self.input).take(size)
    }

    /// What follows the end of the archive.
    pub(super) fn into_rest(self) -> R {
        self.input
    }

    pub(super) fn next(&mut self) -> Result<Piece> {
        let (mut padding, mut raw) = (Vec::new(), Vec::new());
        let mut records = Records::default();
        let fill = std::mem::take(&mut self.padding);
        self.take(fill, &mut padding)?;
        loop {
            let start = raw.len();
            if !self.take_block(&mut raw)? {
                return Ok(Piece { padding, raw, entry: None });
            }
            let header = tar::Header::from_byte_slice(&raw[start..]);
            if header.as_bytes().iter().all(|byte| *byte == 0) {
                return Ok(Piece { padding, raw, entry: None });
            }
            check_sum(header)?;
            let size = header.entry_size().map_err(Error::sys("read", "the header of a layer's entry"))?;
            let kind = header.entry_type();
            if !is_record(kind) {
                let entry = entry(header, &records, records.size.unwrap_or(size))?;
                let size = if let Kind::File(size) = entry.kind { size } else { 0 };
                return Ok(Piece { padding, raw, entry: Some((entry, size)) });
            }
            let content = raw.len();
            if size > RECORDS_MAX - (content as u64).min(RECORDS_MAX) {
                return Err(Error::LimitExceeded { limit: "records before an entry of a layer", max: RECORDS_MAX });
            }
            self.take(size.next_multiple_of(BLOCK as u64), &mut raw)?;
            let end = content + usize::try_from(size).unwrap_or(usize::MAX);
            records.take(kind, &raw[content..end])?;
        }
    }

    fn take(&mut self, count: u64, out: &mut Vec<u8>) -> Result<()> {
        let read = (&mut self.input).take(count).read_to_end(out).map_err(Error::sys("read", "a layer"))?;
        if read as u64 == count { Ok(()) } else { Err(early()) }
    }

    /// `false` where the archive ends without the blocks that mark it.
    fn take_block(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let read = (&mut self.input).take(BLOCK as u64).read_to_end(out).map_err(Error::sys("read", "a layer"))?;
        match read {
            0 => Ok(false),
            BLOCK => Ok(true),
            _ => Err(early()),
        }
    }
}

/// Whether this is no entry but says something of the next one.
fn is_record(kind: tar::EntryType) -> bool {
    use tar::EntryType::{GNULongLink, GNULongName, XGlobalHeader, XHeader};
    matches!(kind, XHeader | XGlobalHeader | GNULongName | GNULongLink)
}

fn early() -> Error {
    Fault::new("ends within an entry").of(ARCHIVE)
}

fn check_sum(header: &tar::Header) -> Result<()> {
    let bytes = header.as_bytes();
    let sum: u32 =
        bytes.iter().enumerate().map(|(at, byte)| u32::from(if (148..156).contains(&at) { b' ' } else { *byte })).sum();
    match header.cksum() {
        Ok(said) if said == sum => Ok(()),
        _ => Err(Fault::new("has a header with a wrong checksum").of(ARCHIVE)),
    }
}

impl Records {
    fn take(&mut self, kind: tar::EntryType, content: &[u8]) -> Result<()> {
        let name = || content.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        match kind {
            tar::EntryType::GNULongName => self.path = Some(name()),
            tar::EntryType::GNULongLink => self.link = Some(name()),
            tar::EntryType::XHeader => self.take_extended(content)?,
            // What holds for all that follows is comments, in layers.
            _ => {}
        }
        Ok(())
    }

    /// Records of the form `LENGTH KEY=VALUE\n`.
    fn take_extended(&mut self, mut left: &[u8]) -> Result<()> {
        let broken = || Fault::new("has a broken extended header").of(ARCHIVE);
        while !left.is_empty() {
            let space = left.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
            let length: usize = number(&left[..space]).ok_or_else(broken)?;
            let record = left.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n"));
            let record = record.ok_or_else(broken)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(broken)?;
            let (key, value) = (text(&record[..equals])?, &record[equals + 1..]);
            match key.as_str() {
                "path" => self.path = Some(value.to_vec()),
                "linkpath" => self.link = Some(value.to_vec()),
                "size" => self.size = Some(number(value).ok_or_else(broken)?),
                "uid" => self.uid = Some(number(value).ok_or_else(broken)?),
                "gid" => self.gid = Some(number(value).ok_or_else(broken)?),
                "mtime" => self.mtime = Some(time(&text(value)?).ok_or_else(broken)?),
                key => {
                    if let Some(name) = key.strip_prefix(ATTRIBUTE) {
                        self.attributes.insert(name.to_owned(), value.to_vec());
                    } else if key.starts_with("GNU.sparse.") {
                        return Err(sparse());
                    }
                }
            }
            left = &left[length..];
        }
        Ok(())
    }
}

fn sparse() -> Error {
    Error::Unsupported { feature: "a sparse file in a layer with a table of contents".into() }
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A time like `1700000000.25`; what is before 1970 has no place in tables.
fn time(text: &str) -> Option<String> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: i64 = seconds.parse().ok()?;
    let written = rfc3339(u64::try_from(whole).unwrap_or(0));
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() || whole < 0 {
        return Some(written);
    }
    // Nine digits are all that readers of other languages keep.
    let fraction = &fraction[..fraction.len().min(9)];
    Some(format!("{}.{fraction}Z", written.trim_end_matches('Z')))
}

fn text(bytes: &[u8]) -> Result<String> {
    let unwritable = |_| Error::Unsupported { feature: "a name that is not UTF-8 in a table of contents".into() };
    String::from_utf8(bytes.to_vec()).map_err(unwritable)
}

fn entry(header: &tar::Header, records: &Records, size: u64) -> Result<Entry> {
    let failed = |error: io::Error| Error::sys("read", "the header of a layer's entry")(error);
    let link = || match &records.link {
        Some(link) => text(link),
        None => text(&header.link_name_bytes().unwrap_or_default()),
    };
    let device = || -> Result<(u64, u64)> {
        let (major, minor) = (header.device_major().map_err(failed)?, header.device_minor().map_err(failed)?);
        Ok((major.unwrap_or_default().into(), minor.unwrap_or_default().into()))
    };
    let kind = match header.entry_type() {
        tar::EntryType::Regular | tar::EntryType::Continuous => Kind::File(size),
        tar::EntryType::Directory => Kind::Directory,
        tar::EntryType::Symlink => Kind::Symlink(link()?),
        tar::EntryType::Link => Kind::HardLink(link()?),
        tar::EntryType::Char => device().map(|(major, minor)| Kind::CharacterDevice(major, minor))?,
        tar::EntryType::Block => device().map(|(major, minor)| Kind::BlockDevice(major, minor))?,
        tar::EntryType::Fifo => Kind::Fifo,
        tar::EntryType::GNUSparse => return Err(sparse()),
        other => {
            return Err(Fault::new(format!("holds an entry of type {:?}", char::from(other.as_byte()))).of(ARCHIVE));
        }
    };
    let modified = match &records.mtime {
        Some(written) => written.clone(),
        None => rfc3339(header.mtime().map_err(failed)?),
    };
    Ok(Entry {
        path: match &records.path {
            Some(path) => text(path)?,
            None => text(&header.path_bytes())?,
        },
        kind,
        mode: header.mode().map_err(failed)?.into(),
        uid: records.uid.map_or_else(|| header.uid(), Ok).map_err(failed)?,
        gid: records.gid.map_or_else(|| header.gid(), Ok).map_err(failed)?,
        modified: Some(modified),
        attributes: records.attributes.clone(),
        content: Content::default(),
    })
}
