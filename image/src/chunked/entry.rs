//! Entries of a table of contents, and their JSON, which both formats share.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::base64;
use crate::digest::Digest;
use crate::error::{Fault, Result};
use crate::json::{self, Object, Value};
use crate::limits::Limits;

const TABLE: &str = "table of contents";
const VERSION: u64 = 1;

/// A file, directory, link or device of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its path as the archive spells it; [`Lazy::file`](super::Lazy::file) minds no `./` and no final slash.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, with set-user-id, set-group-id and sticky.
    pub mode: u64,
    /// The owner's number inside the image.
    pub uid: u64,
    /// The group's number inside the image.
    pub gid: u64,
    /// When it was changed, as RFC 3339 writes it.
    pub modified: Option<String>,
    /// Extended attributes.
    pub attributes: BTreeMap<String, Vec<u8>>,
    pub(super) content: Content,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file of so many bytes.
    File(u64),
    /// A directory.
    Directory,
    /// A symbolic link to this target.
    Symlink(String),
    /// Another name of the file with this path.
    HardLink(String),
    /// A character device, by its numbers.
    CharacterDevice(u64, u64),
    /// A block device, by its numbers.
    BlockDevice(u64, u64),
    /// A named pipe.
    Fifo,
}

/// Where a file's content lies in the blob.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// Of the whole.
    pub(super) digest: Option<Digest>,
    /// In order; none of an empty file.
    pub(super) chunks: Vec<Chunk>,
}

/// A piece of a file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Where its compressed stream begins.
    pub(super) offset: u64,
    /// Where that ends, or what follows it begins.
    pub(super) end: u64,
    /// Uncompressed bytes of the stream that are not its own.
    pub(super) skip: u64,
    /// Uncompressed bytes.
    pub(super) size: u64,
    pub(super) digest: Option<Digest>,
}

impl Entry {
    fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::File(_) => "reg",
            Kind::Directory => "dir",
            Kind::Symlink(_) => "symlink",
            Kind::HardLink(_) => "hardlink",
            Kind::CharacterDevice(..) => "char",
            Kind::BlockDevice(..) => "block",
            Kind::Fifo => "fifo",
        }
    }

    /// As JSON: an object for the entry, and one for each further chunk.
    fn write(&self, out: &mut Vec<Value<'static>>) {
        let mut object = Object::default();
        object.set("type", Value::text(self.type_name()));
        object.set("name", Value::text(self.path.clone()));
        match &self.kind {
            Kind::File(size) => object.set("size", Value::number(*size)),
            Kind::Symlink(target) | Kind::HardLink(target) => object.set("linkName", Value::text(target.clone())),
            Kind::CharacterDevice(major, minor) | Kind::BlockDevice(major, minor) => {
                object.set("devMajor", Value::number(*major));
                object.set("devMinor", Value::number(*minor));
            }
            Kind::Directory | Kind::Fifo => {}
        }
        for (key, number) in [("mode", self.mode), ("uid", self.uid), ("gid", self.gid)] {
            object.set(key, Value::number(number));
        }
        if let Some(modified) = &self.modified {
            object.set("modtime", Value::text(modified.clone()));
        }
        if !self.attributes.is_empty() {
            let mut attributes = Object::default();
            for (name, value) in &self.attributes {
                attributes.set(name.clone(), Value::text(base64::encode(value)));
            }
            object.set("xattrs", Value::Object(attributes));
        }
        if let Some(digest) = &self.content.digest {
            object.set("digest", Value::text(digest.to_string()));
        }
        self.write_chunks(object, out);
    }

    fn write_chunks(&self, first: Object<'static>, out: &mut Vec<Value<'static>>) {
        let mut object = first;
        let mut start = 0;
        for (position, chunk) in self.content.chunks.iter().enumerate() {
            if position > 0 {
                out.push(Value::Object(std::mem::take(&mut object)));
                object.set("type", Value::text("chunk"));
                object.set("name", Value::text(self.path.clone()));
                object.set("chunkOffset", Value::number(start));
            }
            object.set("offset", Value::number(chunk.offset));
            if position == 0
                && let Some(last) = self.content.chunks.last()
            {
                object.set("endOffset", Value::number(last.end));
            }
            if self.content.chunks.len() > 1 {
                object.set("chunkSize", Value::number(chunk.size));
            }
            if let Some(digest) = &chunk.digest {
                object.set("chunkDigest", Value::text(digest.to_string()));
            }
            start += chunk.size;
        }
        out.push(Value::Object(object));
    }
}

