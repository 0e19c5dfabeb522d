//! Many layers as one that holds what they hold together.
//!
//! Two passes over the archives: the first finds which entry each path ends with, the second copies those. A file
//! whose own name was taken or deleted lives on under the names that were linked to it, as it does when layers are
//! unpacked.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use crate::descriptor::Descriptor;
use crate::error::{Error, Fault, Result};
use crate::layer::{Layer, Records, append_as};
use crate::layout::Layout;
use crate::media_type::Codec;

const LAYER: &str = "layer";
/// More than any image has; layers of nothing but headers end here.
const ENTRIES_MAX: usize = 4 << 20;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What aufs kept for itself.
const RESERVED: &[u8] = b".wh..wh.";

/// Which layer, and which entry of it.
type Id = (usize, usize);

/// What a path ends with.
#[derive(Debug, Clone)]
enum Node {
    /// A directory, by the header that described it last.
    Directory(Box<tar::Header>, Records),
    Object(Id),
}

/// All paths, without slashes at their ends.
#[derive(Debug, Default)]
struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
    count: usize,
}

/// Writes the layer.
pub(super) fn flatten(layout: &Layout, layers: &[Descriptor], codec: Codec) -> Result<Layer> {
    let mut tree = Tree::default();
    for (number, blob) in layers.iter().enumerate() {
        tree.stack(layout, blob, number)?;
    }
    let mut out = tar::Builder::new(layout.layer_writer(codec)?);
    let mut names: HashMap<Id, Vec<Vec<u8>>> = HashMap::new();
    for (path, node) in tree.nodes {
        match node {
            Node::Object(id) => names.entry(id).or_default().push(path),
            Node::Directory(mut header, records) => {
                records.append(&mut out).map_err(failed)?;
                let name = if path.is_empty() { b"./".to_vec() } else { [&path[..], b"/"].concat() };
                out.append_data(&mut header, os(name), io::empty()).map_err(failed)?;
            }
        }
    }
    for (number, blob) in layers.iter().enumerate() {
        copy(layout, blob, number, &names, &mut out)?;
    }
    out.into_inner().map_err(failed)?.finish()
}

fn failed(error: io::Error) -> Error {
    Error::sys("write", "a flat layer")(error)
}

fn unread(error: io::Error) -> Error {
    Error::sys("read", "a layer")(error)
}