/// The table as JSON; `more` is what a format adds.
pub(super) fn print(entries: &[Entry], more: impl IntoIterator<Item = (&'static str, String)>) -> Vec<u8> {
    let mut listed = Vec::with_capacity(entries.len());
    for entry in entries {
        entry.write(&mut listed);
    }
    let mut table = Object::default();
    table.set("version", Value::number(VERSION));
    table.set("entries", Value::Array(listed));
    for (key, text) in more {
        table.set(key, Value::text(text));
    }
    json::compact(&Value::Object(table))
}

/// Reads a table of a blob whose compressed files end before `end`.
pub(super) fn parse(raw: &[u8], end: u64, limits: &Limits) -> Result<Vec<Entry>> {
    let bounds = Limits { document_bytes: limits.table_bytes, document_values: limits.table_values, ..*limits };
    let value = json::parse(TABLE, raw, &bounds)?;
    read(&value, end).map_err(|fault| fault.of(TABLE))
}

/// An object of the table while it is read.
struct Raw {
    entry: Option<Entry>,
    name: String,
    offset: Option<u64>,
    end: Option<u64>,
    skip: u64,
    start: u64,
    size: Option<u64>,
    digest: Option<Digest>,
}

fn read(value: &Value<'_>, end: u64) -> Result<Vec<Entry>, Fault> {
    let table = value.object()?;
    if table.required("version", Value::unsigned)? != VERSION {
        return Err(Fault::new("must be 1").within("version"));
    }
    let raws = table.required("entries", |entries| entries.list(raw))?;
    let mut offsets: Vec<u64> = raws.iter().filter_map(|raw| raw.offset).collect();
    offsets.sort_unstable();
    let next = |offset: u64| offsets.get(offsets.partition_point(|other| *other <= offset)).copied().unwrap_or(end);
    let mut entries: Vec<Entry> = Vec::new();
    for (position, mut raw) in raws.into_iter().enumerate() {
        let wrong = |reason: &'static str| Fault::new(reason).within(&format!("entries[{position}]"));
        let started = match raw.entry.take() {
            Some(entry) => {
                check_whole(entries.last()).map_err(wrong)?;
                entries.push(entry);
                true
            }
            None => false,
        };
        let entry = entries.last_mut().ok_or_else(|| wrong("is a chunk of no file"))?;
        if !started && (!raw.name.is_empty() && raw.name != entry.path) {
            return Err(wrong("is a chunk of another file than the one before"));
        }
        let Kind::File(size) = entry.kind else {
            if started {
                continue;
            }
            return Err(wrong("is a chunk of what is no file"));
        };
        if started && size == 0 {
            continue;
        }
        take_chunk(entry, size, &raw, end, next).map_err(wrong)?;
    }
    check_whole(entries.last()).map_err(Fault::new)?;
    Ok(entries)
}

fn take_chunk(
    entry: &mut Entry,
    size: u64,
    raw: &Raw,
    end: u64,
    next: impl Fn(u64) -> u64,
) -> Result<(), &'static str> {
    let offset = raw.offset.ok_or("is a file without an offset")?;
    let there: u64 = entry.content.chunks.iter().map(|chunk| chunk.size).sum();
    let left = size - there;
    let own = raw.size.filter(|size| *size > 0).unwrap_or(left);
    if raw.start != there || own > left || own == 0 {
        return Err("has chunks that do not follow each other");
    }
    // Of a file in one piece its own word is as good as who comes next.
    let until = raw.end.filter(|_| own == size).unwrap_or_else(|| next(offset));
    if offset >= until || until > end {
        return Err("lies outside the blob");
    }
    entry.content.chunks.push(Chunk { offset, end: until, skip: raw.skip, size: own, digest: raw.digest });
    Ok(())
}

fn check_whole(entry: Option<&Entry>) -> Result<(), &'static str> {
    let Some(Entry { kind: Kind::File(size), content, .. }) = entry else { return Ok(()) };
    let there: u64 = content.chunks.iter().map(|chunk| chunk.size).sum();
    if there == *size { Ok(()) } else { Err("follows a file whose chunks are not all there") }
}

fn raw(value: &Value<'_>) -> Result<Raw, Fault> {
    let object = value.object()?;
    let name = object.or_default("name", Value::owned)?;
    let number = |key| object.or_default(key, Value::unsigned);
    let kind = match object.required("type", Value::owned)?.as_str() {
        "reg" => Some(Kind::File(number("size")?)),
        "dir" => Some(Kind::Directory),
        "symlink" => Some(Kind::Symlink(object.required("linkName", Value::owned)?)),
        "hardlink" => Some(Kind::HardLink(object.required("linkName", Value::owned)?)),
        "char" => Some(Kind::CharacterDevice(number("devMajor")?, number("devMinor")?)),
        "block" => Some(Kind::BlockDevice(number("devMajor")?, number("devMinor")?)),
        "fifo" => Some(Kind::Fifo),
        "chunk" => None,
        other => return Err(Fault::new(format!("is of the unknown type {other:?}")).within("type")),
    };
    let digest = |key| object.optional(key, digest);
    let entry = match kind {
        None => None,
        Some(kind) => Some(Entry {
            path: name.clone(),
            kind,
            mode: number("mode")?,
            uid: number("uid")?,
            gid: number("gid")?,
            modified: object.optional("modtime", Value::owned)?,
            attributes: object.or_default("xattrs", attributes)?,
            content: Content { digest: digest("digest")?, chunks: Vec::new() },
        }),
    };
    Ok(Raw {
        entry,
        name,
        offset: object.optional("offset", Value::unsigned)?,
        end: object.optional("endOffset", Value::unsigned)?,
        skip: number("innerOffset")?,
        start: number("chunkOffset")?,
        size: object.optional("chunkSize", Value::unsigned)?,
        digest: digest("chunkDigest")?,
    })
}

/// Writers of other languages leave an empty text where nothing is.
fn digest(value: &Value<'_>) -> Result<Digest, Fault> {
    Digest::parse(value.string()?).map_err(|error| Fault::new(error.to_string()))
}

fn attributes(value: &Value<'_>) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
    let texts = value.string_map()?;
    let decoded = |(name, text): (String, String)| match base64::decode(&text) {
        Some(value) => Ok((name, value)),
        None => Err(Fault::new("is no base64").within(&name)),
    };
    texts.into_iter().map(decoded).collect()
}

/// One spelling for one path.
pub(super) fn plain(path: &str) -> Cow<'_, str> {
    let is_plain = |part: &str| !part.is_empty() && part != ".";
    if path.split('/').all(is_plain) {
        return Cow::Borrowed(path);
    }
    Cow::Owned(path.split('/').filter(|part| is_plain(part)).collect::<Vec<_>>().join("/"))
}