fn os(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

/// Calls `visit` with each entry, its number and its path.
fn each<R: Read>(layer: R, mut visit: impl FnMut(&mut tar::Entry<'_, R>, usize, Vec<u8>) -> Result<()>) -> Result<R> {
    let mut archive = tar::Archive::new(layer);
    for (number, entry) in archive.entries().map_err(unread)?.enumerate() {
        let mut entry = entry.map_err(unread)?;
        let path = plain(&entry.path_bytes())?;
        visit(&mut entry, number, path)?;
    }
    Ok(archive.into_inner())
}

/// One spelling for one path; what climbs out is refused.
fn plain(path: &[u8]) -> Result<Vec<u8>> {
    let mut parts = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(Fault::new("holds a path with \"..\"").of(LAYER)),
            part => parts.push(part),
        }
    }
    Ok(parts.join(&b'/'))
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

impl Tree {
    /// Puts a layer on top.
    fn stack(&mut self, layout: &Layout, blob: &Descriptor, number: usize) -> Result<()> {
        let mut added: Vec<(Vec<u8>, Added)> = Vec::new();
        let rest = each(layout.layer(blob)?, |entry, position, path| {
            self.count += 1;
            if self.count > ENTRIES_MAX {
                return Err(Error::LimitExceeded { limit: "number of entries of an image", max: ENTRIES_MAX as u64 });
            }
            let (directory, name) = split(&path);
            // Deletions are of what lies below, wherever in the layer they stand.
            if name == OPAQUE {
                self.remove_below(directory);
            } else if let Some(name) = name.strip_prefix(WHITEOUT).filter(|_| !name.starts_with(RESERVED)) {
                self.remove(&join(directory, name));
            } else if !name.starts_with(RESERVED) {
                let added_entry = Added::of(entry, (number, position))?;
                added.push((path, added_entry));
            }
            Ok(())
        })?;
        // Only the end says that the layer is the right one.
        io::copy(&mut { rest }, &mut io::sink()).map_err(unread)?;
        added.into_iter().try_for_each(|(path, entry)| self.add(path, entry))
    }

    fn add(&mut self, path: Vec<u8>, entry: Added) -> Result<()> {
        let mut above = split(&path).0;
        while !above.is_empty() {
            if matches!(self.nodes.get(above), Some(Node::Object(_))) {
                self.nodes.remove(above);
            }
            above = split(above).0;
        }
        let node = match entry {
            Added::Node(node) => node,
            Added::Link(target) => {
                let Some(Node::Object(id)) = self.nodes.get(&target) else {
                    let target = String::from_utf8_lossy(&target).into_owned();
                    return Err(Fault::new(format!("links to {target:?}, which is no file")).of(LAYER));
                };
                Node::Object(*id)
            }
        };
        if matches!(node, Node::Object(_)) {
            self.remove_below(&path);
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    fn remove(&mut self, path: &[u8]) {
        self.nodes.remove(path);
        self.remove_below(path);
    }

    fn remove_below(&mut self, path: &[u8]) {
        let prefix = if path.is_empty() { Vec::new() } else { [path, b"/"].concat() };
        let below = self.nodes.range(prefix.clone()..).map(|(path, _)| path);
        let below: Vec<Vec<u8>> = below.take_while(|path| path.starts_with(&prefix)).cloned().collect();
        for path in below.iter().filter(|path| !path.is_empty()) {
            self.nodes.remove(path);
        }
    }
}

/// What a layer has at a path.
enum Added {
    Node(Node),
    /// Another name of what is at this path.
    Link(Vec<u8>),
}

impl Added {
    fn of<R: Read>(entry: &mut tar::Entry<'_, R>, id: Id) -> Result<Self> {
        match entry.header().entry_type() {
            tar::EntryType::Link => {
                let target = entry.link_name_bytes().ok_or_else(|| Fault::new("has a link to nothing").of(LAYER))?;
                plain(&target).map(Self::Link)
            }
            tar::EntryType::Directory => {
                let header = Box::new(entry.header().clone());
                Ok(Self::Node(Node::Directory(header, Records::of(entry).map_err(unread)?)))
            }
            _ => Ok(Self::Node(Node::Object(id))),
        }
    }
}

/// Copies the entries that have names.
fn copy<W: Write>(
    layout: &Layout,
    blob: &Descriptor,
    number: usize,
    names: &HashMap<Id, Vec<Vec<u8>>>,
    out: &mut tar::Builder<W>,
) -> Result<()> {
    let rest = each(layout.layer(blob)?, |entry, position, _| {
        let Some((first, others)) = names.get(&(number, position)).and_then(|names| names.split_first()) else {
            return Ok(());
        };
        let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
        let header = append_as(out, entry, first, target.as_deref())?;
        for name in others {
            let mut link = header.clone();
            link.set_entry_type(tar::EntryType::Link);
            link.set_size(0);
            out.append_link(&mut link, os(name.clone()), os(first.clone())).map_err(failed)?;
        }
        Ok(())
    })?;
    io::copy(&mut { rest }, &mut io::sink()).map_err(unread).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::MediaType;

    /// A layer of lines like `file a/b`, `dir a`, `link a b`, `sym a b`; what a file holds is its number.
    fn layer(layout: &Layout, number: usize, lines: &[&str]) -> Descriptor {
        let mut archive = tar::Builder::new(Vec::new());
        for (at, line) in lines.iter().enumerate() {
            let words: Vec<&str> = line.split(' ').collect();
            let content = format!("{number}.{at}");
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o600 + u32::try_from(number).unwrap());
            header.set_size(0);
            match words[..] {
                ["file", path] => {
                    let mut records = Records::default();
                    records.add(b"SCHILY.xattr.user.k", content.as_bytes());
                    records.append(&mut archive).unwrap();
                    header.set_size(content.len() as u64);
                    archive.append_data(&mut header, path, content.as_bytes()).unwrap();
                }
                ["dir", path] => {
                    header.set_entry_type(tar::EntryType::Directory);
                    archive.append_data(&mut header, path, io::empty()).unwrap();
                }
                ["link" | "sym", path, target] => {
                    let kind = if words[0] == "link" { tar::EntryType::Link } else { tar::EntryType::Symlink };
                    header.set_entry_type(kind);
                    archive.append_link(&mut header, path, target).unwrap();
                }
                _ => unreachable!("{line}"),
            }
        }
        layout.put_blob(MediaType::LAYER, &archive.into_inner().unwrap()[..]).unwrap()
    }

    fn flat(layers: &[&[&str]]) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        let layers: Vec<_> = layers.iter().enumerate().map(|(number, lines)| layer(&layout, number, lines)).collect();
        let layer = flatten(&layout, &layers, Codec::Gzip)?;
        let mut archive = tar::Archive::new(layout.layer(&layer.descriptor)?);
        let mut lines = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let link = entry.link_name().unwrap().map(|link| format!(" -> {}", link.display()));
            let attribute =
                entry.pax_extensions().unwrap().map(|mut all| all.next().unwrap().unwrap().value().unwrap().to_owned());
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            if entry.header().entry_type() == tar::EntryType::Regular {
                assert_eq!(attribute.as_deref(), Some(content.as_str()));
            }
            let mode = entry.header().mode().unwrap();
            lines.push(format!("{mode:o} {path}{} {content}", link.unwrap_or_default()).trim_end().to_owned());
        }
        Ok(lines)
    }

    #[test]
    fn the_last_layer_that_says_something_is_right() {
        let lower: &[&str] = &["dir d", "file d/a", "file d/b", "sym s d/a", "file x/y", "file z"];
        let cases: [(&[&str], &[&str]); 7] = [
            (&["file d/a"], &["600 d/", "600 d/b 0.2", "600 s -> d/a", "600 x/y 0.4", "600 z 0.5", "601 d/a 1.0"]),
            (&["dir ./d/", "file d/.wh.a", "file .wh.x"], &["601 d/", "600 d/b 0.2", "600 s -> d/a", "600 z 0.5"]),
            // A deletion is of what lies below, even where it stands behind.
            (&["file x/n", "file x/.wh..wh..opq", "file .wh.d", "file .wh.s", "file .wh.z"], &["601 x/n 1.0"]),
            (&["file d", "file .wh.x", "file .wh.s", "file .wh.z"], &["601 d 1.0"]),
            (&["file s/new", "file .wh.d", "file .wh.x"], &["600 z 0.5", "601 s/new 1.0"]),
            (&["file .wh..wh.plnk", "file .wh.d", "file .wh.x", "file .wh.s"], &["600 z 0.5"]),
            (&["file .wh..wh..opq"], &[]),
        ];
        for (upper, expected) in cases {
            assert_eq!(flat(&[lower, upper]).unwrap(), expected, "{upper:?}");
        }
    }

    #[test]
    fn a_file_lives_on_under_its_other_names() {
        let lower: &[&str] = &["file a", "link b a", "link c b", "file e"];
        // The first name is taken by another file, the second deleted.
        let upper: &[&str] = &["file a", "file .wh.b", "link f c", "link g e"];
        let expected = ["600 c 0.0", "600 f -> c", "600 e 0.3", "600 g -> e", "601 a 1.0"];
        assert_eq!(flat(&[lower, upper]).unwrap(), expected);
        for wrong in [&["link a absent"][..], &["dir d", "link a d"]] {
            assert!(matches!(flat(&[wrong]), Err(Error::Document { .. })), "{wrong:?}");
        }
    }
}
